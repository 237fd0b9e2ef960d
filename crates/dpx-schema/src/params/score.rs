//! Parameters of `score`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Compares synthetic with real texts. All of its metrics are internal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreParams {
    /// The encoder whose mean-pooled embeddings give similarities: `builtin:base`, `hf:owner/name@revision` or a folder.
    #[serde(default = "encoder")]
    pub encoder: String,
    /// Most texts of each side that are embedded, chosen by a keyed hash.
    #[serde(default = "max_texts")]
    #[schemars(range(min = 1))]
    pub max_texts: u64,
    /// Compute MAUVE (Pillutla et al. 2021).
    #[serde(default = "yes")]
    pub mauve: bool,
    /// Clusters of MAUVE's quantization; 0 means a tenth of the number of texts.
    #[serde(default)]
    pub mauve_clusters: u64,
    /// Compute perplexities of real texts under the trained model and of synthetic texts under the model that `train` started from.
    #[serde(default = "yes")]
    pub perplexity: bool,
    /// The public model under which the perplexity of the synthetic texts is taken: the one that `train` started from, filled
    /// in by the plan and never written by hand. Empty: no `train` among the needs.
    #[serde(default)]
    #[schemars(skip)]
    pub base: String,
    /// Compare exact and near copies of training texts with those of held-out texts.
    #[serde(default = "yes")]
    pub copies: bool,
    /// Sample texts per label that are kept for the report.
    #[serde(default = "examples")]
    #[schemars(range(max = 50))]
    pub examples: u64,
}

/// What only changes speed or memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScorePerformance {
    /// Most tokens (padding included) computed at once.
    #[serde(default = "micro_batch_tokens")]
    #[schemars(range(min = 1))]
    pub micro_batch_tokens: u64,
}

impl Default for ScorePerformance {
    fn default() -> Self {
        Self {
            micro_batch_tokens: micro_batch_tokens(),
        }
    }
}

fn encoder() -> String {
    "builtin:base".into()
}
const fn max_texts() -> u64 {
    2000
}
const fn yes() -> bool {
    true
}
const fn examples() -> u64 {
    20
}
const fn micro_batch_tokens() -> u64 {
    8192
}
