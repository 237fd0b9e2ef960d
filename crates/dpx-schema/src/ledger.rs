//! How a run reaches the ledger, and under which terms.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What may be spent of the same people in all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The most that everything together may cost.
    #[schemars(range(min = 0.0))]
    pub epsilon: f64,
    /// The failure probability at which that is stated: below one over the number of records.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub delta: f64,
}

/// Where runs are entered, and what they say and are held to.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerAccess {
    /// Folder of the ledger, outside the cache.
    pub folder: PathBuf,
    /// Name of the experiment that runs are entered under.
    #[serde(default)]
    pub experiment: String,
    /// The rows that were named for release before anything ran.
    #[serde(default)]
    pub selection: Vec<String>,
    /// What all runs of the same people may cost together; nothing where only releases are held to the budget.
    #[serde(default)]
    pub limit: Option<Budget>,
}

impl From<PathBuf> for LedgerAccess {
    fn from(folder: PathBuf) -> Self {
        Self {
            folder,
            ..Self::default()
        }
    }
}
