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
    /// Everything asked for is there.
    Done,
    /// A stage failed.
    Failed,
    /// It was interrupted.
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
    /// Instance name.
    pub instance: InstanceName,
    /// `cached`, `run`, `only-if`, or `not-asked`.
    pub state: &'static str,
    /// Its key, where every input is known.
    pub key: Option<Key>,
    /// Seconds it took in the previous run.
    pub estimate: Option<f64>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run began; its decisions are taken.
    RunStarted {
        /// Name of the run.
        run: String,
        /// Name of the experiment.
        experiment: String,
        /// Version of dpx.
        dpx_version: &'static str,
        /// Process of the runner.
        pid: u32,
        /// Its machine.
        host: String,
        /// Workers at most.
        jobs: usize,
        /// Device slots.
        devices: Vec<String>,
        /// Every instance.
        instances: Vec<Planned>,
    },
    /// The inputs of an instance that might have run did not change: it is cached.
    Unchanged {
        /// Instance name.
        instance: InstanceName,
        /// Its key.
        key: Key,
    },
    /// Another process works on the instance; this run waits for it.
    Waiting {
        /// Instance name.
        instance: InstanceName,
        /// Its key.
        key: Key,
        /// Who that is, where it could be read.
        owner: Option<Owner>,
    },
    /// An instance begins.
    Started {
        /// Instance name.
        instance: InstanceName,
        /// Its key.
        key: Key,
        /// Why it runs.
        reasons: Vec<Reason>,
        /// Its device.
        device: Option<String>,
        /// Its log.
        log: PathBuf,
    },
    /// Where the worker of an instance is, where another machine runs it: in a queue, on a node, submitted again.
    Placed {
        /// Instance name.
        instance: InstanceName,
        /// Where, in words.
        place: String,
    },
    /// An instance got somewhere.
    Progress {
        /// Instance name.
        instance: InstanceName,
        /// How far it is, with what it measured.
        #[serde(flatten)]
        update: ProgressUpdate,
    },
    /// A line of an instance's log.
    Log {
        /// Instance name.
        instance: InstanceName,
        /// The line.
        line: String,
    },
    /// A cached file was damaged; it was set aside and is rebuilt.
    Damaged {
        /// The instance that made it and will run again.
        instance: InstanceName,
        /// What is wrong.
        what: String,
    },
    /// An instance is done.
    Finished {
        /// Instance name.
        instance: InstanceName,
        /// Its key.
        key: Key,
        /// Where the artifact came from.
        how: Finish,
        /// Digest of the artifact's content.
        output: Digest,
        /// Seconds that its worker took.
        seconds: f64,
    },
    /// An instance failed.
    Failed {
        /// Instance name.
        instance: InstanceName,
        /// Its key.
        key: Key,
        /// Why.
        reason: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        last_lines: Vec<String>,
        /// The command that re-runs just it.
        command: String,
    },
    /// An instance stopped at a checkpoint, or was killed, because the run was interrupted.
    Stopped {
        /// Instance name.
        instance: InstanceName,
    },
    /// An interrupt arrived.
    Interrupted {
        /// 1: workers are asked to stop at a checkpoint; 2: they are killed.
        count: u32,
    },
    /// The run ended.
    RunFinished {
        /// How.
        outcome: Outcome,
        /// Instances that a worker of this run made.
        ran: usize,
        /// Instances that were there already, were adopted, reused or pulled from the remote cache.
        cached: usize,
        /// Instances that failed.
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
pub struct Stamped<'a> {
    /// [`Event::VERSION`].
    pub v: u32,
    /// When, RFC 3339.
    pub time: String,
    /// What.
    #[serde(flatten)]
    pub event: &'a Event,
}

impl<'a> Stamped<'a> {
    /// The event, happening now.
    pub fn now(event: &'a Event) -> Self {
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
