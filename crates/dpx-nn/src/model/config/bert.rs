//! Sizes of a BERT model.

use super::Fields;
use crate::model::ModelError;

/// `config.json` of `model_type` `bert`. The GELU is the erf form.
#[derive(Debug, Clone, PartialEq)]
pub struct BertConfig {
    /// Tokens.
    pub vocab_size: usize,
    /// Longest text.
    pub max_position_embeddings: usize,
    /// Segments; a single text is segment 0.
    pub type_vocab_size: usize,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Blocks.
    pub num_hidden_layers: usize,
    /// Attention heads of a block.
    pub num_attention_heads: usize,
    /// Added to variances.
    pub layer_norm_eps: f64,
}

impl BertConfig {
    pub(super) fn parse(fields: &Fields<'_>) -> Result<Self, ModelError> {
        fields.require_word("hidden_act", &["gelu"])?;
        fields.require_word("position_embedding_type", &["absolute"])?;
        fields.require_flag("is_decoder", false)?;
        fields.require_flag("add_cross_attention", false)?;
        let hidden_size = fields.size("hidden_size")?;
        let heads = fields.size("num_attention_heads")?;
        fields.divides(("hidden_size", hidden_size), ("num_attention_heads", heads))?;
        Ok(Self {
            vocab_size: fields.size("vocab_size")?,
            max_position_embeddings: fields.size_or("max_position_embeddings", 512)?,
            type_vocab_size: fields.size_or("type_vocab_size", 2)?,
            hidden_size,
            intermediate_size: fields.size("intermediate_size")?,
            num_hidden_layers: fields.size("num_hidden_layers")?,
            num_attention_heads: heads,
            layer_norm_eps: fields.number_or("layer_norm_eps", 1e-12)?,
        })
    }
}
