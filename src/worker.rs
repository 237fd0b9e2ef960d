//! `dpx worker`: serves one request of a runner. Not for people.

use super::{Error, ExitCode};
use std::path::PathBuf;

/// Serve one request of a runner.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The request (JSON)
    #[arg(value_name = "REQUEST")]
    request: PathBuf,
}

#[expect(
    clippy::exit,
    reason = "a worker speaks to its runner with exit codes of its own"
)]
pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    match dpx_engine::run::worker::serve(&args.request, &dpx_stages::run) {
        0 => Ok(ExitCode::Done),
        code => std::process::exit(code),
    }
}
