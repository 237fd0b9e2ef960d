//! Sources whose keys say, beside what a model holds, by which rules its tokenizer is read where these are not those of its file.

use super::download;
use super::families::pinned;
use dpx_data::{HubName, Role, Source, hub};
use dpx_engine::plan::{LocalSources, SourceError, Sources};
use dpx_nn::text::{TOKENIZER_FILES, has_rules, reading};
use std::path::{Path, PathBuf};

/// The sources that every plan with keys is built of: those on this machine and the Hub's, each with its reading. Whoever builds a plan of
/// others finds nothing in the cache of what such a tokenizer has part in.
pub(crate) struct Readings {
    sources: LocalSources,
    hub: hub::Hub,
}

impl Readings {
    /// Remembers digests in a folder that exists, such as the cache.
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            sources: LocalSources::new(folder),
            hub: hub::Hub::from_env(),
        }
    }

    /// The same without network.
    pub(crate) fn offline(folder: &Path) -> Self {
        Self {
            sources: LocalSources::offline(folder),
            hub: hub::Hub::offline_from_env(),
        }
    }

    /// The folder with what tells how the tokenizer of a model on the Hub is read: small files, and only where a class has rules of its own
    /// the tokenizer. None of a GGUF file, beside which nothing else may come to lie, and where `config.json` cannot be had: then no stage
    /// can run either.
    fn tokenizer(&self, name: &HubName) -> Result<Option<PathBuf>, SourceError> {
        if name.config.is_some() || download::gguf(&self.hub, name)?.is_some() {
            return Ok(None);
        }
        let file = |file: &str| download::file(&self.hub, Role::Model, name, file);
        let Some(config) = file("config.json")? else {
            return Ok(None);
        };
        let Some(folder) = config.parent() else {
            return Ok(None);
        };
        let (last, small) = TOKENIZER_FILES
            .split_last()
            .expect("the list of files is not empty");
        for name in small {
            file(name)?;
        }
        if has_rules(folder) {
            file(last)?;
        }
        Ok(Some(folder.to_owned()))
    }
}

impl Sources for Readings {
    fn identity(&self, role: Role, source: &Source) -> Result<String, SourceError> {
        self.sources.identity(role, source)
    }

    fn reading(
        &self,
        role: Role,
        source: &Source,
        identity: &str,
    ) -> Result<Option<String>, SourceError> {
        match source {
            _ if role != Role::Model => Ok(None),
            Source::Path(folder) => Ok(reading(folder)),
            Source::Hub(name) => {
                let folder = self.tokenizer(&pinned(name, identity))?;
                Ok(folder.as_deref().and_then(reading))
            }
            Source::Builtin(_) => Ok(None),
        }
    }
}
