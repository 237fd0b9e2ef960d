//! `dpx completions`: completion scripts for shells.

use super::{Error, ExitCode, output};

/// Print a completion script for a shell.
///
/// For example: dpx completions bash > ~/.local/share/bash-completion/completions/dpx
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell.
    shell: clap_complete::Shell,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "dpx", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::Done)
}
