//! Values of one stage that exclude each other.

use super::conversations;
use super::facts;
use super::values::Resolved;
use super::votes;
use crate::experiment::checked::Stage;
use crate::experiment::diagnostic::{Code, Diagnostic};
use crate::experiment::files::Origin;
use dpx_schema::Kind;
use dpx_schema::{LabelIntegration, Prompt};
use std::collections::HashMap;

/// Checks one stage on its own.
pub(super) fn check(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    match stage.stage.kind {
        Kind::Preprocess => {
            prompt(stage, diagnostics);
            labels(stage, diagnostics);
            conversations::attributes(stage, diagnostics);
            conversations::data(stage, diagnostics);
            facts::check(stage, diagnostics);
            shares(stage, diagnostics);
            scrub(stage, diagnostics);
        }
        Kind::Pretrain => {
            prompt(stage, diagnostics);
            labels(stage, diagnostics);
            pretrain(stage, diagnostics);
        }
        Kind::Train => train(stage, diagnostics),
        Kind::Counts => edges(stage, diagnostics),
        Kind::Teacher => form(stage, diagnostics),
        Kind::Select => votes::own(stage, diagnostics),
        Kind::Sample | Kind::Classify | Kind::Score | Kind::Audit => {}
    }
}

fn prompt(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let template = stage.text("prompt");
    let origin = stage.origin("prompt");
    let attributes = conversations::declared(stage);
    if let Err(error) = Prompt::parse_with(template, LabelIntegration::Prefix, &attributes) {
        diagnostics.push(
            Diagnostic::at(Code::BadPrompt, origin, error.to_string())
                .help("for example \"{label}: {text}\""),
        );
        return;
    }
    let mut rest = template
        .replacen("{label}", "", 1)
        .replacen("{text}", "", 1);
    for attribute in &attributes {
        rest = rest.replacen(&format!("{{{}}}", attribute.name), "", 1);
    }
    if let Some((name, _)) = rest
        .split_once('{')
        .and_then(|(_, after)| after.split_once('}'))
    {
        diagnostics.push(
            Diagnostic::at(
                Code::BadPrompt,
                origin,
                format!("unknown placeholder `{{{name}}}` in the prompt"),
            )
            .help("only `{label}`, `{text}` and the columns of a table of `labels` are filled in"),
        );
    }
}

fn labels(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let items = stage
        .stage
        .node("labels", &stage.experiment.axes, &stage.at)
        .and_then(|node| node.as_array())
        .unwrap_or_default();
    let mut seen: HashMap<&str, Origin> = HashMap::with_capacity(items.len());
    for item in items {
        let Some(label) = item.as_str() else { continue };
        if label.trim().is_empty() {
            diagnostics.push(Diagnostic::at(
                Code::BadLabel,
                item.origin,
                "a label is empty",
            ));
        }
        if label != label.trim() {
            diagnostics.push(
                Diagnostic::at(
                    Code::BadLabel,
                    item.origin,
                    format!("the label \"{label}\" has space at its ends"),
                )
                .help("without it")
                .fix(item.origin, format!("\"{}\"", label.trim())),
            );
        }
        if let Some(first) = seen.get(label) {
            diagnostics.push(
                Diagnostic::at(
                    Code::BadLabel,
                    item.origin,
                    format!("the label \"{label}\" is declared twice"),
                )
                .context(*first, "first here"),
            );
        }
        seen.entry(label).or_insert(item.origin);
    }
    let told_apart = |other: &Stage| matches!(other.kind, Kind::Classify | Kind::Teacher);
    if items.len() == 1
        && stage.stage.kind == Kind::Preprocess
        && stage.experiment.stages.iter().any(told_apart)
    {
        diagnostics.push(
            Diagnostic::at(
                Code::BadLabel,
                stage.origin("labels"),
                "one label alone leaves nothing to classify",
            )
            .help(
                "declare every label that the data have; texts without labels are studied without stages of kind `classify` and `teacher`",
            ),
        );
    }
}

fn shares(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let (validation, test) = (stage.number("validation_share"), stage.number("test_share"));
    if validation + test >= 1.0 {
        diagnostics.push(
            Diagnostic::at(
                Code::Conflict,
                stage.origin("test_share"),
                format!(
                    "`validation_share` and `test_share` add up to {}: nothing is left to train on",
                    validation + test
                ),
            )
            .context(stage.origin("validation_share"), "with this"),
        );
    }
}

fn scrub(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let node = stage.stage.node("scrub", &stage.experiment.axes, &stage.at);
    let Some(items) = node.and_then(|node| node.as_array()) else {
        return;
    };
    if let Some(none) = items.iter().find(|item| item.as_str() == Some("none"))
        && items.len() > 1
    {
        diagnostics.push(
            Diagnostic::at(
                Code::Conflict,
                none.origin,
                "`none` stands beside other scrubbers",
            )
            .help("remove it, or the others"),
        );
    }
}

