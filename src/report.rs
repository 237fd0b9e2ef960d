//! `dpx report`: a study as a page, Markdown, CSV or JSON, from the cache.

use super::experiment::{CacheArgs, ExperimentArgs};
use super::results::{self, Origin, Written};
use super::studies::Loaded;
use super::{Error, ExitCode, OrError, output};
use dpx_engine::run::OwnFiles;
use dpx_report::html::{self, Extras};
use dpx_report::picture::pictures;
use dpx_report::{Extent, FIGURES, Study, bibtex, export, figures, latex, real_texts};
use std::path::{Path, PathBuf};

/// Build the report of a study from the cache, without running anything.
///
/// The page and the figures of a finished study go to its results folder, whose other files are then written anew as well, so
/// that all of them are of one state. An unfinished sweep is shown as far as it got, and says so; its page is
/// `report-partial.html`, so that the last whole one stays. The page is internal: it holds figures outside the guarantee.
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
    if args.out.is_none() && matches!(args.format, Format::Html | Format::Figures) {
        return if loaded.is_finished() {
            whole(args, &loaded)
        } else {
            partial(args, &loaded)
        };
    }
    let study = loaded.shown()?;
    let files = match args.format {
        Format::Html => {
            let folder = Path::new("results").join(&study.experiment);
            vec![page(args, &loaded, &study, "report.html", &folder)?]
        }
        Format::Md => text("summary.md", export::markdown(&study)),
        Format::Csv => text("results.csv", export::csv(&study).or_failed()?),
        Format::Json => text("results.json", export::json(&study)?),
        Format::Long => {
            metrics(args, &study)?;
            let long = export::long_csv(&study, &args.metrics).or_failed()?;
            text("results-long.csv", long)
        }
        Format::Latex => text("summary.tex", latex::latex(&study, &metrics(args, &study)?)),
        Format::Bib => text("methods.bib", bibtex::bibtex(&study)),
        Format::Figures => {
            lacking(&study, FIGURES);
            drawn(&study, FIGURES)?
        }
    };
    let Some(folder) = &args.out else {
        let text: Vec<String> = files
            .iter()
            .map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
            .collect();
        output::print(text.concat().trim_end())?;
        return Ok(ExitCode::Done);
    };
    apart(folder, args.format, &files)?;
    for (name, bytes) in &files {
        let path = folder.join(name);
        path.parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&path, bytes))
            .or_could_not(format_args!("write `{}`", path.display()))?;
    }
    shown(args, folder, &files[0].0, files.len())
}

/// A report that is one text.
fn text(name: &str, text: String) -> Vec<(String, Vec<u8>)> {
    vec![(name.to_owned(), text.into_bytes())]
}

/// Refuses files that would be other than the results beside them: those are replaced as a whole.
fn apart(folder: &Path, format: Format, files: &[(String, Vec<u8>)]) -> Result<(), Error> {
    let Some(own) = OwnFiles::names(folder)? else {
        return Ok(());
    };
    // Charts belong to the results even where none were drawn yet.
    let of_results = matches!(format, Format::Html | Format::Figures);
    let mut names = files.iter().map(|(name, _)| name);
    if let Some(name) = names.find(|name| of_results || own.contains(name)) {
        return Err(Error::usage(format!(
            "`{}` holds the results of a study, which dpx replaces together, so that they are of one state: `--out` does not write \
             `{name}` among them",
            folder.display()
        ))
        .hint("give another folder, or leave `--out` out: `dpx report FILE` brings all files of `results/NAME` up to date"));
    }
    for (name, _) in files {
        output::note(&format!(
            "`{name}` counts as your own file in `{}`: later results there leave it as it is",
            folder.display()
        ));
    }
    Ok(())
}

/// The page, to be written under this name.
fn page(
    args: &Args,
    loaded: &Loaded,
    study: &Study,
    name: &str,
    folder: &Path,
) -> Result<(String, Vec<u8>), Error> {
    let real = if args.with_real_texts {
        Some(loaded.with(|sources| real_texts(sources, study))??)
    } else {
        None
    };
    let extras = Extras {
        experiment_file: &loaded.file(folder),
        real_texts: real.as_ref(),
    };
    let page = html::render(study, &extras).or_failed()?;
    Ok((name.to_owned(), page.into_bytes()))
}

