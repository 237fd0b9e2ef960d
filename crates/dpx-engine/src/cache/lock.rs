//! Locks: of the kernel, which die with their process and whose files are never deleted, or claims where those do not do.
//!
//! A deleted lock file would let two processes lock two files of one name. The text in a lock file is for people; only
//! the kernel's lock counts.

use super::claim::{Claim, Taken, is_claimed};
use super::locking::Locking;
use super::{Cache, CacheError};
use dpx_schema::Key;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

/// Who holds a lock, for messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Owner {
    pub host: String,
    /// Process id on `host`.
    pub pid: u32,
    /// The instance, or other work, that it holds the lock for.
    pub instance: String,
    /// When the lock was taken, RFC 3339.
    pub since: String,
}

impl Owner {
    /// This process, as of now.
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
    held: Held,
}

/// What holds a lock for as long as it lives.
#[derive(Debug)]
enum Held {
    Kernel { _file: File },
    Claim(Claim),
}

impl Held {
    fn renew(&self) -> Result<(), CacheError> {
        match self {
            Self::Kernel { .. } => Ok(()),
            Self::Claim(claim) => claim.renew(),
        }
    }
}

/// The shared use of a cache; given back when dropped.
#[derive(Debug)]
pub struct SharedUse {
    _file: File,
    /// Where the cache is locked by claims: the file that says that it is used.
    mark: Option<PathBuf>,
}

impl Drop for SharedUse {
    fn drop(&mut self) {
        if let Some(mark) = &self.mark {
            drop(fs::remove_file(mark));
        }
    }
}

/// The sole use of a cache, for garbage collection.
#[derive(Debug)]
pub(super) struct SoleUse {
    _held: Held,
}

impl KeyLock {
    /// Proves that nobody took the lock over meanwhile.
    pub(super) fn renew(&self) -> Result<(), CacheError> {
        self.held.renew()
    }

    /// The key that the holder may work on and commit.
    pub const fn key(&self) -> Key {
        self.key
    }
}

/// Held by a worker for as long as it lives.
#[derive(Debug)]
pub(crate) struct WorkerLock {
    held: Held,
}

/// What an attempt to take a key's lock came to.
#[derive(Debug)]
pub enum TryLock {
    /// Ours until it is dropped.
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
        Ok(
            match try_hold(&path, self.locking(), Owner::here(instance))? {
                Ok(held) => TryLock::Taken(KeyLock { key: *key, held }),
                Err(owner) => TryLock::Held(owner),
            },
        )
    }

    /// Waits for the lock of a key.
    ///
    /// # Errors
    /// When the lock file cannot be made or locked.
    pub fn lock(&self, key: &Key, instance: &str) -> Result<KeyLock, CacheError> {
        let held = hold(
            &self.layout.lock(key),
            self.locking(),
            &Owner::here(instance),
        )?;
        Ok(KeyLock { key: *key, held })
    }

    fn locking(&self) -> Locking {
        Locking::of(&self.layout.root)
    }

    /// Whether somebody works on a key.
    pub(crate) fn is_locked(&self, key: &Key) -> bool {
        is_locked(&self.layout.lock(key)) || is_locked(&self.layout.worker_lock(key))
    }

    /// Path of the lock that a worker of this key takes for its life.
    pub(crate) fn worker_lock_path(&self, key: &Key) -> PathBuf {
        self.layout.worker_lock(key)
    }

    /// Shares the use of the cache: garbage collection waits while this is held. Hold it for moments, not for stages.
    ///
    /// # Errors
    /// When the lock file cannot be made or locked.
    pub fn share(&self) -> Result<SharedUse, CacheError> {
        let path = self.layout.use_lock();
        let file = open(&path)?;
        if self.locking() == Locking::Kernel {
            file.lock_shared().map_err(CacheError::io("lock", &path))?;
            return Ok(SharedUse {
                _file: file,
                mark: None,
            });
        }
        let marks = marks(&path);
        fs::create_dir_all(&marks).map_err(CacheError::io("make the folder", &marks))?;
        loop {
            let mark = marks.join(super::store::unique());
            let made = File::create_new(&mark).map_err(CacheError::io("make", &mark))?;
            let shared = SharedUse {
                _file: made,
                mark: Some(mark),
            };
            // Either a collector sees the mark, or this sees the collector.
            if !is_claimed(&claims(&path)) {
                return Ok(shared);
            }
            drop(shared);
            std::thread::sleep(BETWEEN_LOOKS);
        }
    }

    pub(super) fn exclude(&self) -> Result<SoleUse, CacheError> {
        let path = self.layout.use_lock();
        let held = hold(&path, self.locking(), &Owner::here("garbage collection"))?;
        if let Held::Claim(_) = held {
            while super::claim::any_fresh(&marks(&path))? {
                std::thread::sleep(BETWEEN_LOOKS);
            }
        }
        Ok(SoleUse { _held: held })
    }

    /// The sole use of the cache, if nobody else uses it at this moment.
    pub(super) fn try_exclude(&self) -> Result<Option<SoleUse>, CacheError> {
        let path = self.layout.use_lock();
        let owner = Owner::here("clearing up after dead processes");
        let Ok(held) = try_hold(&path, self.locking(), owner)? else {
            return Ok(None);
        };
        if matches!(held, Held::Claim(_)) && super::claim::any_fresh(&marks(&path))? {
            return Ok(None);
        }
        Ok(Some(SoleUse { _held: held }))
    }

    /// Locks the journal of a run for as long as the run lives.
    pub(super) fn lock_journal(&self, path: &Path, file: &File) -> Result<RunLock, CacheError> {
        let claim = match self.locking() {
            Locking::Kernel => {
                file.lock().map_err(CacheError::io("lock", path))?;
                None
            }
            Locking::Claims => {
                let folder = claims(path);
                let claim = Claim::take(&folder, &Owner::here("run"))?;
                Some((claim, folder))
            }
        };
        Ok(RunLock { claim })
    }
}

