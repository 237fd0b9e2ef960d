//! Sources on this machine: files and folders by content, built-ins by the version of dpx.

use super::memo::Memo;
use super::sources::{SourceError, Sources, content_identity};
use crate::spec::{Role, Source};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// Finds the identity of sources. Remembers the digests of files in the cache's folder.
#[derive(Debug, Default)]
pub struct LocalSources {
    memo: RefCell<Memo>,
}

impl LocalSources {
    /// Remembers digests in `sources.json` of a folder that exists, such as the cache; elsewhere only while it lives.
    pub fn new(folder: &Path) -> Self {
        let file: Option<PathBuf> = folder.is_dir().then(|| folder.join("sources.json"));
        Self {
            memo: RefCell::new(Memo::open(file)),
        }
    }
}

impl Drop for LocalSources {
    fn drop(&mut self) {
        self.memo.borrow_mut().save();
    }
}

impl Sources for LocalSources {
    fn identity(&self, _role: Role, source: &Source) -> Result<String, SourceError> {
        match source {
            Source::Path(path) => {
                let mut memo = self.memo.borrow_mut();
                content_identity(path, &mut |file| memo.digest(file))
            }
            Source::Builtin(name) => Ok(format!("builtin:{name}@{}", env!("CARGO_PKG_VERSION"))),
            Source::Hub { repository, .. } => {
                Err(SourceError::new(format!("cannot reach `hf:{repository}`")))
            }
            Source::Word(word) | Source::Stage(word) => {
                Err(SourceError::new(format!("`{word}` names nothing to read")))
            }
        }
    }
}