/// Every chart as svg and pdf below `place`.
fn drawn(study: &Study, place: &str) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let files = figures(study, place);
    if files.is_empty() {
        return Err(Error::usage(
            "there is nothing to draw yet: no row has a figure",
        ));
    }
    Ok(files)
}

/// Brings the results folder of a finished study up to date, all of its files together.
fn whole(args: &Args, loaded: &Loaded) -> Result<ExitCode, Error> {
    let origin = Origin {
        experiment: &loaded.experiment,
        plan: &loaded.plan,
        cache: &loaded.cache,
        known: &loaded.known,
    };
    let folder = results::folder(&loaded.experiment, &loaded.plan, Path::new("results"));
    let extent = Extent {
        figures: args.format == Format::Figures,
        real_texts: args.with_real_texts,
    };
    let (study, place) = match results::replace(&origin, &folder, extent)? {
        Written::Study(study, place) => (study, place),
        Written::Damaged(damages) => return Err(results::unreadable(&damages, &loaded.again)),
    };
    let path = folder.path();
    if place.is_some_and(|place| place.replaced) {
        output::note(&format!(
            "wrote all files of `{}` from the cache: report.html, results.json, results.csv, summary.md, experiment.toml, synthetic/{}",
            path.display(),
            if folder.holds(FIGURES) {
                ", figures/"
            } else {
                ""
            }
        ));
    } else {
        output::note(&format!(
            "`{}` holds exactly these results: nothing was written",
            path.display()
        ));
    }
    if args.format == Format::Figures {
        let files = drawn(&study, FIGURES)?;
        lacking(&study, FIGURES);
        return shown(args, path, &files[0].0, files.len());
    }
    shown(args, path, "report.html", 1)
}

/// Writes the page or the charts of an unfinished study; the last whole results stay. Where both were written they are written
/// again together.
fn partial(args: &Args, loaded: &Loaded) -> Result<ExitCode, Error> {
    let study = loaded.shown()?;
    let folder = results::folder(&loaded.experiment, &loaded.plan, Path::new("results"));
    let path = folder.path();
    let mut files = Vec::new();
    if args.format == Format::Html || folder.holds(PARTIAL_PAGE) {
        files.push(page(args, loaded, &study, PARTIAL_PAGE, path)?);
    }
    let charts = match args.format {
        Format::Figures => drawn(&study, PARTIAL_FIGURES)?,
        _ if folder.holds(PARTIAL_FIGURES) => figures(&study, PARTIAL_FIGURES),
        _ => Vec::new(),
    };
    let shows = match args.format {
        Format::Figures => (charts[0].0.clone(), charts.len()),
        _ => (PARTIAL_PAGE.to_owned(), 1),
    };
    files.extend(charts);
    let of_partial =
        |name: &str| name == PARTIAL_PAGE || Path::new(name).starts_with(PARTIAL_FIGURES);
    OwnFiles::write_set(path, &files, of_partial).map_err(|error| results::refused(&error))?;
    output::note(&format!(
        "incomplete: {} of {} stages finished; results of an earlier run in `{}` stay as they are",
        study.finished,
        study.planned,
        path.display()
    ));
    if args.format == Format::Figures {
        lacking(&study, PARTIAL_FIGURES);
    }
    shown(args, path, &shows.0, shows.1)
}

/// Tells which characters the fonts of the figures lack.
fn lacking(study: &Study, place: &str) {
    for picture in pictures(study)
        .iter()
        .filter(|picture| picture.replaced > 0)
    {
        output::note(&format!(
            "{place}/{}.pdf: {} characters are not in its fonts, a ? stands for each; the svg has them",
            picture.name, picture.replaced
        ));
    }
}

/// Prints where a report is, and opens a page if that was asked for.
fn shown(args: &Args, folder: &Path, name: &str, files: usize) -> Result<ExitCode, Error> {
    let path = folder.join(name);
    if args.format == Format::Figures {
        output::print(&format!(
            "{}: {} figures, each as svg and pdf",
            path.parent().unwrap_or(folder).display(),
            files / 2
        ))?;
        return Ok(ExitCode::Done);
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
