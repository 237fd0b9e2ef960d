//! `declared_overlap`: keys of the stage that name something public.

use super::values::Resolved;
use crate::experiment::diagnostic::{Code, Diagnostic};
use crate::experiment::reference::source_fields;
use dpx_schema::Kind;

/// Refuses a declaration about a key that names no public input.
pub(super) fn check(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    if stage.stage.kind == Kind::Preprocess {
        return;
    }
    let Some(items) = stage
        .stage
        .node("declared_overlap", &stage.experiment.axes, &stage.at)
        .and_then(|node| node.as_array())
    else {
        return;
    };
    let fields = source_fields(stage.stage.kind);
    for item in items {
        let Some(key) = item.as_str() else { continue };
        if fields.iter().any(|field| field.key == key) {
            continue;
        }
        let keys: Vec<String> = fields
            .iter()
            .map(|field| format!("`{}`", field.key))
            .collect();
        diagnostics.push(
            Diagnostic::at(
                Code::UnknownWord,
                item.origin,
                format!(
                    "`{key}` is no key of `{}` that names a public input",
                    stage.stage.name
                ),
            )
            .help(format!("those are {}", keys.join(", "))),
        );
    }
}
