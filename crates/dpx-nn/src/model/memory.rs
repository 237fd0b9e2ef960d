//! How much memory a step of training takes, estimated from a model's configuration before anything is read.
//!
//! What is counted is what stands in memory at once at the peak of a step on the processor; `docs/performance.md` compares it with
//! what was measured.

use super::config::{Activation, DecoderConfig};
use super::decoder::LOGITS_AT_ONCE;
use dpx_schema::params::{
    ActivationCheckpointing, BasePrecision, TrainParams, TrainPerformance, Trainable,
};

/// What of a training stage counts for its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct TrainingStep {
    pub trained: Trainable,
    /// Rank of adapters; without effect where others are trained.
    pub lora_rank: u64,
    /// How frozen weights are held in memory.
    pub base_precision: BasePrecision,
    /// Whether the backward pass computes activations anew (activation checkpointing).
    pub recomputes: bool,
    /// Whether pairs of sequences are compared, so that all of their logits stand in memory at once.
    pub compares: bool,
    /// Most tokens that are computed at once.
    pub tokens: u64,
    /// Most tokens of a sequence.
    pub longest: u64,
    /// Whether it runs on the processor.
    pub on_processor: bool,
}

impl TrainingStep {
    /// A step as the parameters of a stage ask for it, on a device that has so much memory, where that is known. Activation
    /// checkpointing that is left to dpx is on where a step would otherwise take more than half of that.
    pub fn planned(
        config: &DecoderConfig,
        params: &TrainParams,
        performance: &TrainPerformance,
        on_processor: bool,
        memory: Option<u64>,
    ) -> Self {
        let longest = params.max_length.min(config.sizes.max_positions as u64);
        let compares = params.prompt_mismatch > 0.0;
        let of_row = if compares { 2 * longest } else { longest };
        let mut rows = performance.micro_batch_size;
        if params.sampling_rate.is_none() {
            // Poisson sampling seldom draws more.
            let spread = 4.0 * (params.batch_size as f64).sqrt();
            rows = rows.min(params.batch_size.saturating_add(spread as u64));
        }
        let least = LEAST_ROWS.max(of_row);
        let most = performance.tokens_at(longest).max(least);
        let mut step = Self {
            trained: params.parameters,
            lora_rank: params.lora_rank,
            base_precision: params.base_precision,
            recomputes: performance.activation_checkpointing == ActivationCheckpointing::On,
            compares,
            tokens: rows.saturating_mul(of_row).clamp(least, most),
            longest,
            on_processor,
        };
        if performance.activation_checkpointing == ActivationCheckpointing::Auto {
            let total = step.memory(config).total();
            step.recomputes = memory.is_some_and(|memory| total > memory / 2);
        }
        step
    }

    /// An estimate of the memory that one step takes with a decoder of these sizes.
    pub fn memory(&self, config: &DecoderConfig) -> TrainingMemory {
        let sizes = &config.sizes;
        let [vocabulary, hidden, layers, inner, heads] = [
            sizes.vocabulary,
            sizes.hidden,
            sizes.layers,
            sizes.intermediate,
            sizes.heads,
        ]
        .map(|size| size as u64);
        let out = heads * sizes.head_dim as u64;
        let qkv = out + 2 * (sizes.kv_heads * sizes.head_dim) as u64;
        // Gates double the first layer of the feed-forward part.
        let gated = if is_gated(config) { 2 } else { 1 };
        let linears = [
            (hidden, qkv),
            (out, hidden),
            (hidden, gated * inner),
            (inner, hidden),
        ];
        let of_layer: u64 = linears
            .iter()
            .map(|(inputs, outputs)| inputs * outputs)
            .sum();
        let tables = if config.tied { 1 } else { 2 };
        let positions = if config.rotary.is_empty() {
            sizes.max_positions as u64 * hidden
        } else {
            0
        };
        let matrices = layers * of_layer + tables * vocabulary * hidden + positions;
        let adapters: u64 = linears
            .iter()
            .map(|(inputs, outputs)| self.lora_rank * (inputs + outputs))
            .sum();
        let trained = match self.trained {
            Trainable::All => matrices,
            Trainable::Lora => layers * adapters,
            Trainable::Head => vocabulary * hidden,
            Trainable::Bias => layers * (2 * hidden + qkv + gated * inner),
        };
        let of_trained = OF_TRAINED + if self.on_processor { 0 } else { OF_NOISE_AHEAD };
        let weights = match self.base_precision {
            BasePrecision::F32 => 4 * matrices,
            BasePrecision::Bf16 => 2 * matrices,
            // A scale for each row: next to nothing.
            BasePrecision::Int8 => matrices + matrices / 256,
        };
        let tokens = self.tokens;
        // Inputs of the layers and what norms and activations remember; the gradients of a tape take their places.
        let of_block = 4 * hidden + qkv + out + (1 + gated) * inner;
        // What the block that is computed holds besides.
        let at_work = 3 * hidden + qkv + (1 + gated) * inner;
        let of_attention = heads * tokens * self.longest.min(tokens);
        let (kept, attention) = if self.recomputes {
            (layers * hidden + of_block, 2 * of_attention)
        } else {
            (layers * of_block, layers * of_attention)
        };
        let frozen_head = match self.trained {
            Trainable::Lora | Trainable::Bias => true,
            Trainable::All | Trainable::Head => false,
        };
        let logits = if frozen_head && self.on_processor && !self.compares {
            let at_once = (LOGITS_AT_ONCE as u64 / vocabulary.max(1)).max(130);
            tokens.min(2 * at_once) * vocabulary
        } else if self.on_processor {
            tokens * vocabulary
        } else {
            2 * tokens * vocabulary
        };
        TrainingMemory {
            weights: weights + 4 * layers * adapters_of(self.trained, adapters),
            training: of_trained * trained,
            activations: 4 * tokens * (kept + at_work),
            attention: 4 * attention,
            logits: 4 * logits,
        }
    }
}

