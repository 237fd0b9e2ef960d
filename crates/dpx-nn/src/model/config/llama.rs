//! `config.json` of Llama.

use super::rotary::rope_theta;
use super::{DecoderConfig, Fields, Sizes};
use crate::model::ModelError;

/// Longest text that is read whatever the model was trained for: bounds the table of rotary angles.
const MAX_CONTEXT: usize = 16_384;

/// `config.json` of `model_type` `llama`.
pub(super) fn parse(fields: &Fields<'_>) -> Result<DecoderConfig, ModelError> {
    fields.require_word("hidden_act", &["silu"])?;
    fields.require_flag("attention_bias", false)?;
    fields.require_flag("mlp_bias", false)?;
    let hidden = fields.size("hidden_size")?;
    let heads = fields.size("num_attention_heads")?;
    let kv_heads = fields.size_or("num_key_value_heads", heads)?;
    fields.divides(
        ("num_attention_heads", heads),
        ("num_key_value_heads", kv_heads),
    )?;
    let head_dim = if fields.get("head_dim").is_some() {
        fields.size("head_dim")?
    } else {
        fields.divides(("hidden_size", hidden), ("num_attention_heads", heads))?;
        hidden / heads
    };
    fields.divides(("head_dim", head_dim), ("2", 2))?;
    let sizes = Sizes {
        vocabulary: fields.size("vocab_size")?,
        max_positions: fields
            .size_or("max_position_embeddings", 2048)?
            .min(MAX_CONTEXT),
        hidden,
        intermediate: fields.size("intermediate_size")?,
        layers: fields.size("num_hidden_layers")?,
        heads,
        kv_heads,
        head_dim,
        norm_epsilon: fields.number_or("rms_norm_eps", 1e-6)?,
    };
    let tied = fields.flag_or("tie_word_embeddings", false)?;
    Ok(DecoderConfig::llama(sizes, rope_theta(fields)?, tied))
}
