//! Parameters of `classify`.

use super::Schedule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `C` of the bag of words where none is given: the best on the validation split of `builtin:emotions`
/// (tests/python/bag_of_words_strength.py).
pub const DEFAULT_INVERSE_PENALTY: f64 = 2.0;

/// Trains a classifier on one artifact and tests it on the real test split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassifyParams {
    /// The stage among the needs whose texts it trains on; left out: the `sample` stage if there is one, else the real training texts.
    #[serde(default)]
    pub train_on: Option<String>,
    /// Of several columns of labels the one that is told apart; left out: every combination of their values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// The classifier: `bag-of-words`, `builtin:base`, `hf:owner/name@revision` or a folder (an encoder that is fine-tuned), or `teacher` (the DP teacher among the needs, tested as it is).
    #[serde(default = "model")]
    pub model: String,
    /// Passes over the training texts.
    #[serde(default = "epochs")]
    #[schemars(range(min = 0.1, max = 1000.0))]
    pub epochs: f64,
    /// Texts in a step.
    #[serde(default = "batch_size")]
    #[schemars(range(min = 1))]
    pub batch_size: u64,
    /// Peak learning rate of AdamW.
    #[serde(default = "learning_rate")]
    #[schemars(range(min = 0.0, max = 10.0))]
    pub learning_rate: f64,
    /// Learning rate after the warm-up.
    #[serde(default)]
    pub schedule: Schedule,
    /// Share of the steps in which the learning rate rises from zero.
    #[serde(default = "warmup")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub warmup: f64,
    /// Decoupled weight decay.
    #[serde(default = "weight_decay")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub weight_decay: f64,
    /// Weigh each label by the inverse of its frequency.
    #[serde(default = "yes")]
    pub balanced: bool,
    /// Longest text in tokens.
    #[serde(default = "max_length")]
    #[schemars(range(min = 2, max = 8192))]
    pub max_length: u64,
    /// Share of the training texts held out to choose the best epoch; 0 takes the last.
    #[serde(default = "held_out")]
    #[schemars(range(min = 0.0, max = 0.5))]
    pub held_out: f64,
    /// Inverse strength of the penalty on the bag of words' weights, `C` of scikit-learn; 2 is best for real texts and for prompted labels, 32 for labels by a linear teacher, which are a function of the words.
    #[serde(default = "inverse_penalty")]
    #[schemars(range(min = 1e-6, max = 1e6))]
    pub inverse_penalty: f64,
    /// Learn from the label probabilities that a teacher left beside the texts (`teacher = "soft"` of `sample`), where there are any; the bag of words fits them, an encoder draws a text's label from them anew in each epoch.
    #[serde(default = "yes")]
    pub soft_labels: bool,
    /// Average the probabilities with those of a bag-of-words classifier trained on the same texts.
    #[serde(default)]
    pub ensemble: bool,
}

/// What only changes speed or memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassifyPerformance {
    /// Most tokens (padding included) computed at once.
    #[serde(default = "micro_batch_tokens")]
    #[schemars(range(min = 1))]
    pub micro_batch_tokens: u64,
}

impl Default for ClassifyPerformance {
    fn default() -> Self {
        Self {
            micro_batch_tokens: micro_batch_tokens(),
        }
    }
}

fn model() -> String {
    "builtin:base".into()
}
const fn epochs() -> f64 {
    4.0
}
const fn batch_size() -> u64 {
    32
}
const fn learning_rate() -> f64 {
    3e-4
}
const fn warmup() -> f64 {
    0.1
}
const fn weight_decay() -> f64 {
    0.01
}
const fn yes() -> bool {
    true
}
const fn max_length() -> u64 {
    64
}
const fn held_out() -> f64 {
    0.1
}
const fn inverse_penalty() -> f64 {
    DEFAULT_INVERSE_PENALTY
}
const fn micro_batch_tokens() -> u64 {
    4096
}
