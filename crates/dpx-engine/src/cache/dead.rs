//! What dead workers leave: staged copies of their inputs, which may be private.

use super::layout::names;
use super::lock::{TryLock, is_locked};
use super::{Cache, CacheError, TaskFolder};

/// What an attempt holds besides its output and its closing manifest.
pub(crate) const SCRATCH: [&str; 2] = ["inputs", "temporary"];

impl Cache {
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
