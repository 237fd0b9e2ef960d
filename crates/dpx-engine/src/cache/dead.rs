//! What dead processes leave: the staging folders of workers with their inputs, which may be private, and files that never
//! got their final name.

use super::gc::FLOORS;
use super::layout::names;
use super::lock::{TryLock, is_locked};
use super::{Cache, CacheError, TaskFolder};
use dpx_schema::files::is_fresh_name;
use std::path::PathBuf;

/// What an attempt holds besides its output and its closing manifest.
pub(crate) const SCRATCH: [&str; 2] = ["inputs", "temporary"];

impl Cache {
    /// Removes files that never got their final name, unless somebody uses the cache at this moment, and says how many.
    ///
    /// Whoever makes such a file shares the use of the cache until it has its name, or makes another where it is gone. So where
    /// nobody shares it, they are of processes that died.
    ///
    /// # Errors
    /// When something cannot be read or removed.
    pub(crate) fn sweep_temporary(&self) -> Result<usize, CacheError> {
        if self.temporary_files()?.is_empty() {
            return Ok(0);
        }
        let Some(_sole) = self.try_exclude()? else {
            return Ok(0);
        };
        let left = self.temporary_files()?;
        for path in &left {
            self.disk.remove_file(path)?;
        }
        Ok(left.len())
    }

    /// Files on their way to their final name: those of `temporary/`, and others beside what they replace.
    pub(super) fn temporary_files(&self) -> Result<Vec<PathBuf>, CacheError> {
        let temporary = self.layout.folder("temporary");
        let mut files: Vec<PathBuf> = names(&temporary)?
            .iter()
            .map(|name| temporary.join(name))
            .collect();
        let floors = self.layout.folder(FLOORS);
        let mut folders = vec![self.layout.root.clone(), self.layout.folder("ledgers")];
        folders.extend(names(&floors)?.iter().map(|name| floors.join(name)));
        for folder in folders.iter().filter(|folder| folder.is_dir()) {
            let unfinished = |name: &String| {
                is_fresh_name(name.as_ref())
                    || name.starts_with(".format-")
                    || name.starts_with(".tag-")
            };
            let names = names(folder)?.into_iter().filter(unfinished);
            files.extend(names.map(|name| folder.join(name)));
        }
        Ok(files)
    }

    /// Removes what workers that died left in the staging folders of every key that nobody works on, and says of how many
    /// keys. An attempt that was closed keeps its output, and a task for which a worker may still come keeps everything: the
    /// next run of that key adopts them.
    ///
    /// # Errors
    /// When something cannot be read or removed.
    pub(crate) fn sweep_dead(&self) -> Result<usize, CacheError> {
        let staging = self.layout.folder("staging");
        let mut swept = 0;
        for name in names(&staging)? {
            let Ok(key) = name.parse() else { continue };
            let TryLock::Taken(_lock) = self.try_lock(&key, "clearing up after dead workers")?
            else {
                continue;
            };
            // A worker outlives its runner by a moment.
            if is_locked(&self.layout.worker_lock(&key)) {
                continue;
            }
            let folder = staging.join(&name);
            let mut any = false;
            let mut stays = false;
            for attempt in names(&folder)? {
                let attempt = folder.join(attempt);
                let task = TaskFolder::at(attempt.clone());
                if task.is_open() {
                    stays = true;
                    continue;
                }
                let latest = task.latest();
                let holder = latest
                    .as_ref()
                    .map_or(attempt.as_path(), |latest| latest.path());
                if holder.join("closing.json").is_file() {
                    stays = true;
                    for scratch in SCRATCH
                        .iter()
                        .flat_map(|name| [attempt.join(name), holder.join(name)])
                    {
                        if scratch.exists() {
                            any = true;
                            self.disk.remove_folder(&scratch)?;
                        }
                    }
                } else {
                    any = true;
                    self.disk.remove_folder(&attempt)?;
                }
            }
            if !stays {
                self.disk.remove_folder(&folder)?;
            }
            swept += usize::from(any);
        }
        Ok(swept)
    }
}
