//! Arguments that several verbs share: the experiment file with overrides, and the place of the cache.

use std::path::PathBuf;

/// The experiment file and changes to it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ExperimentArgs {
    /// The experiment file (TOML)
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Override a key, for example `--set stage.train.epochs=2`; counts as an edit of the file
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Where the cache is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CacheArgs {
    /// Folder of the cache
    #[arg(long, value_name = "DIR", env = "DPX_CACHE", default_value = "cache")]
    pub(crate) cache: PathBuf,
}
