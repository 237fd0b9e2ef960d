//! Sizes of a GPT-2 model.

use super::Fields;
use crate::model::ModelError;

/// `config.json` of `model_type` `gpt2`. The GELU is the tanh form, the head shares the embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct Gpt2Config {
    /// Tokens.
    pub vocab_size: usize,
    /// Longest text.
    pub n_positions: usize,
    /// Width of the hidden states.
    pub n_embd: usize,
    /// Blocks.
    pub n_layer: usize,
    /// Attention heads of a block.
    pub n_head: usize,
    /// Width of the feed-forward layer.
    pub n_inner: usize,
    /// Added to variances.
    pub layer_norm_epsilon: f64,
}

impl Gpt2Config {
    pub(super) fn parse(fields: &Fields<'_>) -> Result<Self, ModelError> {
        fields.require_word("activation_function", &["gelu_new", "gelu_pytorch_tanh"])?;
        fields.require_flag("scale_attn_weights", true)?;
        fields.require_flag("scale_attn_by_inverse_layer_idx", false)?;
        fields.require_flag("add_cross_attention", false)?;
        fields.require_flag("tie_word_embeddings", true)?;
        let n_embd = fields.size("n_embd")?;
        let n_head = fields.size("n_head")?;
        fields.divides(("n_embd", n_embd), ("n_head", n_head))?;
        Ok(Self {
            vocab_size: fields.size("vocab_size")?,
            n_positions: fields.size_or("n_positions", 1024)?,
            n_embd,
            n_layer: fields.size("n_layer")?,
            n_head,
            n_inner: fields.size_or("n_inner", 4 * n_embd)?,
            layer_norm_epsilon: fields.number_or("layer_norm_epsilon", 1e-5)?,
        })
    }
}
