//! What a stack of blocks with norms before (or on the branches of) their layers computes: one type for all families.

use super::{Family, Rotary};
use crate::NormKind;

/// The sizes that every family has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sizes {
    /// Number of tokens: rows of the embedding.
    pub vocabulary: usize,
    /// Most tokens of a sequence.
    pub max_positions: usize,
    /// Width of the hidden states.
    pub hidden: usize,
    /// Width of the feed-forward layer.
    pub intermediate: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Query heads of each block.
    pub heads: usize,
    /// Key and value heads of a block; each serves an equal group of query heads.
    pub kv_heads: usize,
    /// Values of one query, key or value.
    pub head_dim: usize,
    /// Added to variances or mean squares.
    pub norm_epsilon: f64,
}

/// What the feed-forward layer does between its linear layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// GELU, tanh form.
    GeluTanh,
    /// GELU, erf form.
    GeluErf,
    /// `x sigmoid(x)`; only as a gate.
    Silu,
}

/// Which linear layers have biases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Biases {
    /// Of the projections to queries, keys and values.
    pub qkv: bool,
    /// Of the projection behind attention.
    pub attention_out: bool,
    /// Of all linear layers of the feed-forward part.
    pub feed_forward: bool,
}

impl Biases {
    /// A bias in all of these layers, or in none.
    pub const fn everywhere(biased: bool) -> Self {
        Self {
            qkv: biased,
            attention_out: biased,
            feed_forward: biased,
        }
    }
}

/// What a norm of queries and keys goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryKeyNorm {
    /// Each head by itself, all with one scale.
    Heads,
    /// One norm over all heads of a row.
    Whole,
}

/// How a block knows positions, and how far it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LayerKind {
    /// Which of the model's rotary embeddings turns queries and keys; none where positions are learned or left out.
    pub rotary: Option<usize>,
    /// Only positions less than this far away are seen.
    pub window: Option<usize>,
}

/// A stack of blocks, each with attention and a feed-forward layer beside a residual.
///
/// How tensors are called, which norms a block has and whether it looks ahead follow from the family.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct DecoderConfig {
    /// The architecture, as `model_type` of config.json names it.
    pub family: Family,
    /// Widths, heads, vocabulary and longest sequence.
    pub sizes: Sizes,
    /// One for each block.
    pub layers: Vec<LayerKind>,
    /// Rotary embeddings; none in models with learned positions.
    pub rotary: Vec<Rotary>,
    pub norm: NormKind,
    /// Whether layer norms have a shift.
    pub norm_shift: bool,
    /// Norms of queries and keys before they are rotated, in families that have them.
    pub query_key_norm: Option<QueryKeyNorm>,
    /// Whether attention and feed-forward layer both read the input of the block.
    pub parallel: bool,
    /// Activation of the feed-forward layer, or of its gate.
    pub activation: Activation,
    pub biases: Biases,
    /// Factor of attention scores, where it is not 1 / sqrt(head_dim).
    pub score_scale: Option<f32>,
    /// What embedded tokens are multiplied by, where they are.
    pub embedding_scale: Option<f32>,
    /// Whether the output layer is the embedding.
    pub tied: bool,
}

impl DecoderConfig {
    /// GPT-2: layer norms, learned positions, GELU of the tanh form, biases everywhere, a tied output layer.
    pub fn gpt2(sizes: Sizes) -> Self {
        Self {
            family: Family::Gpt2,
            sizes,
            layers: vec![LayerKind::default(); sizes.layers],
            rotary: Vec::new(),
            norm: NormKind::Layer,
            norm_shift: true,
            query_key_norm: None,
            parallel: false,
            activation: Activation::GeluTanh,
            biases: Biases::everywhere(true),
            score_scale: None,
            embedding_scale: None,
            tied: true,
        }
    }

    /// Llama: RMS norms, rotary positions, SwiGLU, no biases. Its relatives differ in single fields.
    pub fn llama(sizes: Sizes, rotary: Rotary, tied: bool) -> Self {
        let turned = LayerKind {
            rotary: Some(0),
            window: None,
        };
        Self {
            family: Family::Llama,
            layers: vec![turned; sizes.layers],
            rotary: vec![rotary],
            norm: NormKind::Rms,
            norm_shift: false,
            activation: Activation::Silu,
            biases: Biases::everywhere(false),
            tied,
            ..Self::gpt2(sizes)
        }
    }
}
