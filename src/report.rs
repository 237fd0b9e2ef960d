//! `dpx report`: a study as a page, Markdown, CSV or JSON, from the cache.

use super::experiment::{CacheArgs, ExperimentArgs};
use super::studies::Loaded;
use super::{Error, ExitCode, output};
use dpx_engine::run::OwnFiles;
use dpx_report::html::{self, Extras};
use dpx_report::metric::Metric;
use dpx_report::picture::pictures;
use dpx_report::{Study, bibtex, export, latex, real_texts};
use std::path::{Path, PathBuf};

/// Build the report of a study from the cache, without running anything.
///
/// An unfinished sweep is shown as far as it got, and says so. The page is internal: it holds figures outside the guarantee.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    experiment: ExperimentArgs,
    #[command(flatten)]
    cache: CacheArgs,
    /// What to write: the page and the figures go to files, the others to standard output unless `--out` is given
    #[arg(long, value_enum, default_value_t = Format::Html)]
    format: Format,
    /// Metrics of `latex` and `long`, by their names in results.csv, separated by commas [default: the usual ones, or all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    metrics: Vec<String>,
    /// Folder to write to [default for html and figures: results/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Open the page in a browser
    #[arg(long)]
    open: bool,
    /// Show real training texts beside the synthetic ones: the page is then as private as the data
    #[arg(long)]
    with_real_texts: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// The page
    Html,
    /// Tables in Markdown
    Md,
    /// One line per row
    Csv,
    /// One line per row, replicate and metric
    Long,
    /// Everything
    Json,
    /// The summary as a table for a paper (booktabs)
    Latex,
    /// BibTeX of the methods that the study used
    Bib,
    /// Every chart as svg and pdf
    Figures,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let loaded = Loaded::new(&args.experiment, &args.cache.cache)?;
    let study = loaded.shown()?;
    let results = Path::new("results").join(&study.experiment);
    let (name, text) = match args.format {
        Format::Html => {
            let real = if args.with_real_texts {
                Some(loaded.with(|sources| real_texts(sources, &study))??)
            } else {
                None
            };
            let file = loaded.file(&results);
            let extras = Extras {
                experiment_file: &file,
                real_texts: real.as_ref(),
            };
            (
                "report.html",
                html::render(&study, &extras).map_err(|error| Error::failed(error.to_string()))?,
            )
        }
        Format::Md => ("summary.md", export::markdown(&study)),
        Format::Csv => (
            "results.csv",
            export::csv(&study).map_err(|error| Error::failed(error.to_string()))?,
        ),
        Format::Json => ("results.json", export::json(&study)?),
        Format::Long => (
            "results-long.csv",
            export::long_csv(&study, &metrics(args, &study)?)
                .map_err(|error| Error::failed(error.to_string()))?,
        ),
        Format::Latex => {
            let metrics = metrics(args, &study)?;
            let metrics = if metrics.is_empty() {
                latex::chosen(&study, &[]).unwrap_or_default()
            } else {
                metrics
            };
            ("summary.tex", latex::latex(&study, &metrics))
        }
        Format::Bib => ("methods.bib", bibtex::bibtex(&study)),
        Format::Figures => return figures(args, &study, &results),
    };
    let folder = match (&args.out, args.format) {
        (Some(folder), _) => folder.clone(),
        (None, Format::Html) => results,
        (None, _) => {
            output::print(text.trim_end())?;
            return Ok(ExitCode::Done);
        }
    };
    let path = folder.join(name);
    if args.out.is_none() {
        // Beside the other results, whose manifest has to know it.
        OwnFiles::write_one(&folder, name, text.as_bytes()).map_err(|error| {
            if error.is_usage() {
                Error::usage(error.to_string())
            } else {
                error.into()
            }
        })?;
    } else {
        std::fs::create_dir_all(&folder)?;
        std::fs::write(&path, text).map_err(|error| {
            Error::failed(format!("could not write `{}`: {error}", path.display()))
        })?;
    }
    output::print(&path.display().to_string())?;
    if args.open && open::that_detached(&path).is_err() {
        output::note("no browser could be opened: open the file yourself");
    }
    Ok(ExitCode::Done)
}

/// The metrics that were asked for; none where none were.
fn metrics(args: &Args, study: &Study) -> Result<Vec<&'static Metric>, Error> {
    if args.metrics.is_empty() {
        return Ok(Vec::new());
    }
    latex::chosen(study, &args.metrics).map_err(|name| {
        let error = Error::usage(format!("there is no metric `{name}`"));
        match dpx_engine::experiment::did_you_mean(&name, latex::metric_names()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("their names are the columns of results.csv: docs/metrics.md"),
        }
    })
}

/// Writes every chart as svg and pdf.
fn figures(args: &Args, study: &Study, results: &Path) -> Result<ExitCode, Error> {
    let all = pictures(study);
    let own = args.out.is_none();
    let folder = args.out.clone().unwrap_or_else(|| results.to_owned());
    for picture in &all {
        for (ending, bytes) in [("svg", picture.svg.as_bytes()), ("pdf", &picture.pdf)] {
            let name = format!("figures/{}.{ending}", picture.name);
            let path = folder.join(&name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            if own {
                OwnFiles::write_one(&folder, &name, bytes)
                    .map_err(|error| Error::usage(error.to_string()))?;
            } else {
                std::fs::write(&path, bytes).map_err(|error| {
                    Error::failed(format!("could not write `{}`: {error}", path.display()))
                })?;
            }
        }
        if picture.replaced > 0 {
            output::note(&format!(
                "figures/{}.pdf: {} characters are not in its fonts, a ? stands for each; the svg has them",
                picture.name, picture.replaced
            ));
        }
    }
    if all.is_empty() {
        return Err(Error::usage(
            "there is nothing to draw yet: no row has a figure",
        ));
    }
    output::print(&format!(
        "{}: {} figures, each as svg and pdf",
        folder.join("figures").display(),
        all.len()
    ))?;
    Ok(ExitCode::Done)
}
