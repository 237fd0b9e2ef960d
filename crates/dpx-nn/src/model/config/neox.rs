//! `config.json` of GPT-NeoX and Pythia.

use super::llama::MAX_CONTEXT;
use super::rotary::{self, Defaults, TYPES};
use super::{Activation, Biases, DecoderConfig, Family, Fields, Sizes};
use crate::NormKind;
use crate::model::ModelError;

/// `config.json` of `model_type` `gpt_neox`.
pub(super) fn parse(fields: &Fields<'_>) -> Result<DecoderConfig, ModelError> {
    fields.require_word(
        "hidden_act",
        &["gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh"],
    )?;
    let activation = match fields.text("hidden_act")? {
        None | Some("gelu") => Activation::GeluErf,
        Some(_) => Activation::GeluTanh,
    };
    let (hidden, heads) = fields.hidden_and_heads()?;
    let max_positions = fields.size_or("max_position_embeddings", 2048)?;
    let defaults = Defaults {
        theta: fields.number_or("rotary_emb_base", 10_000.0)?,
        share: Some(fields.number_or("rotary_pct", 0.25)?),
        head_dim: hidden / heads,
        max_positions,
        types: TYPES,
    };
    // `transformers` reads neither of them outside the table, where other families have them.
    for (key, own, counts) in [
        ("rope_theta", "rotary_emb_base", defaults.theta),
        (
            "partial_rotary_factor",
            "rotary_pct",
            defaults.share.unwrap_or(1.0),
        ),
    ] {
        if fields.get(key).is_some() && fields.number_or(key, counts)? != counts {
            return Err(fields.unsupported(format!(
                "`{key}` is `{}`, which GPT-NeoX does not read there; write it as `{own}`",
                fields.raw[key]
            )));
        }
    }
    let (rotary, longest) = rotary::parse(fields, &defaults)?;
    let sizes = Sizes {
        vocabulary: fields.size("vocab_size")?,
        max_positions: longest.min(MAX_CONTEXT),
        hidden,
        intermediate: fields.size("intermediate_size")?,
        layers: fields.size("num_hidden_layers")?,
        heads,
        kv_heads: heads,
        head_dim: hidden / heads,
        norm_epsilon: fields.number_or("layer_norm_eps", 1e-5)?,
    };
    Ok(DecoderConfig {
        family: Family::GptNeox,
        norm: NormKind::Layer,
        norm_shift: true,
        parallel: fields.flag_or("use_parallel_residual", true)?,
        activation,
        biases: Biases {
            feed_forward: true,
            ..Biases::everywhere(fields.flag_or("attention_bias", true)?)
        },
        ..DecoderConfig::llama(sizes, rotary, fields.flag_or("tie_word_embeddings", false)?)
    })
}
