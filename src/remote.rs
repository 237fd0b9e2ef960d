//! The cache that machines share: where it is, and with which key.

use super::Error;
use dpx_engine::cache::{FileStore, KeyError, Remote, Store, TeamKey};
use dpx_engine::experiment::CacheTable;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the shared cache is.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct RemoteArgs {
    /// Cache that machines share: s3://, gs://, az://, https:// or file:// [default: `[cache] remote` of the experiment file]
    #[arg(long, value_name = "URL", env = "DPX_CACHE_REMOTE")]
    pub(crate) remote: Option<String>,
    /// File with the key of the shared cache [default: `[cache] key_file` of the experiment file]
    #[arg(long, value_name = "FILE", env = "DPX_CACHE_KEY")]
    pub(crate) cache_key: Option<PathBuf>,
}

impl RemoteArgs {
    /// Opens the shared cache that the arguments or an experiment file name; nothing where neither names one.
    pub(crate) fn open(
        &self,
        written: Option<(&CacheTable, &Path)>,
    ) -> Result<Option<Remote>, Error> {
        let table = written.map(|(table, _)| table.clone()).unwrap_or_default();
        let Some(url) = self.remote.clone().or(table.remote) else {
            return Ok(None);
        };
        let written_key = written.and_then(|(table, file)| {
            let folder = file.parent().unwrap_or(Path::new(""));
            table.key_file.as_ref().map(|key| folder.join(key))
        });
        let key = self.cache_key.clone().or(written_key).ok_or_else(|| {
            Error::usage(format!("the remote cache {url} has no key: nobody could tell who wrote what lies there"))
                .hint("`dpx cache key team.key` makes one; name it with `--cache-key FILE`, DPX_CACHE_KEY, or `key_file` in `[cache]`")
        })?;
        let key = TeamKey::read(&key)?;
        let remote = Remote::new(store(&url)?, key, table.private, table.readonly)?;
        Ok(Some(remote))
    }

    /// Opens the shared cache, which must be named.
    pub(crate) fn required(&self, written: Option<(&CacheTable, &Path)>) -> Result<Remote, Error> {
        self.open(written)?.ok_or_else(|| {
            Error::usage("no remote cache is named")
                .hint("name one with `--remote URL`, or in `[cache]` of the experiment file")
        })
    }
}

fn store(url: &str) -> Result<Arc<dyn Store>, Error> {
    if let Some(path) = url.strip_prefix("file://") {
        if !path.starts_with('/') {
            return Err(Error::usage(format!(
                "`{url}` names no folder: expected file:///PATH"
            )));
        }
        return Ok(Arc::new(FileStore::at(path)));
    }
    elsewhere(url)
}

#[cfg(feature = "remote")]
fn elsewhere(url: &str) -> Result<Arc<dyn Store>, Error> {
    use super::OrError;
    Ok(Arc::new(dpx_remote::open(url).or_usage()?))
}

#[cfg(not(feature = "remote"))]
fn elsewhere(url: &str) -> Result<Arc<dyn Store>, Error> {
    let known = ["s3://", "gs://", "az://", "https://", "http://"];
    Err(if known.iter().any(|scheme| url.starts_with(scheme)) {
        Error::usage(format!("this dpx was built without object stores, which `{url}` needs"))
            .hint("build it with `cargo install --path . --features remote`, or share a folder as `file:///PATH`")
    } else {
        Error::usage(format!("unknown remote cache `{url}`"))
            .hint("expected s3://, gs://, az://, https:// or file:///")
    })
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Self {
        Self::usage(error.to_string())
    }
}
