//! What training leaves behind: the model, the guarantee as data and as text.

use super::start::Start;
use super::told;
use crate::allot::Allotment;
use dpx_accounting::Mechanism;
use dpx_nn::model::CausalModel;
use dpx_nn::model::weights::StoredAs;
use dpx_schema::params::{Epsilon, NoiseMode, TrainParams};
use dpx_schema::{MODEL_SCHEMA_FILE, PublicSchema};
use dpx_schema::{StageContext, StageError};
use dpx_sgd::privatise::Protection;
use serde_json::{Value, json};

/// Writes `model/`, `privacy.json` and `statement.txt`.
pub(super) fn write(
    context: &StageContext<'_>,
    params: &TrainParams,
    schema: &PublicSchema,
    start: &Start,
    private: Option<(Allotment, Mechanism)>,
    protection: Option<Protection>,
) -> Result<(), StageError> {
    let folder = context.output_path("model");
    std::fs::create_dir_all(&folder)?;
    start.network.save(&folder, StoredAs::F32).map_err(told)?;
    start
        .tokenizer
        .save(&folder, Some(start.network.context()))
        .map_err(told)?;
    schema.save(folder.join(MODEL_SCHEMA_FILE)).map_err(told)?;
    let (mut json, text) = guarantee(params, private, protection)?;
    if params.canaries > 0
        && let Value::Object(fields) = &mut json
    {
        let delta = params.delta.resolve(schema.examples + params.canaries);
        fields.insert("audit_delta".to_owned(), json!(delta));
    }
    std::fs::write(context.output_path("privacy.json"), format!("{json:#}\n"))?;
    Ok(std::fs::write(context.output_path("statement.txt"), text)?)
}

fn guarantee(
    params: &TrainParams,
    private: Option<(Allotment, Mechanism)>,
    protection: Option<Protection>,
) -> Result<(Value, String), StageError> {
    let Some((allotment, mechanism)) = private else {
        return Ok(if params.epsilon == Epsilon::Infinite {
            (
                json!({"epsilon": null, "guarantee": "none"}),
                "No guarantee: trained on the private texts without clipping and noise. NOT FOR RELEASE.\n".to_owned(),
            )
        } else {
            (
                json!({"epsilon": 0.0, "guarantee": "nothing was learnt from the private data"}),
                "Epsilon 0: the public model as it was; nothing was learnt from the private texts.\n".to_owned(),
            )
        });
    };
    let secure = params.noise == NoiseMode::Secure;
    let statement = allotment
        .statement(mechanism.adjacency(), secure)
        .map_err(told)?;
    let mut json = serde_json::to_value(&statement).map_err(told)?;
    let allowance = match protection {
        Some(Protection::Gaussian {
            rounding_allowance, ..
        }) => rounding_allowance,
        Some(Protection::None) | None => 0.0,
    };
    if let Value::Object(fields) = &mut json {
        let more = [
            ("epsilon_certified", json!(statement.epsilon.epsilon)),
            ("noise_multiplier", json!(mechanism.noise_multiplier())),
            ("sampling_rate", json!(mechanism.sampling_rate())),
            ("steps", json!(mechanism.steps())),
            ("max_grad_norm", json!(mechanism.max_grad_norm())),
            ("clipping", json!(params.clipping)),
            ("expected_batch_size", json!(params.batch_size)),
            ("rounding_allowance", json!(allowance)),
            ("canaries", json!(params.canaries)),
        ];
        for (name, value) in more {
            fields.insert(name.to_owned(), value);
        }
    }
    let mut text = statement.to_text();
    if params.canaries > 0 {
        text.push_str(
            "Canaries were planted for an audit: the texts are part of the declared data, the model is not for release.\n",
        );
    }
    Ok((json, text))
}
