//! Opening a cache, looking up records, committing what a worker staged.

use super::disk::{digest_file, digest_stream};
use super::layout::{FOLDERS, FORMAT, Format, Layout, TAG, names};
use super::{CacheError, Disk, KeyLock};
use dpx_schema::{Digest, FileEntry, Key, Manifest, Record};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A cache folder. Cheap to clone; opening one writes nothing.
#[derive(Debug, Clone)]
pub struct Cache {
    pub(super) layout: Layout,
    pub(super) disk: Disk,
}

/// What the cache has under a key, without reading objects.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// No record.
    Nothing,
    /// A sound record all of whose objects are there with the right size.
    Whole(Record),
    /// A record that cannot be used, the record itself if it could be read, and what is wrong.
    Broken(Option<Record>, String),
}

/// A record as it stands in its file: the digest tells a flipped byte from a true record.
#[derive(Serialize, Deserialize)]
struct Envelope<R> {
    record: R,
    blake3: Digest,
}

impl Cache {
    /// The cache in a folder, which may not exist yet.
    ///
    /// # Errors
    /// When the folder holds a cache of an unknown format.
    pub fn at(root: impl Into<PathBuf>) -> Result<Self, CacheError> {
        Self::with_disk(root, Disk::default())
    }

    /// The same over a disk whose writes may be made to fail.
    ///
    /// # Errors
    /// When the folder holds a cache of an unknown format.
    pub fn with_disk(root: impl Into<PathBuf>, disk: Disk) -> Result<Self, CacheError> {
        let layout = Layout { root: root.into() };
        layout.read_format()?;
        Ok(Self { layout, disk })
    }

    /// The folder that the cache was opened at.
    pub fn root(&self) -> &Path {
        &self.layout.root
    }

