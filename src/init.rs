//! `dpx init`: a commented experiment file to start from.

use super::{Error, ExitCode, output};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The starter file; a test checks it like any other experiment.
pub(crate) const STARTER: &str = include_str!("init.toml");

/// Write a commented experiment file to start from.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to write it; `-` prints it
    #[arg(value_name = "FILE", default_value = "experiment.toml")]
    file: PathBuf,
    /// Replace a file that exists
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    if args.file == Path::new("-") {
        output::print(STARTER.trim_end())?;
        return Ok(ExitCode::Done);
    }
    let shown = args.file.display();
    let mut options = std::fs::File::options();
    options.write(true);
    if args.force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let mut file = options.open(&args.file).map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            Error::usage(format!("`{shown}` exists already"))
                .hint("name another file, or replace it with `--force`")
        } else {
            Error::failed(format!("could not write `{shown}`: {error}"))
        }
    })?;
    file.write_all(STARTER.as_bytes())
        .map_err(|error| Error::failed(format!("could not write `{shown}`: {error}")))?;
    output::print(&format!(
        "wrote {shown}; next: dpx check {shown}, dpx plan {shown}, dpx run {shown}"
    ))?;
    Ok(ExitCode::Done)
}
