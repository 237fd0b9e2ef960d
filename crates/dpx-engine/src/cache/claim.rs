//! Claims: locks made of files, for file systems whose kernel locks other machines do not see.
//!
//! A claim is a file with a number in a folder of its own, made exclusively; the highest number holds the lock. Its owner
//! rewrites it while it lives. Whoever finds it older than it may be makes the next number, and of several who do so at once one
//! succeeds: so a number is also a fencing token, and an owner that slept through its replacement can tell that it was replaced.
//! Ages are differences of times that the file server wrote, never of two machines' clocks.

use super::layout::names;
use super::{CacheError, Owner};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Seconds after which a claim that is not rewritten is dead; attributes of files may arrive a minute late.
const STALE: u64 = 150;

/// Overrules [`STALE`], the same on all machines.
const VARIABLE: &str = "DPX_LOCK_STALE_SECONDS";

fn stale() -> Duration {
    let asked = std::env::var(VARIABLE)
        .ok()
        .and_then(|text| text.parse().ok());
    Duration::from_secs(asked.unwrap_or(STALE).max(2))
}

/// Content of a claim's file.
#[derive(Debug, Serialize, Deserialize)]
struct Content {
    owner: Owner,
    /// Run of the owner's machine since its last start: processes of one run see each other's kernel locks.
    boot: String,
    /// `held` or `free`.
    state: String,
    beat: u64,
}

/// A lock that is held.
#[derive(Debug)]
pub(super) struct Claim {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    number: AtomicU64,
    file: Mutex<File>,
    owner: Owner,
    over: AtomicBool,
    lost: AtomicBool,
}

/// What an attempt came to.
#[derive(Debug)]
pub(super) enum Taken {
    Ours(Claim),
    Others(Option<Owner>),
}

impl Claim {
    /// Takes a claim if it is free or its owner is dead.
    pub(super) fn try_take(folder: &Path, owner: Owner) -> Result<Taken, CacheError> {
        fs::create_dir_all(folder).map_err(CacheError::io("make the folder", folder))?;
        let highest = highest(folder)?;
        if let Some(number) = highest
            && let Some(Holder(owner)) = holder(folder, number)?
        {
            return Ok(Taken::Others(owner));
        }
        let number = highest.unwrap_or(0) + 1;
        let Some(file) = make(folder, number, &owner)? else {
            return Ok(Taken::Others(None));
        };
        remove_below(folder, number);
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            number: AtomicU64::new(number),
            file: Mutex::new(file),
            owner,
            over: AtomicBool::new(false),
            lost: AtomicBool::new(false),
        });
        let beating = Arc::clone(&shared);
        std::thread::spawn(move || beating.beat());
        Ok(Taken::Ours(Self { shared }))
    }

    pub(super) fn take(folder: &Path, owner: &Owner) -> Result<Self, CacheError> {
        loop {
            if let Taken::Ours(claim) = Self::try_take(folder, owner.clone())? {
                return Ok(claim);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Proves that the claim was not taken over, by making its next number: from here on whoever took it for dead has lost.
    ///
    /// # Errors
    /// [`CacheError::LockLost`] where it was.
    pub(super) fn renew(&self) -> Result<(), CacheError> {
        let mut file = self
            .shared
            .file
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let next = self.shared.number.load(Ordering::SeqCst) + 1;
        let made = make(&self.shared.folder, next, &self.shared.owner)?;
        let Some(made) = made.filter(|_| !self.is_lost()) else {
            self.shared.lost.store(true, Ordering::SeqCst);
            return Err(CacheError::LockLost {
                path: self.shared.folder.clone(),
            });
        };
        *file = made;
        self.shared.number.store(next, Ordering::SeqCst);
        drop(file);
        remove_below(&self.shared.folder, next);
        Ok(())
    }

    /// Whether somebody took the claim over.
    pub(super) fn is_lost(&self) -> bool {
        self.shared.lost.load(Ordering::SeqCst)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        if !self.is_lost() {
            drop(self.shared.write("free", 0));
        }
    }
}

impl Shared {
    /// Rewrites the claim until it is given back or lost.
    fn beat(&self) {
        let between = stale() / 6;
        let mut last = Instant::now();
        let mut beats = 1;
        while !self.over.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(100).min(between));
            if last.elapsed() < between {
                continue;
            }
            last = Instant::now();
            beats += 1;
            let number = self.number.load(Ordering::SeqCst);
            if self.folder.join((number + 1).to_string()).exists()
                && self.number.load(Ordering::SeqCst) == number
            {
                self.lost.store(true, Ordering::SeqCst);
                return;
            }
            // A server that is away for a while makes the claim old; whether that was too long shows when it is used.
            drop(self.write("held", beats));
        }
    }

    fn write(&self, state: &str, beat: u64) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if state == "held" && self.over.load(Ordering::SeqCst) {
            return Ok(());
        }
        write(&mut file, &self.owner, state, beat)
    }
}

fn write(file: &mut File, owner: &Owner, state: &str, beat: u64) -> io::Result<()> {
    let content = Content {
        owner: owner.clone(),
        boot: boot(),
        state: state.to_owned(),
        beat,
    };
    let bytes = serde_json::to_vec(&content)?;
    file.rewind()?;
    file.write_all(&bytes)?;
    file.set_len(bytes.len() as u64)?;
    file.sync_data()
}

/// Makes a claim's file; nothing where somebody else did.
fn make(folder: &Path, number: u64, owner: &Owner) -> Result<Option<File>, CacheError> {
    let path = folder.join(number.to_string());
    let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(CacheError::io("make the claim", &path)(error)),
    };
    // Processes of this machine see it, also where others do not; a file system without locks is no reason to fail.
    drop(file.try_lock());
    write(&mut file, owner, "held", 1).map_err(CacheError::io("write the claim", &path))?;
    Ok(Some(file))
}

