//! The standard cache folder: blobs by digest, a snapshot of links per commit, branches, locks; shared with Python.
//!
//! ```text
//! models--OWNER--NAME/blobs/DIGEST
//! models--OWNER--NAME/refs/BRANCH                  the commit
//! models--OWNER--NAME/snapshots/COMMIT/path/file   -> ../../../blobs/DIGEST
//! models--OWNER--NAME/.dpx/COMMIT.json             dpx's own list of what it fetched of a commit
//! .locks/models--OWNER--NAME/DIGEST.lock
//! ```

use crate::Role;
use dpx_schema::files::{fresh_name, write_swapped};
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// The list of files counts only where it was written for this choice of files: raise it when `wanted` changes.
const LIST_VERSION: u32 = 2;

#[derive(Debug, Clone)]
pub(super) struct Folders {
    root: PathBuf,
    locks: PathBuf,
}

/// Files of a commit that were fetched and checked, with their sizes in bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Fetched {
    version: u32,
    pub(super) files: Vec<(String, u64)>,
}

/// Held while a blob is written; released when dropped.
pub(super) struct Lock {
    _file: File,
}

impl Folders {
    pub(super) fn new(cache: &Path, role: Role, repository: &str) -> Self {
        let kind = if role == Role::Model {
            "models"
        } else {
            "datasets"
        };
        let name = format!("{kind}--{}", repository.replace('/', "--"));
        Self {
            root: cache.join(&name),
            locks: cache.join(".locks").join(name),
        }
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    pub(super) fn blob(&self, key: &str) -> PathBuf {
        self.root.join("blobs").join(key)
    }

    /// Where a blob lies while it is downloaded.
    pub(super) fn part(&self, key: &str) -> PathBuf {
        self.root.join("blobs").join(format!("{key}.incomplete"))
    }

    /// The commit that a branch or tag stood for when it was last asked for.
    pub(super) fn commit(&self, revision: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.root.join("refs").join(revision)).ok()?;
        let commit = text.trim();
        super::is_commit(commit).then(|| commit.to_owned())
    }

    /// Writes down which commit a branch or tag stands for.
    pub(super) fn remember(&self, revision: &str, commit: &str) -> io::Result<()> {
        let path = self.root.join("refs").join(revision);
        // `huggingface_hub` writes no end of line.
        write(&path, commit.as_bytes())
    }

    /// Waits until no other process writes a blob; tells before it waits. Where the file system has no locks there is none.
    pub(super) fn lock(&self, key: &str, blocked: &mut dyn FnMut()) -> io::Result<Option<Lock>> {
        std::fs::create_dir_all(&self.locks)?;
        let path = self.locks.join(format!("{key}.lock"));
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        let locked = match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                blocked();
                file.lock()
            }
            Err(TryLockError::Error(error)) => Err(error),
            Ok(()) => Ok(()),
        };
        match locked {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes a name of a commit, and the blob that it leads to; nothing outside of the folder of blobs.
    pub(super) fn remove(&self, commit: &str, name: &str) {
        let path = self.snapshot(commit).join(name);
        let blobs = self.root.join("blobs").canonicalize().ok();
        let blob = path.canonicalize().ok();
        drop(std::fs::remove_file(&path));
        if let (Some(blobs), Some(blob)) = (blobs, blob)
            && blob.parent() == Some(&blobs)
        {
            drop(std::fs::remove_file(blob));
        }
    }

    /// Lets a name of a commit lead to a blob; where links are not to be had the blob is copied.
    pub(super) fn link(&self, commit: &str, name: &str, key: &str) -> io::Result<()> {
        let path = self.snapshot(commit).join(name);
        let folder = path.parent().unwrap_or(&path);
        std::fs::create_dir_all(folder)?;
        let target = Path::new(&"../".repeat(2 + name.matches('/').count()))
            .join("blobs")
            .join(key);
        // A new name that is moved into place: the old one may be a link that leads nowhere.
        let new = fresh_name(&path);
        drop(std::fs::remove_file(&new));
        if symlink(&target, &new).is_err() {
            std::fs::copy(self.blob(key), &new)?;
        }
        std::fs::rename(&new, &path).inspect_err(|_| drop(std::fs::remove_file(&new)))
    }

    fn list_path(&self, commit: &str, config: Option<&str>) -> PathBuf {
        let name = match config {
            Some(config) => {
                format!(
                    "{commit}-{}.json",
                    &blake3::hash(config.as_bytes()).to_hex()[..16]
                )
            }
            None => format!("{commit}.json"),
        };
        self.root.join(".dpx").join(name)
    }

    /// Writes down what was fetched of a commit, so that it need not be asked for again.
    pub(super) fn remember_files(
        &self,
        commit: &str,
        config: Option<&str>,
        files: Vec<(String, u64)>,
    ) -> io::Result<()> {
        let list = Fetched {
            version: LIST_VERSION,
            files,
        };
        write(&self.list_path(commit, config), &serde_json::to_vec(&list)?)
    }

    /// What was fetched of a commit, where all of it is still there with the same sizes.
    pub(super) fn fetched(&self, commit: &str, config: Option<&str>) -> Option<Fetched> {
        let bytes = std::fs::read(self.list_path(commit, config)).ok()?;
        let list: Fetched = serde_json::from_slice(&bytes).ok()?;
        let folder = self.snapshot(commit);
        let is_there = |(name, size): &(String, u64)| {
            std::fs::metadata(folder.join(name)).is_ok_and(|found| found.len() == *size)
        };
        (list.version == LIST_VERSION && list.files.iter().all(is_there)).then_some(list)
    }
}

