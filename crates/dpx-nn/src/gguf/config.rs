//! The `config.json` of the model that a GGUF file was made from.

use super::{Gguf, INSTEAD, Problem, arrange::ROPE_FACTORS};
use serde_json::{Map, Value, json};
use std::f64::consts::TAU;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// An architecture of GGUF that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arch {
    Llama,
    Qwen2,
    Qwen3,
    SmolLm3,
    Phi3,
    Olmo2,
    Gemma3,
    Gpt2,
    GptNeox,
}

/// Architectures with the name in GGUF, and the `model_type` and class of `transformers`.
const ARCHS: [(Arch, &str, &str, &str); 9] = [
    (Arch::Llama, "llama", "llama", "LlamaForCausalLM"),
    (Arch::Qwen2, "qwen2", "qwen2", "Qwen2ForCausalLM"),
    (Arch::Qwen3, "qwen3", "qwen3", "Qwen3ForCausalLM"),
    (Arch::SmolLm3, "smollm3", "smollm3", "SmolLM3ForCausalLM"),
    (Arch::Phi3, "phi3", "phi3", "Phi3ForCausalLM"),
    (Arch::Olmo2, "olmo2", "olmo2", "Olmo2ForCausalLM"),
    (Arch::Gemma3, "gemma3", "gemma3_text", "Gemma3ForCausalLM"),
    (Arch::Gpt2, "gpt2", "gpt2", "GPT2LMHeadModel"),
    (Arch::GptNeox, "gptneox", "gpt_neox", "GPTNeoXForCausalLM"),
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

impl Arch {
    pub(super) fn of(gguf: &Gguf) -> Result<Self, Problem> {
        let name = gguf
            .text("general.architecture")?
            .ok_or("`general.architecture` is missing: it is damaged, or holds no model")?;
        let mut archs = ARCHS.iter();
        archs
            .find(|(_, theirs, ..)| *theirs == name)
            .map(|(arch, ..)| *arch)
            .ok_or_else(|| {
                let names = ARCHS
                    .map(|(_, theirs, ..)| format!("`{theirs}`"))
                    .join(", ");
                format!(
                    "`general.architecture` is `{}`; GGUF files are read of {names}: {INSTEAD}",
                    name.escape_debug()
                )
            })
    }

    fn entry(self) -> &'static (Self, &'static str, &'static str, &'static str) {
        ARCHS
            .iter()
            .find(|(arch, ..)| *arch == self)
            .expect("every architecture stands in the table")
    }
}

/// Access to the keys behind the architecture's name.
struct Keys<'a> {
    gguf: &'a Gguf,
    name: &'static str,
}

