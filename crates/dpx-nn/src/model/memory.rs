//! How much memory a step of training takes, estimated from a model's configuration before anything is read.

use super::config::DecoderConfig;

/// Bytes of a step of training, by what they are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrainingMemory {
    /// What the weights take, trained or frozen.
    pub weights: u64,
    /// Gradient, its sum, Adam's moments, of the parameters that are trained.
    pub training: u64,
    /// What the layers remember of a micro-batch for the backward pass.
    pub activations: u64,
    /// The attention of a micro-batch: a number for each pair of tokens of a sequence, head and layer.
    pub attention: u64,
    /// The logits of a micro-batch and their gradient.
    pub logits: u64,
}

/// Bytes of a trained parameter besides its weight: gradient and noise (f32), sum (f64), Adam's two moments (f32).
const OF_TRAINED: u64 = 4 + 4 + 8 + 8;

impl TrainingMemory {
    /// Estimates a micro-batch of so many tokens in sequences of at most so many, where this share of the parameters is trained.
    pub fn estimate(config: &DecoderConfig, trained: f64, tokens: u64, longest: u64) -> Self {
        let sizes = &config.sizes;
        let [vocabulary, hidden, layers] =
            [sizes.vocabulary, sizes.hidden, sizes.layers].map(|size| size as u64);
        let heads = sizes.heads as u64;
        let qkv = (sizes.heads + 2 * sizes.kv_heads) as u64 * sizes.head_dim as u64;
        let out = heads * sizes.head_dim as u64;
        // SiLU gates double the first layer of the feed-forward part.
        let gated = if config.activation == super::config::Activation::Silu {
            2
        } else {
            1
        };
        let inner = sizes.intermediate as u64 * gated;
        let of_layer = hidden * (qkv + out) + hidden * inner + sizes.intermediate as u64 * hidden;
        let tables = if config.tied { 1 } else { 2 };
        let parameters = layers * of_layer + tables * vocabulary * hidden;
        // Inputs and output gradients of the linear layers, and what norms and activations remember.
        let of_token = 6 * hidden + 2 * (qkv + out) + 3 * inner;
        Self {
            weights: 4 * parameters,
            training: (trained * (OF_TRAINED * parameters) as f64) as u64,
            activations: 4 * layers * tokens * of_token,
            attention: 4 * layers * heads * tokens * longest.min(tokens),
            logits: 2 * 4 * tokens * vocabulary,
        }
    }

    /// All of it.
    pub const fn total(&self) -> u64 {
        self.weights + self.training + self.activations + self.attention + self.logits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::config::Sizes;

    /// GPT-2 124M: 8 sequences of 128 tokens took 3,645 MB for a whole step, 1,764 MB of it for the gradient
    /// (docs/performance.md).
    #[test]
    fn gpt2_takes_about_what_was_measured() {
        let config = DecoderConfig::gpt2(Sizes {
            vocabulary: 50257,
            max_positions: 1024,
            hidden: 768,
            intermediate: 3072,
            layers: 12,
            heads: 12,
            kv_heads: 12,
            head_dim: 64,
            norm_epsilon: 1e-5,
        });
        let estimate = |tokens, longest| TrainingMemory::estimate(&config, 1.0, tokens, longest);
        let found = estimate(1024, 128);
        assert!(
            (470..520).contains(&(found.weights / 1_000_000)),
            "{found:?}"
        );
        let total = found.total() / 1_000_000;
        assert!((3300..5500).contains(&total), "{found:?}");
        // Longer sequences cost attention alone.
        let long = estimate(1024, 1024);
        assert_eq!(long.attention, 8 * found.attention);
        assert_eq!(long.activations, found.activations);
        let adapters = TrainingMemory::estimate(&config, 0.01, 1024, 128);
        assert!(adapters.total() < found.total() / 2);
    }
}
