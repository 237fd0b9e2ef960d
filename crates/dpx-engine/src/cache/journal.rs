//! The journal: one file of JSON lines per run, locked for as long as the run lives.
//!
//! What the lines say is the run's business; here they are only kept, and searched for the keys that a run has to do with:
//! every string member named `key`.

use super::layout::names;
use super::lock::{RunLock, is_locked};
use super::{Cache, CacheError};
use dpx_schema::Key;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The journal that this process writes.
#[derive(Debug)]
pub(crate) struct Journal {
    id: String,
    path: PathBuf,
    folder: PathBuf,
    file: Mutex<File>,
    _lock: RunLock,
}

impl Journal {
    /// Name of the run, which sorts by its start.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Folder for the logs of this run's workers.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds a line.
    ///
    /// # Errors
    /// When it cannot be written; a run goes on without its journal.
    pub(crate) fn append(&self, line: &impl Serialize) -> Result<(), CacheError> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.file
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(&bytes)
            .map_err(CacheError::io("write", &self.path))
    }
}

/// The journal of a run, past or present, as a reader finds it.
#[derive(Debug, Clone)]
pub struct RunFile {
    /// Name of the run, which sorts by its start.
    pub id: String,
    /// The journal: JSON lines, as [`Journal::append`] wrote them.
    pub path: PathBuf,
    /// Folder with the logs of its workers.
    pub folder: PathBuf,
    /// Whether its runner still lives, by the lock that it holds.
    pub live: bool,
}

impl RunFile {
    /// The lines that are whole; the last one may be torn.
    pub fn lines(&self) -> Vec<Value> {
        let bytes = fs::read(&self.path).unwrap_or_default();
        bytes
            .split(|&byte| byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect()
    }

    /// Every key that the run has to do with.
    pub fn keys(&self) -> BTreeSet<Key> {
        let mut keys = BTreeSet::new();
        for line in self.lines() {
            find_keys(&line, &mut keys);
        }
        keys
    }
}

fn find_keys(value: &Value, keys: &mut BTreeSet<Key>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "key" => keys.extend(text.parse::<Key>()),
                    other => find_keys(other, keys),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| find_keys(item, keys)),
        _ => {}
    }
}

impl Cache {
    /// Begins the journal of a run.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn start_journal(&self) -> Result<Journal, CacheError> {
        let runs = self.layout.folder("runs");
        let (id, path, file) = loop {
            let now = crate::clock::now().strftime("%Y%m%dT%H%M%S%6fZ");
            let id = format!("{now}-{}", std::process::id());
            let path = runs.join(format!("{id}.jsonl"));
            match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(file) => break (id, path, file),
                // Begun in the same microsecond: time passes.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(CacheError::io("make the journal", &path)(error)),
            }
        };
        let lock = self.lock_journal(&path, &file)?;
        let folder = runs.join(&id);
        self.disk.create_folder(&folder)?;
        Ok(Journal {
            id,
            path,
            folder,
            file: Mutex::new(file),
            _lock: lock,
        })
    }

    /// All runs that are remembered, oldest first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn runs(&self) -> Result<Vec<RunFile>, CacheError> {
        let runs = self.layout.folder("runs");
        Ok(names(&runs)?
            .iter()
            .filter_map(|name| name.strip_suffix(".jsonl"))
            .map(|id| {
                let path = runs.join(format!("{id}.jsonl"));
                RunFile {
                    id: id.to_owned(),
                    live: is_locked(&path),
                    folder: runs.join(id),
                    path,
                }
            })
            .collect())
    }
}
