//! Sizes of a Llama model.

use super::Fields;
use crate::model::ModelError;
use serde_json::Value;

/// Longest text that is read whatever the model was trained for: bounds the table of rotary angles.
const MAX_CONTEXT: usize = 16_384;

/// `config.json` of `model_type` `llama`.
#[derive(Debug, Clone, PartialEq)]
pub struct LlamaConfig {
    /// Tokens.
    pub vocab_size: usize,
    /// Longest text.
    pub max_position_embeddings: usize,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Blocks.
    pub num_hidden_layers: usize,
    /// Query heads of a block.
    pub num_attention_heads: usize,
    /// Key and value heads of a block; each serves an equal group of query heads.
    pub num_key_value_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Added to mean squares.
    pub rms_norm_eps: f64,
    /// Base of the rotary embedding's wavelengths.
    pub rope_theta: f64,
    /// Whether the head shares the embedding.
    pub tie_word_embeddings: bool,
}

impl LlamaConfig {
    pub(super) fn parse(fields: &Fields<'_>) -> Result<Self, ModelError> {
        fields.require_word("hidden_act", &["silu"])?;
        fields.require_flag("attention_bias", false)?;
        fields.require_flag("mlp_bias", false)?;
        let hidden_size = fields.size("hidden_size")?;
        let heads = fields.size("num_attention_heads")?;
        let key_value_heads = fields.size_or("num_key_value_heads", heads)?;
        fields.divides(
            ("num_attention_heads", heads),
            ("num_key_value_heads", key_value_heads),
        )?;
        let head_dim = if fields.get("head_dim").is_some() {
            fields.size("head_dim")?
        } else {
            fields.divides(("hidden_size", hidden_size), ("num_attention_heads", heads))?;
            hidden_size / heads
        };
        fields.divides(("head_dim", head_dim), ("2", 2))?;
        Ok(Self {
            vocab_size: fields.size("vocab_size")?,
            max_position_embeddings: fields
                .size_or("max_position_embeddings", 2048)?
                .min(MAX_CONTEXT),
            hidden_size,
            intermediate_size: fields.size("intermediate_size")?,
            num_hidden_layers: fields.size("num_hidden_layers")?,
            num_attention_heads: heads,
            num_key_value_heads: key_value_heads,
            head_dim,
            rms_norm_eps: fields.number_or("rms_norm_eps", 1e-6)?,
            rope_theta: rope_theta(fields)?,
            tie_word_embeddings: fields.flag_or("tie_word_embeddings", false)?,
        })
    }
}

/// The base of the wavelengths, from `rope_parameters` (newer files) or `rope_theta`; scaled variants are refused.
fn rope_theta(fields: &Fields<'_>) -> Result<f64, ModelError> {
    let mut theta = fields.number_or("rope_theta", 10_000.0)?;
    for key in ["rope_scaling", "rope_parameters"] {
        let Some(table) = fields.get(key) else {
            continue;
        };
        let kind = table
            .get("rope_type")
            .or_else(|| table.get("type"))
            .and_then(Value::as_str)
            .unwrap_or("default");
        if kind != "default" {
            return Err(fields.unsupported(format!(
                "`{key}` asks for rotary embeddings of type `{kind}`; supported: `default`"
            )));
        }
        if let Some(value) = table.get("rope_theta") {
            theta = value
                .as_f64()
                .filter(|theta| theta.is_finite() && *theta > 0.0)
                .ok_or_else(|| fields.wrong(key, "a `rope_theta` above 0"))?;
        }
    }
    Ok(theta)
}
