//! Where the key of an unfinished run rests: a file outside the cache that only its owner can read.
//!
//! Each cache has a folder of its own, named by the cache's identity: a cache that moves keeps its keys, and no other cache
//! sweeps them.
//!
//! Layout: a header (magic, run id, binding, checksum), then two slots of (step, key, checksum). A ratchet writes the
//! empty slot, syncs, then overwrites the old one with zeros and syncs again: at every moment one slot is whole, and the
//! old key does not stay behind in a renamed file. File systems that copy on write may keep old blocks all the same.

use super::{Key, KeyIsGone, NoEntropy};
use crate::fault::fault;
use dpx_schema::files::{rename_durably, sync_folder};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

const MAGIC: [u8; 8] = *b"dpxkey2\n";
const HEADER: usize = 4096;
const SLOT: usize = 64;

/// Ending of a file on its way to become a key file.
const FRESH: &str = "new";

/// A file on its way to become a key file is nobody's after this long.
const FRESH_FOR: Duration = Duration::from_mins(10);

/// Random identity of a run: it names the run in the ledger and in what is released, and says nothing of the data.
pub type RunId = [u8; 16];

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum KeyFileError {
    /// The file system refused to read or write.
    #[error("key file `{}`: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    /// Another process uses it.
    #[error("key file `{}` is held by another worker of the same stage: wait for it to end", .0.display())]
    Held(PathBuf),
    /// The operating system gave no random numbers.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The state is older than the key.
    #[error(transparent)]
    Gone(#[from] KeyIsGone),
}

/// What was found when a key file was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// There was none: the run is new.
    New,
    /// The run goes on; the kept key is that of this step.
    Resumed {
        /// First step whose key is kept.
        step: u64,
    },
    /// There was one, but bound to other inputs, or damaged: it was destroyed and the run starts anew. What the abandoned
    /// run spent stays spent.
    Replaced {
        /// Identity of the abandoned run, where it could be read.
        abandoned: Option<RunId>,
    },
}

/// The key file of a run, open and locked for as long as this lives.
pub struct KeyFile {
    path: PathBuf,
    file: File,
    run: RunId,
    key: Key,
    slot: usize,
}

