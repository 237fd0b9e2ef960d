//! `[privacy]`: one budget for several mechanisms.

use super::{Delta, Epsilon};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The whole budget of a row and all mechanisms that share it: every one of them calibrates the same plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetParams {
    /// The budget of all mechanisms together.
    pub epsilon: Epsilon,
    /// The failure probability of the whole guarantee.
    pub delta: Delta,
    /// The mechanisms by stage name.
    pub components: BTreeMap<String, BudgetComponent>,
}

/// One mechanism of a shared budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetComponent {
    /// Its share of the sum of 1/sigma^2 of the equivalent Gaussian mechanisms.
    pub share: f64,
    /// Kind of the stage: `train`, `teacher` or `counts`.
    pub kind: super::super::Kind,
    /// Resolved parameters of that stage, without its own `budget`.
    pub params: serde_json::Value,
}
