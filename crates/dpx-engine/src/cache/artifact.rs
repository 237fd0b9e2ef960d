//! Reading artifacts back for people: every byte verified, and what cannot be read is told, never taken for missing.

use super::{Cache, CacheError};
use dpx_schema::{InstanceName, Key, Record};
use std::cell::RefCell;

/// A file of an artifact that cannot be read as it was written.
#[derive(Debug, thiserror::Error)]
#[error("`{file}` of `{instance}` cannot be read: {cause}")]
pub struct Damage {
    /// The instance that made the artifact.
    pub instance: InstanceName,
    /// The key under which the cache has its record.
    pub key: Key,
    /// Path in the artifact, relative to its root.
    pub file: String,
    /// What is wrong. [`CacheError::Damaged`]: the object is gone or was set aside, and its record is a miss from then on.
    #[source]
    pub cause: Box<CacheError>,
}

impl Damage {
    /// Whether running the instance again mends it. What the operating system refuses, such as a missing permission, it
    /// does not.
    pub fn can_be_rebuilt(&self) -> bool {
        matches!(*self.cause, CacheError::Damaged { .. })
    }
}

/// Reads the files of one artifact.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Artifact<'a> {
    cache: &'a Cache,
    record: &'a Record,
}

impl Artifact<'_> {
    /// Whether the artifact has a file of this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.record
            .output
            .files
            .iter()
            .any(|file| file.path == path)
    }

    /// The content of a file, verified; nothing where the artifact has none of that path.
    ///
    /// # Errors
    /// As [`Cache::read_verified`].
    pub(crate) fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Damage> {
        if !self.has(path) {
            return Ok(None);
        }
        self.cache.read_verified(self.record, path).map(Some)
    }
}

impl Cache {
    /// The artifact that a record describes; nothing is read yet.
    pub(crate) const fn open_artifact<'a>(&'a self, record: &'a Record) -> Artifact<'a> {
        Artifact {
            cache: self,
            record,
        }
    }

    /// The content of one file of an artifact, verified against its digest.
    ///
    /// # Errors
    /// When the artifact has no such file, when its object is missing or is not what its name says (it is set aside then),
    /// or when it cannot be read.
    pub(crate) fn read_verified(&self, record: &Record, path: &str) -> Result<Vec<u8>, Damage> {
        let mut files = record.output.files.iter();
        let read = match files.find(|file| file.path == path) {
            Some(file) => self.read(file),
            None => Err(CacheError::NoSuchFile {
                file: path.to_owned(),
            }),
        };
        read.map_err(|cause| Damage {
            instance: record.instance.clone(),
            key: record.key,
            file: path.to_owned(),
            cause: Box::new(cause),
        })
    }
}

/// Reads artifacts and remembers what could not be read, so that whoever reads many of them cannot overlook it.
#[derive(Debug)]
pub struct ArtifactReader {
    cache: Cache,
    damages: RefCell<Vec<Damage>>,
}

impl ArtifactReader {
    /// A reader that has met no damage yet.
    pub fn new(cache: Cache) -> Self {
        Self {
            cache,
            damages: RefCell::default(),
        }
    }

    /// The content of a file; nothing where the artifact has none of that path.
    ///
    /// # Errors
    /// Why it could not be read, in words; the damage itself is remembered.
    pub fn read(&self, record: &Record, path: &str) -> Result<Option<Vec<u8>>, String> {
        let read = self.cache.open_artifact(record).read(path);
        read.map_err(|damage| {
            let told = damage.to_string();
            self.remember(damage);
            told
        })
    }

    /// Reads every file of an artifact and remembers what is wrong.
    pub fn verify(&self, record: &Record) {
        for file in &record.output.files {
            // Models are read piece by piece, not held.
            if let Err(cause) = self.cache.check(file) {
                self.remember(Damage {
                    instance: record.instance.clone(),
                    key: record.key,
                    file: file.path.clone(),
                    cause: Box::new(cause),
                });
            }
        }
    }

    fn remember(&self, damage: Damage) {
        let mut damages = self.damages.borrow_mut();
        let known = |one: &Damage| one.key == damage.key && one.file == damage.file;
        if !damages.iter().any(known) {
            damages.push(damage);
        }
    }

    /// What could not be read so far. Whatever was made from the rest must not be shown unless this is empty.
    pub fn take_damages(&self) -> Vec<Damage> {
        self.damages.take()
    }
}
