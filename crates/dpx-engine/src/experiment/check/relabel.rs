//! A `sample` stage that reads another: a teacher chooses from texts that are written already.

use super::bags::OF_MODELS;
use super::links::has;
use super::values::Resolved;
use crate::experiment::diagnostic::{Code, Diagnostic};
use dpx_schema::Kind;

/// Parameters of writing, beside those of models.
const OF_WRITING: [&str; 5] = [
    "max_new_tokens",
    "empty",
    "duplicates",
    "oversample",
    "precision",
];

/// Refuses a stage where nobody chooses; warns of parameters that are ignored without a writer.
pub(super) fn check(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let Some(texts) = stage.needs().find(|need| need.kind == Kind::Sample) else {
        return;
    };
    let name = &stage.stage.name;
    let voted = has(stage, Kind::Select);
    if !has(stage, Kind::Teacher) && !voted {
        diagnostics.push(
            Diagnostic::at(
                Code::MissingNeed,
                stage.stage.origin,
                format!(
                    "`{name}` reads the texts of `{}`, but has no stage of kind `teacher` or `select` to choose from them or label them",
                    texts.name
                ),
            )
            .help(format!("add one to the needs of `{name}`")),
        );
    } else if stage.text("teacher") == "none" && !voted {
        diagnostics.push(
            Diagnostic::at(
                Code::Conflict,
                stage.origin("teacher"),
                format!(
                    "`teacher = \"none\"` leaves the texts of `{}` as they are",
                    texts.name
                ),
            )
            .help("set `teacher = \"auto\"`, `\"relabel\"`, `\"soft\"` or `\"agree\"`, or remove the stage"),
        );
    }
    for key in OF_MODELS.iter().chain(&OF_WRITING) {
        // Votes may draw a text several times.
        if stage.is_written(key) && !(voted && *key == "duplicates") {
            diagnostics.push(stage.no_effect(
                key,
                format!(
                    "`{key}` has no effect on texts that `{}` wrote already",
                    texts.name
                ),
            ));
        }
    }
}
