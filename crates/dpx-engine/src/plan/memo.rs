//! Digests of files that were read before, by size and times: a plan does not read a model of gigabytes anew each time.

use dpx_schema::Digest;
use dpx_schema::files::write_swapped;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a file looked like when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    size: u64,
    modified: u128,
    changed: i128,
    digest: Digest,
}

/// Remembers digests in a file. A missing or broken file only costs time.
#[derive(Debug, Default)]
pub(super) struct Memo {
    file: Option<PathBuf>,
    entries: BTreeMap<PathBuf, Entry>,
    dirty: bool,
}

impl Memo {
    pub(super) fn open(file: Option<PathBuf>) -> Self {
        let entries = file
            .as_ref()
            .and_then(|file| std::fs::read(file).ok())
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self {
            file,
            entries,
            dirty: false,
        }
    }

    /// The digest of a file, read only if it looks other than before.
    pub(super) fn digest(&mut self, path: &Path) -> std::io::Result<Digest> {
        let path = path.canonicalize()?;
        let before = look(&path)?;
        if let Some(entry) = self.entries.get(&path)
            && (entry.size, entry.modified, entry.changed) == before
        {
            return Ok(entry.digest);
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(std::fs::File::open(&path)?)?;
        let digest = Digest::from_bytes(*hasher.finalize().as_bytes());
        let (size, modified, changed) = before;
        // A file written just now could change again within one tick of its clock: it is not remembered.
        let settled = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO)
            .as_nanos()
            .saturating_sub(modified)
            > 2_000_000_000;
        if settled && look(&path)? == before {
            self.entries.insert(
                path,
                Entry {
                    size,
                    modified,
                    changed,
                    digest,
                },
            );
            self.dirty = true;
        }
        Ok(digest)
    }

    /// Writes what is new. A failure only costs time, so it is not told.
    pub(super) fn save(&mut self) {
        let Some(file) = self.file.as_ref().filter(|_| self.dirty) else {
            return;
        };
        self.dirty = false;
        if let Ok(bytes) = serde_json::to_vec(&self.entries) {
            drop(write_swapped(file, &bytes));
        }
    }
}

/// Size, time of the last write, and where there is one the time of the last change of anything.
fn look(path: &Path) -> std::io::Result<(u64, u128, i128)> {
    let metadata = std::fs::metadata(path)?;
    let modified = metadata
        .modified()?
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_nanos();
    #[cfg(unix)]
    let changed = {
        use std::os::unix::fs::MetadataExt;
        i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec())
    };
    #[cfg(not(unix))]
    let changed = 0;
    Ok((metadata.len(), modified, changed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data.csv");
        let file = folder.path().join("memo.json");
        let write = |text: &str| {
            std::fs::write(&data, text).unwrap();
            let past = SystemTime::now() - Duration::from_mins(1);
            std::fs::File::options()
                .write(true)
                .open(&data)
                .unwrap()
                .set_modified(past)
                .unwrap();
        };
        write("one");
        let mut memo = Memo::open(Some(file.clone()));
        assert_eq!(memo.digest(&data).unwrap(), Digest::of(b"one"));
        memo.save();

        let mut again = Memo::open(Some(file));
        assert_eq!(again.entries.len(), 1);
        assert_eq!(again.digest(&data).unwrap(), Digest::of(b"one"));
        assert!(!again.dirty);
        write("two");
        assert_eq!(again.digest(&data).unwrap(), Digest::of(b"two"));
    }
}
