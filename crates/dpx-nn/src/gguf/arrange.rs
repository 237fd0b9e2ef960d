//! The names that `transformers` has for the tensors of a GGUF file, and what the converter did to their values, undone.

use super::config;
use super::{Gguf, Problem, Tensor};
use crate::model::Family;
use std::collections::BTreeMap;

/// What has to be done to values to get back those of `transformers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrange {
    /// Nothing.
    Same,
    /// Rows of each head lie in pairs: first halves before second halves again.
    Halves { heads: usize },
    /// Rows are columns.
    Transpose,
    /// One was added to every value.
    LessOne,
    /// Queries of all heads lie before all keys, and those before all values: those of each head together again.
    Interleave {
        /// Number of attention heads; queries, keys and values have as many each.
        heads: usize,
    },
}

/// Names of a block's parts, in llama.cpp's order: theirs and ours.
type Parts = &'static [(&'static str, &'static str)];

const LLAMA: Parts = &[
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_qkv", "self_attn.qkv_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];
/// What a family calls otherwise.
const PHI3: Parts = &[("ffn_up", "mlp.gate_up_proj")];
const OLMO2: Parts = &[
    ("post_attention_norm", "post_attention_layernorm"),
    ("post_ffw_norm", "post_feedforward_layernorm"),
];
const GEMMA3: Parts = &[
    ("post_attention_norm", "post_attention_layernorm"),
    ("ffn_norm", "pre_feedforward_layernorm"),
    ("post_ffw_norm", "post_feedforward_layernorm"),
];
const GPT2: Parts = &[
    ("attn_norm", "ln_1"),
    ("attn_qkv", "attn.c_attn"),
    ("attn_output", "attn.c_proj"),
    ("ffn_norm", "ln_2"),
    ("ffn_up", "mlp.c_fc"),
    ("ffn_down", "mlp.c_proj"),
];

