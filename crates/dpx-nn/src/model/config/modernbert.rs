//! `config.json` of ModernBERT: blocks with norms before their layers that see both ways, most of them a window.

use super::layers::{window, windowed};
use super::llama::{MAX_CONTEXT, nested, tables_for_kinds, with_theta};
use super::rotary::{self, Defaults, Rotary, TYPES};
use super::{Activation, Biases, DecoderConfig, Family, Fields, LayerKind, Sizes};
use crate::NormKind;
use crate::model::ModelError;

/// `config.json` of `model_type` `modernbert`.
pub(super) fn parse(fields: &Fields<'_>) -> Result<DecoderConfig, ModelError> {
    fields.require_word("hidden_activation", &["gelu"])?;
    fields.require_word("classifier_activation", &["gelu"])?;
    fields.refuse("rope_scaling", &[])?;
    tables_for_kinds(fields)?;
    let (hidden, heads) = fields.hidden_and_heads()?;
    let head_dim = hidden / heads;
    fields.divides(("head_dim", head_dim), ("2", 2))?;
    let layers = fields.size("num_hidden_layers")?;
    let sizes = Sizes {
        vocabulary: fields.size("vocab_size")?,
        max_positions: fields
            .size_or("max_position_embeddings", 8192)?
            .min(MAX_CONTEXT),
        hidden,
        intermediate: fields.size("intermediate_size")?,
        layers,
        heads,
        kv_heads: heads,
        head_dim,
        norm_epsilon: fields.number_or("norm_eps", 1e-5)?,
    };
    let every = fields.size_or("global_attn_every_n_layers", 3)?;
    let windowed = windowed(fields, layers, |layer| !layer.is_multiple_of(every))?;
    // A position sees half of `local_attention` to either side, itself not counted.
    let side = fields.size_or("local_attention", 128)? / 2;
    let seen = window(side + 1, sizes.max_positions);
    let table = |kind: &str, key: &str, theta: f64| -> Result<Rotary, ModelError> {
        let defaults = Defaults {
            theta: fields.number_or(key, theta)?,
            share: None,
            head_dim,
            max_positions: sizes.max_positions,
            types: TYPES,
        };
        let table = with_theta(nested(fields, kind)?, defaults.theta);
        rotary::parse_table(fields, "rope_parameters", &table, &defaults).map(|found| found.0)
    };
    Ok(DecoderConfig {
        family: Family::ModernBert,
        rotary: vec![
            table("full_attention", "global_rope_theta", 160_000.0)?,
            table("sliding_attention", "local_rope_theta", 10_000.0)?,
        ],
        layers: windowed
            .into_iter()
            .map(|windowed| LayerKind {
                rotary: Some(usize::from(windowed)),
                window: seen.filter(|_| windowed),
            })
            .collect(),
        norm: NormKind::Layer,
        norm_shift: fields.flag_or("norm_bias", false)?,
        activation: Activation::GeluErf,
        biases: Biases {
            feed_forward: fields.flag_or("mlp_bias", false)?,
            ..Biases::everywhere(fields.flag_or("attention_bias", false)?)
        },
        ..DecoderConfig::llama(sizes, Rotary::plain(head_dim, 1.0), true)
    })
}
