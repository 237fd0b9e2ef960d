//! What happens in a run, as the journal, `--json` and the displays are told.

use crate::cache::Owner;
use crate::plan::Reason;
use dpx_schema::progress::ProgressUpdate;
use dpx_schema::{Digest, InstanceName, Key};
use serde::Serialize;
use std::path::PathBuf;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every instance that was asked for has a record.
    Done,
    /// At least one instance failed.
    Failed,
    /// An interrupt stopped it before everything asked for was there.
    Interrupted,
}

/// Where a finished instance's artifact came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// A worker of this run made it.
    Ran,
    /// A worker of a run that died had finished it; this run committed it.
    Adopted,
    /// Another run made it while this one waited.
    Reused,
    /// It came from the remote cache.
    Pulled,
}

/// The state of an instance when the run began.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Planned {
    /// Such as `train@epsilon=8`.
    pub instance: InstanceName,
    /// `cached`, `run`, `only-if`, or `not-asked`.
    pub state: &'static str,
    /// Its key, where every input is known.
    pub key: Option<Key>,
    /// Seconds it took in the previous run.
    pub estimate: Option<f64>,
}

/// What the journal, `--json` and the displays are told; fields that their names do not explain are described.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub enum Event {
    /// The run began; its decisions are taken.
    RunStarted {
        run: String,
        experiment: String,
        dpx_version: &'static str,
        /// Process id of the runner on `host`.
        pid: u32,
        host: String,
        /// Workers at once, at most.
        jobs: usize,
        /// Names of the devices: of this machine, or those that the executor asks for.
        devices: Vec<String>,
        /// In the plan's order.
        instances: Vec<Planned>,
    },
    /// The inputs of an instance that might have run did not change: it is cached.
    Unchanged { instance: InstanceName, key: Key },
    /// Another process works on the instance; this run waits for it.
    Waiting {
        instance: InstanceName,
        key: Key,
        /// Who that is, where it could be read.
        owner: Option<Owner>,
    },
    /// A worker starts on an instance.
    Started {
        instance: InstanceName,
        key: Key,
        reasons: Vec<Reason>,
        /// Name of the device; none where no tensors are computed.
        device: Option<String>,
        log: PathBuf,
    },
    /// Where the worker of an instance is, where another machine runs it: in a queue, on a node, submitted again.
    Placed {
        instance: InstanceName,
        /// In words; also why the artifact was not taken from the remote cache, or not shared.
        place: String,
    },
    /// A worker said how far it is.
    Progress {
        instance: InstanceName,
        /// How far it is, with what it measured.
        #[serde(flatten)]
        update: ProgressUpdate,
    },
    /// A line of an instance's log.
    Log {
        instance: InstanceName,
        line: String,
    },
    /// A cached file was damaged; it was set aside and is rebuilt.
    Damaged {
        /// The instance that made it and will run again.
        instance: InstanceName,
        what: String,
    },
    /// An instance has its record.
    Finished {
        instance: InstanceName,
        key: Key,
        how: Finish,
        /// Digest of the artifact's content.
        output: Digest,
        /// Seconds that the worker took which made the artifact.
        seconds: f64,
    },
    /// The worker of an instance failed, was lost, or could not be started.
    Failed {
        instance: InstanceName,
        key: Key,
        reason: String,
        log: PathBuf,
        /// The last lines of the log.
        last_lines: Vec<String>,
        /// The command that re-runs just it.
        command: String,
    },
    /// An instance stopped at a checkpoint, or was killed, because the run was interrupted.
    Stopped { instance: InstanceName },
    /// A signal asked the run to stop.
    Interrupted {
        /// 1: workers are asked to stop at a checkpoint; 2: they are killed.
        count: u32,
    },
    /// The last line of a run whose runner did not die.
    RunFinished {
        outcome: Outcome,
        /// Instances that a worker of this run made.
        ran: usize,
        /// Instances that were there already, were adopted, reused or pulled from the remote cache.
        cached: usize,
        failed: Vec<InstanceName>,
        /// Instances that were not run because something they need failed or the run stopped.
        not_run: Vec<InstanceName>,
        /// Seconds from start to end.
        seconds: f64,
    },
}

impl Event {
    /// Version of the lines of the journal and of `--json`.
    pub const VERSION: u32 = 2;
}

/// An event with version and time, as the journal and `--json` write it.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub(crate) struct Stamped<'a> {
    /// [`Event::VERSION`], so that readers can tell lines of other versions.
    pub v: u32,
    /// When it happened, RFC 3339, to the millisecond.
    pub time: String,
    #[serde(flatten)]
    pub event: &'a Event,
}

impl<'a> Stamped<'a> {
    /// Stamps an event with the present time.
    pub(crate) fn now(event: &'a Event) -> Self {
        Self {
            v: Event::VERSION,
            time: now(),
            event,
        }
    }
}

/// The time, RFC 3339, to the millisecond.
pub(super) fn now() -> String {
    crate::clock::now()
        .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
        .to_string()
}