    /// Makes the folder and its layout where they are missing.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn prepare(&self) -> Result<(), CacheError> {
        let root = &self.layout.root;
        if self.layout.read_format()?.is_none() {
            self.disk.create_folder(root)?;
            let format = serde_json::to_vec(&Format { dpx_cache: FORMAT })?;
            self.write_first(&self.layout.format(), &format, ".format-")?;
            let tag = root.join("CACHEDIR.TAG");
            if !tag.exists() {
                self.write_first(&tag, TAG.as_bytes(), ".tag-")?;
            }
        }
        let mut made = false;
        for name in FOLDERS {
            let folder = self.layout.folder(name);
            if !folder.is_dir() {
                self.disk.create_folder(&folder)?;
                made = true;
            }
        }
        if made {
            self.disk.sync_folder(root)?;
        }
        self.settle_locking()?;
        self.identify()
    }

    /// Writes a file before there is a lock that could be shared: whoever clears up meanwhile may take its first name for that
    /// of a dead process.
    fn write_first(&self, path: &Path, bytes: &[u8], prefix: &str) -> Result<(), CacheError> {
        again_where_swept(|| {
            let temporary = self.layout.root.join(format!("{prefix}{}", unique()));
            self.disk.write_atomic(path, bytes, &temporary)
        })
    }

    /// Writes a file to the cache, syncs it and removes it, for somebody who shares its use: a full disk or a missing permission is found before a stage runs
    /// for hours.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn probe(&self) -> Result<(), CacheError> {
        const PROBE: usize = 256 * 1024;
        let path = self.temporary();
        let written = self.disk.create_file(&path).and_then(|mut file| {
            self.disk.write(&mut file, &vec![0x5a; PROBE], &path)?;
            self.disk.sync_file(&file, &path)
        });
        self.disk.remove_file(&path).and(written)
    }

    /// Bytes that this user may still write to the disk of the cache, where the system tells.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        #[cfg(unix)]
        {
            let found = rustix::fs::statvfs(&self.layout.root).ok()?;
            Some(found.f_bavail.saturating_mul(found.f_frsize))
        }
        #[cfg(not(unix))]
        None
    }

    /// What stands under a key. Reads the record and the sizes of its objects only.
    pub fn look(&self, key: &Key) -> Lookup {
        let Some(record) = self.read_record(key) else {
            return match fs::symlink_metadata(self.layout.record(key)) {
                Ok(_) => Lookup::Broken(None, "its record cannot be read".to_owned()),
                Err(_) => Lookup::Nothing,
            };
        };
        match record.output.files.iter().find(|file| !self.has(file)) {
            None => Lookup::Whole(record),
            Some(file) => {
                let what = format!(
                    "`{}` is missing, was set aside, or has another size",
                    file.path
                );
                Lookup::Broken(Some(record), what)
            }
        }
    }

    /// The record of a key, if its file is sound and every object it names is there with the right size.
    ///
    /// Reads the record and the sizes only. A missing, torn or altered record is a miss.
    pub fn record(&self, key: &Key) -> Option<Record> {
        match self.look(key) {
            Lookup::Whole(record) => Some(record),
            Lookup::Broken(..) | Lookup::Nothing => None,
        }
    }

    /// All sound records, whether or not their objects are still there, in the order of their keys.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn records(&self) -> Result<Vec<Record>, CacheError> {
        Ok(self
            .keys()?
            .iter()
            .filter_map(|key| self.read_record(key))
            .collect())
    }

    /// All sound records whose objects are there with the right size, in the order of their keys.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(crate) fn whole_records(&self) -> Result<Vec<Record>, CacheError> {
        let read = |key| self.read_record(key).filter(|record| self.is_whole(record));
        Ok(self.keys()?.par_iter().filter_map(read).collect())
    }

    /// Whether every object that a record names is there with the right size.
    pub fn is_whole(&self, record: &Record) -> bool {
        record.output.files.iter().all(|file| self.has(file))
    }

    fn has(&self, file: &FileEntry) -> bool {
        fs::symlink_metadata(self.layout.object(&file.digest))
            .is_ok_and(|found| found.is_file() && found.len() == file.size)
    }

    /// Keys of all record files.
    pub(super) fn keys(&self) -> Result<Vec<Key>, CacheError> {
        Ok(names(&self.layout.folder("records"))?
            .iter()
            .filter_map(|name| name.strip_suffix(".json")?.parse().ok())
            .collect())
    }

    pub(super) fn read_record(&self, key: &Key) -> Option<Record> {
        let path = self.layout.record(key);
        if !fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
            return None;
        }
        let bytes = fs::read(path).ok()?;
        let envelope: Envelope<Record> = serde_json::from_slice(&bytes).ok()?;
        let record = envelope.record;
        let sound = record.version == Record::VERSION
            && record.key == *key
            && Digest::of(&serde_json::to_vec(&record).ok()?) == envelope.blake3
            && record.output.files.iter().all(|file| is_inside(&file.path));
        sound.then_some(record)
    }

    /// Folder in which attempts at a key are staged.
    pub fn staging(&self, key: &Key) -> PathBuf {
        self.layout.staging(key)
    }

    /// Makes a fresh, empty staging folder for one attempt at a key.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new_attempt(&self, key: &Key) -> Result<PathBuf, CacheError> {
        let folder = self.layout.staging(key).join(unique());
        self.disk.create_folder(&folder)?;
        Ok(folder)
    }

    /// Folder with the checkpoints of a key.
    pub fn state(&self, key: &Key) -> PathBuf {
        self.layout.state(key)
    }

    /// Removes whatever was staged for a key and, on request, its checkpoints.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn sweep(&self, lock: &KeyLock, checkpoints_too: bool) -> Result<(), CacheError> {
        self.disk.remove_folder(&self.layout.staging(&lock.key))?;
        if checkpoints_too {
            self.disk.remove_folder(&self.layout.state(&lock.key))?;
        }
        Ok(())
    }

    /// Moves staged files to their objects and writes the record, in an order that survives a power cut at any point.
    ///
    /// A file that is no longer staged, because an earlier commit was cut short, counts when its object is sound.
    ///
    /// # Errors
    /// When a staged file is not what the record says, the lock is another key's, or something cannot be written; no
    /// record appears then.
    pub fn commit(&self, lock: &KeyLock, record: &Record, output: &Path) -> Result<(), CacheError> {
        if lock.key != record.key {
            return Err(CacheError::WrongLock { key: record.key });
        }
        let _shared = self.share()?;
        for file in &record.output.files {
            self.take_in(file, &output.join(&file.path))?;
        }
        self.disk.sync_folder(&self.layout.folder("objects"))?;
        // A runner that slept through its replacement must not commit over what came after it.
        lock.renew()?;
        self.clear_way(&self.layout.record(&record.key), &record.key.to_string())?;
        let envelope = Envelope {
            record,
            blake3: Digest::of(&serde_json::to_vec(record)?),
        };
        self.disk.write_atomic(
            &self.layout.record(&record.key),
            &serde_json::to_vec(&envelope)?,
            &self.temporary(),
        )
    }

    fn take_in(&self, file: &FileEntry, staged: &Path) -> Result<(), CacheError> {
        let object = self.layout.object(&file.digest);
        let Ok(handle) = File::open(staged) else {
            let sound = digest_file(&object).is_ok_and(|found| found == (file.digest, file.size));
            return if sound {
                Ok(())
            } else {
                Err(CacheError::Torn {
                    path: staged.to_owned(),
                })
            };
        };
        let found = digest_stream(&handle, |_| Ok(())).map_err(CacheError::io("read", staged))?;
        if found != (file.digest, file.size) {
            return Err(CacheError::Torn {
                path: staged.to_owned(),
            });
        }
        self.disk.set_read_only(&handle, staged)?;
        self.disk.sync_file(&handle, staged)?;
        self.clear_way(&object, &file.digest.to_string())?;
        self.disk.rename(staged, &object)
    }

    /// Sets aside what has the name of a file and is none, such as a folder: nothing could be written there.
    fn clear_way(&self, path: &Path, name: &str) -> Result<(), CacheError> {
        match fs::symlink_metadata(path) {
            Ok(found) if !found.is_file() => self.move_aside(path, name),
            _ => Ok(()),
        }
    }

    /// Forgets a key: its record goes, its objects stay until they are collected.
    ///
    /// # Errors
    /// When the record cannot be removed.
    pub fn forget(&self, lock: &KeyLock) -> Result<(), CacheError> {
        self.disk.remove_file(&self.layout.record(&lock.key))?;
        self.disk.sync_folder(&self.layout.folder("records"))
    }

    pub(super) fn temporary(&self) -> PathBuf {
        self.layout.folder("temporary").join(unique())
    }
}

