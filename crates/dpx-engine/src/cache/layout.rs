//! Where everything lies in the cache's folder, and the version of that layout.

use super::CacheError;
use dpx_schema::{Digest, Key};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The newest layout that this program knows, and the one it writes.
pub(super) const FORMAT: u64 = 1;

pub(super) const FOLDERS: [&str; 8] = [
    "objects",
    "records",
    "locks",
    "staging",
    "state",
    "runs",
    "damaged",
    "temporary",
];

pub(super) const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
# This folder is the cache of dpx: see `dpx cache --help`.\n";

/// Content of `format.json`.
#[derive(Serialize, Deserialize)]
pub(super) struct Format {
    pub(super) dpx_cache: u64,
}

/// Paths of the cache.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) root: PathBuf,
}

impl Layout {
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(super) fn format(&self) -> PathBuf {
        self.root.join("format.json")
    }

    pub(super) fn object(&self, digest: &Digest) -> PathBuf {
        self.folder("objects").join(digest.to_string())
    }

    pub(super) fn record(&self, key: &Key) -> PathBuf {
        self.folder("records").join(format!("{key}.json"))
    }

    pub(super) fn lock(&self, key: &Key) -> PathBuf {
        self.folder("locks").join(format!("{key}.lock"))
    }

    pub(super) fn worker_lock(&self, key: &Key) -> PathBuf {
        self.folder("locks").join(format!("{key}.worker"))
    }

    pub(super) fn use_lock(&self) -> PathBuf {
        self.folder("locks").join("use.lock")
    }

    pub(super) fn staging(&self, key: &Key) -> PathBuf {
        self.folder("staging").join(key.to_string())
    }

    pub(super) fn state(&self, key: &Key) -> PathBuf {
        self.folder("state").join(key.to_string())
    }

    /// Reads the format file; `None` where there is no cache yet.
    pub(super) fn read_format(&self) -> Result<Option<u64>, CacheError> {
        let path = self.format();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CacheError::io("read", &path)(error)),
        };
        let format: Format =
            serde_json::from_slice(&bytes).map_err(|_| CacheError::UnknownFormat { path })?;
        if format.dpx_cache > FORMAT {
            return Err(CacheError::FutureFormat {
                path: self.root.clone(),
                found: format.dpx_cache,
                known: FORMAT,
            });
        }
        Ok(Some(format.dpx_cache))
    }
}

/// The names in a folder, sorted; none where the folder is missing.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, CacheError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(CacheError::io("read the folder", folder)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(CacheError::io("read the folder", folder))?;
        if let Ok(name) = entry.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}
