//! Parameters of `score`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Compares synthetic with real texts. All of its metrics are internal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreParams {
    /// The encoder whose embeddings give similarities: `builtin:encoder` (potion-base-8M), `builtin:base`, `hf:owner/name@revision` or a folder.
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
    /// Most texts of each set whose perplexity is taken, chosen among those that are embedded. Of 250 short texts it is known to some 5 %.
    #[serde(default = "perplexity_texts")]
    #[schemars(range(min = 1))]
    pub perplexity_texts: u64,
    /// The public model under which the perplexity of the synthetic texts is taken: the one that `train` started from, filled
    /// in by the plan and never written by hand. Empty: no `train` among the needs.
    #[serde(default)]
    #[schemars(skip)]
    pub base: String,
    /// Passes over the synthetic texts in which a public model (the one that `train` started from) learns from them, without privacy, before its perplexity of held-out real texts is taken, beside that of the same model after as many real texts; 0 leaves it out. Says how useful texts are where there are no labels to classify.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0.0, max = 100.0))]
    pub student_epochs: f64,
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(epochs: &f64) -> bool {
    *epochs == 0.0
}

fn encoder() -> String {
    "builtin:encoder".into()
}
const fn max_texts() -> u64 {
    2000
}
const fn perplexity_texts() -> u64 {
    250
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
