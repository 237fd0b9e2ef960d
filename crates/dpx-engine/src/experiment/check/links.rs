//! Values that only make sense with certain needs, or with certain values of a need.

use super::relabel;
use super::values::Resolved;
use super::{bags, borne, conversations, people, votes};
use crate::experiment::diagnostic::{Code, Diagnostic};
use crate::experiment::suggest::{Suggestion, alternatives, did_you_mean, suggest};
use dpx_schema::Kind;
use std::collections::HashSet;

/// Checks a stage against the kinds of its needs.
pub(super) fn check(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    match stage.stage.kind {
        Kind::Sample => sample(stage, diagnostics),
        Kind::Classify => classify(stage, diagnostics),
        Kind::Preprocess
            if !stage.is_written("labels")
                && !stage.text("dataset").starts_with("builtin:")
                && !stage.text("label_column").is_empty() =>
        {
            diagnostics.push(
                    Diagnostic::at(
                        Code::MissingKey,
                        stage.stage.origin,
                        format!("`[stage.{}]` lacks the key `labels`", stage.stage.name),
                    )
                    .context(stage.origin("dataset"), "only a built-in dataset declares its own")
                    .help("labels are public, so they are declared, never read from private data: `labels = [\"joy\", \"fear\"]`; texts without labels have `label_column = \"\"`"),
                );
        }
        _ => {}
    }
}

pub(super) fn has(stage: &Resolved<'_>, kind: Kind) -> bool {
    stage.needs().any(|need| need.kind == kind)
}

fn without(stage: &Resolved<'_>, key: &str, value: &str, kind: Kind) -> Diagnostic {
    Diagnostic::at(
        Code::MissingNeed,
        stage.origin(key),
        format!("`{key} = {value}` needs a stage of kind `{kind}`"),
    )
    .help(format!(
        "add one to the needs of `{}`, or remove the key",
        stage.stage.name
    ))
}

fn sample(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let counts = has(stage, Kind::Counts);
    let teacher = has(stage, Kind::Teacher);
    bags::no_effect(stage, diagnostics);
    relabel::check(stage, diagnostics);
    votes::drawn_by(stage, diagnostics);
    if stage.text("labels") == "private" && !counts {
        diagnostics.push(without(stage, "labels", "\"private\"", Kind::Counts));
    }
    if stage.text("keywords") == "private" && !counts {
        diagnostics.push(without(stage, "keywords", "\"private\"", Kind::Counts));
    }
    let matched = stage.text("match_words");
    let counted = || {
        let counts = stage.needs().filter(|need| need.kind == Kind::Counts);
        counts.map(|need| need.name.as_str())
    };
    if !matched.is_empty() && !counted().any(|name| name == matched) {
        let origin = stage.origin("match_words");
        let diagnostic = Diagnostic::at(
            Code::UnknownNeed,
            origin,
            format!("`match_words` is \"{matched}\", which is no `counts` stage among the needs"),
        );
        diagnostics.push(match did_you_mean(matched, counted()) {
            Some(near) => diagnostic
                .help(format!("did you mean \"{near}\"?"))
                .fix(origin, format!("\"{near}\"")),
            None => diagnostic.help(format!(
                "add `{matched} = {{ kind = \"counts\", ... }}` under `[stage]`, and to the needs of `{}`",
                stage.stage.name
            )),
        });
    }
    let mut drawn = counted().filter(|name| *name != matched);
    if let (Some(first), Some(second)) = (drawn.next(), drawn.next()) {
        diagnostics.push(
            Diagnostic::at(
                Code::AmbiguousNeed,
                stage.stage.origin,
                format!(
                    "`{}` has both `{first}` and `{second}` as a source of noisy counts",
                    stage.stage.name
                ),
            )
            .help(format!(
                "keep one of the two, or match the words of one: `match_words = \"{second}\"`"
            )),
        );
    }
    let policy = stage.text("teacher");
    if matches!(policy, "relabel" | "soft" | "agree") && !teacher {
        let value = format!("\"{policy}\"");
        diagnostics.push(without(stage, "teacher", &value, Kind::Teacher));
    }
    if stage.number("oversample") > 1.0 && !teacher {
        diagnostics.push(stage.no_effect(
            "oversample",
            "`oversample` has no effect without a `teacher` stage among the needs",
        ));
    }
    if stage.params["labels"].is_object() && stage.is_written("count") {
        diagnostics.push(
            stage
                .no_effect("count", "`count` has no effect beside a table of `labels`")
                .context(stage.origin("labels"), "these counts stand"),
        );
    }
}

