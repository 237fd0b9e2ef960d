//! `dpx cancel`: end a run from another terminal, or what it left behind in a queue.

use super::attach::run_named;
use super::experiment::CacheArgs;
use super::{Error, ExitCode, OrError, output};
use dpx_engine::cache::Cache;
use dpx_engine::run::{Order, cancel_submissions};

/// End a run: its workers stop at their next checkpoint, and the same `dpx run` goes on from there.
///
/// Of a run whose runner is gone, workers that live and jobs that wait in a queue are taken back.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run [default: the last one]
    #[arg(value_name = "RUN")]
    run: Option<String>,
    #[command(flatten)]
    cache: CacheArgs,
    /// Kill the workers instead
    #[arg(long)]
    kill: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let cache = Cache::at(&args.cache.cache)?;
    let run = run_named(&cache, args.run.as_deref())?;
    if run.live {
        let order = if args.kill { Order::Kill } else { Order::Stop };
        order.leave(&run)?;
        output::print(&format!(
            "run {} is told to end; `dpx attach {0}` shows when it has",
            run.id
        ))?;
        return Ok(ExitCode::Done);
    }
    let told = cancel_submissions(&run.folder).or_failed()?;
    if told.is_empty() {
        output::print(&format!(
            "run {} is over, and nothing of it is left in a queue",
            run.id
        ))?;
    } else {
        output::print(&told.join("\n"))?;
    }
    Ok(ExitCode::Done)
}
