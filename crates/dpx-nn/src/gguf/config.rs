//! The `config.json` of the model that a GGUF file was made from.

use super::rope::rotary;
use super::{Gguf, INSTEAD, Problem};
use crate::model::{Family, Head};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Families that are read, with the name of their architecture in GGUF.
const ARCHS: [(Family, &str); 9] = [
    (Family::Llama, "llama"),
    (Family::Qwen2, "qwen2"),
    (Family::Qwen3, "qwen3"),
    (Family::SmolLm3, "smollm3"),
    (Family::Phi3, "phi3"),
    (Family::Olmo2, "olmo2"),
    (Family::Gemma3, "gemma3"),
    (Family::Gpt2, "gpt2"),
    (Family::GptNeox, "gptneox"),
];

/// Keys behind the architecture's name that are understood.
const KNOWN: [&str; 28] = [
    "vocab_size",
    "context_length",
    "embedding_length",
    "block_count",
    "feed_forward_length",
    "tensor_data_layout",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.layer_norm_epsilon",
    "attention.layer_norm_rms_epsilon",
    "attention.causal",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.freq_base_swa",
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scaling.attn_factor",
    "rope.scaling.original_context_length",
    "rope.scaling.finetuned",
    "rope.scale_linear",
    "expert_count",
    "expert_used_count",
    "attention.key_length_swa",
    "attention.value_length_swa",
];

/// What GPT-NeoX has besides.
const PARALLEL: &str = "use_parallel_residual";

/// The family of the model in a file, with the name of its architecture, before which its keys stand.
pub(super) fn family(gguf: &Gguf) -> Result<(Family, &'static str), Problem> {
    let name = gguf
        .text("general.architecture")?
        .ok_or("`general.architecture` is missing: it is damaged, or holds no model")?;
    let found = ARCHS.into_iter().find(|(_, theirs)| *theirs == name);
    found.ok_or_else(|| {
        let names = ARCHS.map(|(_, theirs)| format!("`{theirs}`")).join(", ");
        format!(
            "`general.architecture` is `{}`; GGUF files are read of {names}: {INSTEAD}",
            name.escape_debug()
        )
    })
}

/// Access to the keys behind the architecture's name.
pub(super) struct Keys<'a> {
    pub(super) gguf: &'a Gguf,
    name: &'static str,
}

/// Which layers see a window alone.
enum Windows {
    /// All but each of so many.
    Each(u64),
    /// By their names in `transformers`.
    Listed(Vec<&'static str>),
}

impl Keys<'_> {
    /// The windows of Gemma 3, whose every sixth layer sees everything where the file does not say.
    fn windows(&self) -> Result<Windows, Problem> {
        let key = self.key("attention.sliding_window_pattern");
        let Some(super::header::Value::Numbers(listed)) = self.gguf.get(&key) else {
            return Ok(Windows::Each(self.gguf.whole(&key)?.unwrap_or(6)));
        };
        let layers = self.required("block_count")?;
        if listed.len() as u64 != layers {
            return Err(format!(
                "`{key}` has {} entries for {layers} blocks: it is damaged",
                listed.len()
            ));
        }
        let kind = |windowed: &f64| {
            if *windowed == 0.0 {
                "full_attention"
            } else {
                "sliding_attention"
            }
        };
        Ok(Windows::Listed(listed.iter().map(kind).collect()))
    }

    pub(super) fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }

    pub(super) fn whole(&self, key: &str) -> Result<Option<u64>, Problem> {
        self.gguf.whole(&self.key(key))
    }

    /// What was found under a key, where nothing can be computed without it.
    pub(super) fn needed<T>(&self, key: &str, found: Option<T>) -> Result<T, Problem> {
        found.ok_or_else(|| format!("`{}` is missing", self.key(key)))
    }

    fn required(&self, key: &str) -> Result<u64, Problem> {
        self.needed(key, self.whole(key)?.filter(|number| *number > 0))
    }

    pub(super) fn real(&self, key: &str) -> Result<Option<f64>, Problem> {
        self.gguf.real(&self.key(key))
    }

    /// Refuses what would be computed otherwise than the file says.
    pub(super) fn refuse(&self, key: &str, found: &dyn std::fmt::Display) -> Problem {
        format!(
            "`{}` is {found}, which changes what the model computes in a way that dpx does not know: {INSTEAD}",
            self.key(key)
        )
    }

    fn check(&self, family: Family) -> Result<(), Problem> {
        for key in self.gguf.keys() {
            let own = key
                .strip_prefix(self.name)
                .and_then(|key| key.strip_prefix('.'));
            if let Some(own) = own
                && !KNOWN.contains(&own)
                && !(family == Family::GptNeox && own == PARALLEL)
            {
                return Err(format!(
                    "it has the key `{}`, which dpx does not know: {INSTEAD}",
                    key.escape_debug()
                ));
            }
        }
        for key in ["expert_count", "expert_used_count"] {
            if let Some(count) = self.whole(key)?.filter(|count| *count > 0) {
                return Err(self.refuse(key, &count));
            }
        }
        if self.gguf.flag(&self.key("attention.causal"))? == Some(false) {
            return Err(self.refuse("attention.causal", &false));
        }
        if let Some(factor) = self
            .real("rope.scale_linear")?
            .filter(|factor| (factor - 1.0).abs() > 1e-9)
        {
            return Err(self.refuse("rope.scale_linear", &factor));
        }
        Ok(())
    }
}

