//! What the parameters of a stack are called in the files of each family, and thereby which of them it has.

use crate::Layout;
use crate::model::config::Family;

/// How queries, keys and values are projected.
pub(super) enum Projection {
    /// By one layer each.
    Separate([&'static str; 3]),
    /// By one layer: all queries, then all keys, then all values.
    Fused(&'static str),
    /// By one layer: query, key and value of the first head, then of the next.
    Interleaved(&'static str),
}

/// The first layer or layers of the feed-forward part.
pub(super) enum First {
    /// One layer, then the activation.
    Plain(&'static str),
    /// Gate and other factor.
    Gated([&'static str; 2]),
    /// Both by one layer: all of the gate, then all of the other factor.
    Fused(&'static str),
}

/// Names behind the family's prefix; those of a block stand behind `blocks.N.`.
pub(super) struct Names {
    pub(super) tokens: &'static str,
    /// Learned positions.
    pub(super) positions: Option<&'static str>,
    /// A norm of the embedded tokens.
    pub(super) embedding_norm: Option<&'static str>,
    pub(super) blocks: &'static str,
    pub(super) before_attention: Option<&'static str>,
    /// Whether the first block has that norm too.
    pub(super) before_first_attention: bool,
    pub(super) after_attention: Option<&'static str>,
    pub(super) before_feed: Option<&'static str>,
    pub(super) after_feed: Option<&'static str>,
    pub(super) projection: Projection,
    pub(super) attention_out: &'static str,
    pub(super) first: First,
    pub(super) down: &'static str,
    pub(super) last_norm: &'static str,
    /// Of the output layer where it is not the embedding; without the prefix.
    pub(super) head: &'static str,
    /// Of all linear layers of the blocks.
    pub(super) layout: Layout,
}

/// Names of the norms of queries and keys, in families that have any.
pub(super) const QUERY_KEY_NORMS: [&str; 2] = ["self_attn.q_norm", "self_attn.k_norm"];

const LLAMA: Names = Names {
    tokens: "embed_tokens",
    positions: None,
    embedding_norm: None,
    blocks: "layers",
    before_attention: Some("input_layernorm"),
    before_first_attention: true,
    after_attention: None,
    before_feed: Some("post_attention_layernorm"),
    after_feed: None,
    projection: Projection::Separate(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    attention_out: "self_attn.o_proj",
    first: First::Gated(["mlp.gate_proj", "mlp.up_proj"]),
    down: "mlp.down_proj",
    last_norm: "norm",
    head: "lm_head",
    layout: Layout::OutIn,
};

const PHI3: Names = Names {
    projection: Projection::Fused("self_attn.qkv_proj"),
    first: First::Fused("mlp.gate_up_proj"),
    ..LLAMA
};

const OLMO2: Names = Names {
    before_attention: None,
    after_attention: Some("post_attention_layernorm"),
    before_feed: None,
    after_feed: Some("post_feedforward_layernorm"),
    ..LLAMA
};

const GEMMA3: Names = Names {
    after_attention: Some("post_attention_layernorm"),
    before_feed: Some("pre_feedforward_layernorm"),
    after_feed: Some("post_feedforward_layernorm"),
    ..LLAMA
};

const GPT2: Names = Names {
    tokens: "wte",
    positions: Some("wpe"),
    blocks: "h",
    before_attention: Some("ln_1"),
    before_feed: Some("ln_2"),
    projection: Projection::Fused("attn.c_attn"),
    attention_out: "attn.c_proj",
    first: First::Plain("mlp.c_fc"),
    down: "mlp.c_proj",
    last_norm: "ln_f",
    layout: Layout::InOut,
    ..LLAMA
};

const GPT_NEOX: Names = Names {
    tokens: "embed_in",
    projection: Projection::Interleaved("attention.query_key_value"),
    attention_out: "attention.dense",
    first: First::Plain("mlp.dense_h_to_4h"),
    down: "mlp.dense_4h_to_h",
    last_norm: "final_layer_norm",
    head: "embed_out",
    ..LLAMA
};

const MODERN_BERT: Names = Names {
    tokens: "embeddings.tok_embeddings",
    embedding_norm: Some("embeddings.norm"),
    before_attention: Some("attn_norm"),
    before_first_attention: false,
    before_feed: Some("mlp_norm"),
    projection: Projection::Fused("attn.Wqkv"),
    attention_out: "attn.Wo",
    first: First::Fused("mlp.Wi"),
    down: "mlp.Wo",
    last_norm: "final_norm",
    ..LLAMA
};

/// Full names of the tables of tokens and of the output layer.
pub(in crate::model) fn tables(family: Family) -> [String; 2] {
    let names = Names::of(family);
    [
        format!("{}{}.weight", family.prefix(), names.tokens),
        format!("{}.weight", names.head),
    ]
}

/// Whether the feed-forward part has a gate.
pub(in crate::model) fn has_gate(family: Family) -> bool {
    !matches!(Names::of(family).first, First::Plain(_))
}

impl Names {
    pub(super) fn of(family: Family) -> &'static Self {
        match family {
            Family::Gpt2 => &GPT2,
            Family::GptNeox => &GPT_NEOX,
            Family::Llama | Family::Mistral | Family::Qwen2 | Family::Qwen3 | Family::SmolLm3 => {
                &LLAMA
            }
            Family::Phi3 => &PHI3,
            Family::Olmo2 => &OLMO2,
            Family::Gemma3 => &GEMMA3,
            Family::ModernBert => &MODERN_BERT,
            Family::Bert
            | Family::Roberta
            | Family::XlmRoberta
            | Family::DistilBert
            | Family::Electra
            | Family::Mpnet
            | Family::DebertaV2
            | Family::Model2Vec => {
                unreachable!("`config` makes no such stack of a family of another architecture")
            }
        }
    }
}
