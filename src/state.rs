//! What lives outside the cache: secret keys and ledgers.

use super::Error;
use std::path::PathBuf;

/// Where secret keys and ledgers are: never in the cache, since they outlive its garbage and are not to be shared with it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct StateArgs {
    /// Folder of secret keys and privacy ledgers [default: $XDG_STATE_HOME/dpx, or ~/.local/state/dpx]
    #[arg(long, value_name = "DIR", env = "DPX_STATE_DIR")]
    state_dir: Option<PathBuf>,
}

impl StateArgs {
    /// The folder.
    ///
    /// # Errors
    /// When none is given and the environment names no home.
    pub(crate) fn folder(&self) -> Result<PathBuf, Error> {
        if let Some(folder) = &self.state_dir {
            return Ok(folder.clone());
        }
        let variable = |name| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        variable("XDG_STATE_HOME")
            .or_else(|| Some(variable("HOME")?.join(".local/state")))
            .map(|folder| folder.join("dpx"))
            .ok_or_else(|| {
                Error::usage("there is no home folder for secret keys and ledgers")
                    .hint("give one with `--state-dir DIR`")
            })
    }

    /// Folder of secret keys.
    pub(crate) fn secrets(&self) -> Result<PathBuf, Error> {
        Ok(self.folder()?.join("secrets"))
    }

    /// Folder of the ledgers.
    pub(crate) fn ledger(&self) -> Result<PathBuf, Error> {
        Ok(self.folder()?.join("ledger"))
    }
}
