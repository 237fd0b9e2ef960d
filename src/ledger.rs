//! `dpx ledger`: what the people behind each data set have spent.

mod adopt;
mod show;

use super::experiment::{CacheArgs, ExperimentArgs};
use super::state::StateArgs;
use super::{Error, ExitCode, output};
use std::path::PathBuf;

/// Show every private run and every release, per group of people, and what they cost together.
///
/// Data sets that share people are one book, whatever they are called and however they were scrubbed or prompted. The exit code
/// is 1 where the ledger is damaged.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Experiment file whose ledger is shown, where it names one in `[privacy] ledger`
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    state: StateArgs,
    /// The failure probability at which joint epsilons are stated [default: per book, the least of its runs]
    #[arg(long)]
    delta: Option<f64>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Adopt(AdoptArgs),
}

/// Enter what the cache knows of the private runs of studies: for a ledger that is new or was lost.
///
/// The raw data are read again, since only they tell whose records they are. Releases of before are not in the cache: keep a
/// backup of the ledger.
#[derive(Debug, clap::Args)]
pub(crate) struct AdoptArgs {
    /// Experiment files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Override a key of the experiment files
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    state: StateArgs,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    if let Some(Verb::Adopt(args)) = &args.verb {
        return adopt::run(args);
    }
    if let Some(delta) = args.delta
        && !(delta > 0.0 && delta < 1.0)
    {
        return Err(Error::usage(format!(
            "`--delta` is {delta}: expected a number above 0 and below 1"
        )));
    }
    let ledger = match &args.file {
        None => args.state.ledger(None)?,
        Some(file) => {
            let experiment = ExperimentArgs {
                file: file.clone(),
                set: Vec::new(),
            };
            args.state.ledger(Some((&experiment.load()?, file)))?
        }
    };
    let history = ledger.history()?;
    let text = if args.json {
        show::json(&ledger, &history, args.delta)?
    } else {
        show::text(&ledger, &history, args.delta)?
    };
    if args.json {
        output::print(text.trim_end())?;
    } else {
        output::print_wrapped(text.trim_end())?;
    }
    Ok(ExitCode::Done)
}
