//! The folder of one task: what a runner hands to a worker that it does not start itself, and what the worker leaves there.
//!
//! ```text
//! staging/KEY/TASK/
//!   request.json        what the worker is to do; never changed
//!   inputs/             verified copies of what it reads
//!   submission.json     who was asked to start the worker, under which name; written before it is asked
//!   stop                the worker is to stop at its next checkpoint
//!   withdrawn           nobody wants the result any more
//!   attempts/N/         made by a worker that takes the task; the highest number counts, results of lower ones are refused
//!     claim.json        who that is
//!     heartbeat         rewritten while it lives
//!     messages.jsonl    what it says
//!     output/           the artifact
//!     closing.json      the closing manifest of a finished artifact
//!     end.json          how it ended
//! ```

use super::layout::names;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TaskFolder(PathBuf);

impl TaskFolder {
    pub(crate) const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn request(&self) -> PathBuf {
        self.0.join("request.json")
    }

    pub(crate) fn submission(&self) -> PathBuf {
        self.0.join("submission.json")
    }

    pub(crate) fn stop(&self) -> PathBuf {
        self.0.join("stop")
    }

    pub(crate) fn withdrawn(&self) -> PathBuf {
        self.0.join("withdrawn")
    }

    fn attempts_folder(&self) -> PathBuf {
        self.0.join("attempts")
    }

    /// The attempts by number, in order; none where no worker came yet or the folder cannot be read.
    pub(crate) fn attempts(&self) -> Vec<AttemptFolder> {
        let folder = self.attempts_folder();
        let mut numbers: Vec<u32> = names(&folder)
            .unwrap_or_default()
            .iter()
            .filter_map(|name| name.parse().ok())
            .collect();
        numbers.sort_unstable();
        numbers
            .into_iter()
            .map(|number| self.attempt(number))
            .collect()
    }

    pub(crate) fn attempt(&self, number: u32) -> AttemptFolder {
        AttemptFolder {
            number,
            path: self.attempts_folder().join(number.to_string()),
        }
    }

    /// The attempt that counts.
    pub(crate) fn latest(&self) -> Option<AttemptFolder> {
        self.attempts().pop()
    }

    /// Takes the task: makes the folder of the next attempt. Of several workers that do so at once, one wins.
    ///
    /// # Errors
    /// `AlreadyExists` for the others; or the folder cannot be made.
    pub(crate) fn take(&self) -> std::io::Result<AttemptFolder> {
        std::fs::create_dir_all(self.attempts_folder())?;
        let number = self.latest().map_or(1, |latest| latest.number + 1);
        let attempt = self.attempt(number);
        std::fs::create_dir(&attempt.path)?;
        Ok(attempt)
    }

    /// Whether a worker may still come for it, or is at it.
    pub(crate) fn is_open(&self) -> bool {
        self.submission().is_file()
            && !self.withdrawn().exists()
            && self.latest().is_none_or(|latest| !latest.end().is_file())
    }
}

/// The folder of one worker's attempt at a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AttemptFolder {
    pub(crate) number: u32,
    path: PathBuf,
}

impl AttemptFolder {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn claim(&self) -> PathBuf {
        self.path.join("claim.json")
    }

    pub(crate) fn heartbeat(&self) -> PathBuf {
        self.path.join("heartbeat")
    }

    pub(crate) fn messages(&self) -> PathBuf {
        self.path.join("messages.jsonl")
    }

    pub(crate) fn end(&self) -> PathBuf {
        self.path.join("end.json")
    }
}

/// The folders below a staging folder that may hold a closing manifest and an output: of the attempts that count.
pub(crate) fn closed_attempts(staging: &Path) -> Vec<PathBuf> {
    let attempts = names(staging).unwrap_or_default();
    let folders = attempts.iter().map(|name| {
        let folder = staging.join(name);
        match TaskFolder::at(folder.clone()).latest() {
            Some(latest) => latest.path,
            None => folder,
        }
    });
    folders
        .filter(|folder| folder.join("closing.json").is_file())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_workers_that_come_at_once_one_takes_the_task_and_the_last_counts() {
        let place = tempfile::tempdir().unwrap();
        let staging = place.path().join("KEY");
        let task = TaskFolder::at(staging.join("task"));
        let taken: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| task.take())).collect();
            threads.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let mut numbers: Vec<u32> = taken.iter().flatten().map(|one| one.number).collect();
        let won = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), won, "no number is given twice");
        assert!(won >= 1);
        let first = task.attempt(1);
        std::fs::write(first.path().join("closing.json"), "{}").unwrap();
        let last = task.take().unwrap();
        assert_eq!(closed_attempts(&staging), Vec::<PathBuf>::new(), "late");
        std::fs::write(last.path().join("closing.json"), "{}").unwrap();
        assert_eq!(closed_attempts(&staging), [last.path()]);
    }
}
