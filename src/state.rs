//! What lives outside the cache: secret keys and ledgers.

use super::Error;
use dpx_engine::experiment::Experiment;
use dpx_ledger::Ledger;
use std::path::{Path, PathBuf};

/// Where secret keys and ledgers are: never in the cache, since they outlive its garbage and are not to be shared with it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct StateArgs {
    /// Folder of secret keys and privacy ledgers [default: $XDG_STATE_HOME/dpx, or ~/.local/state/dpx]
    #[arg(long, value_name = "DIR", env = "DPX_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// Folder of the ledger [default: `[privacy] ledger` of the experiment file, or `ledger` in the state folder]
    #[arg(long, value_name = "DIR", env = "DPX_LEDGER")]
    ledger: Option<PathBuf>,
}

impl StateArgs {
    /// Everything in a folder of its own.
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self {
            ledger: Some(folder.join("ledger")),
            state_dir: Some(folder),
        }
    }

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

    /// The ledger: that of the command line, of an experiment file (with the file's path), or of the state folder.
    pub(crate) fn ledger(&self, study: Option<(&Experiment, &Path)>) -> Result<Ledger, Error> {
        if let Some(folder) = &self.ledger {
            return Ok(Ledger::at(folder));
        }
        let written = study.and_then(|(experiment, file)| {
            let folder = Path::new(experiment.privacy.ledger.as_ref()?);
            Some(file.parent().unwrap_or(Path::new("")).join(folder))
        });
        Ok(Ledger::at(match written {
            Some(folder) => folder,
            None => self.folder()?.join("ledger"),
        }))
    }
}
