//! Sources on this machine: files and folders by content, built-ins too, the Hub's by commit.

use super::memo::Memo;
use super::sources::{SourceError, Sources, content_identity};
use dpx_data::hub::Hub;
use dpx_data::{Role, Source};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// Finds the identity of sources. Remembers the digests of files in the cache's folder.
#[derive(Debug)]
pub struct LocalSources {
    memo: RefCell<Memo>,
    hub: Hub,
}

impl LocalSources {
    /// Remembers digests in `sources.json` of a folder that exists, such as the cache; elsewhere only while it lives.
    pub fn new(folder: &Path) -> Self {
        Self::with(folder, Hub::from_env())
    }

    /// The same without network: a branch on the Hub is the commit that it was when it was last asked for.
    pub fn offline(folder: &Path) -> Self {
        Self::with(folder, Hub::offline_from_env())
    }

    fn with(folder: &Path, hub: Hub) -> Self {
        let file: Option<PathBuf> = folder.is_dir().then(|| folder.join("sources.json"));
        Self {
            memo: RefCell::new(Memo::open(file)),
            hub,
        }
    }
}

impl Drop for LocalSources {
    fn drop(&mut self) {
        self.memo.borrow_mut().save();
    }
}

impl Sources for LocalSources {
    fn identity(&self, role: Role, source: &Source) -> Result<String, SourceError> {
        match source {
            Source::Path(path) => {
                let mut memo = self.memo.borrow_mut();
                content_identity(path, &mut |file| memo.digest(file))
            }
            Source::Builtin(name) => Ok(source
                .identity(role, &self.hub)
                // What this build does not carry is told by the stage that wants it.
                .unwrap_or_else(|_| format!("builtin:{name}@{}", env!("CARGO_PKG_VERSION")))),
            Source::Hub(_) => Ok(source.identity(role, &self.hub)?),
        }
    }
}
