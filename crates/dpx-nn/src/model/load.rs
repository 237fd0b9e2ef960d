//! Bodies from folders, and which tensors of a folder a body has no use for.

use super::{Architecture, Bert, Body, Decoder, ModelConfig, ModelError, Weights};
use crate::device::DeviceExt;
use crate::{Array, Role};
use dpx_schema::Device;

/// Reads a body onto a device.
pub(super) fn body(
    config: &ModelConfig,
    weights: &mut Weights,
    device: Device,
) -> Result<Body, ModelError> {
    device.usable()?;
    let value = |name: &str, _: Role, shape: &[usize]| array(weights, name, shape);
    Ok(match &config.architecture {
        Architecture::Decoder(stack) => {
            // Without its output layer: whoever needs it reads a language model.
            let mut stack = stack.clone();
            stack.tied = true;
            Body::Decoder(Decoder::build(stack, device, value)?)
        }
        Architecture::Encoder(stack) => Body::Bert(Bert::build(stack.clone(), device, value)?),
    })
}

/// Reads one tensor.
pub(super) fn array(
    weights: &mut Weights,
    name: &str,
    shape: &[usize],
) -> Result<Array, ModelError> {
    Ok(Array::from_vec(weights.take(name, shape)?, shape))
}

/// Buffers and tied copies that files carry beside the parameters: known by name and without effect.
pub fn is_buffer(config: &ModelConfig, name: &str) -> bool {
    match &config.architecture {
        Architecture::Decoder(stack) => {
            name.ends_with(".attn.bias")
                || name.ends_with(".attn.masked_bias")
                || name.ends_with(".rotary_emb.inv_freq")
                || (stack.tied && name == "lm_head.weight")
        }
        Architecture::Encoder(_) => name == "embeddings.position_ids",
    }
}

/// Tensors of heads, which a bare body leaves out.
pub(super) fn is_head(config: &ModelConfig, name: &str) -> bool {
    match &config.architecture {
        Architecture::Decoder(_) => matches!(name, "score.weight" | "lm_head.weight"),
        Architecture::Encoder(_) => ["pooler.", "cls.", "classifier.", "lm_head."]
            .iter()
            .any(|head| name.starts_with(head)),
    }
}
