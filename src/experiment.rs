//! Arguments that several verbs share: the experiment file with overrides, and the place of the cache.

use super::{Error, ExitCode, output};
use dpx_engine::experiment::Experiment;
use dpx_engine::plan::{self, Plan, Sources};
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

impl ExperimentArgs {
    /// Reads and checks the file; prints every mistake to standard error.
    pub(crate) fn load(&self) -> Result<Experiment, Error> {
        let loaded = dpx_engine::experiment::load(&self.file, &self.set);
        if !loaded.diagnostics.is_empty() {
            output::note(&dpx_engine::experiment::render(
                &loaded.diagnostics,
                &loaded.files,
            ));
        }
        loaded
            .experiment
            .ok_or_else(|| Error::silent(ExitCode::Usage))
    }

    /// Reads and checks the file and builds its plan.
    pub(crate) fn plan(&self, sources: &dyn Sources) -> Result<Plan, Error> {
        let experiment = self.load()?;
        build(&experiment, sources)
    }
}

/// The plan of an experiment; prints what stands in its way to standard error.
pub(crate) fn build(experiment: &Experiment, sources: &dyn Sources) -> Result<Plan, Error> {
    plan::build(experiment, sources).map_err(|diagnostics| {
        output::note(&dpx_engine::experiment::render(
            &diagnostics,
            &experiment.files,
        ));
        Error::silent(ExitCode::Usage)
    })
}

/// Where the cache is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CacheArgs {
    /// Folder of the cache
    #[arg(long, value_name = "DIR", env = "DPX_CACHE", default_value = "cache")]
    pub(crate) cache: PathBuf,
}