/// Held while a run lives, beside its journal's file.
#[derive(Debug)]
pub(super) struct RunLock {
    claim: Option<(Claim, PathBuf)>,
}

impl Drop for RunLock {
    fn drop(&mut self) {
        if let Some((claim, folder)) = self.claim.take() {
            drop(claim);
            // No other run takes this name again.
            drop(fs::remove_dir_all(folder));
        }
    }
}

/// How often somebody who waits for a claim looks again.
const BETWEEN_LOOKS: std::time::Duration = std::time::Duration::from_millis(100);

/// Where the claims of a lock lie.
pub(super) fn claims(lock: &Path) -> PathBuf {
    beside(lock, "claims")
}

/// Where those leave marks who share the use of the cache.
fn marks(lock: &Path) -> PathBuf {
    beside(lock, "marks")
}

fn beside(lock: &Path, suffix: &str) -> PathBuf {
    let mut name = lock.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    lock.with_file_name(name)
}

/// How the cache is locked that a lock belongs to: `ROOT/FOLDER/LOCK`.
fn locking_of(lock: &Path) -> Locking {
    lock.parent()
        .and_then(Path::parent)
        .map_or(Locking::Kernel, Locking::of)
}

fn try_hold(
    path: &Path,
    locking: Locking,
    owner: Owner,
) -> Result<Result<Held, Option<Owner>>, CacheError> {
    if locking == Locking::Claims {
        return Ok(match Claim::try_take(&claims(path), owner)? {
            Taken::Ours(claim) => Ok(Held::Claim(claim)),
            Taken::Others(owner) => Err(owner),
        });
    }
    let mut file = open(path)?;
    match file.try_lock() {
        Ok(()) => {
            write_owner(&mut file, &owner);
            Ok(Ok(Held::Kernel { _file: file }))
        }
        Err(TryLockError::WouldBlock) => Ok(Err(read_owner(path))),
        Err(TryLockError::Error(source)) => Err(CacheError::io("lock", path)(source)),
    }
}

fn hold(path: &Path, locking: Locking, owner: &Owner) -> Result<Held, CacheError> {
    if locking == Locking::Claims {
        return Claim::take(&claims(path), owner).map(Held::Claim);
    }
    let mut file = open(path)?;
    file.lock().map_err(CacheError::io("lock", path))?;
    write_owner(&mut file, owner);
    Ok(Held::Kernel { _file: file })
}

impl WorkerLock {
    /// Waits until no other worker of the same key lives, and takes its place.
    ///
    /// # Errors
    /// When the lock file cannot be made or locked.
    pub(crate) fn wait(path: &Path) -> Result<Self, CacheError> {
        let held = hold(path, locking_of(path), &Owner::here("worker"))?;
        Ok(Self { held })
    }

    /// Takes the place of the worker of a key if no other lives.
    ///
    /// # Errors
    /// When the lock file cannot be made or locked.
    pub(crate) fn try_take(path: &Path) -> Result<Option<Self>, CacheError> {
        let held = try_hold(path, locking_of(path), Owner::here("worker"))?;
        Ok(held.ok().map(|held| Self { held }))
    }

    /// Whether a worker lives that holds this lock.
    pub(crate) fn is_held(path: &Path) -> bool {
        is_locked(path)
    }

    /// Whether it is a claim, which can be lost.
    pub(crate) const fn is_claim(&self) -> bool {
        matches!(self.held, Held::Claim(_))
    }

    /// Whether another worker took this one for dead and took its place.
    pub(crate) fn is_lost(&self) -> bool {
        match &self.held {
            Held::Kernel { .. } => false,
            Held::Claim(claim) => claim.is_lost(),
        }
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
    if locking_of(path) == Locking::Claims {
        return is_claimed(&claims(path));
    }
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