impl std::fmt::Debug for KeyFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("KeyFile")
            .field("path", &self.path)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl KeyFile {
    /// Opens the key of a run, or makes one.
    ///
    /// `name` identifies the stage instance; `binding` is a digest of everything that the updates depend on: a key whose
    /// binding differs is destroyed, because the same noise over other inputs would reveal their difference.
    ///
    /// # Errors
    /// When the file cannot be read or written, another process holds it, or the system gives no random numbers.
    pub fn open(
        folder: &Path,
        name: &str,
        binding: [u8; 32],
    ) -> Result<(Self, Opened), KeyFileError> {
        std::fs::create_dir_all(folder).map_err(|source| io(folder, source))?;
        restrict(folder, 0o700).map_err(|source| io(folder, source))?;
        let path = folder.join(format!("{name}.key"));
        let mut abandoned = None;
        let mut replaced = false;
        match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(mut file) => {
                lock(&file, &path)?;
                if !is_at(&file, &path) {
                    // Somebody destroyed it between the two calls.
                    return Err(KeyFileError::Held(path));
                }
                match read(&mut file).map_err(|source| io(&path, source))? {
                    Some(found) if found.binding == binding || fault!(UnboundKey) => {
                        let step = found.key.step();
                        let opened = Self {
                            path,
                            file,
                            run: found.run,
                            key: found.key,
                            slot: found.slot,
                        };
                        return Ok((opened, Opened::Resumed { step }));
                    }
                    found => {
                        abandoned = found.map(|found| found.run);
                        replaced = true;
                        destroy(&mut file, &path)?;
                    }
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(io(&path, error)),
        }
        let created = Self::create(&path, binding)?;
        let opened = if replaced {
            Opened::Replaced { abandoned }
        } else {
            Opened::New
        };
        Ok((created, opened))
    }

    /// Makes a key file beside its place, locked and whole, before it gets its name: whoever sweeps sees all of it or none.
    fn create(path: &Path, binding: [u8; 32]) -> Result<Self, KeyFileError> {
        let random = Key::from_operating_system()?;
        let name = blake3::hash(random.bytes()).to_hex();
        let fresh = path.with_extension(format!("{}.{FRESH}", &name[..16]));
        let created = Self::create_at(&fresh, path, binding);
        if created.is_err() {
            drop(std::fs::remove_file(&fresh));
        }
        created
    }

    fn create_at(fresh: &Path, path: &Path, binding: [u8; 32]) -> Result<Self, KeyFileError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let mut file = options.open(fresh).map_err(|source| io(fresh, source))?;
        lock(&file, fresh)?;
        let key = Key::from_operating_system()?;
        let mut run = RunId::default();
        let random = Key::from_operating_system()?;
        run.copy_from_slice(&random.bytes()[..16]);
        let mut header = vec![0; HEADER];
        header[..8].copy_from_slice(&MAGIC);
        header[8..24].copy_from_slice(&run);
        header[24..56].copy_from_slice(&binding);
        let check = blake3::hash(&header[..56]);
        header[56..88].copy_from_slice(check.as_bytes());
        let written = (|| {
            file.write_all(&header)?;
            file.write_all(&*slot_bytes(&key))?;
            file.write_all(&[0; SLOT])?;
            file.sync_all()?;
            rename_durably(fresh, path)
        })();
        written.map_err(|source| io(path, source))?;
        Ok(Self {
            path: path.into(),
            file,
            run,
            key,
            slot: 0,
        })
    }

    /// Identity of the run.
    pub const fn run(&self) -> RunId {
        self.run
    }

    /// The oldest key that still exists.
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// Replaces the kept key by that of a later step and overwrites the old one. Call it after the checkpoint of that step
    /// is on disk: a crash between the two leaves the older key, from which the newer one follows.
    ///
    /// # Errors
    /// When the step lies before the kept key, or writing fails.
    pub(crate) fn ratchet_to(&mut self, step: u64) -> Result<(), KeyFileError> {
        let key = self.key.ratchet_to(step)?;
        if key.step() == self.key.step() {
            return Ok(());
        }
        let (old, new) = (self.slot, 1 - self.slot);
        let written = (|| {
            self.file.seek(SeekFrom::Start(slot_at(new)))?;
            self.file.write_all(&*slot_bytes(&key))?;
            self.file.sync_all()?;
            self.file.seek(SeekFrom::Start(slot_at(old)))?;
            self.file.write_all(&[0; SLOT])?;
            self.file.sync_all()
        })();
        written.map_err(|source| io(&self.path, source))?;
        self.key = key;
        self.slot = new;
        Ok(())
    }

    /// Overwrites and removes the key: the run is finished, or can never go on.
    ///
    /// # Errors
    /// When that fails.
    pub fn destroy(mut self) -> Result<(), KeyFileError> {
        destroy(&mut self.file, &self.path)
    }
}

/// Destroys keys of runs that can never go on because their checkpoints are gone, and says how many there were. `states` is
/// the folder in which each key's run has its state folder, of the key's name. Keys that a live worker holds, and that of
/// `spared`, are left alone.
///
/// # Errors
/// When the folder cannot be read.
pub fn sweep_orphans(
    folder: &Path,
    states: &Path,
    spared: Option<&str>,
) -> Result<usize, KeyFileError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(io(folder, error)),
    };
    let mut swept = 0;
    for path in entries.flatten().map(|entry| entry.path()) {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let name = path.file_stem().and_then(|name| name.to_str());
        let is_orphan = match (extension, name) {
            (Some("key"), Some(name)) => Some(name) != spared && !states.join(name).exists(),
            // A worker that was killed while it made its key.
            (Some(FRESH), _) => is_old(&path),
            _ => false,
        };
        if !is_orphan {
            continue;
        }
        let Ok(mut file) = OpenOptions::new().read(true).write(true).open(&path) else {
            continue;
        };
        let is_ours = lock(&file, &path).is_ok() && is_at(&file, &path);
        if is_ours && destroy(&mut file, &path).is_ok() {
            swept += 1;
        }
    }
    Ok(swept)
}

