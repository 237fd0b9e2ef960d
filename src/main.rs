//! The command line: one file per verb: arguments, one call, printing.
//!
//! A verb is a module with `Args` and `run(args)`. The library below knows nothing of exit codes or colours:
//! [`Error`] decides the first, [`output`] the second.

mod attach;
mod bounds;
mod cache;
mod cache_remote;
mod cancel;
mod check;
mod compare;
mod completions;
mod detach;
mod devices;
mod download;
mod error;
mod executor;
mod exit;
mod experiment;
mod export;
mod families;
mod fetch;
mod graph;
mod init;
mod inspect;
mod ledger;
mod man;
mod model_memory;
mod outgoing;
mod output;
mod plan;
mod privacy;
mod readings;
mod rehearse;
mod release;
mod remote;
mod report;
mod results;
mod run;
mod schema;
mod state;
mod status;
mod studies;
mod verify;
mod worker;

use error::{Error, OrError};
use exit::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Differentially private synthetic-text studies from one TOML file.
///
/// Exit codes: 0 done, 1 a stage failed, 2 the file or the arguments are wrong, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "dpx", version, max_term_width = 100, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Args),
    Status(status::Args),
    Attach(attach::Args),
    Cancel(cancel::Args),
    Cache(cache::Args),
    Devices(devices::Args),
    #[command(hide = true)]
    Worker(worker::Args),
    Check(check::Args),
    Graph(graph::Args),
    Fetch(fetch::Args),
    Init(init::Args),
    Inspect(inspect::Args),
    Plan(plan::Args),
    Schema(schema::Args),
    Release(release::Args),
    Export(export::Args),
    Verify(verify::Args),
    Rehearse(rehearse::Args),
    Report(report::Args),
    Compare(compare::Args),
    Privacy(privacy::Args),
    Ledger(ledger::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Verb {
    fn run(self) -> Result<ExitCode, Error> {
        match self {
            Self::Run(args) => run::run(&args),
            Self::Status(args) => status::run(&args),
            Self::Attach(args) => attach::run(&args),
            Self::Cancel(args) => cancel::run(&args),
            Self::Cache(args) => cache::run(&args),
            Self::Devices(args) => devices::run(&args),
            Self::Worker(args) => worker::run(&args),
            Self::Check(args) => check::run(&args),
            Self::Graph(args) => graph::run(&args),
            Self::Fetch(args) => fetch::run(&args),
            Self::Init(args) => init::run(&args),
            Self::Inspect(args) => inspect::run(&args),
            Self::Plan(args) => plan::run(&args),
            Self::Schema(args) => schema::run(&args),
            Self::Release(args) => release::run(&args),
            Self::Export(args) => export::run(&args),
            Self::Verify(args) => verify::run(&args),
            Self::Rehearse(args) => rehearse::run(&args),
            Self::Report(args) => report::run(&args),
            Self::Compare(args) => compare::run(&args),
            Self::Privacy(args) => privacy::run(&args),
            Self::Ledger(args) => ledger::run(&args),
            Self::Completions(args) => completions::run(&args),
            Self::Man(args) => man::run(&args),
        }
    }
}

fn main() -> std::process::ExitCode {
    start().into()
}

/// Reads the arguments, runs the verb and prints its error, if any.
fn start() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap prints help and version through the same type; only real mistakes are a usage error.
            let code = if error.use_stderr() {
                ExitCode::Usage
            } else {
                ExitCode::Done
            };
            drop(error.print());
            return code;
        }
    };
    match cli.verb.run() {
        Ok(code) => code,
        Err(error) => {
            output::error(&error);
            error.exit_code()
        }
    }
}

/// The whole command line, for completions and generated documentation.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
