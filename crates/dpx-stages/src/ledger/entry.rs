//! One entry, and what a set of entries costs together.

use dpx_accounting::{AccountantError, Certified, DpEvent};
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
    /// What it is planned to do to the data, also if it never finishes.
    pub event: DpEvent,
    /// The failure probability at which its own epsilon is stated.
    pub delta: f64,
}

impl Entry {
    /// Whether the run has a guarantee of its own.
    pub fn is_covered(&self) -> bool {
        !self.event.is_non_private()
    }
}

/// What a set of entries costs when all that has a guarantee is known together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Joint {
    /// The certified upper bound over the covered entries.
    pub certified: Certified,
    /// Entries with a guarantee.
    pub covered: usize,
    /// Entries without: epsilon is infinite for whoever sees their results, so they lie outside the joint guarantee.
    pub outside: usize,
}

/// The joint guarantee at `delta` of everything in `entries` that has one.
///
/// # Errors
/// A parameter in an entry is out of range.
pub fn joint(entries: &[Entry], delta: f64) -> Result<Joint, AccountantError> {
    let covered: Vec<&Entry> = entries.iter().filter(|entry| entry.is_covered()).collect();
    let event = DpEvent::composed(covered.iter().map(|entry| entry.event.clone()));
    let covered = covered.len();
    Ok(Joint {
        certified: event.certified(delta)?,
        covered,
        outside: entries.len() - covered,
    })
}
