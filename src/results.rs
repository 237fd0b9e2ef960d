//! The end of a run: the study on the terminal, and `results/NAME/` replaced as a whole.

use super::bounds::Bounds;
use super::{Error, output, studies};
use dpx_engine::cache::{ArtifactReader, Cache, Damage};
use dpx_engine::experiment::Experiment;
use dpx_engine::plan::Plan;
use dpx_engine::run::{
    Finish, InstanceResult, ResultsError, ResultsFolder, RunReport, input_paths,
};
use dpx_report::{
    CachedFloors, Extent, FIGURES, InstanceState, Known, REHEARSED, Reference, Sources, Study,
    assemble, terminal,
};
use dpx_schema::Digest;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Width where there is no terminal.
const WIDTH: u16 = 100;
/// A table is not made narrower than this, nor wider than that.
const WIDTHS: std::ops::RangeInclusive<u16> = 60..=200;

/// Where results go.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ResultsArgs {
    /// Folder of results; each experiment has a folder of its own in it
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub(crate) results: PathBuf,
}

pub(crate) enum Written {
    /// The study, and its folder where it is finished; an unfinished one is not written, so that the last good results stay.
    Study(Box<Study>, Option<Place>),
    /// Files of artifacts could not be read: nothing was written.
    Damaged(Vec<Damage>),
}

/// A folder that holds the results of a study.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    /// Whether they were written just now; else it held exactly these before.
    pub(crate) replaced: bool,
}

/// What results are made from.
pub(crate) struct Origin<'a> {
    pub(crate) experiment: &'a Experiment,
    pub(crate) plan: &'a Plan,
    pub(crate) cache: &'a Cache,
    pub(crate) known: &'a [Known],
}

pub(crate) fn folder(experiment: &Experiment, plan: &Plan, results: &Path) -> ResultsFolder {
    let files = experiment.files.iter();
    let files = files.filter(|file| file.name != "--set");
    ResultsFolder::new(
        results.join(&plan.experiment),
        input_paths(plan),
        files.map(|file| PathBuf::from(&file.name)),
    )
}

/// Finds out before anything runs whether the results could be written.
pub(crate) fn check(folder: &ResultsFolder, plan: &Plan) -> Result<(), Error> {
    let paths = dpx_report::result_paths(plan);
    folder.check(&paths).map_err(|error| refused(&error))
}

pub(crate) fn refused(error: &ResultsError) -> Error {
    if error.is_usage() {
        return Error::usage(error.to_string());
    }
    Error::failed(error.to_string()).hint("what ran is cached: run again once this is mended")
}

/// Writes the results of a study that ran, if it is finished.
pub(crate) fn write(
    experiment: &Experiment,
    plan: &Plan,
    cache: &Cache,
    report: &RunReport,
    folder: &ResultsFolder,
) -> Result<Written, Error> {
    let known: Vec<Known> = report.instances.iter().map(known).collect();
    let origin = Origin {
        experiment,
        plan,
        cache,
        known: &known,
    };
    if known.iter().all(|one| one.record.is_some()) {
        return replace(&origin, folder, Extent::default());
    }
    let reference = studies::reference(experiment);
    let artifacts = ArtifactReader::new(cache.clone());
    let floors = CachedFloors::computing(cache, output::note);
    let study = assemble(&sources(&origin, &artifacts, &floors, reference.as_ref()));
    let damages = artifacts.take_damages();
    if !damages.is_empty() {
        return Ok(Written::Damaged(all_damages(damages, &artifacts, &known)));
    }
    Ok(Written::Study(Box::new(study?), None))
}

fn sources<'a>(
    origin: &'a Origin<'_>,
    artifacts: &'a ArtifactReader,
    floors: &'a CachedFloors,
    reference: Option<&'a Reference>,
) -> Sources<'a> {
    Sources {
        plan: origin.plan,
        known: origin.known,
        artifacts,
        floors,
        title: origin.experiment.report.title.as_deref(),
        reference,
    }
}

