//! Handing artifacts out: every byte is verified before a reader gets it.
//!
//! What is handed out is a second name of the object, read-only as the object is, so that inputs take no room twice and a
//! killed run leaves no copies of private texts. Where the file system has no second names, or not for this user, it is a
//! copy. What is hashed is what the reader gets: the file under its new name, or the copy while it is written. Whoever
//! overcomes the missing permission and writes there damages the object, which the next reader notices.

use super::disk::digest_stream;
use super::store::is_inside;
use super::{Cache, CacheError};
use dpx_schema::{Digest, FileEntry, Manifest};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

impl Cache {
    /// Hands an artifact out to a folder, read-only, verifying every file.
    ///
    /// # Errors
    /// [`CacheError::Damaged`] when an object is missing or its content is not what its name says; it is set aside first,
    /// so that its record is a miss from then on.
    pub(crate) fn check_out(&self, manifest: &Manifest, folder: &Path) -> Result<(), CacheError> {
        self.disk.create_folder(folder)?;
        for file in &manifest.files {
            self.hand_out(file, folder)?;
        }
        Ok(())
    }

    /// The content of one file of an artifact, verified.
    ///
    /// # Errors
    /// As [`Cache::check_out`].
    pub fn read(&self, file: &FileEntry) -> Result<Vec<u8>, CacheError> {
        let mut bytes = Vec::new();
        self.verified(file, &self.layout.object(&file.digest), |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(bytes)
    }

    /// Verifies one file of an artifact without keeping its content.
    pub(super) fn check(&self, file: &FileEntry) -> Result<(), CacheError> {
        self.verified(file, &self.layout.object(&file.digest), |_| Ok(()))
    }

    fn hand_out(&self, file: &FileEntry, folder: &Path) -> Result<(), CacheError> {
        if !is_inside(&file.path) {
            return Err(CacheError::BadOutput {
                path: PathBuf::from(&file.path),
                problem: "which would lie outside its folder",
            });
        }
        let target = folder.join(&file.path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(CacheError::io("make the folder", parent))?;
        }
        let object = self.layout.object(&file.digest);
        if self.disk.link_read_only(&object, &target)? {
            let verified = self.verified(file, &target, |_| Ok(()));
            return verified.inspect_err(|_| drop(fs::remove_file(&target)));
        }
        let mut copy = self.disk.create_file(&target)?;
        self.verified(file, &object, |piece| copy.write_all(piece))?;
        self.disk.set_read_only(&copy, &target)
    }

    /// Reads an object, under its own or a second name, through `sink`, and sets it aside when it is not what it should be.
    fn verified(
        &self,
        file: &FileEntry,
        object: &Path,
        sink: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), CacheError> {
        // Whatever else has the name is never opened: a pipe may block for ever.
        if fs::symlink_metadata(object).is_ok_and(|found| !found.is_file()) {
            self.set_aside(&file.digest)?;
            return Err(CacheError::Damaged {
                digest: file.digest,
                file: file.path.clone(),
                problem: "is no file",
            });
        }
        let problem = match File::open(object) {
            Ok(handle) => {
                let found = digest_stream(handle, sink)
                    .map_err(CacheError::io("copy the object", object))?;
                if found == (file.digest, file.size) {
                    return Ok(());
                }
                self.set_aside(&file.digest)?;
                "is damaged"
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => "is missing",
            Err(error) => return Err(CacheError::io("open the object", object)(error)),
        };
        Err(CacheError::Damaged {
            digest: file.digest,
            file: file.path.clone(),
            problem,
        })
    }

    /// Moves an object out of the way; another process may have done so already.
    pub(super) fn set_aside(&self, digest: &Digest) -> Result<(), CacheError> {
        let object = self.layout.object(digest);
        self.move_aside(&object, &digest.to_string())
    }

    pub(super) fn move_aside(&self, path: &Path, name: &str) -> Result<(), CacheError> {
        let now = crate::clock::nanoseconds();
        let aside = self.layout.folder("damaged").join(format!("{name}-{now}"));
        match self.disk.rename(path, &aside) {
            Err(CacheError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(())
            }
            other => other,
        }
    }
}
