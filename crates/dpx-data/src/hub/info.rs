//! What the Hub says of a repository: its commit, its files, and their sizes and digests.

use hf_hub::api::sync::{ApiError, ApiRepo};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Longest answer read, in bytes.
const LIMIT: u64 = 64 << 20;

/// A repository at one commit.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    /// The commit, 40 hexadecimal digits.
    pub(super) sha: String,
    /// Its files.
    #[serde(default)]
    pub(super) siblings: Vec<File>,
}

/// A file of a repository. A mirror may leave out all but the name.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct File {
    #[serde(rename = "rfilename")]
    pub(super) name: String,
    /// Bytes.
    pub(super) size: Option<u64>,
    /// There where the file is stored as a large one.
    lfs: Option<Lfs>,
}

#[derive(Debug, Clone, Deserialize)]
struct Lfs {
    sha256: Option<String>,
}

impl File {
    /// The SHA-256 of a large file, where the Hub states it.
    pub(super) fn sha256(&self) -> Option<&str> {
        self.lfs.as_ref()?.sha256.as_deref()
    }
}

/// Why there is no [`Info`].
#[derive(Debug)]
pub(super) enum InfoError {
    /// The Hub refused or could not be asked.
    Api(ApiError),
    /// It answered with something else.
    Answer(String),
}

/// Asks the Hub; `files` also for sizes and digests.
pub(super) fn ask(repo: &ApiRepo, files: bool) -> Result<Info, InfoError> {
    let request = repo.info_request();
    let request = if files {
        request.query("blobs", "true")
    } else {
        request
    };
    let asked = |error| InfoError::Api(ApiError::RequestError(Box::new(error)));
    let mut response = request.call().map_err(asked)?;
    let body = response.body_mut().with_config().limit(LIMIT);
    let bytes = body.read_to_vec().map_err(asked)?;
    let info: Info =
        serde_json::from_slice(&bytes).map_err(|error| InfoError::Answer(error.to_string()))?;
    if super::is_commit(&info.sha) {
        Ok(info)
    } else {
        Err(InfoError::Answer("`sha` is no commit".to_owned()))
    }
}

/// The SHA-256 of a file, in hexadecimal digits.
pub(super) fn sha256_of(path: &Path) -> std::io::Result<String> {
    use std::fmt::Write;
    let mut hasher = Sha256::new();
    std::io::copy(&mut std::fs::File::open(path)?, &mut hasher)?;
    let mut text = String::with_capacity(64);
    for byte in hasher.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