impl Keys<'_> {
    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }

    fn whole(&self, key: &str) -> Result<Option<u64>, Problem> {
        self.gguf.whole(&self.key(key))
    }

    fn required(&self, key: &str) -> Result<u64, Problem> {
        self.whole(key)?
            .filter(|number| *number > 0)
            .ok_or_else(|| format!("`{}` is missing", self.key(key)))
    }

    fn real(&self, key: &str) -> Result<Option<f64>, Problem> {
        self.gguf.real(&self.key(key))
    }

    /// Refuses what would be computed otherwise than the file says.
    fn refuse(&self, key: &str, found: &dyn std::fmt::Display) -> Problem {
        format!(
            "`{}` is {found}, which changes what the model computes in a way that dpx does not know: {INSTEAD}",
            self.key(key)
        )
    }

    fn check(&self, arch: Arch) -> Result<(), Problem> {
        for key in self.gguf.keys() {
            let own = key
                .strip_prefix(self.name)
                .and_then(|key| key.strip_prefix('.'));
            if let Some(own) = own
                && !KNOWN.contains(&own)
                && !(arch == Arch::GptNeox && own == PARALLEL)
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
pub(super) fn heads(gguf: &Gguf, arch: Arch) -> Result<(usize, usize), Problem> {
    let keys = Keys {
        gguf,
        name: arch.entry().1,
    };
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
    let arch = Arch::of(gguf)?;
    let (_, name, model_type, class) = arch.entry();
    let keys = Keys { gguf, name };
    keys.check(arch)?;
    let (heads, kv_heads) = heads(gguf, arch)?;
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
        "model_type": model_type, "architectures": [class], "vocab_size": vocabulary, "tie_word_embeddings": tied,
    });
    let mut end = Vec::new();
    for key in ["eos_token_id", "eot_token_id"] {
        let token = gguf.whole(&format!("tokenizer.ggml.{key}"))?;
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
    let rest = if arch == Arch::Gpt2 {
        json!({
            "n_embd": hidden, "n_layer": layers, "n_head": heads, "n_positions": context, "n_inner": inner,
            "layer_norm_epsilon": float(keys.real("attention.layer_norm_epsilon")?.unwrap_or(1e-5)),
            "activation_function": "gelu_new",
        })
    } else if arch == Arch::GptNeox {
        gpt_neox(path, &keys, (hidden, heads as u64), context, inner)?
    } else {
        let head_dim = head_dim(&keys, hidden, heads as u64)?;
        if let Some(other) = keys.whole("rope.dimension_count")?.filter(|other| *other != head_dim) {
            return Err(keys.refuse("rope.dimension_count", &of_heads(other, head_dim)));
        }
        let epsilon = keys
            .real("attention.layer_norm_rms_epsilon")?
            .ok_or_else(|| {
                format!(
                    "`{}` is missing",
                    keys.key("attention.layer_norm_rms_epsilon")
                )
            })?;
        let mut rest = json!({
            "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
            "num_key_value_heads": kv_heads, "head_dim": head_dim, "max_position_embeddings": context,
            "intermediate_size": inner, "rms_norm_eps": float(epsilon), "hidden_act": "silu",
        });
        if let Some(theta) = keys.real("rope.freq_base")? {
            rest["rope_theta"] = float(theta);
        }
        rotary(path, &keys, arch, head_dim, &mut rest)?;
        of_arch(&keys, arch, &mut rest)?;
        rest
    };
    let (Value::Object(mut config), Value::Object(mut rest)) = (config, rest) else {
        return Err("no configuration could be made".into());
    };
    config.append(&mut rest);
    Ok(config)
}

/// A number that was stored as f32, as somebody wrote it.
fn float(number: f64) -> Value {
    let short = (number as f32).to_string();
    short.parse::<f64>().unwrap_or(number).into()
}

fn head_dim(keys: &Keys<'_>, hidden: u64, heads: u64) -> Result<u64, Problem> {
    let head_dim = keys
        .whole("attention.key_length")?
        .unwrap_or(hidden / heads);
    let values = keys.whole("attention.value_length")?;
    if let Some(other) = values.filter(|other| *other != head_dim) {
        return Err(keys.refuse("attention.value_length", &of_heads(other, head_dim)));
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
    rotary(path, keys, Arch::GptNeox, rotated, &mut rest)?;
    no_window(keys)?;
    Ok(rest)
}

fn no_window(keys: &Keys<'_>) -> Result<(), Problem> {
    match keys.whole("attention.sliding_window")?.filter(|window| *window > 0) {
        Some(window) => Err(keys.refuse("attention.sliding_window", &window)),
        None => Ok(()),
    }
}

/// What the families have of their own.
fn of_arch(keys: &Keys<'_>, arch: Arch, rest: &mut Value) -> Result<(), Problem> {
    let tensors = &keys.gguf.tensors;
    let window = keys
        .whole("attention.sliding_window")?
        .filter(|window| *window > 0);
    match arch {
        Arch::Llama | Arch::SmolLm3 => {
            rest["attention_bias"] = tensors.contains_key("blk.0.attn_q.bias").into();
            rest["mlp_bias"] = tensors.contains_key("blk.0.ffn_up.bias").into();
        }
        Arch::Gemma3 => {
            rest["hidden_activation"] = "gelu_pytorch_tanh".into();
            rest["query_pre_attn_scalar"] = rest["head_dim"].clone();
            let window = window
                .ok_or_else(|| format!("`{}` is missing", keys.key("attention.sliding_window")))?;
            rest["sliding_window"] = window.into();
            let pattern = keys.whole("attention.sliding_window_pattern");
            rest["sliding_window_pattern"] = pattern.ok().flatten().unwrap_or(6).into();
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
        Arch::Phi3 => {
            rest["sliding_window"] = window.map_or(Value::Null, Value::from);
            return Ok(());
        }
        Arch::Qwen2 | Arch::Qwen3 | Arch::Olmo2 | Arch::Gpt2 | Arch::GptNeox => {}
    }
    no_window(keys)
}

/// How positions are scaled.
fn rotary(
    path: Option<&Path>,
    keys: &Keys<'_>,
    arch: Arch,
    head_dim: u64,
    rest: &mut Value,
) -> Result<(), Problem> {
    let kind = keys
        .gguf
        .text(&keys.key("rope.scaling.type"))?
        .unwrap_or("none");
    let factor = keys
        .real("rope.scaling.factor")?
        .filter(|factor| *factor > 0.0);
    let original = keys.whole("rope.scaling.original_context_length")?;
    let extra = keys.real("rope.scaling.attn_factor")?;
    let tables: Vec<&str> = ROPE_FACTORS
        .into_iter()
        .filter(|name| keys.gguf.tensors.contains_key(*name))
        .collect();
    match (kind, &tables[..]) {
        ("none", []) => {}
        // A factor of 1 changes nothing.
        ("linear" | "yarn", []) if factor == Some(1.0) => {}
        ("linear", []) => {
            let factor = factor
                .ok_or_else(|| format!("`{}` is missing", keys.key("rope.scaling.factor")))?;
            rest["rope_scaling"] = json!({"rope_type": "linear", "factor": float(factor)});
        }
        ("yarn", []) if extra.is_none() => {
            let factor = factor
                .ok_or_else(|| format!("`{}` is missing", keys.key("rope.scaling.factor")))?;
            let original = original.ok_or_else(|| {
                format!(
                    "`{}` is missing",
                    keys.key("rope.scaling.original_context_length")
                )
            })?;
            rest["rope_scaling"] = json!({"rope_type": "yarn", "factor": float(factor),
                "original_max_position_embeddings": original});
        }
        ("none", ["rope_freqs.weight"]) if arch == Arch::Llama || arch == Arch::SmolLm3 => {
            let Some(path) = path else { return Ok(()) };
            let factors = small_values(path, keys.gguf, "rope_freqs.weight")?;
            let theta = rest["rope_theta"].as_f64().unwrap_or(10_000.0);
            rest["rope_scaling"] = llama3(&factors, theta, head_dim).ok_or_else(|| {
                format!("`rope_freqs.weight` are not the factors of Llama 3: {INSTEAD}")
            })?;
        }
        (_, ["rope_factors_short.weight", "rope_factors_long.weight"]) if arch == Arch::Phi3 => {
            let Some(path) = path else { return Ok(()) };
            let short = small_values(path, keys.gguf, "rope_factors_short.weight")?;
            let long = small_values(path, keys.gguf, "rope_factors_long.weight")?;
            let original = original.ok_or_else(|| {
                format!(
                    "`{}` is missing",
                    keys.key("rope.scaling.original_context_length")
                )
            })?;
            let mut table = json!({"type": "longrope", "short_factor": short, "long_factor": long});
            if let Some(factor) = extra {
                table["attention_factor"] = float(factor);
            }
            rest["rope_scaling"] = table;
            rest["original_max_position_embeddings"] = original.into();
        }
        _ => return Err(keys.refuse("rope.scaling.type", &format!("`{}`", kind.escape_debug()))),
    }
    Ok(())
}

/// The scaling of Llama 3 that gives such factors of the wavelengths.
fn llama3(factors: &[f64], theta: f64, head_dim: u64) -> Option<Value> {
    let factor = factors.iter().copied().fold(1.0, f64::max);
    if factors.len() as u64 != head_dim / 2 || factor <= 1.0 {
        return None;
    }
    let of = |pair: usize, original: f64| {
        let wavelength = TAU * theta.powf(2.0 * pair as f64 / head_dim as f64);
        if wavelength > original {
            factor
        } else if wavelength < original / 4.0 {
            1.0
        } else {
            let smooth = (original / wavelength - 1.0) / 3.0;
            1.0 / ((1.0 - smooth) / factor + smooth)
        }
    };
    let originals = (4..=17).map(|power| f64::from(1 << power)).rev();
    let fits = |original: &f64| {
        let mut pairs = factors.iter().enumerate();
        pairs.all(|(pair, found)| (of(pair, *original) / found - 1.0).abs() < 1e-4)
    };
    // The usual one, 8192, is tried first: others may give the same factors.
    let original = std::iter::once(8192.0).chain(originals).find(fits)?;
    Some(
        json!({"rope_type": "llama3", "factor": float(factor), "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": original as u64}),
    )
}

/// The values of a tensor of at most some thousand.
fn small_values(path: &Path, gguf: &Gguf, name: &str) -> Result<Vec<f64>, Problem> {
    let tensor = &gguf.tensors[name];
    if tensor.length > 1_000_000 {
        return Err(format!(
            "tensor `{name}` has {} bytes: it is damaged",
            tensor.length
        ));
    }
    let mut bytes = vec![0; tensor.length as usize];
    std::fs::File::open(path)
        .and_then(|mut file| {
            file.seek(SeekFrom::Start(tensor.start))?;
            file.read_exact(&mut bytes)
        })
        .map_err(|error| format!("it cannot be read: {error}"))?;
    let values = tensor.quant.decode(&bytes).into_iter().map(f64::from);
    let values: Vec<f64> = values.collect();
    if values.iter().all(|value| value.is_finite() && *value > 0.0) {
        Ok(values)
    } else {
        Err(format!(
            "tensor `{name}` holds a factor that is not above 0: it is damaged"
        ))
    }
}