/// Replaces the results of a finished study as a whole, unless the folder holds exactly these. Charts that were drawn there
/// before are drawn again, so that all files are of one state.
pub(crate) fn replace(
    origin: &Origin<'_>,
    folder: &ResultsFolder,
    wanted: Extent,
) -> Result<Written, Error> {
    let Origin {
        experiment,
        plan,
        cache,
        known,
    } = *origin;
    let drawn = folder.holds(FIGURES);
    let extent = Extent {
        figures: wanted.figures || drawn,
        ..wanted
    };
    // A page with real texts is never what the next run looks for.
    let made_from = (!extent.real_texts).then(|| made_from(experiment, plan, known, folder));
    if let Some(made_from) = &made_from
        && extent.figures == drawn
        && folder.is_current(made_from)
        && let Some(study) = written(folder.path())
    {
        let place = Place {
            path: folder.path().to_owned(),
            replaced: false,
        };
        return Ok(Written::Study(Box::new(study), Some(place)));
    }
    let reference = studies::reference(experiment);
    let artifacts = ArtifactReader::new(cache.clone());
    let floors = CachedFloors::computing(cache, output::note);
    let sources = sources(origin, &artifacts, &floors, reference.as_ref());
    let bounds = Bounds::of(cache);
    let mut study = None;
    let replaced = folder.replace(made_from, |fresh| {
        let file = experiment.merged(folder.path());
        let written = dpx_report::write_results(&sources, &file, extent, fresh);
        let damages = artifacts.take_damages();
        if !damages.is_empty() {
            return Err(Stopped::Damaged(all_damages(damages, &artifacts, known)));
        }
        study = Some(written.map_err(Stopped::Io)?);
        Ok(())
    });
    bounds.save();
    let path = folder.path();
    match replaced {
        Ok(replaced) => {
            if !replaced.kept.is_empty() {
                output::note(&format!(
                    "{} that dpx did not write stay as they are in {}",
                    match replaced.kept.len() {
                        1 => "1 file".to_owned(),
                        count => format!("{count} files"),
                    },
                    path.display()
                ));
            }
            let study = study.ok_or_else(|| Error::failed("the results were not written"))?;
            let place = Place {
                path: path.to_owned(),
                replaced: true,
            };
            Ok(Written::Study(Box::new(study), Some(place)))
        }
        Err(Stopped::Damaged(damages)) => Ok(Written::Damaged(damages)),
        Err(Stopped::Results(error)) => Err(refused(&error)),
        Err(Stopped::Io(error)) => Err(Error::failed(format!(
            "cannot write the results to `{}`: {error}",
            path.display()
        ))
        .hint("everything is cached: run again when there is room")),
    }
}

/// A digest of everything that the results of a finished study are made from: records, experiment file, and this program.
fn made_from(
    experiment: &Experiment,
    plan: &Plan,
    known: &[Known],
    folder: &ResultsFolder,
) -> Digest {
    // A program that was built anew may write other pages under the same version.
    let program = std::env::current_exe().and_then(std::fs::metadata).ok();
    let program = program.map(|file| (file.len(), file.modified().ok()));
    let records: Vec<_> = known.iter().map(|one| one.record.as_deref()).collect();
    let names: Vec<&str> = plan.instances.iter().map(|one| one.name.as_str()).collect();
    let all = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "program": format!("{program:?}"),
        "schema": Study::SCHEMA_VERSION,
        "file": experiment.merged(folder.path()),
        "instances": names,
        "records": records,
    });
    Digest::of(all.to_string().as_bytes())
}

/// The study that a results folder holds.
fn written(folder: &Path) -> Option<Study> {
    let bytes = std::fs::read(folder.join("results.json")).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Everything that cannot be read once something could not: the report stops at the first file, and one run again shall
/// mend them all.
fn all_damages(first: Vec<Damage>, artifacts: &ArtifactReader, known: &[Known]) -> Vec<Damage> {
    for record in known.iter().filter_map(|one| one.record.as_ref()) {
        artifacts.verify(record);
    }
    let mut all = first;
    all.extend(artifacts.take_damages());
    all
}

/// Why results were not written.
enum Stopped {
    Damaged(Vec<Damage>),
    Results(ResultsError),
    Io(std::io::Error),
}

impl From<ResultsError> for Stopped {
    fn from(error: ResultsError) -> Self {
        Self::Results(error)
    }
}

/// The error for files of artifacts that could not be read.
pub(crate) fn unreadable(damages: &[Damage], again: &str) -> Error {
    let lines: Vec<String> = damages.iter().map(ToString::to_string).collect();
    let error = Error::failed(lines.join("\n"));
    if damages.iter().all(Damage::can_be_rebuilt) {
        error.hint(format!("make it again: {again}"))
    } else {
        error.hint("nothing was written, and nothing was deleted: mend the cause and try again")
    }
}

/// Width of tables: that of the terminal, within 60 and 200 columns; where there is none that of `COLUMNS`, else 100.
pub(crate) fn width() -> usize {
    told_width().unwrap_or_else(|| usize::from(WIDTH))
}

/// The width of the terminal, else that of `COLUMNS`, within the same limits; nothing where neither is known.
pub(crate) fn told_width() -> Option<usize> {
    let told = || std::env::var("COLUMNS").ok()?.parse().ok();
    let width: Option<u16> = comfy_table::Table::new().width().or_else(told);
    width.map(|width| usize::from(width.clamp(*WIDTHS.start(), *WIDTHS.end())))
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
        output::print_wrapped(&format!(
            "\nIncomplete run; results of an earlier run, if any, are kept. Partial report: {}",
            command("dpx report")
        ))?;
        return if study.rehearsal {
            output::print_wrapped(REHEARSED)
        } else {
            Ok(())
        };
    };
    let report = folder.join("report.html");
    output::print(&format!(
        "\nfidelity, copies, texts and statements: {}",
        report.display()
    ))?;
    output::print_wrapped(&dpx_report::next(study, &command("dpx release")))
}

fn known(result: &InstanceResult) -> Known {
    let (state, record) = match result {
        InstanceResult::Cached(record)
        | InstanceResult::Finished(record, Finish::Adopted | Finish::Reused | Finish::Pulled) => {
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
