//! One entry, and what a set of entries costs together.

use crate::dp::accountant::{AccountantError, Certified, Phase, certified_upper};
use serde::{Deserialize, Serialize};

/// One started private run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Random identity of the run: a resumed run keeps it, a run started anew has another.
    pub run: String,
    /// Key of the stage instance, hexadecimal.
    pub key: String,
    /// The instance's name, such as `train@epsilon=8`.
    pub instance: String,
    /// Everything it does to the data; the whole plan, also if it never finishes. Empty: without any guarantee.
    pub phases: Vec<Phase>,
    /// The failure probability at which its own epsilon is stated.
    pub delta: f64,
}

/// The certified upper bound of epsilon at `delta` when everything in `entries` is known together.
///
/// An entry without phases has no guarantee, and neither has the whole.
///
/// # Errors
/// A parameter in an entry is out of range.
pub fn joint_epsilon(entries: &[Entry], delta: f64) -> Result<Certified, AccountantError> {
    let mut phases: Vec<Phase> = entries
        .iter()
        .flat_map(|entry| entry.phases.iter().copied())
        .collect();
    if entries.iter().any(|entry| entry.phases.is_empty()) {
        phases.push(Phase::gaussian(0.0));
    }
    certified_upper(&phases, delta)
}
