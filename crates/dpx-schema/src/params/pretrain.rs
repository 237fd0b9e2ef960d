//! Parameters of `pretrain`.

use super::{Precision, Schedule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Trains a tokenizer and a language model on public text, without privacy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PretrainParams {
    /// Public texts, one a line: `builtin:dialogue`, or paths of text files.
    pub corpus: Vec<String>,
    /// Continue from this model instead of starting from nothing: `builtin:base`, `hf:owner/name@revision` or a folder.
    #[serde(default)]
    pub model: Option<String>,
    /// Size of the byte-level BPE vocabulary that is trained on the corpus.
    #[serde(default = "vocabulary_size")]
    #[schemars(range(min = 260, max = 65536))]
    pub vocabulary_size: u64,
    /// Words, one a line, over-sampled when the tokenizer is trained so that they stay whole.
    #[serde(default)]
    pub vocabulary_words: Option<String>,
    /// Transformer blocks.
    #[serde(default = "layers")]
    #[schemars(range(min = 1, max = 96))]
    pub layers: u64,
    /// Width of the hidden states.
    #[serde(default = "width")]
    #[schemars(range(min = 8, max = 8192))]
    pub width: u64,
    /// Attention heads; must divide the width.
    #[serde(default = "heads")]
    #[schemars(range(min = 1, max = 128))]
    pub heads: u64,
    /// Longest sequence in tokens.
    #[serde(default = "context")]
    #[schemars(range(min = 8, max = 8192))]
    pub context: u64,
    /// Examples in a step.
    #[serde(default = "batch_size")]
    #[schemars(range(min = 1))]
    pub batch_size: u64,
    /// Steps of training.
    #[serde(default = "steps")]
    #[schemars(range(min = 1))]
    pub steps: u64,
    /// Peak learning rate of AdamW.
    #[serde(default = "learning_rate")]
    #[schemars(range(min = 0.0, max = 10.0))]
    pub learning_rate: f64,
    /// Learning rate after the warm-up.
    #[serde(default = "cosine")]
    pub schedule: Schedule,
    /// Share of the steps in which the learning rate rises from zero.
    #[serde(default = "warmup")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub warmup: f64,
    /// Decoupled weight decay.
    #[serde(default = "weight_decay")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub weight_decay: f64,
    /// Share of the lines held out for validation perplexity.
    #[serde(default = "validation_share")]
    #[schemars(range(min = 0.0, max = 0.5))]
    pub validation_share: f64,
    /// Weights are written in this format: `f32` or `f16`.
    #[serde(default = "f32_")]
    pub weights: String,
    /// Arithmetic of forward and backward.
    #[serde(default)]
    pub precision: Precision,
    /// Declared labels and prompt that `sample` uses with this model directly; left out: plain continuation.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Prompt template of the labels.
    #[serde(default = "prompt")]
    pub prompt: String,
    /// Keys of this stage whose public input is known to hold texts of the private data, such as `["corpus"]`: without it such an input is refused. Every claim states them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declared_overlap: Vec<String>,
}

/// What only changes speed or memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PretrainPerformance {
    /// Most tokens (padding included) computed at once.
    #[serde(default = "micro_batch_tokens")]
    #[schemars(range(min = 1))]
    pub micro_batch_tokens: u64,
    /// Steps between checkpoints.
    #[serde(default = "checkpoint_every")]
    #[schemars(range(min = 1))]
    pub checkpoint_every: u64,
}

impl Default for PretrainPerformance {
    fn default() -> Self {
        Self {
            micro_batch_tokens: micro_batch_tokens(),
            checkpoint_every: checkpoint_every(),
        }
    }
}

const fn vocabulary_size() -> u64 {
    4096
}
const fn layers() -> u64 {
    4
}
const fn width() -> u64 {
    256
}
const fn heads() -> u64 {
    4
}
const fn context() -> u64 {
    128
}
const fn batch_size() -> u64 {
    64
}
const fn steps() -> u64 {
    1000
}
const fn learning_rate() -> f64 {
    1e-3
}
const fn cosine() -> Schedule {
    Schedule::Cosine
}
const fn warmup() -> f64 {
    0.02
}
const fn weight_decay() -> f64 {
    0.01
}
const fn validation_share() -> f64 {
    0.01
}
fn f32_() -> String {
    "f32".into()
}
fn prompt() -> String {
    "{label}: {text}".into()
}
const fn micro_batch_tokens() -> u64 {
    4096
}
const fn checkpoint_every() -> u64 {
    200
}
