//! `dpx release`: the texts that a guarantee covers, and nothing else.

use super::experiment::{CacheArgs, ExperimentArgs};
use super::state::StateArgs;
use super::studies::Loaded;
use super::{Error, ExitCode, output};
use dpx_engine::cache::{CacheError, manifest_of_folder};
use dpx_engine::run::{ResultsError, new_folder};
use dpx_ledger::{LedgerError, PreparedRelease, Selection};
use dpx_report::{Release, ReleaseError};
use std::fmt::Write;
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
    #[command(flatten)]
    state: StateArgs,
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

impl From<LedgerError> for Stopped {
    fn from(error: LedgerError) -> Self {
        Self(error.to_string())
    }
}

impl From<CacheError> for Stopped {
    fn from(error: CacheError) -> Self {
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
    let told = |error: ReleaseError| match error {
        ReleaseError::Refused(..) | ReleaseError::Missing(_) => Error::usage(error.to_string()),
        ReleaseError::Io(_) | ReleaseError::Unreadable(_) => Error::failed(error.to_string()),
    };
    let (release, mut request) = loaded
        .with(|sources| {
            let release = Release::gather(sources, &args.row)?;
            let request = release.ledger_request(sources)?;
            Ok((release, request))
        })?
        .map_err(told)?;
    request.budget = loaded.experiment.privacy.budget;
    let study = (&loaded.experiment, args.experiment.file.as_path());
    let prepared = args.state.ledger(Some(study))?.prepare_release(&request)?;
    let name = args.out.file_name().unwrap_or_default().to_string_lossy();
    let spent = spent(&prepared);
    new_folder(&args.out, |fresh| {
        release.write(fresh)?;
        let content = manifest_of_folder(fresh)?.digest().to_string();
        // The last thing before the folder becomes visible: what can be seen has been counted.
        prepared.commit(&name, &content)?;
        Ok::<(), Stopped>(())
    })
    .map_err(|Stopped(message)| Error::failed(message))?;
    for (instance, planted) in release.canaries() {
        output::note(&format!(
            "warning: `{instance}` was trained with {planted} canaries for an audit: texts of random letters may stand among those released"
        ));
    }
    let guarantee = release.claim().map_or_else(
        || "no private data used".to_owned(),
        |claim| format!("total {claim:.4}"),
    );
    output::print(&format!(
        "{}: {} rows, {guarantee}{spent}",
        args.out.display(),
        release.rows()
    ))?;
    Ok(ExitCode::Done)
}

/// What the ledger adds to the guarantee of the rows: how they were chosen, and everything released of the same people.
fn spent(prepared: &PreparedRelease) -> String {
    let mut text = String::new();
    if !matches!(prepared.selection(), Selection::None) {
        let _ = write!(text, "\nselection: {}", prepared.selection());
    }
    if let (Some(joint), false) = (prepared.joint(), prepared.prior().is_empty()) {
        let _ = write!(
            text,
            "\nwith {} earlier releases of the same people: {joint:.4} in all",
            prepared.prior().len()
        );
    }
    text
}