/// Writes a small file aside and moves it into place.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)?;
    write_swapped(path, bytes)
}

#[cfg(unix)]
fn symlink(target: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(windows)]
fn symlink(target: &Path, path: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_commit_lead_to_blobs() {
        let cache = tempfile::tempdir().unwrap();
        let folders = Folders::new(cache.path(), Role::Dataset, "who/what");
        let commit = "1".repeat(40);
        let blob = folders.blob("abc");
        std::fs::create_dir_all(blob.parent().unwrap()).unwrap();
        std::fs::write(&blob, "rows").unwrap();
        for _ in 0..2 {
            folders.link(&commit, "a/b/train.csv", "abc").unwrap();
        }
        folders.link(&commit, "train.csv", "abc").unwrap();
        let root = cache.path().join("datasets--who--what");
        for name in ["a/b/train.csv", "train.csv"] {
            let path = root.join("snapshots").join(&commit).join(name);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "rows");
            assert!(!std::fs::read_link(&path).unwrap().is_absolute());
        }
        // What a link of the user's own leads to is left alone.
        let own = cache.path().join("own.csv");
        std::fs::write(&own, "mine").unwrap();
        let link = root.join("snapshots").join(&commit).join("own.csv");
        symlink(&own, &link).unwrap();
        folders.remove(&commit, "own.csv");
        assert!(own.exists() && !link.exists() && blob.exists());
        folders.remember("refs/pr/1", &commit).unwrap();
        assert_eq!(folders.commit("refs/pr/1"), Some(commit.clone()));
        assert_eq!(
            std::fs::read_to_string(root.join("refs/refs/pr/1")).unwrap(),
            commit
        );
        std::fs::write(root.join("refs/main"), "../../elsewhere").unwrap();
        assert_eq!(folders.commit("main"), None);
    }

    #[test]
    fn what_was_fetched_counts_while_it_is_whole() {
        let cache = tempfile::tempdir().unwrap();
        let folders = Folders::new(cache.path(), Role::Dataset, "who/what");
        let folder = folders.snapshot("c");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("a.csv"), "rows").unwrap();
        folders
            .remember_files("c", Some("en"), vec![("a.csv".into(), 4)])
            .unwrap();
        assert!(folders.fetched("c", Some("en")).is_some());
        assert!(folders.fetched("c", None).is_none() && folders.fetched("c", Some("de")).is_none());
        std::fs::write(folder.join("a.csv"), "row").unwrap();
        assert!(folders.fetched("c", Some("en")).is_none());
    }

    #[test]
    fn one_lock_is_held_at_a_time() {
        let cache = tempfile::tempdir().unwrap();
        let folders = Folders::new(cache.path(), Role::Model, "gpt2");
        let mut waited = 0;
        let lock = folders.lock("abc", &mut || waited += 1).unwrap().unwrap();
        let path = cache.path().join(".locks/models--gpt2/abc.lock");
        let other = File::options().write(true).open(path).unwrap();
        assert!(other.try_lock().is_err());
        drop(lock);
        other.try_lock().unwrap();
        // Whoever comes second is told, and goes on once the first is done.
        let release = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(100));
            drop(other);
        });
        drop(folders.lock("abc", &mut || waited += 1).unwrap().unwrap());
        assert_eq!(waited, 1);
        release.join().unwrap();
    }
}
