//! `dpx compare`: what differs between two studies, and what it did to each figure.

use super::experiment::CacheArgs;
use super::{Error, ExitCode, output, studies};
use dpx_report::compare::compare;
use dpx_report::terminal;

/// Compare two studies: what differs, and what it did to each figure.
///
/// Each is an experiment file (its figures come from the cache), a results folder, or the name of a run. Verdicts:
/// improved, worsened, within noise (two standard errors), not comparable (with the reason). Other data or another version
/// of dpx on the two sides is warned of first.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The first study
    #[arg(value_name = "A")]
    old: String,
    /// The second study
    #[arg(value_name = "B")]
    new: String,
    /// Override a key of A, where it is an experiment file
    #[arg(long = "set-a", value_name = "KEY=VALUE")]
    set_old: Vec<String>,
    /// Override a key of B, where it is an experiment file
    #[arg(long = "set-b", value_name = "KEY=VALUE")]
    set_new: Vec<String>,
    #[command(flatten)]
    cache: CacheArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let old = studies::find(&args.old, &args.set_old, &args.cache.cache)?;
    let new = studies::find(&args.new, &args.set_new, &args.cache.cache)?;
    let found = compare(&old, &new);
    if args.json {
        let text = serde_json::to_string_pretty(&found)?;
        output::print(&text)?;
    } else {
        output::print(&terminal::comparison(&found, super::results::width()))?;
    }
    Ok(ExitCode::Done)
}
