//! `dpx worker`: serves one request of a runner, or one task of its plan. Not for people.

use super::devices;
use super::{Error, ExitCode, OrError};
use dpx_engine::run::{TaskWorker, WorkerCommand, worker};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Tells a worker that another one passes its signals on.
const SUPERVISED: &str = "DPX_WORKER_SUPERVISED";

/// Serve one request of a runner, or one task of its plan.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The request (JSON)
    #[arg(value_name = "REQUEST", required_unless_present = "plan")]
    request: Option<PathBuf>,
    /// The plan of a submission (JSON), written by a run
    #[arg(
        long,
        value_name = "PLAN",
        requires = "index",
        conflicts_with = "request"
    )]
    plan: Option<PathBuf>,
    /// Which task of the plan; the first is 0
    #[arg(long, value_name = "I", requires = "plan")]
    index: Option<usize>,
}

#[expect(
    clippy::exit,
    reason = "a worker speaks to its runner with exit codes of its own"
)]
pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let code = match (&args.request, &args.plan, args.index) {
        (Some(request), ..) => {
            if std::env::var_os(SUPERVISED).is_some() {
                // A queue signals every process of a job; the one that started this one passes it on.
                listen(Arc::default())?;
            }
            worker::serve(request, &dpx_stages::run)
        }
        (None, Some(plan), Some(index)) => task(plan, index)?,
        _ => {
            return Err(Error::usage(
                "expected a request, or `--plan` and `--index`",
            ));
        }
    };
    match code {
        0 => Ok(ExitCode::Done),
        code => std::process::exit(code),
    }
}

fn task(plan: &std::path::Path, index: usize) -> Result<i32, Error> {
    let finding = "find this program";
    let stop = Arc::<AtomicBool>::default();
    listen(Arc::clone(&stop))?;
    let worker = TaskWorker {
        worker: WorkerCommand::own_image()
            .or_could_not(finding)?
            .variable(SUPERVISED, "1"),
        stop,
        resolve: &|name| {
            let names = [name.to_owned()];
            let found = devices::resolve(&names).map_err(|error| error.message().to_owned())?;
            Ok(found.first().copied().unwrap_or_default())
        },
        program: std::env::current_exe().or_could_not(finding)?,
    };
    worker.serve(plan, index).or_failed()
}

/// Turns `stop` true at a request to end.
fn listen(stop: Arc<AtomicBool>) -> Result<(), Error> {
    ctrlc::set_handler(move || stop.store(true, Ordering::SeqCst))
        .or_could_not("listen for signals")
}
