//! What runner and worker leave for each other in files, where the runner does not start the worker itself.
//!
//! The queue of a cluster is asked where a job is; whether its work is done is read here.

use dpx_schema::files::{write_swapped, write_whole};
use dpx_schema::{Digest, InstanceName, Key};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// Version of these files.
pub(super) const CONTRACT: u32 = 1;

/// The tasks of one submission, one for each index. Written once, then only read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskPlan {
    /// [`CONTRACT`].
    pub(super) version: u32,
    pub(super) run: String,
    pub(super) name: String,
    /// Version of the dpx that made it.
    pub(super) dpx_version: String,
    /// Digest of the program that made it: a worker of another build is refused.
    pub(super) program: Digest,
    /// Folder from which relative paths of the experiment start.
    pub(super) folder: PathBuf,
    /// Seconds between two heartbeats.
    pub(super) heartbeat_seconds: f64,
    /// Seconds without a heartbeat after which a worker counts as dead.
    pub(super) stale_seconds: f64,
    /// Command line that takes the submission back, where it came by one.
    pub(super) cancel: Option<String>,
    /// The tasks, by index.
    pub(super) tasks: Vec<TaskEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskEntry {
    pub(super) instance: InstanceName,
    pub(super) key: Key,
    pub(super) folder: PathBuf,
    /// Digest of its request file.
    pub(super) request: Digest,
    /// Where the worker's standard error goes.
    pub(super) log: PathBuf,
}

/// A plan as it stands in its file.
#[derive(Debug, Serialize, Deserialize)]
struct Envelope<T> {
    plan: T,
    blake3: Digest,
}

impl TaskPlan {
    /// Writes the plan to a file that must not exist; gives back its digest.
    pub(super) fn write(&self, path: &Path) -> io::Result<Digest> {
        if path.exists() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "a plan is never changed",
            ));
        }
        let blake3 = Digest::of(&serde_json::to_vec(self)?);
        let envelope = Envelope { plan: self, blake3 };
        write_whole(path, &serde_json::to_vec_pretty(&envelope)?)?;
        Ok(blake3)
    }

    /// Reads a plan and checks it against its digest.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let wrong = |what: String| format!("the plan `{}` {what}", path.display());
        let bytes =
            std::fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let envelope: Envelope<Self> = serde_json::from_slice(&bytes)
            .map_err(|error| wrong(format!("does not fit: {error}")))?;
        let plan = envelope.plan;
        let found = serde_json::to_vec(&plan).map(|bytes| Digest::of(&bytes));
        if !found.is_ok_and(|found| found == envelope.blake3) {
            return Err(wrong(
                "was changed after it was written: start the run again".to_owned(),
            ));
        }
        if plan.version != CONTRACT {
            return Err(wrong(format!(
                "has version {}: expected {CONTRACT}; start workers with the dpx that runs the experiment",
                plan.version
            )));
        }
        Ok(plan)
    }
}

/// Who was asked to start the worker of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Submission {
    /// [`CONTRACT`].
    pub(super) version: u32,
    pub(super) executor: String,
    /// Name of the submission, by which it is found where the answer to it was lost.
    pub(super) name: String,
    /// Number of the job, once it is known.
    pub(super) job: Option<String>,
    /// Index in the submission.
    pub(super) index: usize,
    /// Submissions of this task so far that ended without a result and without progress.
    pub(super) losses: u32,
}

/// Who works on a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    /// [`CONTRACT`].
    pub(super) version: u32,
    pub(super) host: String,
    pub(super) pid: u32,
    /// Name of the submission that it came by.
    pub(super) submission: String,
    /// What the scheduler calls it, where there is one.
    pub(super) job: Option<String>,
    /// Since when, RFC 3339.
    pub(super) since: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "lowercase")]
pub(super) enum AttemptEnd {
    /// The artifact is whole, and its closing manifest stands.
    Closed,
    Failed {
        reason: String,
    },
    /// The worker's process was killed, or crashed.
    Died {
        reason: String,
    },
    Stopped,
}

/// A file of this contract; nothing where it is not there or torn.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Writes a file of this contract, whole or not at all.
pub(super) fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    write_swapped(path, &serde_json::to_vec(value)?)
}

pub(super) fn digest_of(path: &Path) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(std::fs::File::open(path)?)?;
    Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_was_changed_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("plan.json");
        let plan = TaskPlan {
            version: CONTRACT,
            run: "run".into(),
            name: "dpx-run-0".into(),
            dpx_version: "0.1.0".into(),
            program: Digest::of(b"program"),
            folder: place.path().to_owned(),
            heartbeat_seconds: 5.0,
            stale_seconds: 180.0,
            cancel: None,
            tasks: vec![TaskEntry {
                instance: "train@epsilon=8".into(),
                key: Digest::of(b"key"),
                folder: place.path().join("task"),
                request: Digest::of(b"request"),
                log: place.path().join("log"),
            }],
        };
        plan.write(&path).unwrap();
        assert_eq!(TaskPlan::read(&path).unwrap(), plan);
        assert!(plan.write(&path).is_err(), "written once");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("epsilon=8", "epsilon=9")).unwrap();
        let told = TaskPlan::read(&path).unwrap_err();
        assert!(told.contains("was changed"), "{told}");
        std::fs::write(&path, &text[..text.len() / 2]).unwrap();
        assert!(TaskPlan::read(&path).unwrap_err().contains("does not fit"));
    }
}
