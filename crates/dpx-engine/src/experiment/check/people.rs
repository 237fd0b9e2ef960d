//! `[privacy] unit`: people are protected where the data say whose each record is, and nowhere else.

use super::values::Resolved;
use crate::experiment::diagnostic::{Code, Diagnostic};
use dpx_schema::{Kind, Unit, UnitSampling};

/// Checks a stage on its own.
pub(super) fn check(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    match stage.stage.kind {
        Kind::Preprocess => data(stage, diagnostics),
        Kind::Train => train(stage, diagnostics),
        _ => {}
    }
}

fn protects_people(stage: &Resolved<'_>) -> bool {
    stage.experiment.privacy.unit == Unit::User
}

fn data(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let named = !stage.params["unit_column"].is_null();
    if protects_people(stage) && !named {
        diagnostics.push(
            Diagnostic::at(
                Code::MissingKey,
                stage.stage.origin,
                format!(
                    "`[privacy] unit` is \"user\", and `{}` does not say whose each record is",
                    stage.stage.name
                ),
            )
            .help("add `unit_column = \"customer_id\"`, the column that names the person; `dpx inspect DATA` lists the columns"),
        );
    }
    if named && !protects_people(stage) {
        diagnostics.push(
            Diagnostic::at(
                Code::Conflict,
                stage.origin("unit_column"),
                "`unit_column` says whose each record is, but `[privacy] unit` is \"example\": single records are protected, not people",
            )
            .help("write `[privacy]` with `unit = \"user\"`, or leave the column out"),
        );
    }
    let key = if stage.params["messages"].is_null() {
        "text_column"
    } else {
        "messages"
    };
    if named && stage.params[key] == stage.params["unit_column"] {
        diagnostics.push(
            Diagnostic::at(
                Code::Conflict,
                stage.origin("unit_column"),
                format!("`unit_column` is the column of `{key}`, which holds what is said, not whose it is"),
            )
            .help("name the column that says whose each record is; `dpx inspect DATA` lists the columns"),
        );
    }
    if !named && stage.is_written("max_per_unit") {
        diagnostics.push(stage.no_effect(
            "max_per_unit",
            "`max_per_unit` has no effect without `unit_column`",
        ));
    }
}

fn train(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    for key in ["unit_sampling", "examples_per_unit"] {
        if stage.is_written(key) && !protects_people(stage) {
            diagnostics.push(stage.no_effect(
                key,
                format!("`{key}` has no effect without `[privacy] unit = \"user\"`"),
            ));
        }
    }
    let of_records = stage.text("unit_sampling") == UnitSampling::Examples.to_string();
    if of_records && stage.is_written("examples_per_unit") {
        diagnostics.push(stage.no_effect(
            "examples_per_unit",
            "`examples_per_unit` has no effect with `unit_sampling = \"examples\"`: every record has a coin of its own",
        ));
    }
}

/// Checks a stage that trains against the data that it reads.
pub(super) fn pair(stage: &Resolved<'_>, need: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let (few, most) = (
        stage.number("examples_per_unit"),
        need.number("max_per_unit"),
    );
    if few > most && most > 0.0 && need.is_written("max_per_unit") {
        diagnostics.push(
            stage
                .no_effect(
                    "examples_per_unit",
                    format!(
                        "`examples_per_unit` is {few}, but nobody has more than {most} records"
                    ),
                )
                .context(need.origin("max_per_unit"), "at most so many stay"),
        );
    }
}
