//! One file of a repository: downloaded, resumed, and checked before it is believed.

use super::info::{self, File};
use super::{Bridge, DataError, Hub, Progress, Role, kind};
use hf_hub::api::sync::{ApiError, ApiRepo};
use hf_hub::{Cache, Repo};
use std::path::{Path, PathBuf};

/// Downloads files of one repository at one commit.
pub(super) struct Download<'a> {
    pub(super) hub: &'a Hub,
    /// The repository at the commit.
    pub(super) repo: ApiRepo,
    pub(super) role: Role,
    pub(super) repository: &'a str,
    /// The revision that was asked for; for messages.
    pub(super) revision: &'a str,
    /// Folder of the commit in the cache folder.
    pub(super) folder: &'a Path,
}

impl Download<'_> {
    /// Makes sure that a file is there, of the size and with the digest that the Hub states.
    pub(super) fn file(&self, file: &File, progress: &mut dyn Progress) -> Result<(), DataError> {
        let path = self.folder.join(&file.name);
        if let Ok(metadata) = std::fs::metadata(&path) {
            if file.size.is_none_or(|size| size == metadata.len()) {
                return Ok(());
            }
            // Cut short by a full disk or a crash of whoever wrote it.
            remove(&path);
        }
        let mut announced = 0;
        let path = loop {
            let bridge = Bridge::new(progress, &file.name, &mut announced);
            match self.repo.download_with_progress(&file.name, bridge) {
                Ok(path) => break path,
                // Another process downloads it: wait for that one.
                Err(ApiError::LockAcquisition(_)) => {
                    if path.exists() {
                        return Ok(());
                    }
                }
                Err(ApiError::InvalidResume) => self.forget_part(&file.name)?,
                Err(error) => return Err(self.refused(&error, &file.name)),
            }
        };
        self.check(file, &path, announced)
    }

    /// A file that is not what the Hub states must not be taken for whole the next time.
    fn check(&self, file: &File, path: &Path, announced: u64) -> Result<(), DataError> {
        let found = std::fs::metadata(path)
            .map_err(|error| DataError::file(path, error))?
            .len();
        let expected = file.size.unwrap_or(announced);
        let problem = if found == expected {
            let blob = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            let Some(expected) = file.sha256().map(str::to_owned).or_else(|| named(&blob)) else {
                return Ok(());
            };
            let found = info::sha256_of(path).map_err(|error| DataError::file(path, error))?;
            if found == expected {
                return Ok(());
            }
            format!("arrived with the SHA-256 {found}, the Hub states {expected}")
        } else {
            format!("arrived with {found} bytes, the Hub announced {expected}")
        };
        remove(path);
        Err(DataError::other(format!(
            "`{}` of `hf:{}@{}` {problem}: it was removed; try again",
            file.name, self.repository, self.revision
        )))
    }

    /// Removes the beginning of a download that is longer than the whole file.
    fn forget_part(&self, name: &str) -> Result<(), DataError> {
        let api = self.hub.api()?;
        let metadata = api
            .metadata(&self.repo.url(name))
            .map_err(|error| self.refused(&error, name))?;
        let repo = Repo::new(self.repository.to_owned(), kind(self.role));
        let mut part = Cache::new(self.hub.cache.clone())
            .repo(repo)
            .blob_path(metadata.etag());
        part.set_extension("part");
        std::fs::remove_file(&part).map_err(|error| DataError::file(&part, error))
    }

    fn refused(&self, error: &ApiError, name: &str) -> DataError {
        let (repository, revision) = (self.repository, self.revision);
        self.hub
            .refused(error, self.role, repository, revision, Some(name))
    }
}

/// The digest that a blob is named by: large files are stored under their SHA-256.
fn named(blob: &Path) -> Option<String> {
    let name = blob.file_name()?.to_str()?;
    let digest = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    digest.then(|| name.to_lowercase())
}

/// Removes a file and, where it is a link, what it leads to.
fn remove(path: &Path) {
    let blob: Option<PathBuf> = path.canonicalize().ok();
    drop(std::fs::remove_file(path));
    if let Some(blob) = blob.filter(|blob| blob != path) {
        drop(std::fs::remove_file(blob));
    }
}