/// Heads of queries, and of keys and values.
pub(super) fn heads(gguf: &Gguf) -> Result<(usize, usize), Problem> {
    let (_, name) = family(gguf)?;
    let keys = Keys { gguf, name };
    let heads = keys.required("attention.head_count")?;
    let shared = keys.whole("attention.head_count_kv")?.unwrap_or(heads);
    for (key, count) in [
        ("attention.head_count", heads),
        ("attention.head_count_kv", shared),
    ] {
        if !(1..=65_536).contains(&count) {
            return Err(keys.refuse(key, &count));
        }
    }
    Ok((heads as usize, shared as usize))
}

/// The configuration, as `transformers` would have it. Without a path, where the file itself is not here yet, positions are left
/// unscaled that a table among the tensors scales.
///
/// # Errors
/// When the architecture, or something that the file says of it, is not supported.
pub(crate) fn config(path: Option<&Path>, gguf: &Gguf) -> Result<Map<String, Value>, Problem> {
    let (family, name) = family(gguf)?;
    let keys = Keys { gguf, name };
    keys.check(family)?;
    let (heads, kv_heads) = heads(gguf)?;
    let table = gguf
        .tensors
        .get("token_embd.weight")
        .filter(|table| table.shape.len() == 2)
        .ok_or("the table of tokens, `token_embd.weight`, is missing")?;
    let vocabulary = table.shape[0];
    let hidden = keys.required("embedding_length")?;
    let layers = keys.required("block_count")?;
    let context = keys.required("context_length")?;
    let inner = keys.required("feed_forward_length")?;
    let tied = !gguf.tensors.contains_key("output.weight");
    let mut config = json!({
        "model_type": family.model_type(), "architectures": [family.class_name(Head::CausalLm)], "vocab_size": vocabulary,
        "tie_word_embeddings": tied,
    });
    let mut end = Vec::new();
    for key in ["eos_token_id", "eot_token_id"] {
        let token = gguf.whole(&format!("tokenizer.ggml.{key}"))?;
        if let Some(other) = token.filter(|token| *token >= vocabulary as u64) {
            return Err(format!(
                "`tokenizer.ggml.{key}` is {other}, but `token_embd.weight` has {vocabulary} rows: it is damaged"
            ));
        }
        end.extend(token.filter(|token| !end.contains(token)));
    }
    match end[..] {
        [] => {}
        [one] => config["eos_token_id"] = one.into(),
        _ => config["eos_token_id"] = end.into(),
    }
    if let Some(begin) = gguf.whole("tokenizer.ggml.bos_token_id")? {
        config["bos_token_id"] = begin.into();
    }
    let rest = if family == Family::Gpt2 {
        json!({
            "n_embd": hidden, "n_layer": layers, "n_head": heads, "n_positions": context, "n_inner": inner,
            "layer_norm_epsilon": float(keys.real("attention.layer_norm_epsilon")?.unwrap_or(1e-5)),
            "activation_function": "gelu_new",
        })
    } else if family == Family::GptNeox {
        gpt_neox(path, &keys, (hidden, heads as u64), context, inner)?
    } else {
        let head_dim = head_dim(&keys, hidden, heads as u64)?;
        if let Some(other) = keys
            .whole("rope.dimension_count")?
            .filter(|other| *other != head_dim)
        {
            return Err(keys.refuse("rope.dimension_count", &of_heads(other, head_dim)));
        }
        let epsilon = "attention.layer_norm_rms_epsilon";
        let epsilon = keys.needed(epsilon, keys.real(epsilon)?)?;
        let mut rest = json!({
            "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
            "num_key_value_heads": kv_heads, "head_dim": head_dim, "max_position_embeddings": context,
            "intermediate_size": inner, "rms_norm_eps": float(epsilon), "hidden_act": "silu",
        });
        if let Some(theta) = keys.real("rope.freq_base")? {
            rest["rope_theta"] = float(theta);
        }
        rotary(path, &keys, family, head_dim, &mut rest)?;
        of_arch(&keys, family, &mut rest)?;
        rest
    };
    let (Value::Object(mut config), Value::Object(mut rest)) = (config, rest) else {
        return Err("no configuration could be made".into());
    };
    config.append(&mut rest);
    Ok(config)
}

