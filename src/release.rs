//! `dpx release`: the texts that a guarantee covers, and nothing else.

use super::experiment::{CacheArgs, ExperimentArgs};
use super::state::StateArgs;
use super::studies::Loaded;
use super::{Error, ExitCode, account, candidates, output, standing};
use dpx_engine::experiment::ReleaseTable;
use dpx_engine::run::{ResultsError, new_folder};
use dpx_ledger::{LedgerError, PreparedRelease, Selection};
use dpx_report::{Disclosure, License, Publication, Release, ReleaseError, verify};
use dpx_schema::counted;
use dpx_schema::publication::{NO_LICENSE, check_language, check_license, check_license_name};
use std::fmt::Write;
use std::path::PathBuf;

/// Write a folder that may be shared: synthetic texts under a guarantee, and the guarantee of all of them together.
///
/// It holds the texts (csv, jsonl, parquet), a dataset card, privacy.json, PRIVACY.md for a privacy officer, and checksums;
/// `dpx verify` checks it. Rows without a guarantee, or with seeded noise, are refused; a model that was trained with
/// canaries is warned of. Scores, paths, real texts and digests of anything private never go in.
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
    /// Release the models behind the texts too
    #[arg(long)]
    model: bool,
    /// License of the texts as the Hugging Face Hub calls it, such as cc-by-4.0 [default: `[release]` in FILE, or other]
    #[arg(long, value_name = "ID", value_parser = checked(check_license))]
    license: Option<String>,
    /// Name of a license that the Hub does not know
    #[arg(long, value_name = "NAME", value_parser = checked(check_license_name))]
    license_name: Option<String>,
    /// Language of the texts, such as en; may be repeated [default: `[release]` in FILE, or none]
    #[arg(long, value_name = "CODE", value_parser = checked(check_language))]
    language: Vec<String>,
}

/// A parser of an argument that `check` accepts.
fn checked(
    check: fn(&str) -> Result<(), String>,
) -> impl Fn(&str) -> Result<String, String> + Clone + Send + Sync + 'static {
    move |text| check(text).map(|()| text.to_owned())
}

impl Args {
    /// What only the publisher knows: from the arguments, else from the experiment file.
    fn publication(&self, table: &ReleaseTable) -> Result<Publication, Error> {
        let named = self.license.is_some() || self.license_name.is_some();
        let (id, name) = if named {
            (self.license.clone(), self.license_name.clone())
        } else {
            (table.license.clone(), table.license_name.clone())
        };
        let id = id.unwrap_or_else(|| NO_LICENSE.to_owned());
        if name.is_some() && id != NO_LICENSE {
            return Err(Error::usage(format!(
                "`--license-name` has no meaning beside the license `{id}`"
            ))
            .hint("leave one of them out"));
        }
        let declared = || table.language.clone().map_or_else(Vec::new, |list| list.0);
        Ok(Publication {
            license: License { id, name },
            language: if self.language.is_empty() {
                declared()
            } else {
                self.language.clone()
            },
            dpx_version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }
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

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    if args.out.exists() {
        return Err(
            Error::usage(format!("`{}` exists already", args.out.display()))
                .hint("name a new folder: a release is never mixed with what lay there before"),
        );
    }
    let loaded = Loaded::new(&args.experiment, &args.cache.cache)?;
    let publication = args.publication(&loaded.experiment.release)?;
    let told = |error: ReleaseError| match error {
        ReleaseError::Refused(..) | ReleaseError::Missing(_) => Error::usage(error.to_string()),
        ReleaseError::Io(_) | ReleaseError::Unreadable(_) => Error::failed(error.to_string()),
    };
    let (release, mut request) = loaded
        .with(|sources| {
            let release = Release::gather(sources, &args.row, args.model)?;
            let request = release.ledger_request(sources)?;
            Ok((release, request))
        })?
        .map_err(told)?;
    request.budget = loaded.experiment.privacy.budget;
    let study = (&loaded.experiment, args.experiment.file.as_path());
    let ledger = args.state.ledger(Some(study))?;
    standing::check(&ledger, &loaded.cache)?;
    account::knows_all(&ledger, &loaded.cache)?;
    let (earlier, unprotected) = candidates::scored(&ledger, &loaded)?;
    request.add_candidates(earlier, unprotected);
    let prepared = ledger.prepare_release(&request)?;
    let statement = release
        .statement(&Disclosure::from(&prepared), &publication)
        .map_err(told)?;
    let name = args.out.file_name().unwrap_or_default().to_string_lossy();
    let spent = spent(&prepared);
    new_folder(&args.out, |fresh| {
        let content = release.write(fresh, &statement)?;
        // What its readers would find wrong is not to be released.
        let found = verify(fresh).map_err(ReleaseError::from)?;
        if let Some(wrong) = found.checks.iter().find(|check| !check.failures.is_empty()) {
            return Err(Stopped(format!(
                "nothing was released: `dpx verify` would refuse it ({}: {}); this is a fault of dpx, please report it",
                wrong.point,
                wrong.failures.join("; ")
            )));
        }
        // The last thing before the folder becomes visible: what can be seen has been counted.
        prepared.commit(&name, &content)?;
        Ok::<(), Stopped>(())
    })
    .map_err(|Stopped(message)| Error::failed(message))?;
    standing::note(&ledger, &loaded.cache)?;
    for (instance, planted) in release.canaries() {
        output::note(&format!(
            "warning: `{instance}` was trained with {planted} canaries for an audit: texts of random letters may stand among those released"
        ));
    }
    if publication.license.id == NO_LICENSE && publication.license.name.is_none() {
        output::note(
            "note: no license is named, so the card says `other`: name one with `--license` or `license` in `[release]`",
        );
    }
    for sentence in release.public_inputs().sentences() {
        output::note(&format!("note: {sentence}"));
    }
    let guarantee = statement.claim.as_ref().map_or_else(
        || "no private data used".to_owned(),
        |claim| format!("total {claim:.4}"),
    );
    output::print(&format!(
        "{}: {}, {guarantee}{spent}",
        args.out.display(),
        counted(release.rows() as u64, "row")
    ))?;
    Ok(ExitCode::Done)
}

/// What the ledger adds to the guarantee of the rows: how they were chosen, and everything released of the same people.
fn spent(prepared: &PreparedRelease) -> String {
    let mut text = String::new();
    if !matches!(prepared.selection(), Selection::None { unprotected } if unprotected.is_empty()) {
        let _ = write!(text, "\nselection: {}", prepared.selection());
    }
    if let (Some(joint), false) = (prepared.joint(), prepared.prior().is_empty()) {
        let _ = write!(
            text,
            "\nwith {} of the same people: {joint:.4} in all",
            counted(prepared.prior().len() as u64, "earlier release")
        );
    }
    text
}
