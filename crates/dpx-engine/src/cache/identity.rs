//! Who a cache is, wherever it lies: a random name, written once.
//!
//! What lives outside the cache and belongs to it, such as the keys of unfinished private runs, is found by this name, so
//! that a cache may be moved.

use super::store::again_where_swept;
use super::{Cache, CacheError};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const DIGITS: usize = 32;

impl Cache {
    fn identity_path(&self) -> PathBuf {
        self.layout.root.join("identity")
    }

    /// The identity of the cache: 32 hexadecimal digits.
    ///
    /// # Errors
    /// When it cannot be read, or the cache was never prepared.
    pub fn identity(&self) -> Result<String, CacheError> {
        let path = self.identity_path();
        let text = fs::read_to_string(&path).map_err(CacheError::io("read", &path))?;
        let text = text.trim();
        let sound = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        sound
            .then(|| text.to_owned())
            .ok_or(CacheError::BadIdentity { path })
    }

    /// Gives the cache an identity if it has none. Of several processes that do so at once, one wins.
    pub(super) fn identify(&self) -> Result<(), CacheError> {
        let path = self.identity_path();
        if path.exists() {
            return Ok(());
        }
        let mut random = [0; DIGITS / 2];
        getrandom::fill(&mut random).map_err(|error| {
            let error = io::Error::other(error.to_string());
            CacheError::io("draw random numbers for", &path)(error)
        })?;
        let text = format!("{:032x}\n", u128::from_le_bytes(random));
        self.place_once(&path, &text)
    }

    /// Writes a file of the cache that is never changed. Of several processes that do so at once, one wins.
    pub(super) fn place_once(&self, path: &Path, text: &str) -> Result<(), CacheError> {
        again_where_swept(|| self.place(path, text))?;
        self.disk.sync_folder(&self.layout.root)
    }

    fn place(&self, path: &Path, text: &str) -> Result<(), CacheError> {
        let temporary = self.temporary();
        let written = self.disk.create_file(&temporary).and_then(|mut file| {
            self.disk.write(&mut file, text.as_bytes(), &temporary)?;
            self.disk.sync_file(&file, &temporary)
        });
        let placed = written.and_then(|()| match fs::hard_link(&temporary, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            // A file system without second names: the window of a race is small, and both would be whole.
            Err(_) if !path.exists() => self.disk.rename(&temporary, path),
            Err(_) | Ok(()) => Ok(()),
        });
        let removed = self.disk.remove_file(&temporary);
        placed.and(removed)
    }

    /// Folder that holds the folders with checkpoints of unfinished instances, by key.
    pub fn states(&self) -> PathBuf {
        self.layout.folder("state")
    }
}
