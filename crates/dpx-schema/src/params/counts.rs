//! Parameters of `counts`.

use super::{BudgetParams, Delta, Epsilon, NoiseMode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Releases noisy histograms over declared domains: labels, lengths, label x keyword.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountsParams {
    /// The privacy budget of the released row.
    pub epsilon: Epsilon,
    /// The failure probability of the guarantee.
    #[serde(default)]
    pub delta: Delta,
    /// Public vocabulary of keywords: `builtin:feelings`, `builtin:words` (all common words), or a file of words, one a line; empty: no keyword histogram.
    #[serde(default = "keywords")]
    pub keywords: String,
    /// Where there are several columns of labels: count every combination of their values, or the pairs of values of every two columns, to which combinations are then fitted.
    #[serde(default, skip_serializing_if = "AttributeCounts::is_joint")]
    pub attributes: AttributeCounts,
    /// Most keywords of one text that are counted.
    #[serde(default = "per_text")]
    #[schemars(range(min = 1, max = 100))]
    pub keywords_per_text: u64,
    /// Upper edges of the length histogram, in words; empty: none.
    #[serde(default)]
    pub length_edges: Vec<u64>,
    /// Cells below this many standard deviations of the noise become zero.
    #[serde(default = "threshold")]
    #[schemars(range(min = 0.0, max = 10.0))]
    pub threshold: f64,
    /// Share of the stage's 1/sigma^2 that goes to the label histogram; the rest is spread over the others.
    #[serde(default = "label_share")]
    #[schemars(range(min = 0.001, max = 1.0))]
    pub label_share: f64,
    /// Share that goes to the length histogram where there is one beside keywords; left out: half of what the label histogram leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.001, max = 0.998))]
    pub length_share: Option<f64>,
    /// Where noise comes from.
    #[serde(default)]
    pub noise: NoiseMode,
    /// Keys of this stage whose public input is known to hold texts of the private data, such as `["keywords"]`: without it such an input is refused. Every claim states them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declared_overlap: Vec<String>,
    /// One budget shared with other mechanisms; filled in from `[privacy] split`, never written by hand.
    #[serde(default)]
    #[schemars(skip)]
    pub budget: Option<BudgetParams>,
}

/// What is counted of several columns of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AttributeCounts {
    /// Every combination of values: exact relations, and as many noisy cells as combinations.
    #[default]
    Joint,
    /// Pairs of values of every two columns: fewer cells and so less noise where there are three columns or more.
    Pairwise,
}

impl AttributeCounts {
    /// Whether every combination is counted.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(crate) const fn is_joint(&self) -> bool {
        matches!(self, Self::Joint)
    }
}

fn keywords() -> String {
    "builtin:feelings".into()
}
const fn per_text() -> u64 {
    2
}
const fn threshold() -> f64 {
    2.5
}
const fn label_share() -> f64 {
    0.1
}
