//! What runner and worker say to each other.
//!
//! The runner writes a request file; the worker prints one [`Message`] per line on standard output and, when its output is
//! whole, a [`Closing`] manifest beside it. Lines on the worker's standard input are commands: `stop` asks it to end at the
//! next checkpoint; the end of the input means that the runner is gone.

use crate::progress::ProgressUpdate;
use crate::{InstanceName, Key, Kind, LedgerAccess, Manifest, ReleaseLabel};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Version of requests, messages and closing manifests. A worker refuses requests of another version.
pub const PROTOCOL: u32 = 4;

/// The line on standard input that asks a worker to stop.
pub const STOP: &str = "stop";

/// Exit code of a worker that stopped at a checkpoint, as asked.
pub const INTERRUPTED: i32 = 75;

/// Exit code of a worker whose stage failed and said why.
pub const FAILED: i32 = 1;

/// An artifact that a worker may read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct RequestInput {
    /// Kind of the stage that made it.
    pub kind: Kind,
    /// Folder with a verified, read-only copy.
    pub path: PathBuf,
    /// Digest of its content, hexadecimal.
    pub digest: String,
    pub flow: ReleaseLabel,
}

/// Everything that a worker is told: the content of its request file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Request {
    /// Version of this contract: [`PROTOCOL`] of the runner.
    pub protocol: u32,
    /// Version of the dpx that asks.
    pub dpx_version: String,
    /// Process of the runner, where the worker runs on the same machine: its death ends the worker.
    pub runner: Option<u32>,
    pub instance: InstanceName,
    pub kind: Kind,
    pub key: Key,
    /// Resolved parameters that can change the result.
    pub params: Value,
    /// Parameters that only change speed.
    pub performance: Value,
    /// By name of the stage that made them.
    pub inputs: BTreeMap<String, RequestInput>,
    /// Identity of each model and dataset when the run began, by parameter.
    pub sources: BTreeMap<String, String>,
    pub seed: u64,
    /// Device, as [`crate::Device`] prints it; of a training that is divided all of them, as [`crate::device_list`] does.
    pub device: String,
    /// Folder for the artifact, empty at the start.
    pub output: PathBuf,
    /// Folder for checkpoints, which the next attempt finds again.
    pub state: PathBuf,
    /// Folder for secret keys of all caches.
    pub secrets: PathBuf,
    /// Identity of the cache, whatever its path: secret keys of unfinished runs belong to it.
    pub cache: String,
    /// The ledger, and what a run says there.
    pub ledger: LedgerAccess,
    /// Lock that the worker holds for its life.
    pub lock: PathBuf,
    /// The file that [`Closing`] is written to.
    pub closing: PathBuf,
}

/// What a worker leaves when its output is whole; enough for another runner to commit it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Closing {
    /// Version of this contract: [`PROTOCOL`] of the worker.
    pub protocol: u32,
    pub key: Key,
    /// The files in the output folder.
    pub output: Manifest,
    /// Seconds from the start to the end of the stage.
    pub wall_seconds: f64,
    /// The device that really ran; of a training that was divided all of them, as [`crate::device_list`] prints them.
    pub device: String,
    /// Version of the dpx that ran.
    pub dpx_version: String,
    /// End of the stage, RFC 3339.
    pub finished_at: String,
}

/// One line of a worker's standard output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub enum Message {
    /// How far the stage is.
    Progress(ProgressUpdate),
    /// A line for the log of the instance.
    Log { line: String },
    /// The stage failed; the worker ends with [`FAILED`].
    Failed {
        /// For the user: what went wrong, and what to do.
        reason: String,
    },
}
