//! `[run.executor]`: who starts the workers of a run, and what they are given.

use super::diagnostic::Code;
use super::template::ExecutorFault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who starts workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExecutorKind {
    /// This machine: workers are processes of the run.
    #[default]
    Local,
    /// Slurm: workers are elements of job arrays.
    Slurm,
    /// A command that starts workers by index, on any machine that shares the cache's folder.
    Command,
}

impl ExecutorKind {
    /// As the file writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Slurm => "slurm",
            Self::Command => "command",
        }
    }
}

/// `[run.executor]`: who starts workers, and what they are given. Nothing here can change a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecutorTable {
    /// Who starts workers. `--executor` goes before it.
    #[serde(default)]
    pub kind: ExecutorKind,
    /// Command line that starts workers, for `kind = "command"`; a shell runs it. With `{index}` it is run once for each worker,
    /// without it once for all of a submission. `{plan}` is the plan file, `{count}` the number of workers, `{last}` the last index
    /// (the first is 0), `{name}` the name of the submission, `{worker}` the command that starts a worker but for its index:
    /// `hq submit --array 0-{last} sh -c '{worker} $HQ_TASK_ID'`.
    #[serde(default)]
    pub submit: Option<String>,
    /// Command line that takes a submission back, for `kind = "command"`; `{name}` is its name.
    #[serde(default)]
    pub cancel: Option<String>,
    /// How a worker calls dpx, such as `apptainer exec --nv dpx.sif dpx`; left out: this program by its path.
    #[serde(default)]
    pub program: Option<String>,
    /// Lines of shell that come before the worker in a Slurm job, such as `module load cuda`.
    #[serde(default)]
    pub setup: Option<String>,
    /// What Slurm is asked for, by kind of stage (`train`, `sample`, ...); `default` holds for kinds and keys that are not named.
    #[serde(default)]
    pub resources: BTreeMap<String, Resources>,
    /// Seconds before the time limit of a Slurm job at which its worker is told to stop at a checkpoint; it goes on in another job.
    #[serde(default = "warning")]
    #[schemars(range(min = 1, max = 65535))]
    pub warning_seconds: u64,
    /// Seconds between two heartbeats of a worker.
    #[serde(default = "heartbeat")]
    #[schemars(range(min = 1, max = 600))]
    pub heartbeat_seconds: u64,
    /// Seconds without a heartbeat after which a worker that nobody else knows anything of counts as dead. Shared file systems may
    /// show files a minute late.
    #[serde(default = "stale")]
    #[schemars(range(min = 2, max = 86400))]
    pub stale_seconds: u64,
    /// Seconds between two questions to the queue.
    #[serde(default = "poll")]
    #[schemars(range(min = 1, max = 3600))]
    pub poll_seconds: u64,
    /// Times that a worker is started again after it vanished (a node failed, it was killed) without having got anywhere.
    #[serde(default = "retries")]
    #[schemars(range(min = 0, max = 100))]
    pub retries: u32,
}

const fn warning() -> u64 {
    120
}

const fn heartbeat() -> u64 {
    5
}

const fn stale() -> u64 {
    300
}

const fn poll() -> u64 {
    10
}

const fn retries() -> u32 {
    2
}

impl Default for ExecutorTable {
    fn default() -> Self {
        Self {
            kind: ExecutorKind::default(),
            submit: None,
            cancel: None,
            program: None,
            setup: None,
            resources: BTreeMap::new(),
            warning_seconds: warning(),
            heartbeat_seconds: heartbeat(),
            stale_seconds: stale(),
            poll_seconds: poll(),
            retries: retries(),
        }
    }
}

/// `[run.executor.resources.KIND]`: what one worker is given.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Partition, or several with commas between them.
    #[serde(default)]
    pub partition: Option<String>,
    /// Time limit as Slurm writes it: minutes, `hours:minutes:seconds`, or `days-hours:minutes:seconds`.
    #[serde(default)]
    pub time: Option<String>,
    /// Memory of the node, such as `16G`.
    #[serde(default)]
    pub memory: Option<String>,
    /// GPUs for each worker.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1024))]
    pub gpus: Option<u64>,
    /// Processors for each worker.
    #[serde(default)]
    #[schemars(range(min = 1, max = 4096))]
    pub cpus: Option<u64>,
    /// Account that the time is charged to.
    #[serde(default)]
    pub account: Option<String>,
    /// Further arguments of sbatch, such as `["--qos=long", "--constraint=a100"]`.
    #[serde(default)]
    pub arguments: Vec<String>,
}

impl ExecutorTable {
    /// What is wrong with the times of a table: a worker that lives must have time for a sign of it.
    pub(crate) fn times_fault(heartbeat_seconds: u64, stale_seconds: u64) -> Option<ExecutorFault> {
        (stale_seconds <= heartbeat_seconds).then(|| ExecutorFault {
            what: format!(
                "`stale_seconds` is {stale_seconds} and `heartbeat_seconds` is {heartbeat_seconds}: every worker would count as \
                 dead between two heartbeats"
            ),
            help: format!(
                "raise `stale_seconds` to several heartbeats, such as {}, or lower `heartbeat_seconds`",
                heartbeat_seconds.saturating_mul(6)
            ),
            code: Code::Conflict,
        })
    }

    /// Key of [`ExecutorTable::resources`] that holds for all kinds.
    pub(crate) const DEFAULT: &'static str = "default";

    /// What a worker of a kind is given: what the kind says, and what `default` says beside it.
    pub fn resources(&self, kind: &str) -> Resources {
        let rest = self
            .resources
            .get(Self::DEFAULT)
            .cloned()
            .unwrap_or_default();
        let Some(own) = self.resources.get(kind).cloned() else {
            return rest;
        };
        Resources {
            partition: own.partition.or(rest.partition),
            time: own.time.or(rest.time),
            memory: own.memory.or(rest.memory),
            gpus: own.gpus.or(rest.gpus),
            cpus: own.cpus.or(rest.cpus),
            account: own.account.or(rest.account),
            arguments: rest.arguments.into_iter().chain(own.arguments).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_what_it_says_and_the_default_beside_it() {
        let table: ExecutorTable = serde_json::from_value(serde_json::json!({
            "kind": "slurm",
            "resources": {
                "default": { "partition": "cpu", "time": "10", "arguments": ["--qos=a"] },
                "train": { "partition": "gpu", "gpus": 1, "arguments": ["--exclusive"] },
            },
        }))
        .unwrap();
        assert_eq!(table.resources("sample").partition.as_deref(), Some("cpu"));
        let train = table.resources("train");
        assert_eq!(train.partition.as_deref(), Some("gpu"));
        assert_eq!(train.time.as_deref(), Some("10"));
        assert_eq!(train.gpus, Some(1));
        assert_eq!(train.arguments, ["--qos=a", "--exclusive"]);
    }

    #[test]
    fn a_worker_has_time_for_a_sign_of_life() {
        let fault = ExecutorTable::times_fault(10, 5).unwrap();
        assert!(fault.what.contains("`stale_seconds` is 5"), "{fault:?}");
        assert!(ExecutorTable::times_fault(5, 5).is_some());
        let table = ExecutorTable::default();
        let own = ExecutorTable::times_fault(table.heartbeat_seconds, table.stale_seconds);
        assert_eq!(own, None);
    }
}
