//! What the executor of a run is asked for.

use super::{WorkerCommand, slurm};
use crate::cache::TaskFolder;
use crate::experiment::ExecutorTable;
use crate::run::contract::TaskPlan;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use super::command::Templates;

/// Who starts the workers of a run.
#[derive(Debug, Clone)]
pub enum ExecutorOptions {
    /// This machine; how a worker is started.
    Local(WorkerCommand),
    /// Somebody else, on machines that share the cache's folder.
    Remote(Box<Remote>),
}

/// How somebody else is asked to start workers.
#[derive(Debug, Clone)]
pub enum Launch {
    /// Slurm: one job array for the tasks that are ready together.
    Slurm,
    /// A command line of the experiment file.
    Command(Templates),
}

/// How workers on machines that share the cache's folder are had.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Remote {
    pub launch: Launch,
    /// `[run.executor]` of the experiment file.
    pub table: ExecutorTable,
    /// This program's file, unless the table names another for the machines of the workers.
    pub program: PathBuf,
    /// Workers at once, where [`Options::jobs`](crate::run::Options::jobs) does not say.
    pub places: usize,
    /// Device on the machines of the workers, such as `auto`; or those that a training is divided over.
    pub devices: Vec<String>,
}

impl Remote {
    pub(super) const fn stale(&self) -> Duration {
        Duration::from_secs(self.table.stale_seconds)
    }

    pub(super) const fn poll(&self) -> Duration {
        Duration::from_secs(self.table.poll_seconds)
    }

    /// The command that starts a worker of a plan, but for the index.
    pub(super) fn worker(&self, plan: &Path) -> String {
        use crate::run::shell_word;
        let program = self
            .table
            .program
            .clone()
            .unwrap_or_else(|| shell_word(&self.program.to_string_lossy()));
        format!(
            "{program} worker --plan {} --index",
            shell_word(&plan.to_string_lossy())
        )
    }
}

/// Takes back everything that a run whose runner is gone had submitted: tells the workers to stop, or to go, and the queue to
/// drop what waits. Says what was taken back.
///
/// # Errors
/// What the queue answered, in words.
pub fn cancel_submissions(run_folder: &Path) -> Result<Vec<String>, String> {
    let plans = run_folder.join("plans");
    let mut names = Vec::new();
    let mut open = 0;
    let entries = std::fs::read_dir(&plans).map(|entries| entries.flatten().collect());
    let mut entries: Vec<_> = entries.unwrap_or_default();
    entries.sort_by_key(std::fs::DirEntry::path);
    let mut executor = String::new();
    for entry in entries {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let plan = TaskPlan::read(&path)?;
        let mut any = false;
        for task in plan.tasks {
            let folder = TaskFolder::at(task.folder);
            let Some(submission) = crate::run::contract::read::<crate::run::contract::Submission>(
                &folder.submission(),
            ) else {
                continue;
            };
            if folder.is_open() && submission.name == plan.name {
                // The worker stops at a checkpoint where one is at it; one that comes later goes at once.
                let told = std::fs::write(folder.stop(), b"")
                    .and_then(|()| std::fs::write(folder.withdrawn(), b""));
                told.map_err(|error| {
                    format!("cannot write to `{}`: {error}", folder.path().display())
                })?;
                executor = submission.executor;
                any = true;
                open += 1;
            }
        }
        if any {
            names.push((plan.name, plan.cancel));
        }
    }
    let mut told = Vec::new();
    if open > 0 {
        told.push(if open == 1 {
            "1 worker is told to stop at its next checkpoint".to_owned()
        } else {
            format!("{open} workers are told to stop at their next checkpoint")
        });
    }
    for (name, cancel) in &names {
        if executor == slurm::NAME {
            slurm::cancel_queued(name)?;
        } else if let Some(cancel) = cancel {
            super::command::cancel(cancel, name)?;
        }
        told.push(format!("submission {name}: taken back"));
    }
    Ok(told)
}