const fn adapters_of(trained: Trainable, adapters: u64) -> u64 {
    match trained {
        Trainable::Lora => adapters,
        Trainable::All | Trainable::Bias | Trainable::Head => 0,
    }
}

fn is_gated(config: &DecoderConfig) -> bool {
    config.activation == Activation::Silu || super::decoder::has_gate(config.family)
}

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
    /// The logits that stand in memory at once.
    pub logits: u64,
}

/// Bytes of a trained parameter besides its weight: gradient (f32), sum (f64), Adam's two moments (f32).
const OF_TRAINED: u64 = 4 + 8 + 8;
/// Bytes of a trained parameter for noise that is drawn ahead, as beside a GPU.
const OF_NOISE_AHEAD: u64 = 4;
/// Rows that small micro-batches are filled up to.
const LEAST_ROWS: u64 = 65;
/// Bytes of the program itself, its threads and its tokenizer.
const PROGRAM: u64 = 60_000_000;

impl TrainingMemory {
    /// All of it, with the program itself.
    pub const fn total(&self) -> u64 {
        PROGRAM + self.weights + self.training + self.activations + self.attention + self.logits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::config::{Rotary, Sizes};
    use serde_json::json;

    fn gpt2() -> DecoderConfig {
        DecoderConfig::gpt2(Sizes {
            vocabulary: 50257,
            max_positions: 1024,
            hidden: 768,
            intermediate: 3072,
            layers: 12,
            heads: 12,
            kv_heads: 12,
            head_dim: 64,
            norm_epsilon: 1e-5,
        })
    }

    fn all(tokens: u64, longest: u64) -> TrainingStep {
        TrainingStep {
            trained: Trainable::All,
            lora_rank: 8,
            base_precision: BasePrecision::F32,
            recomputes: false,
            compares: false,
            tokens,
            longest,
            on_processor: true,
        }
    }

    /// GPT-2 124M: whole steps took 3,274 MB with 16 sequences of 32 tokens and 3,645 MB with 8 of 128 (docs/performance.md).
    #[test]
    fn gpt2_takes_about_what_was_measured() {
        let config = gpt2();
        for (tokens, longest, measured) in [(512, 32, 3274.0), (1024, 128, 3645.0)] {
            let found = all(tokens, longest).memory(&config);
            let ratio = found.total() as f64 / 1e6 / measured;
            assert!((0.8..1.25).contains(&ratio), "{ratio} {found:?}");
            assert!(
                (490..520).contains(&(found.weights / 1_000_000)),
                "{found:?}"
            );
        }
        // Longer sequences cost attention alone.
        let (usual, long) = (
            all(1024, 128).memory(&config),
            all(1024, 1024).memory(&config),
        );
        assert_eq!(long.attention, 8 * usual.attention);
        assert_eq!(long.activations, usual.activations);
    }

    #[test]
    fn each_mode_saves_what_it_is_for() {
        let config = gpt2();
        let lora = TrainingStep {
            trained: Trainable::Lora,
            ..all(1024, 128)
        };
        let f32 = lora.memory(&config);
        assert!(f32.training < all(1024, 128).memory(&config).training / 50);
        let bits = |base_precision| {
            let step = TrainingStep {
                base_precision,
                ..lora
            };
            step.memory(&config)
        };
        let [bf16, int8] = [BasePrecision::Bf16, BasePrecision::Int8].map(bits);
        assert!(bf16.weights < f32.weights * 52 / 100);
        assert!(int8.weights < f32.weights * 28 / 100);
        assert_eq!(
            (bf16.activations, int8.logits),
            (f32.activations, f32.logits)
        );
        let anew = TrainingStep {
            recomputes: true,
            ..lora
        };
        let anew = anew.memory(&config);
        assert!(anew.activations < f32.activations / 3, "{anew:?} {f32:?}");
        assert_eq!(anew.weights, f32.weights);
    }

    #[test]
    fn what_is_left_to_dpx_follows_the_memory_and_never_exceeds_a_batch() {
        let config = DecoderConfig::llama(gpt2().sizes, Rotary::plain(64, 10_000.0), true);
        let params = json!({"model": "m", "epsilon": 3.0, "parameters": "lora", "batch_size": 16});
        let params: TrainParams = serde_json::from_value(params).unwrap();
        let step = |checkpointing: &str, memory| {
            let performance = json!({"activation_checkpointing": checkpointing});
            let performance = serde_json::from_value(performance).unwrap();
            TrainingStep::planned(&config, &params, &performance, true, memory)
        };
        let without = step("off", Some(1));
        assert_eq!(without.tokens, (16 + 16) * 64);
        let total = without.memory(&config).total();
        assert!(!without.recomputes && step("on", None).recomputes);
        assert!(step("auto", Some(2 * total - 2)).recomputes);
        assert!(!step("auto", Some(2 * total)).recomputes);
        assert!(!step("auto", None).recomputes);
    }
}
