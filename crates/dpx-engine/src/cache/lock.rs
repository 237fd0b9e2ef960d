//! Kernel locks: they die with their process, and their files are never deleted.
//!
//! A deleted lock file would let two processes lock two files of one name. The text in a lock file is for people; only
//! the kernel's lock counts.

use super::{Cache, CacheError};
use dpx_schema::Key;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

/// Who holds a lock, for messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Name of the machine.
    pub host: String,
    /// Process.
    pub pid: u32,
    /// Instance it works on.
    pub instance: String,
    /// Since when, RFC 3339.
    pub since: String,
}

impl Owner {
    /// This process, from now on.
    pub fn here(instance: &str) -> Self {
        Self {
            host: host(),
            pid: std::process::id(),
            instance: instance.to_owned(),
            since: crate::clock::now()
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string(),
        }
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "process {} on {} (`{}` since {})",
            self.pid, self.host, self.instance, self.since
        )
    }
}

/// The right to work on a key and to commit its result; given back when dropped or when the process dies.
#[derive(Debug)]
pub struct KeyLock {
    pub(super) key: Key,
    _file: File,
}

impl KeyLock {
    /// The key that is locked.
    pub const fn key(&self) -> Key {
        self.key
    }
}

/// Held by a worker for as long as it lives.
#[derive(Debug)]
pub struct WorkerLock {
    _file: File,
}

/// What an attempt to take a key's lock came to.
#[derive(Debug)]
pub enum TryLock {
    /// It is ours.
    Taken(KeyLock),
    /// Somebody else holds it; the owner's text could be read or not.
    Held(Option<Owner>),
}

impl Cache {
    /// Takes the lock of a key if it is free.
    ///
    /// # Errors
    /// When the lock file cannot be made or locked.
    pub fn try_lock(&self, key: &Key, instance: &str) -> Result<TryLock, CacheError> {
        let path = self.layout.lock(key);
        let mut file = open(&path)?;
        match file.try_lock() {
            Ok(()) => {
                write_owner(&mut file, &Owner::here(instance));
                Ok(TryLock::Taken(KeyLock {
                    key: *key,
                    _file: file,
                }))
            }
            Err(TryLockError::WouldBlock) => Ok(TryLock::Held(read_owner(&path))),
            Err(TryLockError::Error(source)) => Err(CacheError::io("lock", &path)(source)),
        }
    }

    /// Waits for the lock of a key.
    ///
    /// # Errors
    /// When the lock file cannot be made or locked.
    pub fn lock(&self, key: &Key, instance: &str) -> Result<KeyLock, CacheError> {
        let path = self.layout.lock(key);
        let mut file = open(&path)?;
        file.lock().map_err(CacheError::io("lock", &path))?;
        write_owner(&mut file, &Owner::here(instance));
        Ok(KeyLock {
            key: *key,
            _file: file,
        })
    }

    /// Whether somebody works on a key.
    pub fn is_locked(&self, key: &Key) -> bool {
        is_locked(&self.layout.lock(key)) || is_locked(&self.layout.worker_lock(key))
    }

    /// Path of the lock that a worker of this key takes for its life.
    pub fn worker_lock_path(&self, key: &Key) -> PathBuf {
        self.layout.worker_lock(key)
    }

    /// Shares the use of the cache: garbage collection waits while this is held. Hold it for moments, not for stages.
    ///
    /// # Errors
    /// When the lock file cannot be made or locked.
    pub fn share(&self) -> Result<File, CacheError> {
        let path = self.layout.use_lock();
        let file = open(&path)?;
        file.lock_shared().map_err(CacheError::io("lock", &path))?;
        Ok(file)
    }

    pub(super) fn exclude(&self) -> Result<File, CacheError> {
        let path = self.layout.use_lock();
        let file = open(&path)?;
        file.lock().map_err(CacheError::io("lock", &path))?;
        Ok(file)
    }
}

impl WorkerLock {
    /// Waits until no other worker of the same key lives, and takes its place.
    ///
    /// # Errors
    /// When the lock file cannot be made or locked.
    pub fn wait(path: &Path) -> Result<Self, CacheError> {
        let file = open(path)?;
        file.lock().map_err(CacheError::io("lock", path))?;
        Ok(Self { _file: file })
    }
}

impl WorkerLock {
    /// Takes the place of the worker of a key if no other lives.
    ///
    /// # Errors
    /// When the lock file cannot be made or locked.
    pub fn try_take(path: &Path) -> Result<Option<Self>, CacheError> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(CacheError::io("lock", path)(source)),
        }
    }

    /// Whether a worker lives that holds this lock.
    pub fn is_held(path: &Path) -> bool {
        is_locked(path)
    }
}

fn open(path: &Path) -> Result<File, CacheError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(CacheError::io("open the lock", path))
}

/// Whether another handle holds the lock of a file; a file that is not there is not locked.
pub(super) fn is_locked(path: &Path) -> bool {
    File::open(path)
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The text is a courtesy: failing to write it must not fail the work.
fn write_owner(file: &mut File, owner: &Owner) {
    if let Ok(text) = serde_json::to_string(owner) {
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()));
        drop(written);
    }
}

fn read_owner(path: &Path) -> Option<Owner> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(unix)]
pub(crate) fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

#[cfg(not(unix))]
pub(crate) fn host() -> String {
    "this machine".to_owned()
}
