//! What the parameters of a stack are called in the files of each family, and thereby which of them it has.

use crate::Layout;
use crate::model::config::Family;

/// How queries, keys and values are projected.
pub(super) enum Projection {
    /// By one layer each.
    Separate([&'static str; 3]),
    /// By one layer: all queries, then all keys, then all values.
    Fused(&'static str),
}

/// The first layer or layers of the feed-forward part.
pub(super) enum First {
    /// One layer, then the activation.
    Plain(&'static str),
    /// Gate and other factor.
    Gated([&'static str; 2]),
}

/// Names behind the family's prefix; those of a block stand behind `blocks.N.`.
pub(super) struct Names {
    pub(super) tokens: &'static str,
    /// Learned positions.
    pub(super) positions: Option<&'static str>,
    pub(super) blocks: &'static str,
    pub(super) before_attention: Option<&'static str>,
    pub(super) projection: Projection,
    pub(super) attention_out: &'static str,
    pub(super) before_feed: Option<&'static str>,
    pub(super) first: First,
    pub(super) down: &'static str,
    pub(super) last_norm: &'static str,
    /// Of the output layer where it is not the embedding; without the prefix.
    pub(super) head: &'static str,
    /// Of all linear layers of the blocks.
    pub(super) layout: Layout,
}

const GPT2: Names = Names {
    tokens: "wte",
    positions: Some("wpe"),
    blocks: "h",
    before_attention: Some("ln_1"),
    projection: Projection::Fused("attn.c_attn"),
    attention_out: "attn.c_proj",
    before_feed: Some("ln_2"),
    first: First::Plain("mlp.c_fc"),
    down: "mlp.c_proj",
    last_norm: "ln_f",
    head: "lm_head",
    layout: Layout::InOut,
};

const LLAMA: Names = Names {
    tokens: "embed_tokens",
    positions: None,
    blocks: "layers",
    before_attention: Some("input_layernorm"),
    projection: Projection::Separate(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    attention_out: "self_attn.o_proj",
    before_feed: Some("post_attention_layernorm"),
    first: First::Gated(["mlp.gate_proj", "mlp.up_proj"]),
    down: "mlp.down_proj",
    last_norm: "norm",
    head: "lm_head",
    layout: Layout::OutIn,
};

impl Names {
    pub(super) fn of(family: Family) -> &'static Self {
        match family {
            Family::Gpt2 => &GPT2,
            Family::Llama => &LLAMA,
            Family::Bert | Family::Mpnet => {
                unreachable!("`config` makes a stack of pre-norm blocks of no such family")
            }
        }
    }
}
