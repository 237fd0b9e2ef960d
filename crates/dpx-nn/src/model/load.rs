//! Bodies from folders, and which tensors of a folder a body has no use for.

use super::{Architecture, Bert, Body, Gpt2, Llama, ModelConfig, ModelError, Weights};
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
        Architecture::Gpt2(sizes) => Body::Gpt2(Gpt2::build(sizes.clone(), device, value)?),
        Architecture::Llama(sizes) => {
            // Without its output layer: whoever needs it reads a language model.
            let mut sizes = sizes.clone();
            sizes.tie_word_embeddings = true;
            Body::Llama(Llama::build(sizes, device, value)?)
        }
        Architecture::Bert(sizes) => Body::Bert(Bert::build(sizes.clone(), device, value)?),
        Architecture::Mpnet(sizes) => Body::Bert(Bert::build_mpnet(sizes.clone(), device, value)?),
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
        Architecture::Gpt2(_) => {
            name.ends_with(".attn.bias")
                || name.ends_with(".attn.masked_bias")
                || name == "lm_head.weight"
        }
        Architecture::Llama(sizes) => {
            name.ends_with(".rotary_emb.inv_freq")
                || (sizes.tie_word_embeddings && name == "lm_head.weight")
        }
        Architecture::Bert(_) | Architecture::Mpnet(_) => name == "embeddings.position_ids",
    }
}

/// Tensors of heads, which a bare body leaves out.
pub(super) fn is_head(config: &ModelConfig, name: &str) -> bool {
    match &config.architecture {
        Architecture::Gpt2(_) | Architecture::Llama(_) => {
            matches!(name, "score.weight" | "lm_head.weight")
        }
        Architecture::Bert(_) | Architecture::Mpnet(_) => {
            ["pooler.", "cls.", "classifier.", "lm_head."]
                .iter()
                .any(|head| name.starts_with(head))
        }
    }
}
