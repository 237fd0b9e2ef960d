//! `config.json` of GPT-2.

use super::{DecoderConfig, Fields, Sizes};
use crate::model::ModelError;

/// `config.json` of `model_type` `gpt2`. The GELU is the tanh form, the head shares the embedding unless the file says otherwise.
pub(super) fn parse(fields: &Fields<'_>) -> Result<DecoderConfig, ModelError> {
    fields.require_word("activation_function", &["gelu_new", "gelu_pytorch_tanh"])?;
    fields.require_flag("scale_attn_weights", true)?;
    fields.require_flag("scale_attn_by_inverse_layer_idx", false)?;
    fields.require_flag("add_cross_attention", false)?;
    let hidden = fields.size("n_embd")?;
    let heads = fields.size("n_head")?;
    fields.divides(("n_embd", hidden), ("n_head", heads))?;
    let sizes = Sizes {
        vocabulary: fields.size("vocab_size")?,
        max_positions: fields.size_or("n_positions", 1024)?,
        hidden,
        intermediate: fields.size_or("n_inner", 4 * hidden)?,
        layers: fields.size("n_layer")?,
        heads,
        kv_heads: heads,
        head_dim: hidden / heads,
        norm_epsilon: fields.number_or("layer_norm_epsilon", 1e-5)?,
    };
    Ok(DecoderConfig {
        tied: fields.flag_or("tie_word_embeddings", true)?,
        ..DecoderConfig::gpt2(sizes)
    })
}
