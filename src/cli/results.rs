//! The end of a run: the study on the terminal, and `results/NAME/` replaced as a whole.

use super::{Error, output, studies};
use crate::cache::Cache;
use crate::plan::Plan;
use crate::report::{InstanceState, Known, Sources, Study, assemble, terminal};
use crate::run::{Finish, InstanceResult, RunReport, replace_folder};
use crate::spec::Experiment;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Widest output.
const WIDTH: u16 = 100;

/// Where results go.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ResultsArgs {
    /// Folder of results; each experiment has a folder of its own in it
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub(crate) results: PathBuf,
}

/// Writes the results of a finished study and returns it with its folder; an unfinished study is not written, so that the
/// last good results stay.
pub(crate) fn write(
    experiment: &Experiment,
    plan: &Plan,
    cache: &Cache,
    report: &RunReport,
    results: &Path,
) -> Result<(Study, Option<PathBuf>), Error> {
    let known: Vec<Known> = report.instances.iter().map(known).collect();
    let reference = studies::reference(experiment);
    let sources = Sources {
        plan,
        known: &known,
        artifacts: cache,
        title: experiment.report.title.as_deref(),
        reference: reference.as_ref(),
    };
    if known.iter().any(|one| one.record.is_none()) {
        return Ok((assemble(&sources), None));
    }
    let folder = results.join(&plan.experiment);
    let mut study = None;
    replace_folder(&folder, |fresh| {
        study = Some(crate::report::write_results(
            &sources,
            &studies::file(experiment),
            fresh,
        )?);
        Ok(())
    })
    .map_err(|error: std::io::Error| {
        Error::failed(format!(
            "cannot write the results to `{}`: {error}",
            folder.display()
        ))
        .hint("everything is cached: run again when there is room")
    })?;
    let study = study.ok_or_else(|| Error::failed("the results were not written"))?;
    Ok((study, Some(folder)))
}

/// Prints the study and where its files are.
pub(crate) fn print(study: &Study, folder: Option<&Path>) -> Result<(), Error> {
    let width = comfy_table::Table::new().width().unwrap_or(WIDTH);
    output::print(&terminal::render(study, usize::from(width.min(WIDTH))))?;
    if let Some(folder) = folder {
        output::print(&format!(
            "\nresults: {}",
            folder.join("report.html").display()
        ))?;
    }
    Ok(())
}

fn known(result: &InstanceResult) -> Known {
    let (state, record) = match result {
        InstanceResult::Cached(record)
        | InstanceResult::Finished(record, Finish::Adopted | Finish::Reused) => {
            (InstanceState::Cached, Some(record))
        }
        InstanceResult::Finished(record, Finish::Ran) => (InstanceState::Ran, Some(record)),
        InstanceResult::Failed(_) => (InstanceState::Failed, None),
        InstanceResult::NotRun | InstanceResult::NotAsked => (InstanceState::Missing, None),
    };
    Known {
        state,
        record: record.map(Arc::clone),
    }
}
