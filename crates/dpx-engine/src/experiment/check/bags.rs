//! A `sample` stage without a model: texts are bags of words, drawn from the noisy keywords of its `counts` stage.

use super::links::has;
use super::values::Resolved;
use crate::experiment::diagnostic::{Code, Diagnostic};
use dpx_schema::Kind;

/// Parameters that are ignored without a model.
pub(super) const OF_MODELS: [&str; 8] = [
    "temperature",
    "top_k",
    "top_p",
    "repetition_penalty",
    "guidance",
    "keywords",
    "match_words",
    "generation_batch",
];

/// Whether a `sample` stage draws bags of words.
pub(super) fn are_drawn(stage: &Resolved<'_>) -> bool {
    has(stage, Kind::Counts)
        && ![Kind::Train, Kind::Pretrain, Kind::Sample]
            .iter()
            .any(|kind| has(stage, *kind))
}

/// Warns of parameters that are ignored without a model.
pub(super) fn no_effect(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    if !are_drawn(stage) {
        return;
    }
    for key in OF_MODELS {
        if stage.is_written(key) {
            diagnostics.push(
                stage
                    .no_effect(
                        key,
                        format!(
                            "`{key}` has no effect without a model: words are drawn from the counts"
                        ),
                    )
                    .help(
                        "add a stage of kind `train` or `pretrain` to the needs, or remove the key",
                    ),
            );
        }
    }
}

/// Refuses counts without words.
pub(super) fn words(
    stage: &Resolved<'_>,
    counts: &Resolved<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if counts.text("keywords").is_empty() {
        diagnostics.push(
            Diagnostic::at(
                Code::Conflict,
                stage.stage.origin,
                format!(
                    "`{}` has no model and draws words from `{}`, which counts none",
                    stage.stage.name, counts.stage.name
                ),
            )
            .context(counts.origin("keywords"), "empty here")
            .help(format!(
                "set `keywords = \"builtin:words\"` in `[stage.{}]`, or add a model to the needs",
                counts.stage.name
            )),
        );
    }
}
