//! Conversations and several columns of labels: what their keys need and exclude.

use super::values::Resolved;
use crate::experiment::diagnostic::{Code, Diagnostic};
use dpx_schema::params::{
    Attribute, DeclaredLabels, MAX_COMBINATIONS, combinations, combined, is_column_of_labels,
};
use std::collections::BTreeSet;

/// The columns of labels, where `labels` is a table.
pub(super) fn declared(stage: &Resolved<'_>) -> Vec<Attribute> {
    serde_json::from_value::<DeclaredLabels>(stage.params["labels"].clone())
        .map(|labels| labels.attributes())
        .unwrap_or_default()
}

/// A table of labels.
pub(super) fn attributes(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let attributes = declared(stage);
    let origin = stage.origin("labels");
    let listed = stage.params["labels"].as_array().map_or(0, Vec::len);
    if listed > 1 && stage.text("label_column").is_empty() {
        diagnostics.push(
            Diagnostic::at(
                Code::Conflict,
                stage.origin("label_column"),
                format!("`label_column` is empty, so that no text has a label, but `labels` declares {listed}"),
            )
            .help("name the column of the labels, or leave `labels` out"),
        );
    }
    if attributes.is_empty() {
        if stage.params["labels"].is_object() {
            diagnostics.push(
                Diagnostic::at(Code::BadLabel, origin, "the table of `labels` names no column")
                    .help("for example { intent = [\"refund\", \"other\"], mood = [\"calm\", \"angry\"] }"),
            );
        }
        return;
    }
    if stage.is_written("label_column") {
        diagnostics.push(stage.no_effect(
            "label_column",
            "`label_column` has no effect beside a table of `labels`, whose keys are the columns",
        ));
    }
    for Attribute { name, values } in &attributes {
        let mut bad = |problem: String| {
            diagnostics.push(Diagnostic::at(Code::BadLabel, origin, problem));
        };
        if !is_column_of_labels(name) {
            bad(format!(
                "a column of labels is called `{name}`, as a column of the synthetic texts is: rename it"
            ));
        }
        if name.contains(['{', '}']) {
            bad(format!("the column `{name}` cannot be named in a prompt"));
        }
        if values.len() < 2 {
            bad(format!(
                "the column `{name}` declares fewer than two values"
            ));
        }
        let distinct: BTreeSet<&str> = values.iter().map(|value| value.trim()).collect();
        if distinct.len() < values.len() || distinct.contains("") {
            bad(format!(
                "the column `{name}` declares a value twice, or an empty one"
            ));
        }
    }
    let count = combinations(&attributes);
    if count > MAX_COMBINATIONS {
        diagnostics.push(
            Diagnostic::at(
                Code::BadLabel,
                origin,
                format!(
                    "the columns of `labels` have {count} combinations of values: at most {MAX_COMBINATIONS} are possible"
                ),
            )
            .help("declare fewer columns or values: noise drowns counts that are spread so thin"),
        );
    } else if combined(&attributes).iter().collect::<BTreeSet<_>>().len() < count {
        diagnostics.push(
            Diagnostic::at(
                Code::BadLabel,
                origin,
                "two combinations of values read the same when they are joined with commas",
            )
            .help("take the commas out of the values"),
        );
    }
}

/// Keys of conversations in `preprocess`.
pub(super) fn data(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    if stage.params["messages"].is_null() {
        if stage.is_written("roles") {
            diagnostics.push(stage.no_effect(
                "roles",
                "`roles` has no effect without `messages`, the column of conversations",
            ));
        }
        return;
    }
    let mut roles = BTreeSet::new();
    for role in stage.params["roles"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(role, _)| role)
    {
        if !roles.insert(role.trim().to_lowercase()) {
            diagnostics.push(
                Diagnostic::at(
                    Code::Conflict,
                    stage.origin("roles"),
                    format!("`roles` names `{role}` twice: capitals make no other role"),
                )
                .help("keep one of them"),
            );
        }
    }
    if stage.is_written("text_column") {
        diagnostics.push(
            Diagnostic::at(
                Code::Conflict,
                stage.origin("messages"),
                "`messages` and `text_column` both name what is learned from",
            )
            .context(stage.origin("text_column"), "texts")
            .help("keep `messages` for conversations, or `text_column` for texts"),
        );
    }
    if stage.text("dataset").starts_with("builtin:") {
        diagnostics.push(
            Diagnostic::at(
                Code::Conflict,
                stage.origin("messages"),
                format!("`{}` holds no conversations", stage.text("dataset")),
            )
            .help("remove `messages`, or name a data set of conversations"),
        );
    }
}

/// Keys of conversations in `train`, against the data that it reads.
pub(super) fn training(
    stage: &Resolved<'_>,
    data: &Resolved<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if !data.params["messages"].is_null() {
        return;
    }
    for (key, what) in [
        (
            "loss_on",
            matches!(stage.text("loss_on"), "user" | "assistant"),
        ),
        ("chat_template", stage.text("chat_template") == "model"),
    ] {
        if what {
            diagnostics.push(
                Diagnostic::at(
                    Code::Conflict,
                    stage.origin(key),
                    format!(
                        "`{key} = \"{}\"` is for conversations, but `{}` reads texts",
                        stage.text(key),
                        data.stage.name
                    ),
                )
                .context(data.stage.origin, "without `messages`")
                .help(format!(
                    "add `messages = \"messages\"` to `[stage.{}]`, or remove the key",
                    data.stage.name
                )),
            );
        }
    }
}

/// The attribute that a classifier tells apart, and whether there is anything to tell apart.
pub(super) fn attribute(
    stage: &Resolved<'_>,
    data: &Resolved<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let wanted = stage.text("attribute");
    let attributes = declared(data);
    if wanted.is_empty() || attributes.iter().any(|attribute| attribute.name == wanted) {
        return;
    }
    let names: Vec<&str> = attributes
        .iter()
        .map(|attribute| attribute.name.as_str())
        .collect();
    let diagnostic = Diagnostic::at(
        Code::BadLabel,
        stage.origin("attribute"),
        format!(
            "`attribute` is \"{wanted}\", which is no column of labels that `{}` declares",
            data.stage.name
        ),
    )
    .context(data.origin("labels"), "declared here");
    diagnostics.push(if names.is_empty() {
        diagnostic.help("remove the key, or declare several columns: `labels = { intent = [...], mood = [...] }`")
    } else {
        diagnostic.help(format!("columns: {}", names.join(", ")))
    });
}

/// Refuses to tell labels apart where there are none.
pub(super) fn labelled(
    stage: &Resolved<'_>,
    data: &Resolved<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let none = data.params["labels"].as_array().is_some_and(Vec::is_empty);
    if none && data.text("label_column").is_empty() {
        diagnostics.push(
            Diagnostic::at(
                Code::BadLabel,
                stage.stage.origin,
                format!(
                    "`{}` tells labels apart, but the texts of `{}` have none",
                    stage.stage.name, data.stage.name
                ),
            )
            .context(data.origin("label_column"), "no labels")
            .help(
                "leave the stage out: `score` with `student_epochs` says what such texts are worth",
            ),
        );
    }
}
