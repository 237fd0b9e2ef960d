//! `dpx schema`: the JSON Schema of experiment files, and their reference.

use super::{Error, ExitCode, OrError, output};
use dpx_engine::experiment;

/// Print the JSON Schema (draft-07) of experiment files, for editors.
///
/// Save it as dpx.schema.json and begin an experiment file with `#:schema ./dpx.schema.json`: Taplo and Tombi, and with
/// them most editors, then complete keys and mark mistakes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print a reference of all keys in Markdown instead
    #[arg(long)]
    markdown: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let schema = experiment::document_schema();
    let text = if args.markdown {
        experiment::markdown(&schema)
    } else {
        serde_json::to_string_pretty(&schema).or_could_not("write the schema")?
    };
    output::print(text.trim_end())?;
    Ok(ExitCode::Done)
}
