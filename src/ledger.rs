//! `dpx ledger`: what each data set has spent.

use super::state::StateArgs;
use super::{Error, ExitCode, output};
use dpx_stages::ledger;
use std::path::PathBuf;

/// Show every private run that was started, per data set, and what those under a guarantee cost together.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    state: StateArgs,
    /// Folder of the ledgers [default: `ledger` in the state folder]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The failure probability at which the joint epsilon is stated.
    #[arg(long, default_value_t = 1e-5)]
    delta: f64,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => args.state.ledger()?,
    };
    let books = ledger::books(&folder).map_err(|error| Error::failed(error.to_string()))?;
    let mut lines = Vec::new();
    for book in books {
        lines.push(format!("data set {}", book.id));
        for entry in &book.entries {
            let note = if entry.is_covered() {
                ""
            } else {
                "  without a guarantee"
            };
            lines.push(format!("  {}  {}{note}", entry.run, entry.instance));
        }
        let joint = ledger::joint(&book.entries, args.delta)
            .map_err(|error| Error::usage(error.to_string()))?;
        lines.push(format!(
            "  together: epsilon {:.4} at delta {:e} over {} runs",
            joint.certified.epsilon, args.delta, joint.covered
        ));
        if joint.outside > 0 {
            lines.push(format!(
                "  outside: {} runs without a guarantee; whoever sees their results may see the data",
                joint.outside
            ));
        }
    }
    if lines.is_empty() {
        lines.push("no private run was started".to_owned());
    }
    output::print(&lines.join("\n"))?;
    Ok(ExitCode::Done)
}