/// A number that was stored as f32, as somebody wrote it.
pub(super) fn float(number: f64) -> Value {
    let short = (number as f32).to_string();
    short.parse::<f64>().unwrap_or(number).into()
}

fn head_dim(keys: &Keys<'_>, hidden: u64, heads: u64) -> Result<u64, Problem> {
    let head_dim = keys
        .whole("attention.key_length")?
        .unwrap_or(hidden / heads);
    for key in [
        "attention.value_length",
        "attention.key_length_swa",
        "attention.value_length_swa",
    ] {
        if let Some(other) = keys.whole(key)?.filter(|other| *other != head_dim) {
            return Err(keys.refuse(key, &of_heads(other, head_dim)));
        }
    }
    Ok(head_dim)
}

fn of_heads(other: u64, head_dim: u64) -> String {
    format!("{other}, with heads of {head_dim} numbers")
}

/// What GPT-NeoX has instead. Its activation, and usually the base of its rotary embeddings, are not in the file; llama.cpp
/// computes with the usual ones.
fn gpt_neox(
    path: Option<&Path>,
    keys: &Keys<'_>,
    (hidden, heads): (u64, u64),
    context: u64,
    inner: u64,
) -> Result<Value, Problem> {
    let head_dim = head_dim(keys, hidden, heads)?;
    if head_dim * heads != hidden {
        return Err(keys.refuse("attention.key_length", &head_dim));
    }
    let rotated = keys.whole("rope.dimension_count")?.unwrap_or(head_dim);
    if !(1..=head_dim).contains(&rotated) {
        return Err(keys.refuse("rope.dimension_count", &of_heads(rotated, head_dim)));
    }
    let theta = keys.real("rope.freq_base")?.unwrap_or(10_000.0);
    // The share is multiplied and cut off again: half a number more where rounding would lose one.
    let share = [0.0, 0.5]
        .map(|more| (rotated as f64 + more) / head_dim as f64)
        .into_iter()
        .find(|share| (head_dim as f64 * share) as u64 == rotated);
    let mut rest = json!({
        "hidden_size": hidden, "num_hidden_layers": keys.required("block_count")?, "num_attention_heads": heads,
        "max_position_embeddings": context, "intermediate_size": inner, "hidden_act": "gelu",
        "layer_norm_eps": float(keys.real("attention.layer_norm_epsilon")?.unwrap_or(1e-5)),
        "rotary_pct": share.unwrap_or(1.0), "rotary_emb_base": float(theta),
        "use_parallel_residual": keys.gguf.flag(&keys.key(PARALLEL))?.unwrap_or(true),
        "attention_bias": keys.gguf.tensors.contains_key("blk.0.attn_qkv.bias"),
    });
    rotary(path, keys, Family::GptNeox, rotated, &mut rest)?;
    no_window(keys)?;
    Ok(rest)
}

fn no_window(keys: &Keys<'_>) -> Result<(), Problem> {
    match keys
        .whole("attention.sliding_window")?
        .filter(|window| *window > 0)
    {
        Some(window) => Err(keys.refuse("attention.sliding_window", &window)),
        None => Ok(()),
    }
}

/// What the families have of their own.
fn of_arch(keys: &Keys<'_>, family: Family, rest: &mut Value) -> Result<(), Problem> {
    let tensors = &keys.gguf.tensors;
    let window = keys
        .whole("attention.sliding_window")?
        .filter(|window| *window > 0);
    match family {
        Family::Llama | Family::SmolLm3 => {
            rest["attention_bias"] = tensors.contains_key("blk.0.attn_q.bias").into();
            rest["mlp_bias"] = tensors.contains_key("blk.0.ffn_up.bias").into();
        }
        Family::Gemma3 => {
            rest["hidden_activation"] = "gelu_pytorch_tanh".into();
            rest["query_pre_attn_scalar"] = rest["head_dim"].clone();
            let window = keys.needed("attention.sliding_window", window)?;
            rest["sliding_window"] = window.into();
            match keys.windows()? {
                Windows::Each(every) => rest["sliding_window_pattern"] = every.into(),
                Windows::Listed(kinds) => rest["layer_types"] = kinds.into(),
            }
            rest["rope_local_base_freq"] =
                float(keys.real("rope.freq_base_swa")?.unwrap_or(10_000.0));
            // The largest one has another scale of its scores.
            if rest["num_hidden_layers"] == 62 {
                let heads = rest["num_attention_heads"].as_u64().unwrap_or(1);
                rest["query_pre_attn_scalar"] =
                    (rest["hidden_size"].as_u64().unwrap_or(0) / heads).into();
            }
            return Ok(());
        }
        Family::Phi3 => {
            rest["sliding_window"] = window.map_or(Value::Null, Value::from);
            return Ok(());
        }
        _ => {}
    }
    no_window(keys)
}
