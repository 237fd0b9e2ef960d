//! `config.json` of Llama and its relatives: Mistral, Qwen2, Qwen3, SmolLM3, Phi-3, OLMo 2, Gemma 3.

use super::layers::{flags, window, windowed};
use super::rotary::{self, Defaults, TYPES};
use super::{Activation, Biases, DecoderConfig, Family, Fields, QueryKeyNorm, Sizes};
use crate::NormKind;
use crate::model::ModelError;
use serde_json::{Map, Value};

/// Longest text that is read whatever the model was trained for: bounds the table of rotary angles.
pub(super) const MAX_CONTEXT: usize = 16_384;

/// What `transformers` takes where a key is missing.
struct Missing {
    max_positions: usize,
    kv_heads: Option<usize>,
    head_dim: Option<usize>,
    epsilon: f64,
    theta: f64,
    tied: bool,
}

const fn missing(family: Family) -> Missing {
    let llama = Missing {
        max_positions: 2048,
        kv_heads: None,
        head_dim: None,
        epsilon: 1e-6,
        theta: 10_000.0,
        tied: false,
    };
    match family {
        Family::Mistral => Missing {
            max_positions: 131_072,
            kv_heads: Some(8),
            ..llama
        },
        Family::Qwen2 => Missing {
            max_positions: 32_768,
            kv_heads: Some(32),
            ..llama
        },
        Family::Qwen3 => Missing {
            max_positions: 32_768,
            kv_heads: Some(32),
            head_dim: Some(128),
            ..llama
        },
        Family::SmolLm3 => Missing {
            max_positions: 32_768,
            kv_heads: Some(4),
            theta: 2_000_000.0,
            tied: true,
            ..llama
        },
        Family::Phi3 => Missing {
            max_positions: 4096,
            epsilon: 1e-5,
            ..llama
        },
        Family::Olmo2 => Missing {
            epsilon: 1e-5,
            ..llama
        },
        Family::Gemma3 => Missing {
            max_positions: 131_072,
            kv_heads: Some(4),
            head_dim: Some(256),
            theta: 1_000_000.0,
            tied: true,
            ..llama
        },
        _ => llama,
    }
}

/// Base of the wavelengths of Gemma 3's windowed blocks.
const LOCAL_THETA: f64 = 10_000.0;

/// `config.json` of one of the families.
pub(super) fn parse(fields: &Fields<'_>, family: Family) -> Result<DecoderConfig, ModelError> {
    let missing = missing(family);
    let activation = activation(fields, family)?;
    let mut sizes = sizes(fields, &missing)?;
    let defaults = Defaults {
        theta: missing.theta,
        share: (family == Family::Phi3).then_some(1.0),
        head_dim: sizes.head_dim,
        max_positions: fields.size_or("max_position_embeddings", missing.max_positions)?,
        types: match family {
            Family::Phi3 => &["default", "longrope"],
            _ => TYPES,
        },
    };
    let (tables, longest) = if family == Family::Gemma3 {
        gemma_rotary(fields, &defaults)?
    } else {
        let (table, longest) = rotary::parse(fields, &defaults)?;
        (vec![table], longest)
    };
    sizes.max_positions = longest.min(MAX_CONTEXT);
    let tied = fields.flag_or("tie_word_embeddings", missing.tied)?;
    let mut config = DecoderConfig {
        family,
        rotary: tables,
        activation,
        biases: biases(fields, family)?,
        ..DecoderConfig::llama(sizes, rotary::Rotary::plain(2, 1.0), tied)
    };
    match family {
        Family::Qwen3 => config.query_key_norm = Some(QueryKeyNorm::Heads),
        Family::Olmo2 => config.query_key_norm = Some(QueryKeyNorm::Whole),
        Family::Gemma3 => {
            config.query_key_norm = Some(QueryKeyNorm::Heads);
            config.norm = NormKind::RmsPlusOne;
            config.embedding_scale = Some((sizes.hidden as f32).sqrt());
            let scalar = fields.number_or("query_pre_attn_scalar", 256.0)?;
            config.score_scale = Some(scalar.powf(-0.5) as f32);
            for key in ["attn_logit_softcapping", "final_logit_softcapping"] {
                fields.refuse(key, &[])?;
            }
            fields.require_flag("use_bidirectional_attention", false)?;
        }
        _ => {}
    }
    layers(fields, &mut config)?;
    Ok(config)
}

