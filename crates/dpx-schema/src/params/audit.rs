//! Parameters of `audit`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Estimates a lower bound of epsilon from the canaries of a `train` stage (Steinke, Nasr, Jagielski 2023).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditParams {
    /// One minus the probability that the bound is wrong.
    #[serde(default = "confidence")]
    #[schemars(range(min = 0.5, max = 0.999999))]
    pub confidence: f64,
    /// Share of the canaries for which a guess is made, half of them `in` and half `out`; the most confident ones.
    #[serde(default = "guesses")]
    #[schemars(range(min = 0.01, max = 1.0))]
    pub guesses: f64,
}

const fn confidence() -> f64 {
    0.95
}
const fn guesses() -> f64 {
    0.5
}