/// The manifest of a folder: every regular file in it, at any depth, sorted by path.
///
/// # Errors
/// When a file cannot be read, or something in it is a link, a device, or has a name that is not UTF-8.
pub(crate) fn manifest_of_folder(folder: &Path) -> Result<Manifest, CacheError> {
    let mut files = Vec::new();
    collect(folder, "", &mut files)?;
    files.sort_unstable();
    Ok(Manifest { files })
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<FileEntry>) -> Result<(), CacheError> {
    let entries = fs::read_dir(folder).map_err(CacheError::io("read the folder", folder))?;
    for entry in entries {
        let entry = entry.map_err(CacheError::io("read the folder", folder))?;
        let path = entry.path();
        let Ok(name) = entry.file_name().into_string() else {
            return Err(CacheError::BadOutput {
                path,
                problem: "whose name is not UTF-8",
            });
        };
        let inside = format!("{prefix}{name}");
        let kind = entry.file_type().map_err(CacheError::io("read", &path))?;
        if kind.is_dir() {
            collect(&path, &format!("{inside}/"), files)?;
        } else if kind.is_file() {
            let (digest, size) = digest_file(&path).map_err(CacheError::io("read", &path))?;
            files.push(FileEntry {
                path: inside,
                digest,
                size,
            });
        } else {
            return Err(CacheError::BadOutput {
                path,
                problem: "which is no regular file",
            });
        }
    }
    Ok(())
}

/// Whether a manifest's path stays inside its folder.
pub(super) fn is_inside(path: &str) -> bool {
    !path.contains(['\\', '\0'])
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

/// Does something with a temporary file of its own, and once more where somebody took that for a dead process's.
pub(super) fn again_where_swept(
    make: impl Fn() -> Result<(), CacheError>,
) -> Result<(), CacheError> {
    match make() {
        Err(CacheError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => make(),
        made => made,
    }
}

/// A name that no other process on this machine and no other call in this one uses.
pub(super) fn unique() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let now = crate::clock::nanoseconds();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{now}-{}-{count}", std::process::id())
}
