//! `dpx report`: a study as a page, Markdown, CSV or JSON, from the cache.

use super::experiment::{CacheArgs, ExperimentArgs};
use super::studies::Loaded;
use super::{Error, ExitCode, output};
use dpx_engine::run::OwnFiles;
use dpx_report::html::{self, Extras};
use dpx_report::{assemble, export, real_texts};
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
    /// What to write: the page goes to a file, the others to standard output unless `--out` is given
    #[arg(long, value_enum, default_value_t = Format::Html)]
    format: Format,
    /// Folder to write to [default for html: results/NAME]
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
    Html,
    Md,
    Csv,
    Json,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let loaded = Loaded::new(&args.experiment, &args.cache.cache)?;
    let study = loaded.with(assemble)??;
    let (name, text) = match args.format {
        Format::Html => {
            let real = if args.with_real_texts {
                loaded.with(real_texts)??
            } else {
                Vec::new()
            };
            let file = loaded.file();
            let extras = Extras {
                experiment_file: &file,
                real_texts: &real,
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
    };
    let folder = match (&args.out, args.format) {
        (Some(folder), _) => folder.clone(),
        (None, Format::Html) => Path::new("results").join(&study.experiment),
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
