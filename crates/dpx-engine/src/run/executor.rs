//! Where workers run: what the runner asks of whoever starts them.

mod call;
mod command;
mod keeper;
mod left;
mod local;
mod lost;
mod options;
mod output;
mod remote;
mod slurm;
mod watch;

pub(super) use left::left_behind;
pub(super) use local::Local;
pub use local::WorkerCommand;
pub use options::{ExecutorOptions, Launch, Remote, Templates, cancel_submissions};

use super::control::Control;
use crate::cache::{Cache, CacheError};
use crate::plan::DeviceNeed;
use dpx_schema::Kind;
use dpx_schema::protocol::{Message, Request};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One instance whose inputs are laid out and whose worker is to be started.
#[derive(Debug)]
pub(super) struct Task<'a> {
    /// Folder of the attempt, which holds `inputs`.
    pub(super) folder: &'a Path,
    /// What the worker is to do.
    pub(super) request: Request,
    /// Where its standard error goes.
    pub(super) log: &'a Path,
    /// Threads that it may use, where it shares this machine.
    pub(super) threads: usize,
}

/// What an executor tells of a worker.
#[derive(Debug)]
pub(super) enum Told {
    /// The worker said something.
    Said(Message),
    /// Where it is: in a queue, on a machine, submitted again.
    Placed(String),
}

/// What came of a worker.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// It ended well, and this folder holds its closing manifest and its output.
    Closed(PathBuf),
    /// It stopped, or was killed, as it was asked to.
    Stopped,
    /// The stage failed, and said why.
    Failed(String),
    /// The process was killed, or crashed.
    Died(String),
}

/// Starts workers and looks after them. One thread of the runner waits in [`Executor::serve`] for each.
pub(super) trait Executor: std::fmt::Debug + Send + Sync {
    /// Workers at once; none: as many as this machine and its devices bear.
    fn places(&self) -> Option<usize> {
        None
    }

    /// The name of the device for a worker, or names as [`dpx_schema::device_list`] puts them, where it is for the machine of the
    /// worker to find out.
    fn device(&self, _need: DeviceNeed) -> Option<String> {
        None
    }

    /// Has a worker do the task; returns when it ended.
    ///
    /// # Errors
    /// When it cannot be started, or not be waited for.
    fn serve(
        &self,
        task: &Task<'_>,
        control: &Control,
        each: &mut dyn FnMut(Told),
    ) -> Result<Served, CacheError>;

    /// Takes over a worker that another runner started for the same key and that lives or waits, or ended well: nothing where
    /// there is none.
    ///
    /// # Errors
    /// When it cannot be waited for.
    fn adopt(
        &self,
        _cache: &Cache,
        _adoption: &Adoption<'_>,
        _control: &Control,
        _each: &mut dyn FnMut(Told),
    ) -> Result<Option<Served>, CacheError> {
        Ok(None)
    }
}

/// What is known of an instance before anything is laid out for it.
#[derive(Debug)]
pub(super) struct Adoption<'a> {
    pub(super) key: dpx_schema::Key,
    pub(super) kind: Kind,
    pub(super) log: &'a Path,
}

pub(super) fn start(
    options: &ExecutorOptions,
    run: &str,
    folder: &Path,
) -> Result<Arc<dyn Executor>, super::RunError> {
    Ok(match options {
        ExecutorOptions::Local(command) => Arc::new(Local(command.clone())),
        ExecutorOptions::Remote(remote) => {
            Arc::new(remote::RemoteExecutor::start(remote, run, folder)?)
        }
    })
}
