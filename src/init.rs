//! `dpx init`: a commented experiment file to start from.

use super::{Error, ExitCode, output};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

/// The starter file; a test checks it like any other experiment file.
pub(crate) const STARTER: &str = include_str!("init.toml");

/// Where it goes unless a name is given.
const FILE: &str = "experiment.toml";

/// Write a commented experiment file to start from.
///
/// `dpx init FILE` writes FILE. Without a name it writes experiment.toml at a terminal, and prints where standard output is
/// redirected, as in `dpx init > my.toml`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File to write; `-` prints [default: experiment.toml, or standard output where it is redirected]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Replace a file that exists
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let file = match &args.file {
        Some(file) => file.as_path(),
        // `--force` speaks of a file.
        None if args.force || std::io::stdout().is_terminal() => Path::new(FILE),
        None => Path::new("-"),
    };
    if file == Path::new("-") {
        output::print(STARTER.trim_end())?;
        return Ok(ExitCode::Done);
    }
    write(file, args.force)?;
    let shown = file.display();
    output::print(&format!(
        "wrote {shown}; next: dpx check {shown}, dpx plan {shown}, dpx run {shown}"
    ))?;
    Ok(ExitCode::Done)
}

fn write(file: &Path, replace: bool) -> Result<(), Error> {
    let shown = file.display();
    let mut options = std::fs::File::options();
    options.write(true);
    if replace {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let mut written = options.open(file).map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            Error::usage(format!("`{shown}` exists already"))
                .hint("name another file, or replace it with `--force`")
        } else {
            Error::failed(format!("could not write `{shown}`: {error}"))
        }
    })?;
    written
        .write_all(STARTER.as_bytes())
        .map_err(|error| Error::failed(format!("could not write `{shown}`: {error}")))
}
