//! The end of a run: the study on the terminal, and `results/NAME/` replaced as a whole.

use super::{Error, output, studies};
use dpx_engine::cache::Cache;
use dpx_engine::experiment::Experiment;
use dpx_engine::plan::Plan;
use dpx_engine::run::{Finish, InstanceResult, RunReport, replace_folder};
use dpx_report::study::{GuaranteeKind, Row};
use dpx_report::{InstanceState, Known, Sources, Study, assemble, terminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Widest output.
const WIDTH: u16 = 100;
/// A table is not made narrower than this.
const NARROWEST: u16 = 60;

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
        let study = assemble(&sources)?;
        return Ok((study, None));
    }
    let folder = results.join(&plan.experiment);
    let mut study = None;
    replace_folder(&folder, |fresh| {
        study = Some(dpx_report::write_results(
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

/// Width of tables: that of the terminal, 100 columns at most and where there is none.
pub(crate) fn width() -> usize {
    let width = comfy_table::Table::new().width().unwrap_or(WIDTH);
    usize::from(width.clamp(NARROWEST, WIDTH))
}

/// Prints the study, where its files are, and how to share its texts.
///
/// `command` puts the arguments that name this experiment after a verb.
pub(crate) fn print(
    study: &Study,
    folder: Option<&Path>,
    command: impl Fn(&str) -> String,
) -> Result<(), Error> {
    output::print(&terminal::render(study, width()))?;
    let Some(folder) = folder else {
        // Results are replaced only by whole ones.
        return output::print(&format!(
            "\nnot all is finished: results of an earlier run, if any, stay as they are; what there is now: {}",
            command("dpx report")
        ));
    };
    let report = folder.join("report.html");
    output::print(&format!(
        "\nfidelity, copies, texts and statements: {}",
        report.display()
    ))?;
    let first = study
        .rows
        .iter()
        .filter(|row| row.guarantee.kind == GuaranteeKind::Holds)
        .min_by(|a, b| {
            let epsilon = |row: &Row| {
                row.guarantee
                    .epsilon
                    .map_or(f64::INFINITY, dpx_accounting::EpsilonBound::value)
            };
            epsilon(a).total_cmp(&epsilon(b))
        });
    if let Some(row) = first {
        output::print(&format!(
            "to share texts: {} --row {} --out FOLDER",
            command("dpx release"),
            dpx_engine::run::shell_word(&row.name)
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
