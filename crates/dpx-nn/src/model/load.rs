//! Bodies from folders, and which tensors of a folder a body has no use for.

use super::{Architecture, Bert, Body, Decoder, Family, ModelConfig, ModelError, Weights, decoder};
use crate::device::DeviceExt;
use crate::{Array, Role};
use dpx_schema::Device;
use dpx_schema::params::BasePrecision;

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
        Architecture::Static(_) => {
            return Err(ModelError::Input(
                "a `model2vec` model is a table of static embeddings: it serves as an encoder, never as the body of another model"
                    .into(),
            ));
        }
    })
}

/// Takes an output layer that is stored beside an embedding of other values for what it is, whatever `tie_word_embeddings` says,
/// as `transformers` does.
pub(super) fn untie_where_stored(
    config: &mut ModelConfig,
    weights: &mut Weights,
) -> Result<(), ModelError> {
    let Architecture::Decoder(stack) = &mut config.architecture else {
        return Ok(());
    };
    if !stack.tied || !stack.family.is_causal() {
        return Ok(());
    }
    let shape = [stack.sizes.vocabulary, stack.sizes.hidden];
    let [tokens, head] = decoder::tables(stack.family);
    if !weights.contains(&tokens) || !weights.contains(&head) {
        return Ok(());
    }
    if weights.take(&tokens, &shape)? != weights.take(&head, &shape)? {
        stack.tied = false;
        config
            .raw
            .insert("tie_word_embeddings".into(), false.into());
    }
    Ok(())
}

/// Reads one tensor of a model whose matrices are frozen, and rounds it where it is one.
pub(super) fn frozen(
    weights: &mut Weights,
    name: &str,
    shape: &[usize],
    precision: BasePrecision,
) -> Result<Array, ModelError> {
    match weights.take_rounded(name, shape, precision)? {
        Some(matrix) => Ok(Array::rounded(matrix)),
        None => array(weights, name, shape),
    }
}

/// Reads one tensor.
pub(super) fn array(
    weights: &mut Weights,
    name: &str,
    shape: &[usize],
) -> Result<Array, ModelError> {
    Ok(Array::from_vec(weights.take(name, shape)?, shape))
}

/// Buffers that files carry beside the parameters: known by name and without effect.
pub fn is_buffer(config: &ModelConfig, name: &str) -> bool {
    match &config.architecture {
        Architecture::Decoder(stack) => {
            let buffer = [
                ".attn.bias",
                ".attn.masked_bias",
                ".attention.bias",
                ".attention.masked_bias",
                ".rotary_emb.inv_freq",
            ];
            buffer.iter().any(|end| name.ends_with(end))
                || name == "rotary_emb.inv_freq"
                || (stack.tied && OUTPUT_LAYERS.contains(&name))
        }
        Architecture::Static(_) => false,
        Architecture::Encoder(_) => {
            matches!(
                name,
                "embeddings.position_ids" | "embeddings.token_type_ids"
            )
        }
    }
}

/// What the output layers of language models are called.
const OUTPUT_LAYERS: [&str; 2] = ["lm_head.weight", "embed_out.weight"];

/// Tensors of heads, which a bare body leaves out.
pub(super) fn is_head(config: &ModelConfig, name: &str) -> bool {
    let of_classifier = ["classifier.", "pre_classifier.", "score.", "qa_outputs."];
    of_classifier.iter().any(|head| name.starts_with(head)) || is_pretraining_head(config, name)
}

/// Tensors of heads that pretraining leaves, among them BERT's pooler, which some classifiers have no use for.
pub(super) fn is_pretraining_head(config: &ModelConfig, name: &str) -> bool {
    let heads: &[&str] = match config.family() {
        Family::Bert => &["pooler.", "cls."],
        Family::Roberta | Family::XlmRoberta | Family::Mpnet => &["pooler.", "lm_head."],
        Family::DistilBert => &["vocab_transform.", "vocab_layer_norm.", "vocab_projector."],
        Family::Electra => &[
            "discriminator_predictions.",
            "generator_predictions.",
            "generator_lm_head.",
        ],
        Family::ModernBert => &["head.", "decoder."],
        _ => &OUTPUT_LAYERS,
    };
    heads.iter().any(|head| name.starts_with(head))
}