/// Whether a file was last changed long ago.
fn is_old(path: &Path) -> bool {
    std::fs::metadata(path)
        .and_then(|found| found.modified())
        .is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > FRESH_FOR))
}

/// Whether a path still leads to an open file.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let identity = |found: std::io::Result<std::fs::Metadata>| {
            found.map(|found| (found.dev(), found.ino())).ok()
        };
        let open = identity(file.metadata());
        open.is_some() && open == identity(std::fs::metadata(path))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}

struct Found {
    run: RunId,
    binding: [u8; 32],
    key: Key,
    slot: usize,
}

/// The content of a key file, or nothing where it is damaged.
fn read(file: &mut File) -> std::io::Result<Option<Found>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(HEADER + 2 * SLOT));
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    if bytes.len() != HEADER + 2 * SLOT || bytes[..8] != MAGIC {
        return Ok(None);
    }
    // Another identity would be another entry of the ledger, another binding another run.
    if bytes[56..88] != *blake3::hash(&bytes[..56]).as_bytes() {
        return Ok(None);
    }
    let slots = [0, 1].map(|slot| {
        let at = slot_at(slot) as usize;
        slot_key(&bytes[at..at + SLOT]).map(|key| (key, slot))
    });
    // A crash may leave both slots whole: the older key is the one from which everything still needed follows.
    let Some((key, slot)) = slots
        .into_iter()
        .flatten()
        .min_by_key(|(key, _)| key.step())
    else {
        return Ok(None);
    };
    let mut found = Found {
        run: RunId::default(),
        binding: [0; 32],
        key,
        slot,
    };
    found.run.copy_from_slice(&bytes[8..24]);
    found.binding.copy_from_slice(&bytes[24..56]);
    Ok(Some(found))
}

const fn slot_at(slot: usize) -> u64 {
    (HEADER + slot * SLOT) as u64
}

fn slot_bytes(key: &Key) -> Zeroizing<[u8; SLOT]> {
    let mut slot = Zeroizing::new([0; SLOT]);
    slot[..8].copy_from_slice(&key.step().to_le_bytes());
    slot[8..40].copy_from_slice(key.bytes());
    let check = blake3::hash(&slot[..40]);
    slot[40..].copy_from_slice(&check.as_bytes()[..SLOT - 40]);
    slot
}

fn slot_key(slot: &[u8]) -> Option<Key> {
    let check = blake3::hash(&slot[..40]);
    if slot[40..] != check.as_bytes()[..SLOT - 40] {
        return None;
    }
    let step = u64::from_le_bytes(slot[..8].try_into().ok()?);
    Some(Key::from_parts(slot[8..40].try_into().ok()?, step))
}

fn destroy(file: &mut File, path: &Path) -> Result<(), KeyFileError> {
    let overwritten = (|| {
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&vec![0; length as usize])?;
        file.sync_all()?;
        std::fs::remove_file(path)?;
        path.parent().map_or(Ok(()), sync_folder)
    })();
    overwritten.map_err(|source| io(path, source))
}

fn lock(file: &File, path: &Path) -> Result<(), KeyFileError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(KeyFileError::Held(path.into())),
        Err(TryLockError::Error(source)) => Err(io(path, source)),
    }
}

#[cfg_attr(not(unix), expect(clippy::unnecessary_wraps, reason = "fails on unix"))]
fn restrict(path: &Path, mode: u32) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    let _ = (path, mode);
    Ok(())
}

fn io(path: &Path, source: std::io::Error) -> KeyFileError {
    KeyFileError::Io {
        path: path.into(),
        source,
    }
}
