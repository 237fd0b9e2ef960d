//! What a secret key is bound to: everything that the updates depend on. The same noise over anything else would reveal the
//! difference.

use super::examples::Encoded;
use dpx_accounting::Mechanism;
use dpx_nn::Network;
use dpx_nn::model::CausalLm;
use dpx_schema::params::TrainParams;
use dpx_schema::{Kind, StageContext};
use serde_json::json;

/// The program that computes the updates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Code {
    pub(super) version: &'static str,
    pub(super) kind_version: u32,
}

impl Code {
    /// This program.
    pub(super) const CURRENT: Self = Self {
        version: env!("CARGO_PKG_VERSION"),
        kind_version: Kind::Train.version(),
    };
}

/// Digest of everything that the updates depend on: data as they are tokenized, mechanism, parameters, weights, program,
/// class of device. Canaries follow from the key itself.
pub(super) fn binding(
    context: &StageContext<'_>,
    params: &TrainParams,
    mechanism: &Mechanism,
    network: &CausalLm,
    encoded: &Encoded,
    code: Code,
) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("dpx 2026 train binding v1");
    let text = json!({
        "key": context.key,
        "instance": context.instance,
        "seed": context.seed,
        "params": params,
        "mechanism": mechanism,
        "version": code.version,
        "kind_version": code.kind_version,
        "device": context.device.class(),
    });
    hasher.update(text.to_string().as_bytes());
    for (_, parameter) in network.parameters().iter() {
        hasher.update(parameter.name.as_bytes());
        hasher.update(&[u8::from(parameter.trainable)]);
        parameter.value.visit(|values| {
            for part in values.chunks(4096) {
                let bytes: Vec<u8> = part.iter().flat_map(|value| value.to_le_bytes()).collect();
                hasher.update(&bytes);
            }
        });
    }
    encoded.hash(&mut hasher);
    hasher.finalize().into()
}
