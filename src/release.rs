//! `dpx release`: the texts that a guarantee covers, and nothing else.

use super::experiment::{CacheArgs, ExperimentArgs};
use super::outgoing::{self, Outgoing, checked};
use super::state::StateArgs;
use super::studies::Loaded;
use super::{Error, ExitCode, output};
use dpx_engine::experiment::ReleaseTable;
use dpx_report::{License, Publication, Release};
use dpx_schema::counted;
use dpx_schema::publication::{NO_LICENSE, check_language, check_license, check_license_name};
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

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    outgoing::is_new(&args.out, &args.cache.cache)?;
    let loaded = Loaded::new(&args.experiment, &args.cache.cache)?;
    let publication = args.publication(&loaded.experiment.release)?;
    let release = loaded.with(|sources| Release::gather(sources, &args.row, args.model))??;
    let gone = Outgoing {
        loaded: &loaded,
        file: &args.experiment.file,
        state: &args.state,
        release: &release,
        publication: &publication,
        out: &args.out,
    }
    .leave()?;
    if publication.license.id == NO_LICENSE && publication.license.name.is_none() {
        output::note(
            "note: no license is named, so the card says `other`: name one with `--license` or `license` in `[release]`",
        );
    }
    output::print(&format!(
        "{}: {}, {gone}",
        args.out.display(),
        counted(release.rows() as u64, "row")
    ))?;
    Ok(ExitCode::Done)
}