fn activation(fields: &Fields<'_>, family: Family) -> Result<Activation, ModelError> {
    if family == Family::Gemma3 {
        fields.require_word("hidden_activation", &["gelu_pytorch_tanh"])?;
        return Ok(Activation::GeluTanh);
    }
    fields.require_word("hidden_act", &["silu", "swish"])?;
    Ok(Activation::Silu)
}

fn biases(fields: &Fields<'_>, family: Family) -> Result<Biases, ModelError> {
    let attention = || fields.flag_or("attention_bias", false);
    let feed_forward = || fields.flag_or("mlp_bias", false);
    Ok(match family {
        Family::Llama | Family::SmolLm3 => Biases {
            feed_forward: feed_forward()?,
            ..Biases::everywhere(attention()?)
        },
        Family::Qwen3 | Family::Olmo2 | Family::Gemma3 => Biases {
            feed_forward: false,
            ..Biases::everywhere(attention()?)
        },
        Family::Qwen2 => Biases {
            qkv: true,
            ..Biases::everywhere(false)
        },
        _ => Biases::everywhere(false),
    })
}

fn sizes(fields: &Fields<'_>, missing: &Missing) -> Result<Sizes, ModelError> {
    let hidden = fields.size("hidden_size")?;
    let heads = fields.size("num_attention_heads")?;
    let kv_heads = fields.size_or_null("num_key_value_heads", missing.kv_heads, heads)?;
    fields.divides(
        ("num_attention_heads", heads),
        ("num_key_value_heads", kv_heads),
    )?;
    let head_dim = match (fields.get("head_dim"), missing.head_dim) {
        (Some(_), _) => fields.size("head_dim")?,
        (None, Some(head_dim)) => head_dim,
        (None, None) => {
            fields.divides(("hidden_size", hidden), ("num_attention_heads", heads))?;
            hidden / heads
        }
    };
    fields.divides(("head_dim", head_dim), ("2", 2))?;
    Ok(Sizes {
        vocabulary: fields.size("vocab_size")?,
        max_positions: MAX_CONTEXT,
        hidden,
        intermediate: fields.size("intermediate_size")?,
        layers: fields.size("num_hidden_layers")?,
        heads,
        kv_heads,
        head_dim,
        norm_epsilon: fields.number_or("rms_norm_eps", missing.epsilon)?,
    })
}

