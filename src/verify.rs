//! `dpx verify`: whether a release holds what it says, from its folder alone.

use super::{Error, ExitCode, output};
use dpx_report::{Verification, verify};
use serde_json::json;
use std::path::PathBuf;

/// Check a release with nothing but its folder: no experiment file, cache or ledger.
///
/// Compares the checksums, computes every epsilon again from the events in privacy.json with three accountants, composes
/// earlier releases anew, makes PRIVACY.md and the dataset card again and compares them, and compares the texts in each
/// format. Exit code 0 where everything holds, else 1 with each point that does not.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder that `dpx release` wrote
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let verification = verify(&args.folder).map_err(|error| {
        Error::usage(format!(
            "`{}` cannot be read: {error}",
            args.folder.display()
        ))
        .hint("name the folder that `dpx release` wrote")
    })?;
    let text = if args.json {
        as_json(&verification)
    } else {
        as_text(&verification, &args.folder.display().to_string())
    };
    output::print(&text)?;
    Ok(if verification.holds() {
        ExitCode::Done
    } else {
        ExitCode::Failed
    })
}

fn as_json(verification: &Verification) -> String {
    let statement = verification.statement.as_ref();
    let object = json!({
        "holds": verification.holds(),
        "checks": verification.checks,
        "claim": statement.and_then(|statement| statement.claim.as_ref()),
        "total": statement.and_then(|statement| statement.total.as_ref()),
    });
    format!("{object:#}")
}

fn as_text(verification: &Verification, folder: &str) -> String {
    let mut lines = Vec::new();
    for check in &verification.checks {
        let state = match (check.checked, check.failures.is_empty()) {
            (false, _) => "not checked: privacy.json cannot be used",
            (true, true) => "holds",
            (true, false) => "FAILS",
        };
        lines.push(format!("{:<12} {state}", check.point));
        lines.extend(check.failures.iter().map(|failure| format!("  {failure}")));
    }
    let claim = |claim: &Option<dpx_accounting::Claim>| {
        claim.as_ref().map_or_else(
            || "no private data used (epsilon 0)".to_owned(),
            |claim| format!("{claim:.4}"),
        )
    };
    lines.push(match &verification.statement {
        Some(statement) if verification.holds() => format!(
            "{folder} holds: {} for this release, {} with the choice of rows and earlier releases",
            claim(&statement.claim),
            claim(&statement.total)
        ),
        _ => format!("{folder} does NOT hold"),
    });
    lines.join("\n")
}
