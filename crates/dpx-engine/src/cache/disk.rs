//! Every write of the cache: temporary file, sync, rename, sync of the folder; with a place for injected faults.

use super::CacheError;
use dpx_schema::Digest;
use dpx_schema::files::sync_folder;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

/// A kind of write, as fault injection sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// A folder is made that was missing.
    CreateFolder,
    /// A file is made that must not exist yet.
    CreateFile,
    /// Bytes are written; a fault here leaves half of them behind, as a full disk does.
    Write,
    /// A file's content is forced to the medium.
    SyncFile,
    /// A file loses the permission to write.
    SetReadOnly,
    /// A file gets its final name.
    Rename,
    /// A folder's entries are forced to the medium.
    SyncFolder,
    /// A file or folder is removed.
    Remove,
}

/// Decides before each write whether it fails. Only tests implement it.
pub trait Faults: Send + Sync + std::fmt::Debug {
    /// Called before the step is taken at `path`.
    ///
    /// # Errors
    /// The error that the operating system is to have returned.
    fn before(&self, step: Step, path: &Path) -> io::Result<()>;
}

/// Where the cache writes; in tests each write may be made to fail.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    faults: Option<Arc<dyn Faults>>,
}

impl Disk {
    /// A disk whose writes may fail.
    pub fn with_faults(faults: Arc<dyn Faults>) -> Self {
        Self {
            faults: Some(faults),
        }
    }

    fn before(&self, step: Step, path: &Path) -> io::Result<()> {
        self.faults
            .as_ref()
            .map_or(Ok(()), |faults| faults.before(step, path))
    }

    /// Makes a folder and its parents.
    pub(crate) fn create_folder(&self, path: &Path) -> Result<(), CacheError> {
        self.before(Step::CreateFolder, path)
            .and_then(|()| fs::create_dir_all(path))
            .map_err(CacheError::io("make the folder", path))
    }

    /// Makes a file that must not exist.
    pub(crate) fn create_file(&self, path: &Path) -> Result<File, CacheError> {
        self.before(Step::CreateFile, path)
            .and_then(|()| OpenOptions::new().write(true).create_new(true).open(path))
            .map_err(CacheError::io("make", path))
    }

    pub(crate) fn write(
        &self,
        file: &mut File,
        bytes: &[u8],
        path: &Path,
    ) -> Result<(), CacheError> {
        self.before(Step::Write, path)
            .or_else(|error| {
                file.write_all(&bytes[..bytes.len() / 2])?;
                Err(error)
            })
            .and_then(|()| file.write_all(bytes))
            .map_err(CacheError::io("write", path))
    }

    /// Forces a file's content to the medium.
    pub(crate) fn sync_file(&self, file: &File, path: &Path) -> Result<(), CacheError> {
        self.before(Step::SyncFile, path)
            .and_then(|()| file.sync_all())
            .map_err(CacheError::io("sync", path))
    }

    /// Takes away the permission to write.
    pub(crate) fn set_read_only(&self, file: &File, path: &Path) -> Result<(), CacheError> {
        self.before(Step::SetReadOnly, path)
            .and_then(|()| {
                let mut permissions = file.metadata()?.permissions();
                permissions.set_readonly(true);
                file.set_permissions(permissions)
            })
            .map_err(CacheError::io("make read-only", path))
    }

    /// Gives a read-only file a second name, which must not exist. Says whether it has one: not every file system can do so,
    /// and a file that may be written is not handed out.
    pub(crate) fn link_read_only(&self, from: &Path, to: &Path) -> Result<bool, CacheError> {
        // To whoever injects faults it is what a copy is.
        self.before(Step::CreateFile, to)
            .and_then(|()| self.before(Step::SetReadOnly, to))
            .map_err(CacheError::io("make", to))?;
        let read_only = fs::symlink_metadata(from)
            .is_ok_and(|found| found.is_file() && found.permissions().readonly());
        Ok(read_only && fs::hard_link(from, to).is_ok())
    }

    /// Gives a file its final name, replacing what stands there.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), CacheError> {
        self.before(Step::Rename, to)
            .and_then(|()| fs::rename(from, to))
            .map_err(CacheError::io("rename a file to", to))
    }

    /// Forces the entries of a folder to the medium.
    pub(crate) fn sync_folder(&self, path: &Path) -> Result<(), CacheError> {
        self.before(Step::SyncFolder, path)
            .and_then(|()| sync_folder(path))
            .map_err(CacheError::io("sync the folder", path))
    }

    /// Removes a file; one that is not there is fine.
    pub(crate) fn remove_file(&self, path: &Path) -> Result<(), CacheError> {
        self.before(Step::Remove, path)
            .and_then(|()| or_missing(fs::remove_file(path)))
            .map_err(CacheError::io("remove", path))
    }

    /// Removes a folder with all it holds; one that is not there is fine.
    pub(crate) fn remove_folder(&self, path: &Path) -> Result<(), CacheError> {
        self.before(Step::Remove, path)
            .and_then(|()| or_missing(fs::remove_dir_all(path)))
            .map_err(CacheError::io("remove the folder", path))
    }

    /// Writes a file so that readers see either the old content or all of the new, even after a power cut.
    pub(crate) fn write_atomic(
        &self,
        path: &Path,
        bytes: &[u8],
        temporary: &Path,
    ) -> Result<(), CacheError> {
        let written = self.create_file(temporary).and_then(|mut file| {
            self.write(&mut file, bytes, temporary)?;
            self.sync_file(&file, temporary)
        });
        let moved = written.and_then(|()| self.rename(temporary, path));
        if moved.is_err() {
            // The first error is the one to report; a leftover is swept by garbage collection.
            self.remove_file(temporary).ok();
        }
        moved?;
        self.sync_folder(path.parent().unwrap_or(path))
    }
}

fn or_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Reads everything from `source`, hands each piece to `sink`, and returns the digest and the length.
pub(crate) fn digest_stream(
    mut source: impl Read,
    mut sink: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<(Digest, u64)> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut length = 0;
    loop {
        let read = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..read]);
        sink(&buffer[..read])?;
        length += read as u64;
    }
    Ok((Digest::from_bytes(*hasher.finalize().as_bytes()), length))
}

/// The digest and the length of a file.
pub(crate) fn digest_file(path: &Path) -> io::Result<(Digest, u64)> {
    digest_stream(File::open(path)?, |_| Ok(()))
}