/// Which blocks see a window alone, and which leave positions out.
fn layers(fields: &Fields<'_>, config: &mut DecoderConfig) -> Result<(), ModelError> {
    let (count, longest) = (config.sizes.layers, config.sizes.max_positions);
    let size = |default: Option<usize>| -> Result<Option<usize>, ModelError> {
        let size = match fields.raw.get("sliding_window") {
            None => default,
            Some(Value::Null) => None,
            Some(_) => Some(fields.size("sliding_window")?),
        };
        Ok(size.and_then(|size| window(size, longest)))
    };
    let used = |default: Option<usize>| -> Result<Option<usize>, ModelError> {
        if fields.flag_or("use_sliding_window", false)? {
            size(default)
        } else {
            Ok(None)
        }
    };
    let set = |config: &mut DecoderConfig, windowed: &[bool], window: Option<usize>| {
        for (layer, windowed) in config.layers.iter_mut().zip(windowed) {
            layer.window = window.filter(|_| *windowed);
        }
    };
    match config.family {
        Family::Mistral | Family::Phi3 => {
            fields.refuse("layer_types", &[])?;
            let default = (config.family == Family::Mistral).then_some(4096);
            let window = size(default)?;
            set(config, &vec![true; count], window);
        }
        Family::Qwen2 | Family::Qwen3 => {
            let window = used(Some(4096))?;
            let first = fields.count_or("max_window_layers", 28)?;
            let all = windowed(fields, count, |layer| layer >= first)?;
            set(config, &all, window);
        }
        Family::SmolLm3 => {
            let interval = fields.size_or("no_rope_layer_interval", 4)?;
            let turned = flags(fields, "no_rope_layers", count, |layer| {
                !(layer + 1).is_multiple_of(interval)
            })?;
            let window = used(None)?;
            let all = windowed(fields, count, |layer| !turned[layer])?;
            set(config, &all, window);
            for (layer, turned) in config.layers.iter_mut().zip(turned) {
                layer.rotary = layer.rotary.filter(|_| turned);
            }
        }
        Family::Gemma3 => {
            // Not `_sliding_window_pattern`, which `transformers` writes beside `layer_types` and never reads.
            let pattern = fields.size_or("sliding_window_pattern", 6)?;
            let window = size(Some(4096))?;
            let all = windowed(fields, count, |layer| !(layer + 1).is_multiple_of(pattern))?;
            set(config, &all, window);
            for (layer, windowed) in config.layers.iter_mut().zip(all) {
                layer.rotary = Some(usize::from(windowed));
            }
        }
        _ => {}
    }
    Ok(())
}

/// The rotary embeddings of Gemma 3: of blocks that see everything, and of those with a window.
fn gemma_rotary(
    fields: &Fields<'_>,
    defaults: &Defaults,
) -> Result<(Vec<rotary::Rotary>, usize), ModelError> {
    tables_for_kinds(fields)?;
    if fields.get("rope_scaling").is_some() && nested(fields, "full_attention")?.is_some() {
        return Err(fields.unsupported(
            "`rope_scaling` stands beside `rope_parameters.full_attention`, which it would change; keep one of them".into(),
        ));
    }
    let local = Defaults {
        theta: fields.number_or("rope_local_base_freq", LOCAL_THETA)?,
        types: defaults.types,
        ..*defaults
    };
    let (global, longest) = match nested(fields, "full_attention")? {
        Some(table) => rotary::parse_table(fields, "rope_parameters", table, defaults)?,
        None => rotary::parse(fields, defaults)?,
    };
    let table = with_theta(nested(fields, "sliding_attention")?, local.theta);
    let (local, within) = rotary::parse_table(fields, "rope_parameters", &table, &local)?;
    Ok((vec![global, local], longest.min(within)))
}

/// Refuses `rope_parameters` that are not one table for each kind of blocks.
pub(super) fn tables_for_kinds(fields: &Fields<'_>) -> Result<(), ModelError> {
    let kinds = ["full_attention", "sliding_attention"];
    let tables = fields.get("rope_parameters").and_then(Value::as_object);
    if let Some(unknown) =
        tables.and_then(|all| all.keys().find(|key| !kinds.contains(&key.as_str())))
    {
        return Err(fields.unsupported(format!(
            "`rope_parameters` holds `{unknown}`; expected one table for each of `{}`",
            kinds.join("`, `")
        )));
    }
    Ok(())
}

/// A table with its own base of the wavelengths: one that stands outside all tables is of other blocks.
pub(super) fn with_theta(table: Option<&Map<String, Value>>, theta: f64) -> Map<String, Value> {
    let mut table = table.cloned().unwrap_or_default();
    table.entry("rope_theta").or_insert(theta.into());
    table
}

/// The part of `rope_parameters` for one kind of blocks, where it has such parts.
pub(super) fn nested<'a>(
    fields: &'a Fields<'_>,
    kind: &str,
) -> Result<Option<&'a Map<String, Value>>, ModelError> {
    let Some(table) = fields.get("rope_parameters").and_then(|all| all.get(kind)) else {
        return Ok(None);
    };
    if table.is_null() {
        return Ok(None);
    }
    table
        .as_object()
        .map(Some)
        .ok_or_else(|| fields.wrong("rope_parameters", "objects for kinds of blocks"))
}
