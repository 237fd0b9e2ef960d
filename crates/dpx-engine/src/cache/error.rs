//! What can go wrong in the cache.

use dpx_schema::{Digest, Key};
use std::io;
use std::path::{Path, PathBuf};

/// Why the cache could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum CacheError {
    /// The operating system refused to read or write.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried, as in "cannot write".
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// The cache was made by a newer dpx.
    #[error("the cache `{}` has format {found}, and this dpx reads formats up to {known}: use a newer dpx, or give another folder with `--cache`", path.display())]
    FutureFormat {
        path: PathBuf,
        found: u64,
        known: u64,
    },
    /// The format file says nothing that this program understands.
    #[error("`{}` does not say which format the cache has: expected `{{\"dpx_cache\":1}}`; give another folder with `--cache`", path.display())]
    UnknownFormat { path: PathBuf },
    /// An object's content is not what its name says, or it is missing.
    #[error("the cached file `{file}` (object {}) {problem}: it is set aside and must be rebuilt", digest.short())]
    Damaged {
        digest: Digest,
        file: String,
        problem: &'static str,
    },
    /// The identity file holds something else.
    #[error("`{}` does not hold the identity of the cache: expected 32 hexadecimal digits; restore it, or delete it, and unfinished private runs restart with new keys", path.display())]
    BadIdentity { path: PathBuf },
    /// An artifact has no file of this path.
    #[error("the artifact has no file `{file}`")]
    NoSuchFile { file: String },
    /// A stage's output folder holds something that cannot be cached.
    #[error("the output holds `{}`, {problem}: only regular files with UTF-8 names can be cached", path.display())]
    BadOutput {
        path: PathBuf,
        problem: &'static str,
    },
    /// A staged file differs from what the closing manifest says of it.
    #[error("the staged file `{}` is not what its worker's closing manifest says", path.display())]
    Torn { path: PathBuf },
    /// The lock given is not the key's.
    #[error("the lock of another key was given for {}", key.short())]
    WrongLock { key: Key },
    /// Another process took this one for dead and took its lock over.
    #[error("the lock `{}` was taken over by another process, which found it without a sign of life for too long: what this one made is not committed", path.display())]
    LockLost { path: PathBuf },
    /// The cache is locked by the kernel, and on this machine that keeps nobody else out.
    #[error("the cache says in `{}` that the kernel locks it, and here {reason}: other machines would not see its locks. Make sure that no run uses the cache, delete that file, and run again: the cache is then locked by claims; or set DPX_LOCKS=kernel where only this machine uses it", path.display())]
    LocksStayHere { path: PathBuf, reason: String },
    /// Garbage collection without anything to keep would delete everything.
    #[error("nothing is named that must be kept: give experiment files, or `--keep-runs N`")]
    NoRoots,
    /// A record or manifest could not be written as JSON.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl CacheError {
    /// For `map_err`: what was tried, and where.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
