//! Workers that somebody else starts: the executor that hands out tasks and watches what workers leave in files.

use super::command::Commands;
use super::keeper::{Keeper, Launcher};
use super::lost::Asked;
use super::options::{Launch, Remote};
use super::slurm::Slurm;
use super::watch::Watch;
use super::{Adoption, Executor, Served, Task, Told};
use crate::cache::{Cache, CacheError, TaskFolder};
use crate::plan::DeviceNeed;
use crate::run::RunError;
use crate::run::contract::{Submission, TaskEntry, digest_of, read};
use crate::run::control::Control;
use dpx_schema::protocol::Request;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Hands out tasks and watches them.
#[derive(Debug)]
pub(super) struct RemoteExecutor {
    remote: Remote,
    launcher: Arc<dyn Launcher>,
    keeper: Keeper,
}

impl RemoteExecutor {
    pub(super) fn start(remote: &Remote, run: &str, folder: &Path) -> Result<Self, RunError> {
        let unusable = |reason: String| RunError::Executor { reason };
        let program = digest_of(&remote.program).map_err(|error| {
            unusable(format!(
                "cannot read this program `{}`: {error}",
                remote.program.display()
            ))
        })?;
        let launcher: Arc<dyn Launcher> = match &remote.launch {
            Launch::Slurm => Arc::new(Slurm::find(remote.clone()).map_err(unusable)?),
            Launch::Command(templates) => {
                Arc::new(Commands::new(templates.clone(), remote.clone()))
            }
        };
        let keeper = Keeper::start(remote, Arc::clone(&launcher), run, folder, program);
        Ok(Self {
            remote: remote.clone(),
            launcher,
            keeper,
        })
    }

    fn watch<'a>(
        &'a self,
        task: &'a TaskFolder,
        entry: &'a TaskEntry,
        kind: &'a str,
        losses: u32,
        control: &'a Control,
    ) -> Watch<'a> {
        let resources = self.remote.table.resources(kind);
        Watch {
            remote: &self.remote,
            launcher: &*self.launcher,
            keeper: &self.keeper,
            task,
            entry,
            kind,
            asked: Asked {
                time: resources.time.clone(),
                memory: resources.memory.clone(),
            },
            resources,
            control,
            losses,
        }
    }
}

impl Executor for RemoteExecutor {
    fn places(&self) -> Option<usize> {
        Some(self.remote.places)
    }

    fn device(&self, need: DeviceNeed) -> Option<String> {
        let names = &self.remote.devices;
        Some(match need {
            DeviceNeed::All => names.join(", "),
            DeviceNeed::None | DeviceNeed::One => names.first()?.clone(),
        })
    }

    fn serve(
        &self,
        task: &Task<'_>,
        control: &Control,
        each: &mut dyn FnMut(Told),
    ) -> Result<Served, CacheError> {
        let folder = TaskFolder::at(absolute(task.folder));
        let path = folder.request();
        let mut request = task.request.clone();
        request.runner = None;
        super::local::write_request(&request, &path)
            .map_err(CacheError::io("write the request", &path))?;
        let entry = TaskEntry {
            instance: request.instance.clone(),
            key: request.key,
            folder: folder.path().to_owned(),
            request: digest_of(&path).map_err(CacheError::io("read the request", &path))?,
            log: absolute(task.log),
        };
        let kind = request.kind.name();
        let watch = self.watch(&folder, &entry, kind, 0, control);
        watch.enqueue(0);
        let served = watch.run(each);
        self.keeper.forget(&folder);
        served
    }

    fn adopt(
        &self,
        cache: &Cache,
        adoption: &Adoption<'_>,
        control: &Control,
        each: &mut dyn FnMut(Told),
    ) -> Result<Option<Served>, CacheError> {
        let Some((folder, submission)) = self.left(&cache.staging(&adoption.key)) else {
            return Ok(None);
        };
        let path = folder.request();
        let (Some(request), Ok(digest)) = (read::<Request>(&path), digest_of(&path)) else {
            return Ok(None);
        };
        let entry = TaskEntry {
            instance: request.instance,
            key: adoption.key,
            folder: folder.path().to_owned(),
            request: digest,
            log: absolute(adoption.log),
        };
        self.keeper.take_over(&folder, submission.clone());
        each(Told::Placed(format!(
            "taken over from an earlier run, submitted as {}",
            submission.name
        )));
        let watch = self.watch(
            &folder,
            &entry,
            adoption.kind.name(),
            submission.losses,
            control,
        );
        let served = watch.run(each);
        self.keeper.forget(&folder);
        served.map(Some)
    }
}

impl RemoteExecutor {
    /// The task of an earlier run that is worth waiting for: one that a worker took, or that the queue can be asked about.
    fn left(&self, staging: &Path) -> Option<(TaskFolder, Submission)> {
        let entries = std::fs::read_dir(staging).ok()?;
        let mut folders: Vec<TaskFolder> = entries
            .flatten()
            .map(|entry| TaskFolder::at(absolute(&entry.path())))
            .collect();
        folders.sort();
        folders.into_iter().rev().find_map(|folder| {
            let submission: Submission = read(&folder.submission())?;
            let ours = submission.executor == self.launcher.name();
            let taken = folder.latest().is_some();
            let useful = folder.is_open() && (taken || self.launcher.can_look_up());
            (ours && useful).then_some((folder, submission))
        })
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
