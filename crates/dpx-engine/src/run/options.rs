//! What a run is asked for, and what it can fail with before anything runs.

use super::ExecutorOptions;
use crate::cache::{CacheError, Remote};
use dpx_schema::{Device, LedgerAccess};
use std::path::PathBuf;

/// What a run is asked for; nothing here can change a result.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Options {
    /// Workers at once; none: as many as there are device slots, and one or more beside them.
    pub jobs: Option<usize>,
    /// Devices, each with `device_slots` slots.
    pub devices: Vec<Device>,
    /// Whether a training is divided over all devices, instead of one for each worker.
    pub divided: bool,
    /// Workers that may share one device.
    pub device_slots: usize,
    /// Go on with what does not depend on a failure.
    pub keep_going: bool,
    /// Stages or instances that run even where they are cached.
    pub force: Vec<String>,
    /// Stages or instances to run, with what they need; empty: all.
    pub only: Vec<String>,
    /// A cache that this one shares with other machines.
    pub remote: Option<Remote>,
    /// Folder for secret keys, outside the cache.
    pub secrets: PathBuf,
    /// The ledger, outside the cache, and what runs say there.
    pub ledger: LedgerAccess,
    pub executor: ExecutorOptions,
    /// The command line up to `--only`, for the command that re-runs one instance.
    pub command: String,
}

/// Why a run could not be begun or had to be given up.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum RunError {
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// `--force` or `--only` names nothing in the plan.
    #[error("`{option} {name}` names no stage and no instance: expected one of {}", list(.known))]
    UnknownName {
        option: &'static str,
        name: String,
        known: Vec<String>,
    },
    /// A number of workers or slots that lets nothing run.
    #[error("`{option} 0` lets nothing run: expected at least 1")]
    Zero { option: &'static str },
    /// A public input holds private texts, and the experiment file does not say so.
    #[error(
        "public inputs hold private texts, which no guarantee would protect; nothing was run:{lines}"
    )]
    Overlap {
        /// Which, with line numbers and what to do.
        lines: String,
    },
    /// Private texts whose artifact is cached cannot be read again to be compared with a public input.
    #[error(
        "the public inputs cannot be compared with the private texts of `{stage}`: {reason}; nothing was run"
    )]
    NotCompared { stage: String, reason: String },
    /// Whoever is to start the workers cannot be used.
    #[error("{reason}")]
    Executor { reason: String },
    /// A folder outside the cache cannot be made.
    #[error("cannot make the folder `{}`: {source}", path.display())]
    Folder {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl RunError {
    /// Whether the arguments are at fault, not the machine.
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::UnknownName { .. } | Self::Zero { .. } | Self::Overlap { .. }
        )
    }
}

fn list(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
