//! `labels = "auto"`: refused, with the list to paste after a look at it.
//!
//! The declared labels are public: they stand in every prompt, model and release. Taken from the data without a look, a label that one
//! person alone has would be published with certainty, whatever epsilon says.

use super::diagnostic::{Code, Diagnostic};
use super::files::Files;
use super::merged::quoted;
use super::node::{Node, Table};
use dpx_data::Source;

/// More labels than this are not listed: nobody looks at them.
const MOST: usize = 1000;

/// Whether labels are to be found in the data.
pub(super) fn is_auto(node: &Node) -> bool {
    matches!(node.as_str(), Some("auto" | "AUTO" | "Auto"))
}

/// Why that is refused, and what the data on this machine have.
pub(super) fn auto_labels(stage: &Table, node: &Node, files: &Files) -> Diagnostic {
    let text = |key: &str| stage.get(key).and_then(Node::as_str);
    let diagnostic = Diagnostic::at(
        Code::WrongType,
        node.origin,
        "`labels` cannot be \"auto\": labels are public, so a person declares them; they are never taken from private data unseen",
    );
    let folder = &files.file(node.origin).folder;
    let Some(Source::Path(path)) = text("dataset").map(Source::parse) else {
        return diagnostic
            .help("write them as a list: `labels = [\"joy\", \"fear\"]`; `dpx inspect` shows those of a dataset");
    };
    let column = text("label_column").unwrap_or("label");
    let found = dpx_data::describe(
        &folder.join(path),
        text("text_column").unwrap_or("text"),
        column,
    );
    let names = found.ok().and_then(|found| found.label_names());
    match names {
        Some(names) if !names.is_empty() && names.len() <= MOST => {
            let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
            diagnostic
                .help("the data have these; take out what tells of a person or of few, then paste the list")
                .fix(node.origin, format!("[{}]", names.join(", ")))
        }
        _ => diagnostic.help(format!(
            "no list of labels could be read from the column `{column}`: `dpx inspect` says why"
        )),
    }
}
