//! `dpx init`: a commented experiment file to start from, or one for data of one's own.

mod own;

use super::{Error, ExitCode, OrError, output};
use dpx_data::own_data::{Asked, Severity, look, told};
use std::collections::BTreeMap;
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
///
/// With `--data` it looks at a file or folder, tells everything that is wrong with it, and writes an experiment for it: columns,
/// labels, lengths and sizes as they are there.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File to write; `-` prints [default: experiment.toml, or standard output where it is redirected]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Replace a file that exists
    #[arg(long)]
    force: bool,
    /// Write an experiment for these texts: a csv, tsv, jsonl or parquet file, or a folder with train and test in it
    #[arg(long, value_name = "DATA")]
    data: Option<String>,
    /// Column that holds the text [default: text]
    #[arg(long, value_name = "COLUMN", requires = "data")]
    text: Option<String>,
    /// Column that holds conversations, instead of texts
    #[arg(
        long,
        value_name = "COLUMN",
        requires = "data",
        conflicts_with = "text"
    )]
    messages: Option<String>,
    /// Column that holds the label; empty: there is none [default: label; of conversations only where there is one]
    #[arg(long, value_name = "COLUMN", requires = "data")]
    label: Option<String>,
    /// Column that says whose text it is, where people have several
    #[arg(long, value_name = "COLUMN", requires = "data")]
    unit: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let file = match &args.file {
        Some(file) => file.as_path(),
        // `--force` speaks of a file.
        None if args.force || std::io::stdout().is_terminal() => Path::new(FILE),
        None => Path::new("-"),
    };
    let text = match &args.data {
        None => STARTER.to_owned(),
        Some(data) => {
            let asked = Asked {
                text: args.text.as_deref(),
                messages: args.messages.as_deref(),
                label: args.label.as_deref(),
                unit: args.unit.as_deref(),
                by_key: false,
            };
            let found = look(data, asked, &BTreeMap::new())?;
            if found.is_conversations {
                return Err(Error::usage(format!(
                    "no experiment was written: the column `{}` holds conversations",
                    found.text_column
                ))
                .hint(format!("name it with `--messages {}`", found.text_column)));
            }
            if !found.problems.is_empty() {
                output::note(&told(&found.problems));
            }
            if found
                .problems
                .iter()
                .any(|problem| problem.severity == Severity::Error)
            {
                return Err(Error::usage(
                    "no experiment was written: mend what is wrong with the data or the options",
                ));
            }
            if !found.label_column.is_empty() {
                output::note(
                    "the labels in the file are public from now on: look at them, and take out what tells of a person",
                );
            }
            let folder = file.parent().unwrap_or(Path::new(""));
            own::experiment(&found, data, asked, folder)
        }
    };
    if file == Path::new("-") {
        output::print(text.trim_end())?;
        return Ok(ExitCode::Done);
    }
    write(file, &text, args.force)?;
    let shown = file.display();
    output::print(&if args.data.is_some() {
        format!(
            "wrote {shown}; next: dpx check {shown} --data, dpx plan {shown} --advice, dpx rehearse {shown}, dpx run {shown}"
        )
    } else {
        format!("wrote {shown}; next: dpx check {shown}, dpx plan {shown}, dpx run {shown}")
    })?;
    Ok(ExitCode::Done)
}

fn write(file: &Path, text: &str, replace: bool) -> Result<(), Error> {
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
        .write_all(text.as_bytes())
        .or_could_not(format_args!("write `{shown}`"))
}