/// The highest number in a folder.
fn highest(folder: &Path) -> Result<Option<u64>, CacheError> {
    Ok(names(folder)?
        .iter()
        .filter_map(|name| name.parse().ok())
        .max())
}

fn remove_below(folder: &Path, number: u64) {
    for name in names(folder).unwrap_or_default() {
        if name.parse().is_ok_and(|old: u64| old < number) {
            drop(fs::remove_file(folder.join(name)));
        }
    }
}

/// Somebody who holds a claim, named where its file tells.
struct Holder(Option<Owner>);

/// Who holds a claim; nothing where nobody does.
fn holder(folder: &Path, number: u64) -> Result<Option<Holder>, CacheError> {
    let path = folder.join(number.to_string());
    // Opened before it is looked at: so a network file system asks its server.
    let file = match File::open(&path) {
        Ok(file) => file,
        // Its owner went on to the next number.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Holder(None))),
        Err(error) => return Err(CacheError::io("open the claim", &path)(error)),
    };
    let content: Option<Content> = serde_json::from_reader(&file).ok();
    if content
        .as_ref()
        .is_some_and(|content| content.state == "free")
    {
        return Ok(None);
    }
    let here = content
        .as_ref()
        .is_some_and(|content| content.boot == boot() && !content.boot.is_empty());
    // On this machine the kernel knows.
    if here && file.try_lock_shared().is_ok() {
        return Ok(None);
    }
    let written = file.metadata().and_then(|found| found.modified());
    let written = written.map_err(CacheError::io("look at the claim", &path))?;
    let now = server_time(folder)?;
    let age = now.duration_since(written).unwrap_or_default();
    Ok((age <= stale()).then(|| Holder(content.map(|content| content.owner))))
}

/// What time it is where the files are.
fn server_time(folder: &Path) -> Result<std::time::SystemTime, CacheError> {
    let asked = (|| {
        let mut probe = tempfile::tempfile_in(folder)?;
        probe.write_all(b"?")?;
        probe.sync_data()?;
        probe.metadata()?.modified()
    })();
    asked.map_err(CacheError::io("write to the folder", folder))
}

/// Whether somebody holds a claim. What cannot be read is not held.
pub(super) fn is_claimed(folder: &Path) -> bool {
    let number = highest(folder).ok().flatten();
    number.is_some_and(|number| holder(folder, number).is_ok_and(|holder| holder.is_some()))
}

/// Whether a folder holds a file that is not older than a claim may be. Older ones are removed.
pub(super) fn any_fresh(folder: &Path) -> Result<bool, CacheError> {
    let mut fresh = false;
    for name in names(folder)? {
        let path = folder.join(name);
        let Ok(written) = fs::symlink_metadata(&path).and_then(|found| found.modified()) else {
            continue;
        };
        if server_time(folder)?
            .duration_since(written)
            .unwrap_or_default()
            <= stale()
        {
            fresh = true;
        } else {
            drop(fs::remove_file(&path));
        }
    }
    Ok(fresh)
}

/// The run of this machine since its last start; empty where it cannot be told.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str) -> Owner {
        Owner::here(name)
    }

    fn take(folder: &Path) -> Option<Claim> {
        match Claim::try_take(folder, owner("one")).unwrap() {
            Taken::Ours(claim) => Some(claim),
            Taken::Others(_) => None,
        }
    }

    /// Makes a claim look as if another machine had made it, some seconds ago.
    fn age(folder: &Path, seconds: u64) {
        let number = highest(folder).unwrap().unwrap();
        let path = folder.join(number.to_string());
        let mut content: Content = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        content.boot = "another".into();
        fs::write(&path, serde_json::to_vec(&content).unwrap()).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(seconds))
            .unwrap();
    }

    #[test]
    fn a_claim_is_held_by_one_and_given_back() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("key.claims");
        assert!(!is_claimed(&folder));
        let first = take(&folder).unwrap();
        assert!(is_claimed(&folder));
        assert!(take(&folder).is_none());
        drop(first);
        assert!(!is_claimed(&folder));
        let second = take(&folder).unwrap();
        second.renew().unwrap();
        assert!(take(&folder).is_none(), "renewed, it is held still");
        drop(second);
        assert!(take(&folder).is_some());
        assert!(
            names(&folder).unwrap().len() <= 1,
            "old numbers are removed"
        );
    }

    #[test]
    fn of_many_who_take_a_dead_claim_at_once_one_has_it() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("key.claims");
        for round in 0..10 {
            std::mem::forget(take(&folder).unwrap());
            age(&folder, 100_000);
            let won: usize = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| take(&folder))).collect();
                let claims: Vec<_> = threads.into_iter().map(|one| one.join().unwrap()).collect();
                claims.iter().flatten().count()
            });
            assert_eq!(won, 1, "round {round}");
        }
    }

    #[test]
    fn who_was_taken_for_dead_cannot_use_its_claim_any_more() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("key.claims");
        let sleeper = take(&folder).unwrap();
        age(&folder, 10);
        assert!(
            take(&folder).is_none(),
            "a fresh claim of another machine stands"
        );
        age(&folder, 100_000);
        let next = take(&folder).expect("an old one is taken over");
        assert!(matches!(sleeper.renew(), Err(CacheError::LockLost { .. })));
        assert!(sleeper.is_lost());
        drop(sleeper);
        next.renew().unwrap();
        assert!(
            is_claimed(&folder),
            "the sleeper gave nothing back that is not its own"
        );
    }
}
