//! `dpx report`: a study as a page, Markdown, CSV or JSON, from the cache.

use super::experiment::{CacheArgs, ExperimentArgs};
use super::studies::Loaded;
use super::{Error, ExitCode, OrError, output};
use dpx_engine::run::OwnFiles;
use dpx_report::html::{self, Extras};
use dpx_report::picture::pictures;
use dpx_report::{Study, bibtex, export, latex, real_texts};
use std::path::{Path, PathBuf};

/// Build the report of a study from the cache, without running anything.
///
/// An unfinished sweep is shown as far as it got, and says so; its page is `report-partial.html`, so that the last whole one stays.
/// The page is internal: it holds figures outside the guarantee.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    experiment: ExperimentArgs,
    #[command(flatten)]
    cache: CacheArgs,
    /// What to write: the page and the figures go to files, the others to standard output unless `--out` is given
    #[arg(long, value_enum, default_value_t = Format::Html)]
    format: Format,
    /// Metrics of `latex` and `long`, by their names in results.csv or results-long.csv, separated by commas [default: the usual
    /// ones, or all]
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

/// The page of an unfinished study, beside that of the last whole one.
const PARTIAL_PAGE: &str = "report-partial.html";
/// The charts of an unfinished study.
const PARTIAL_FIGURES: &str = "figures-partial";

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    if !args.metrics.is_empty() && !matches!(args.format, Format::Latex | Format::Long) {
        return Err(Error::usage(
            "`--metrics` was given with a format that has all metrics: it chooses those of `--format latex` and `--format long`",
        )
        .hint("leave `--metrics` out, or take `--format long`"));
    }
    let loaded = Loaded::new(&args.experiment, &args.cache.cache)?;
    let study = loaded.shown()?;
    let results = Path::new("results").join(&study.experiment);
    // In the folder of the results, the last whole ones stay until there are new ones.
    let partial = args.out.is_none() && !study.is_finished();
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
                if partial { PARTIAL_PAGE } else { "report.html" },
                html::render(&study, &extras).or_failed()?,
            )
        }
        Format::Md => ("summary.md", export::markdown(&study)),
        Format::Csv => ("results.csv", export::csv(&study).or_failed()?),
        Format::Json => ("results.json", export::json(&study)?),
        Format::Long => {
            metrics(args, &study)?;
            let text = export::long_csv(&study, &args.metrics).or_failed()?;
            ("results-long.csv", text)
        }
        Format::Latex => ("summary.tex", latex::latex(&study, &metrics(args, &study)?)),
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
        OwnFiles::write_one(&folder, name, text.as_bytes())?;
        if partial {
            output::note(&format!(
                "incomplete: {} of {} stages finished; results of an earlier run in `{}` stay as they are",
                study.finished,
                study.planned,
                folder.display()
            ));
        } else {
            OwnFiles::remove(&folder, |name| name == PARTIAL_PAGE)?;
        }
    } else {
        std::fs::create_dir_all(&folder)?;
        std::fs::write(&path, text).or_could_not(format_args!("write `{}`", path.display()))?;
    }
    output::print(&path.display().to_string())?;
    if args.open && open::that_detached(&path).is_err() {
        output::note("no browser could be opened: open the file yourself");
    }
    Ok(ExitCode::Done)
}

/// The metrics that were asked for, else the usual ones.
fn metrics(args: &Args, study: &Study) -> Result<Vec<latex::Shown>, Error> {
    latex::chosen(study, &args.metrics).map_err(|name| {
        let error = Error::usage(format!("there is no metric `{name}`"));
        let names = latex::metric_names(study);
        match dpx_engine::experiment::did_you_mean(&name, names.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("their names are those of `--format long`, such as `accuracy` and `f1.LABEL`: docs/metrics.md"),
        }
    })
}

/// Writes every chart as svg and pdf.
fn figures(args: &Args, study: &Study, results: &Path) -> Result<ExitCode, Error> {
    let all = pictures(study);
    let own = args.out.is_none();
    let folder = args.out.clone().unwrap_or_else(|| results.to_owned());
    let place = if own && !study.is_finished() {
        PARTIAL_FIGURES
    } else {
        "figures"
    };
    for picture in &all {
        for (ending, bytes) in [("svg", picture.svg.as_bytes()), ("pdf", &picture.pdf)] {
            let name = format!("{place}/{}.{ending}", picture.name);
            let path = folder.join(&name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            if own {
                OwnFiles::write_one(&folder, &name, bytes).or_usage()?;
            } else {
                std::fs::write(&path, bytes)
                    .or_could_not(format_args!("write `{}`", path.display()))?;
            }
        }
        if picture.replaced > 0 {
            output::note(&format!(
                "{place}/{}.pdf: {} characters are not in its fonts, a ? stands for each; the svg has them",
                picture.name, picture.replaced
            ));
        }
    }
    if all.is_empty() {
        return Err(Error::usage(
            "there is nothing to draw yet: no row has a figure",
        ));
    }
    if own && study.is_finished() {
        OwnFiles::remove(&folder, |name| Path::new(name).starts_with(PARTIAL_FIGURES))?;
    }
    output::print(&format!(
        "{}: {} figures, each as svg and pdf",
        folder.join(place).display(),
        all.len()
    ))?;
    Ok(ExitCode::Done)
}
