//! `dpx schema`: the JSON Schema of experiment files.

use super::{Error, ExitCode, output};
use dpx_engine::experiment;

/// Print the JSON Schema (draft-07) of experiment files, for editors.
///
/// Save it as dpx.schema.json and begin an experiment file with `#:schema ./dpx.schema.json`: Taplo and Tombi, and with
/// them most editors, then complete keys and mark mistakes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> Result<ExitCode, Error> {
    let schema = serde_json::to_string_pretty(&experiment::document_schema())
        .map_err(|error| Error::failed(format!("could not write the schema: {error}")))?;
    output::print(&schema)?;
    Ok(ExitCode::Done)
}
