//! What a stack of pre-norm blocks computes: one type for all families of language models.

use super::{Family, Rotary};

/// The sizes that every family has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sizes {
    /// Tokens.
    pub vocabulary: usize,
    /// Longest text.
    pub max_positions: usize,
    /// Width of the hidden states.
    pub hidden: usize,
    /// Width of the feed-forward layer.
    pub intermediate: usize,
    /// Blocks.
    pub layers: usize,
    /// Query heads of a block.
    pub heads: usize,
    /// Key and value heads of a block; each serves an equal group of query heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Added to variances or mean squares.
    pub norm_epsilon: f64,
}

/// Which norm stands before and after layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// Layer norm with scale and shift.
    Layer,
    /// RMS norm.
    Rms,
}

/// What the feed-forward layer does between its linear layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// GELU, tanh form.
    GeluTanh,
    /// GELU, erf form.
    GeluErf,
    /// `x sigmoid(x)`.
    Silu,
}

/// Which linear layers have biases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Biases {
    /// Queries, keys and values.
    pub qkv: bool,
    /// Output of attention.
    pub attention_out: bool,
    /// Feed-forward layer.
    pub feed_forward: bool,
}

impl Biases {
    /// None, or all.
    pub const fn everywhere(biased: bool) -> Self {
        Self {
            qkv: biased,
            attention_out: biased,
            feed_forward: biased,
        }
    }
}

/// How a block knows positions, and what it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LayerKind {
    /// Which of the model's rotary embeddings turns queries and keys; none in models with learned positions.
    pub rotary: Option<usize>,
}

/// A stack of blocks, each with attention and a feed-forward layer beside a residual.
///
/// How tensors are called and which norms a block has follows from the family.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderConfig {
    /// The family.
    pub family: Family,
    /// Sizes.
    pub sizes: Sizes,
    /// The kind of each block.
    pub layers: Vec<LayerKind>,
    /// Rotary embeddings; none in models with learned positions.
    pub rotary: Vec<Rotary>,
    /// Kind of the norms.
    pub norm: NormKind,
    /// Activation of the feed-forward layer, or of its gate.
    pub activation: Activation,
    /// Which linear layers have biases.
    pub biases: Biases,
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
            activation: Activation::GeluTanh,
            biases: Biases::everywhere(true),
            tied: true,
        }
    }

    /// Llama: RMS norms, rotary positions, SwiGLU, no biases.
    pub fn llama(sizes: Sizes, rope_theta: f64, tied: bool) -> Self {
        Self {
            family: Family::Llama,
            sizes,
            layers: vec![LayerKind { rotary: Some(0) }; sizes.layers],
            rotary: vec![Rotary::plain(sizes.head_dim, rope_theta)],
            norm: NormKind::Rms,
            activation: Activation::Silu,
            biases: Biases::everywhere(false),
            tied,
        }
    }
}
