//! Parameters of `select`.

use super::{BudgetParams, Delta, Epsilon, NoiseMode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Lets private texts vote for the texts of a pool, and releases the noisy votes: a `sample` stage that needs the pool and the votes draws the winners. The pool is what another `sample` stage wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SelectParams {
    /// The privacy budget of the released row.
    pub epsilon: Epsilon,
    /// The failure probability of the guarantee.
    #[serde(default)]
    pub delta: Delta,
    /// Public encoder that says which texts are alike: `builtin:encoder` (potion-base-8M), `builtin:base`, `hf:owner/name@revision` or a folder.
    #[serde(default = "encoder")]
    pub encoder: String,
    /// What a private text votes for.
    #[serde(default)]
    pub by: VoteFor,
    /// Clusters of the pool's texts (k-means), with `by = "clusters"`.
    #[serde(default = "clusters")]
    #[schemars(range(min = 2, max = 100000))]
    pub clusters: u64,
    /// Texts of the pool that a private text votes for, with `by = "nearest"`; its vote is divided among them, each getting one over the root of their number.
    #[serde(default = "votes_per_text")]
    #[schemars(range(min = 1, max = 1000))]
    pub votes_per_text: u64,
    /// Where noise comes from.
    #[serde(default)]
    pub noise: NoiseMode,
    /// One budget shared with other mechanisms; filled in from `[privacy] split`, never written by hand.
    #[serde(default)]
    #[schemars(skip)]
    pub budget: Option<BudgetParams>,
}

/// What only changes speed or memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SelectPerformance {
    /// Most tokens (padding included) computed at once.
    #[serde(default = "micro_batch_tokens")]
    #[schemars(range(min = 1))]
    pub micro_batch_tokens: u64,
}

impl Default for SelectPerformance {
    fn default() -> Self {
        Self {
            micro_batch_tokens: micro_batch_tokens(),
        }
    }
}

/// What a private text votes for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VoteFor {
    /// Its label in the cluster of the pool that is nearest to it: few cells with many votes, for utility.
    #[default]
    Clusters,
    /// The nearest texts of the pool that were written for its label: many cells with few votes, for likeness where epsilon is large.
    Nearest,
}

fn encoder() -> String {
    "builtin:encoder".into()
}
const fn clusters() -> u64 {
    1000
}
const fn votes_per_text() -> u64 {
    8
}
const fn micro_batch_tokens() -> u64 {
    8192
}