fn pretrain(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let (width, heads) = (stage.number("width"), stage.number("heads"));
    if stage.params["model"].is_null() && heads > 0.0 && width % heads != 0.0 {
        diagnostics.push(
            Diagnostic::at(
                Code::Conflict,
                stage.origin("heads"),
                format!("`heads` is {heads}, which does not divide `width` {width}"),
            )
            .context(stage.origin("width"), "the width"),
        );
    }
    if stage.params["corpus"].as_array().is_some_and(Vec::is_empty) {
        diagnostics.push(
            Diagnostic::at(Code::Conflict, stage.origin("corpus"), "`corpus` is empty")
                .help("for example [\"builtin:dialogue\"]"),
        );
    }
    let weights = stage.text("weights");
    if !matches!(weights, "f32" | "f16") {
        diagnostics.push(Diagnostic::at(
            Code::UnknownWord,
            stage.origin("weights"),
            format!("`weights` is \"{weights}\": expected `f32` or `f16`"),
        ));
    }
    if !stage.params["model"].is_null() {
        for key in ["layers", "width", "heads", "context", "vocabulary_size"] {
            if stage.is_written(key) {
                diagnostics.push(stage.no_effect(
                    key,
                    format!("`{key}` has no effect: the shape comes from `model`"),
                ));
            }
        }
    }
}

/// Whether a finite budget above 0 is spent.
fn is_private(stage: &Resolved<'_>) -> bool {
    stage.params["epsilon"]
        .as_f64()
        .is_some_and(|epsilon| epsilon > 0.0)
}

fn train(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let stated = ["sampling_rate", "steps"];
    let missing: Vec<&str> = stated
        .into_iter()
        .filter(|key| stage.params[*key].is_null())
        .collect();
    match missing.as_slice() {
        [] => {
            for key in ["batch_size", "epochs"] {
                if stage.is_written(key) {
                    diagnostics.push(
                        Diagnostic::at(
                            Code::Conflict,
                            stage.origin(key),
                            format!("`{key}` and a stated `sampling_rate` with `steps` exclude each other"),
                        )
                        .context(stage.origin("sampling_rate"), "stated here")
                        .help("remove one or the other"),
                    );
                }
            }
            if stage.params["delta"].is_string() && is_private(stage) {
                diagnostics.push(
                    Diagnostic::at(
                        Code::Conflict,
                        stage.origin("delta"),
                        "`delta` is \"auto\", which follows from the number of examples; beside a stated `sampling_rate` that \
                         number is not public",
                    )
                    .context(stage.origin("sampling_rate"), "stated here")
                    .help("give `delta` as a number, below one over the number of examples"),
                );
            }
        }
        [lacking] => {
            let there = if *lacking == "steps" {
                "sampling_rate"
            } else {
                "steps"
            };
            diagnostics.push(
                Diagnostic::at(
                    Code::Conflict,
                    stage.origin(there),
                    format!("`{there}` is stated without `{lacking}`"),
                )
                .help("state both, or neither and give `batch_size` and `epochs`"),
            );
        }
        _ => {}
    }
    if stage.number("prompt_mismatch") > 0.0 && stage.text("loss_on") != "text" {
        diagnostics.push(
            Diagnostic::at(
                Code::Conflict,
                stage.origin("prompt_mismatch"),
                "`prompt_mismatch` compares one text under two prompts, so that the loss must count the text and not the prompt",
            )
            .context(stage.origin("loss_on"), "counts something else")
            .help("set `loss_on = \"text\"`"),
        );
    }
    if stage.text("parameters") != "lora" {
        // Left out of the parameters where it is f32.
        if stage.params["base_precision"].is_string() {
            diagnostics.push(
                Diagnostic::at(
                    Code::Conflict,
                    stage.origin("base_precision"),
                    "`base_precision` rounds weights that are not trained, and here all or some of the model's own are",
                )
                .context(stage.origin("parameters"), "trained are these")
                .help("set `parameters = \"lora\"`, or remove it"),
            );
        }
        for key in ["lora_rank", "lora_alpha"] {
            if stage.is_written(key) {
                diagnostics.push(stage.no_effect(
                    key,
                    format!("`{key}` has no effect without `parameters = \"lora\"`"),
                ));
            }
        }
    }
}

/// Keys of a teacher's other form.
fn form(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let (without, form): (&[&str], _) = match stage.text("form") {
        "head" => (&["vocabulary", "frequency_exponent"], "linear"),
        _ => (&["encoder"], "head"),
    };
    for key in without {
        if stage.is_written(key) {
            diagnostics.push(stage.no_effect(
                key,
                format!("`{key}` has no effect without `form = \"{form}\"`"),
            ));
        }
    }
}

fn edges(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let edges: Vec<u64> = stage.params["length_edges"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(serde_json::Value::as_u64)
        .collect();
    if !edges.windows(2).all(|pair| pair[0] < pair[1]) {
        diagnostics.push(Diagnostic::at(
            Code::Conflict,
            stage.origin("length_edges"),
            "`length_edges` do not rise",
        ));
    }
}
