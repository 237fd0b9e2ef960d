//! `dpx check`: every mistake of an experiment file.

use super::experiment::ExperimentArgs;
use super::families::LocalModels;
use super::{Error, ExitCode, output};
use dpx_engine::experiment::{self, Loaded, Severity};
use dpx_engine::plan;
use serde_json::json;

/// Check an experiment file: every mistake at once, nothing runs, no network.
///
/// Models in folders are refused where dpx cannot compute their `config.json`; those on the Hub by `dpx plan`, before any weights
/// are downloaded.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// Print the diagnostics as one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let mut loaded = experiment::load(&args.experiment.file, &args.experiment.set);
    let unfit = loaded
        .experiment
        .as_ref()
        .and_then(|experiment| plan::build(experiment, &LocalModels).err());
    if let Some(diagnostics) = unfit {
        loaded.diagnostics.extend(diagnostics);
        loaded.experiment = None;
    }
    if args.json {
        output::print(&to_json(&loaded))?;
    } else if !loaded.diagnostics.is_empty() {
        output::note(&experiment::render(&loaded.diagnostics, &loaded.files));
    }
    let Some(experiment) = &loaded.experiment else {
        return Ok(ExitCode::Usage);
    };
    if !args.json {
        let rows: usize = experiment
            .axes
            .iter()
            .map(|axis| axis.nodes.len())
            .product();
        let plural = |count: usize, word: &str| match count {
            1 => format!("1 {word}"),
            _ => format!("{count} {word}s"),
        };
        output::print(&format!(
            "{}: {}, {} of the sweep",
            args.experiment.file.display(),
            plural(experiment.stages.len(), "stage"),
            plural(rows, "row"),
        ))?;
    }
    Ok(ExitCode::Done)
}

/// The diagnostics as `dpx check --json` prints them.
fn to_json(loaded: &Loaded) -> String {
    let errors = loaded
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .count();
    let diagnostics: Vec<_> = loaded
        .diagnostics
        .iter()
        .map(|diagnostic| diagnostic.to_json(&loaded.files))
        .collect();
    json!({
        "version": 1,
        "errors": errors,
        "warnings": loaded.diagnostics.len() - errors,
        "diagnostics": diagnostics,
    })
    .to_string()
}
