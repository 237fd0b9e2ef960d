//! `dpx release`: the texts that a guarantee covers, and nothing else.

use super::experiment::{CacheArgs, ExperimentArgs};
use super::studies::Loaded;
use super::{Error, ExitCode, output};
use dpx_engine::run::{ResultsError, new_folder};
use dpx_report::{Release, ReleaseError};
use std::path::PathBuf;

/// Write a folder that may be shared: synthetic texts under a guarantee, and the guarantee of all of them together.
///
/// Rows without a guarantee, or with seeded noise, are refused; a model that was trained with canaries is warned of. Scores,
/// digests and real texts never go in.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    experiment: ExperimentArgs,
    #[command(flatten)]
    cache: CacheArgs,
    /// Row to release, such as `epsilon=3`; may be repeated
    #[arg(long, value_name = "ROW", required_unless_present = "all")]
    row: Vec<String>,
    /// Release every row that has a guarantee
    #[arg(long, conflicts_with = "row")]
    all: bool,
    /// Folder to write to; must not exist yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Why nothing was released.
struct Stopped(String);

impl From<ResultsError> for Stopped {
    fn from(error: ResultsError) -> Self {
        Self(error.to_string())
    }
}

impl From<ReleaseError> for Stopped {
    fn from(error: ReleaseError) -> Self {
        Self(error.to_string())
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    if args.out.exists() {
        return Err(
            Error::usage(format!("`{}` exists already", args.out.display()))
                .hint("name a new folder: a release is never mixed with what lay there before"),
        );
    }
    let loaded = Loaded::new(&args.experiment, &args.cache.cache)?;
    let release = loaded
        .with(|sources| Release::gather(sources, &args.row))?
        .map_err(|error| match error {
            ReleaseError::Refused(..) | ReleaseError::Missing(_) => Error::usage(error.to_string()),
            ReleaseError::Io(_) | ReleaseError::Unreadable(_) => Error::failed(error.to_string()),
        })?;
    new_folder(&args.out, |fresh| {
        release.write(fresh).map_err(Stopped::from)
    })
    .map_err(|Stopped(message)| Error::failed(message))?;
    for (instance, planted) in release.canaries() {
        output::note(&format!(
            "warning: `{instance}` was trained with {planted} canaries for an audit: texts of random letters may stand among those released"
        ));
    }
    for sentence in release.public_inputs().sentences() {
        output::note(&format!("note: {sentence}"));
    }
    let guarantee = release.claim().map_or_else(
        || "no private data used".to_owned(),
        |claim| format!("total {claim:.4}"),
    );
    output::print(&format!(
        "{}: {} rows, {guarantee}",
        args.out.display(),
        release.rows()
    ))?;
    Ok(ExitCode::Done)
}
