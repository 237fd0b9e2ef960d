//! Sources on this machine: files and folders by content, built-ins too, the Hub's by commit.

use super::memo::Memo;
use super::sources::{SourceError, Sources, content_identity};
use crate::experiment::{Role, Source};
use dpx_data as data;
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
    fn identity(&self, role: Role, source: &Source) -> Result<String, SourceError> {
        match source {
            Source::Path(path) => {
                let mut memo = self.memo.borrow_mut();
                content_identity(path, &mut |file| memo.digest(file))
            }
            Source::Builtin(name) => Ok(find(role, &data::Source::Builtin(name.clone()))
                // What this build does not carry is told by the stage that wants it.
                .unwrap_or_else(|_| format!("builtin:{name}@{}", env!("CARGO_PKG_VERSION")))),
            Source::Hub {
                repository,
                revision,
            } => find(
                role,
                &data::Source::Hub {
                    repository: repository.clone(),
                    revision: revision.clone().unwrap_or_else(|| "main".to_owned()),
                },
            ),
            Source::Word(word) | Source::Stage(word) => {
                Err(SourceError::new(format!("`{word}` names nothing to read")))
            }
        }
    }
}

fn find(role: Role, source: &data::Source) -> Result<String, SourceError> {
    let role = if role == Role::Dataset {
        data::Role::Dataset
    } else {
        data::Role::Model
    };
    source
        .identity(role)
        .map_err(|error| SourceError::new(error.to_string()))
}