const GPT_NEOX: Parts = &[
    ("attn_norm", "input_layernorm"),
    ("attn_qkv", "attention.query_key_value"),
    ("attn_output", "attention.dense"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_up", "mlp.dense_h_to_4h"),
    ("ffn_down", "mlp.dense_4h_to_h"),
];

/// Tables of rotary embeddings: the configuration tells of them.
pub(super) const ROPE_FACTORS: [&str; 3] = [
    "rope_freqs.weight",
    "rope_factors_short.weight",
    "rope_factors_long.weight",
];

/// What stands around the blocks, as `transformers` calls it.
struct Stack {
    tokens: &'static str,
    positions: Option<&'static str>,
    blocks: &'static str,
    last_norm: &'static str,
    head: &'static str,
}

const LLAMA_STACK: Stack = Stack {
    tokens: "embed_tokens",
    positions: None,
    blocks: "layers",
    last_norm: "norm",
    head: "lm_head",
};
const GPT2_STACK: Stack = Stack {
    tokens: "wte",
    positions: Some("wpe"),
    blocks: "h",
    last_norm: "ln_f",
    head: "lm_head",
};
const GPT_NEOX_STACK: Stack = Stack {
    tokens: "embed_in",
    last_norm: "final_layer_norm",
    head: "embed_out",
    ..LLAMA_STACK
};

fn name_of(family: Family, name: &str) -> Option<String> {
    let (stem, ending) = name.rsplit_once('.')?;
    if !matches!(ending, "weight" | "bias") {
        return None;
    }
    let around = match family {
        Family::Gpt2 => &GPT2_STACK,
        Family::GptNeox => &GPT_NEOX_STACK,
        _ => &LLAMA_STACK,
    };
    let prefix = family.prefix();
    let own = match stem {
        "token_embd" => around.tokens,
        "position_embd" => around.positions?,
        "output_norm" => around.last_norm,
        "output" => return Some(format!("{}.{ending}", around.head)),
        _ => {
            let (layer, part) = stem.strip_prefix("blk.")?.split_once('.')?;
            let layer: usize = layer.parse().ok()?;
            let (special, common): (Parts, Parts) = match family {
                Family::Gpt2 => (GPT2, &[]),
                Family::GptNeox => (GPT_NEOX, &[]),
                Family::Phi3 => (PHI3, LLAMA),
                Family::Olmo2 => (OLMO2, LLAMA),
                Family::Gemma3 => (GEMMA3, LLAMA),
                _ => (&[], LLAMA),
            };
            let mut parts = special.iter().chain(common);
            let (_, ours) = parts.find(|(theirs, _)| *theirs == part)?;
            return Some(format!("{prefix}{}.{layer}.{ours}.{ending}", around.blocks));
        }
    };
    Some(format!("{prefix}{own}.{ending}"))
}

/// Every tensor under the name that `transformers` has for it, with its shape there. What has no such name keeps its own, so
/// that it is missed or refused under it.
///
/// # Errors
/// When the metadata do not tell what the rows are.
pub(crate) fn tensors(gguf: &Gguf) -> Result<BTreeMap<String, (Tensor, Arrange)>, Problem> {
    let (family, _) = config::family(gguf)?;
    let (heads, kv_heads) = config::heads(gguf)?;
    let mut found = BTreeMap::new();
    for (theirs, tensor) in &gguf.tensors {
        if ROPE_FACTORS.contains(&theirs.as_str()) {
            continue;
        }
        let name = name_of(family, theirs).unwrap_or_else(|| theirs.clone());
        let mut tensor = tensor.clone();
        let rows = tensor.shape.first().copied().unwrap_or(0);
        let paired = |heads: usize| {
            if rows.is_multiple_of(2 * heads) {
                Ok(Arrange::Halves { heads })
            } else {
                Err(format!(
                    "tensor `{theirs}` has {rows} rows for {heads} heads: the file is damaged"
                ))
            }
        };
        let permuted = matches!(family, Family::Llama | Family::SmolLm3);
        let arrange = if permuted && name.contains(".q_proj.") {
            paired(heads)?
        } else if permuted && name.contains(".k_proj.") {
            paired(kv_heads)?
        } else if family == Family::Gemma3 && name.ends_with("norm.weight") {
            Arrange::LessOne
        } else if family == Family::GptNeox && theirs.contains(".attn_qkv.") {
            if !rows.is_multiple_of(3 * heads) {
                return Err(format!(
                    "tensor `{theirs}` has {rows} rows for queries, keys and values of {heads} heads: the file is damaged"
                ));
            }
            Arrange::Interleave { heads }
        } else if family == Family::Gpt2 && tensor.shape.len() == 2 && theirs.starts_with("blk.") {
            tensor.shape.reverse();
            Arrange::Transpose
        } else {
            Arrange::Same
        };
        if found.insert(name.clone(), (tensor, arrange)).is_some() {
            return Err(format!(
                "`{theirs}` and another tensor both stand for `{name}`: the file is damaged"
            ));
        }
    }
    Ok(found)
}

impl Arrange {
    /// The values of a tensor as `transformers` has them, where it has this shape.
    pub(crate) fn undo(self, mut values: Vec<f32>, shape: &[usize]) -> Vec<f32> {
        match self {
            Self::Same => values,
            Self::LessOne => {
                for value in &mut values {
                    *value -= 1.0;
                }
                values
            }
            Self::Transpose => {
                let [rows, columns] = [shape[0], shape[1]];
                let mut turned = Vec::with_capacity(values.len());
                for row in 0..rows {
                    turned.extend((0..columns).map(|column| values[column * rows + row]));
                }
                turned
            }
            Self::Interleave { heads } => {
                let width: usize = shape[1..].iter().product();
                // Numbers of one head in queries, keys or values.
                let size = shape[0] / heads / 3 * width;
                let mut turned = Vec::with_capacity(values.len());
                for head in 0..heads {
                    for part in 0..3 {
                        let start = (part * heads + head) * size;
                        turned.extend_from_slice(&values[start..start + size]);
                    }
                }
                turned
            }
            Self::Halves { heads } => {
                let width: usize = shape[1..].iter().product();
                let half = shape[0] / heads / 2;
                let mut turned = Vec::with_capacity(values.len());
                for head in 0..heads {
                    for part in 0..2 {
                        for pair in 0..half {
                            let row = (head * half + pair) * 2 + part;
                            turned.extend_from_slice(&values[row * width..(row + 1) * width]);
                        }
                    }
                }
                turned
            }
        }
    }
}
