//! Parameters of `teacher`.

use super::{BudgetParams, Delta, Epsilon, NoiseMode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Trains a differentially private classifier of the private texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TeacherParams {
    /// What the classifier learns from: words, or an encoder's embeddings.
    #[serde(default)]
    pub form: TeacherKind,
    /// Public vocabulary of the linear form: `builtin:words`, or a file of words with their public counts.
    #[serde(default = "vocabulary")]
    pub vocabulary: String,
    /// Public encoder of the `head` form: `builtin:encoder` (potion-base-8M), `builtin:base`, `hf:owner/name@revision` or a folder.
    #[serde(default = "encoder")]
    pub encoder: String,
    /// The privacy budget of the released row.
    pub epsilon: Epsilon,
    /// The failure probability of the guarantee.
    #[serde(default)]
    pub delta: Delta,
    /// Steps of noisy full-batch gradient descent.
    #[serde(default = "steps")]
    #[schemars(range(min = 1, max = 100000))]
    pub steps: u64,
    /// Step size of the gradient descent, the same at every step.
    #[serde(default = "learning_rate")]
    #[schemars(range(min = 0.0, max = 10000.0))]
    pub learning_rate: f64,
    /// Share of the last step that the next one keeps; 0 is plain gradient descent.
    #[serde(default = "momentum")]
    #[schemars(range(min = 0.0, max = 0.9999))]
    pub momentum: f64,
    /// Bound on the norm of one example's gradient.
    #[serde(default = "max_grad_norm")]
    #[schemars(range(min = 1e-6, max = 1e6))]
    pub max_grad_norm: f64,
    /// Features are weighted by the public word probability to the power of minus this.
    #[serde(default = "frequency_exponent")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub frequency_exponent: f64,
    /// Strength with which the released weights of each word are shrunk towards zero (James-Stein); 0 leaves them.
    #[serde(default = "shrinkage")]
    #[schemars(range(min = 0.0, max = 10.0))]
    pub shrinkage: f64,
    /// Where noise comes from.
    #[serde(default)]
    pub noise: NoiseMode,
    /// Keys of this stage whose public input is known to hold texts of the private data, such as `["vocabulary"]`: without it such an input is refused. Every claim states them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declared_overlap: Vec<String>,
    /// One budget shared with other mechanisms; filled in from `[privacy] split`, never written by hand.
    #[serde(default)]
    #[schemars(skip)]
    pub budget: Option<BudgetParams>,
}

/// What only changes speed or memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TeacherPerformance {
    /// Most tokens (padding included) computed at once.
    #[serde(default = "micro_batch_tokens")]
    #[schemars(range(min = 1))]
    pub micro_batch_tokens: u64,
}

impl Default for TeacherPerformance {
    fn default() -> Self {
        Self {
            micro_batch_tokens: micro_batch_tokens(),
        }
    }
}

/// The form of the classifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TeacherKind {
    /// Softmax regression on the presence of words of a public vocabulary.
    #[default]
    Linear,
    /// Softmax regression on the embeddings of a public encoder.
    Head,
}

fn vocabulary() -> String {
    "builtin:words".into()
}
fn encoder() -> String {
    "builtin:encoder".into()
}
const fn steps() -> u64 {
    60
}
const fn learning_rate() -> f64 {
    80.0
}
const fn momentum() -> f64 {
    0.9
}
const fn max_grad_norm() -> f64 {
    0.25
}
const fn frequency_exponent() -> f64 {
    0.2
}
const fn shrinkage() -> f64 {
    1.0
}
const fn micro_batch_tokens() -> u64 {
    8192
}
