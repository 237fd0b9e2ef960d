//! A store in a folder: `file:///PATH`, for a disk that machines share.

use super::store::{Created, Listed, Store, StoreError};
use dpx_schema::files::write_whole;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Objects as files in a folder that several machines see.
#[derive(Debug, Clone)]
pub struct FileStore {
    folder: PathBuf,
}

impl FileStore {
    /// A store in a folder, which is made when something is written.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn made(path: &Path) -> io::Result<()> {
        path.parent().map_or(Ok(()), fs::create_dir_all)
    }
}

fn told(error: &io::Error) -> StoreError {
    let what = error.to_string();
    match error.kind() {
        // A server of files that is away for a moment.
        io::ErrorKind::TimedOut
        | io::ErrorKind::Interrupted
        | io::ErrorKind::StaleNetworkFileHandle => StoreError::Silent { what },
        _ => StoreError::Refused { what },
    }
}

fn or_nothing<T>(result: io::Result<T>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(told(&error)),
    }
}

impl Store for FileStore {
    fn describe(&self) -> String {
        format!("file://{}", self.folder.display())
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        or_nothing(fs::read(self.path(name)))
    }

    fn size(&self, name: &str) -> Result<Option<u64>, StoreError> {
        Ok(or_nothing(fs::metadata(self.path(name)))?.map(|found| found.len()))
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path(name);
        Self::made(&path)
            .and_then(|()| write_whole(&path, bytes))
            .map_err(|error| told(&error))
    }

    fn create(&self, name: &str, bytes: &[u8]) -> Result<Created, StoreError> {
        let path = self.path(name);
        let written = (|| {
            Self::made(&path)?;
            let folder = path.parent().unwrap_or(&self.folder);
            let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
            io::Write::write_all(&mut fresh, bytes)?;
            fresh.as_file().sync_all()?;
            // A second name for a whole file: there is no moment at which half of it has the name.
            fs::hard_link(fresh.path(), &path)
        })();
        match written {
            Ok(()) => Ok(Created::New),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Created::Exists),
            Err(error) => Err(told(&error)),
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<Listed>, StoreError> {
        let Some(entries) = or_nothing(fs::read_dir(self.path(folder)))? else {
            return Ok(Vec::new());
        };
        let mut listed = Vec::new();
        for entry in entries.flatten() {
            let (Ok(found), Ok(name)) = (entry.metadata(), entry.file_name().into_string()) else {
                continue;
            };
            if found.is_file() && !name.starts_with('.') {
                listed.push(Listed {
                    name: format!("{folder}{name}"),
                    size: found.len(),
                    modified: found.modified().map_err(|error| told(&error))?,
                });
            }
        }
        Ok(listed)
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        or_nothing(fs::remove_file(self.path(name))).map(|_| ())
    }
}
