//! The identity of every model and dataset that a stage reads: what stands in the key for it.

use crate::experiment::{Role, Source};
use std::path::Path;

/// Why a source has no identity.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    message: String,
}

impl SourceError {
    /// An error with its whole message: what was looked for, where, and how to provide it.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

/// Tells what a source holds, without reading it twice.
pub trait Sources {
    /// The identity of a source: the digest of its content, or the commit that a revision on the Hub stands for. Two
    /// sources with one identity hold the same.
    ///
    /// # Errors
    /// When it cannot be found.
    fn identity(&self, role: Role, source: &Source) -> Result<String, SourceError>;
}

/// The digest of a file or of all files of a folder: names within the folder, lengths and contents. The names of the file
/// itself or of the folder do not count, but the file's extension does, since readers go by it.
///
/// # Errors
/// When something cannot be read.
pub fn content_identity(
    path: &Path,
    digest: &mut dyn FnMut(&Path) -> std::io::Result<dpx_schema::Digest>,
) -> Result<String, SourceError> {
    let fail = |error: std::io::Error| {
        SourceError::new(format!("could not read `{}`: {error}", path.display()))
    };
    if let Some(what) = unreadable_twice(path) {
        return Err(SourceError::new(format!(
            "`{}` is {what}: data and models are read several times; save them to a file first",
            path.display()
        )));
    }
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    if path.is_dir() {
        part(b"dpx folder v1");
        let mut names = Vec::new();
        walk(path, "", &mut names)?;
        names.sort();
        for name in &names {
            part(name.as_bytes());
            let file = path.join(name);
            let digest = digest(&file).map_err(|error| {
                SourceError::new(format!("could not read `{}`: {error}", file.display()))
            })?;
            part(digest.as_bytes());
        }
    } else {
        part(b"dpx file v1");
        let extension = path.extension().and_then(|name| name.to_str());
        part(extension.unwrap_or("").to_lowercase().as_bytes());
        part(digest(path).map_err(fail)?.as_bytes());
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// What a path is that gives its content only once, or never ends: a pipe, a device, a socket, or one of this process's
/// own files. Nothing for files, folders, and paths that lead nowhere.
pub fn unreadable_twice(path: &Path) -> Option<&'static str> {
    // `/dev/stdin` may lead to a file here and to another one in a worker.
    if ["/dev", "/proc"]
        .iter()
        .any(|place| path.starts_with(place))
    {
        return Some("a device or an open file of one process");
    }
    let kind = std::fs::metadata(path).ok()?.file_type();
    if kind.is_file() || kind.is_dir() {
        return None;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return Some("a pipe");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
    }
    Some("a device")
}

/// Names of all files below a folder, with `/`; hidden files and folders, such as `.git`, are left out.
fn walk(folder: &Path, prefix: &str, names: &mut Vec<String>) -> Result<(), SourceError> {
    let fail = |path: &Path, error: &dyn std::fmt::Display| {
        SourceError::new(format!("could not read `{}`: {error}", path.display()))
    };
    let entries = std::fs::read_dir(folder).map_err(|error| fail(folder, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| fail(folder, &error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let path = entry.path();
        if let Some(what) = unreadable_twice(&path) {
            return Err(fail(&path, &format!("it is {what}")));
        }
        match std::fs::metadata(&path) {
            Ok(found) if found.is_dir() => walk(&path, &format!("{prefix}{name}/"), names)?,
            Ok(_) => names.push(format!("{prefix}{name}")),
            Err(error) if path.is_symlink() => {
                return Err(fail(&path, &format!("the link leads nowhere: {error}")));
            }
            Err(error) => return Err(fail(&path, &error)),
        }
    }
    Ok(())
}

/// Takes every source for seen: enough to draw the graph of an experiment, not to run it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen;

impl Sources for Seen {
    fn identity(&self, _role: Role, _source: &Source) -> Result<String, SourceError> {
        Ok("seen".to_owned())
    }
}