fn classify(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let words = stage.text("model") == "bag-of-words" || stage.params["ensemble"] == true;
    if stage.is_written("inverse_penalty") && !words {
        diagnostics.push(stage.no_effect(
            "inverse_penalty",
            "`inverse_penalty` has no effect without `model = \"bag-of-words\"` or `ensemble = true`",
        ));
    }
    if stage.text("model") == "teacher" && !has(stage, Kind::Teacher) {
        diagnostics.push(without(stage, "model", "\"teacher\"", Kind::Teacher));
    }
    if stage.text("model") == "teacher" && stage.params["ensemble"] == true {
        diagnostics.push(
            Diagnostic::at(
                Code::Conflict,
                stage.origin("ensemble"),
                "`ensemble` averages with a classifier trained on texts, but `model = \"teacher\"` tests the teacher as it is",
            )
            .context(stage.origin("model"), "the teacher")
            .help("remove one of the two"),
        );
    }
    let Some(name) = stage.params["train_on"].as_str() else {
        let samples = stage.needs().filter(|need| need.kind == Kind::Sample);
        if samples.count() > 1 {
            diagnostics.push(
                Diagnostic::at(
                    Code::AmbiguousNeed,
                    stage.stage.origin,
                    format!("`{}` needs several `sample` stages", stage.stage.name),
                )
                .help("say with `train_on = \"...\"` on which one it trains"),
            );
        }
        return;
    };
    let readable = || {
        stage
            .needs()
            .filter(|need| matches!(need.kind, Kind::Sample | Kind::Preprocess))
            .map(|need| need.name.as_str())
    };
    if !readable().any(|need| need == name) {
        let origin = stage.origin("train_on");
        let diagnostic = Diagnostic::at(
            Code::UnknownNeed,
            origin,
            format!(
                "`train_on` is \"{name}\", which is no `sample` or `preprocess` stage among the needs"
            ),
        );
        diagnostics.push(match did_you_mean(name, readable()) {
            Some(near) => diagnostic
                .help(format!("did you mean \"{near}\"?"))
                .fix(origin, format!("\"{near}\"")),
            None => diagnostic.help(format!("expected {}", alternatives(readable()))),
        });
    }
}

/// Checks a stage against the values of one of its needs.
pub(super) fn pair(stage: &Resolved<'_>, need: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    match (stage.stage.kind, need.stage.kind) {
        (Kind::Train, Kind::Pretrain) => context(stage, need, diagnostics),
        (Kind::Train, Kind::Preprocess) => {
            batch(stage, need, diagnostics);
            people::pair(stage, need, diagnostics);
            conversations::training(stage, need, diagnostics);
        }
        (Kind::Teacher, Kind::Preprocess) => {
            batch(stage, need, diagnostics);
            people::pair(stage, need, diagnostics);
            conversations::labelled(stage, need, diagnostics);
        }
        (Kind::Select, Kind::Preprocess) => batch(stage, need, diagnostics),
        (Kind::Classify, Kind::Preprocess) => {
            conversations::labelled(stage, need, diagnostics);
            conversations::attribute(stage, need, diagnostics);
        }
        (Kind::Audit, Kind::Train) if need.number("canaries") == 0.0 => diagnostics.push(
            Diagnostic::at(
                Code::Conflict,
                stage.stage.origin,
                format!(
                    "`{}` has no canaries to look for in `{}`",
                    stage.stage.name, need.stage.name
                ),
            )
            .context(need.stage.origin, "plants none")
            .help(format!(
                "add `canaries = 1000` to `[stage.{}]`",
                need.stage.name
            )),
        ),
        (Kind::Sample, Kind::Counts) if bags::are_drawn(stage) => {
            bags::words(stage, need, diagnostics);
            labels_of_data(stage, need, diagnostics);
        }
        (Kind::Sample, Kind::Counts)
            if need.text("keywords").is_empty()
                && (stage.text("keywords") == "private"
                    || stage.text("match_words") == need.stage.name) =>
        {
            let asked = if stage.text("keywords") == "private" {
                "keywords"
            } else {
                "match_words"
            };
            diagnostics.push(
                Diagnostic::at(
                    Code::Conflict,
                    stage.origin(asked),
                    format!(
                        "`{asked} = \"{}\"`, but `{}` counts no keywords",
                        stage.text(asked),
                        need.stage.name
                    ),
                )
                .context(need.origin("keywords"), "empty here")
                .help(format!(
                    "set `keywords = \"builtin:feelings\"` in `[stage.{}]`",
                    need.stage.name
                )),
            );
        }
        (Kind::Sample, Kind::Train) => labels_of_data(stage, need, diagnostics),
        _ => {}
    }
}

/// A table of counts against the labels of the data that a need read.
fn labels_of_data(stage: &Resolved<'_>, need: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    for (name, _) in &need.stage.needs {
        let stages = &stage.experiment.stages;
        if let Some(data) = stages
            .iter()
            .find(|other| other.name == *name && other.kind == Kind::Preprocess)
        {
            counts_by_label(stage, data, diagnostics);
        }
    }
}

fn context(stage: &Resolved<'_>, need: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    if stage.text("model") != format!("stage:{}", need.stage.name) {
        return;
    }
    let (longest, context) = (stage.number("max_length"), need.number("context"));
    if need.params["model"].is_null() && longest > context {
        diagnostics.push(
            Diagnostic::at(
                Code::Conflict,
                stage.origin("max_length"),
                format!(
                    "`max_length` is {longest}, but `{}` makes a model for at most {context} tokens",
                    need.stage.name
                ),
            )
            .context(need.origin("context"), "its context")
            .help("set `max_length` to its context or below; longer texts are cut"),
        );
    }
}

fn batch(stage: &Resolved<'_>, need: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let Some(examples) = need.params["examples"].as_f64() else {
        return;
    };
    let size = stage.number("batch_size");
    // A batch of records may be larger than the number of people.
    let of_records = stage.text("unit_sampling") == "examples";
    if size > examples && stage.params["sampling_rate"].is_null() && !of_records {
        diagnostics.push(
            Diagnostic::at(
                Code::Conflict,
                stage.origin("batch_size"),
                format!(
                    "`batch_size` is {size}, but `{}` declares {examples} examples",
                    need.stage.name
                ),
            )
            .context(need.origin("examples"), "declared here"),
        );
    }
    if let Some(delta) = stage.params["delta"].as_f64()
        && delta >= 1.0 / examples
    {
        diagnostics.push(
            Diagnostic::at(
                Code::Conflict,
                stage.origin("delta"),
                format!("`delta` is {delta}: at 1/{examples} or above it would allow one record to be published whole"),
            )
            .context(need.origin("examples"), "declared here")
            .help("use \"auto\": the number of examples to the power of -1.1"),
        );
    }
}

/// The labels of a table of counts must be declared ones.
fn counts_by_label(
    stage: &Resolved<'_>,
    data: &crate::experiment::checked::Stage,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let axes = &stage.experiment.axes;
    let table = stage
        .stage
        .node("labels", axes, &stage.at)
        .and_then(|node| node.as_table());
    let Some(table) = table else { return };
    let Some((declared, _)) = borne::declared(stage, data) else {
        return;
    };
    let is_declared: HashSet<&str> = declared.iter().map(String::as_str).collect();
    for entry in &table.entries {
        if !is_declared.contains(entry.key.as_str()) {
            let diagnostic = Diagnostic::at(
                Code::BadLabel,
                entry.key_origin,
                format!("`{}` is no label that `{}` declares", entry.key, data.name),
            );
            let suggestion = suggest(
                diagnostics.len(),
                &entry.key,
                declared.iter().map(String::as_str),
            );
            diagnostics.push(match suggestion {
                Some(Suggestion::Near(near)) => diagnostic
                    .help(format!("did you mean `{near}`?"))
                    .fix(entry.key_origin, near),
                Some(Suggestion::List(labels)) => diagnostic.help(format!("labels: {labels}")),
                None => diagnostic,
            });
        }
    }
}
