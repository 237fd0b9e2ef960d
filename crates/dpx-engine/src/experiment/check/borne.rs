//! What texts bear, and who has to know it: the labels of a pool, of votes, counts and teachers are those of one list, and where
//! the data are conversations, texts are.

use super::values::Resolved;
use crate::experiment::checked::Stage;
use crate::experiment::diagnostic::{Code, Diagnostic};
use crate::experiment::files::Origin;
use dpx_data::NO_LABEL;
use dpx_data::builtin::EMOTION_LABELS;
use dpx_schema::params::{DeclaredLabels, MAX_COMBINATIONS, combinations};
use dpx_schema::{Kind, listed};
use std::collections::HashSet;

/// Kinds that write texts from a model or have written them.
const WRITERS: [Kind; 3] = [Kind::Train, Kind::Pretrain, Kind::Sample];
/// Labels that are named in a message.
const SHOWN: usize = 5;

/// Checks a stage that brings texts together with what has to know their labels, before either is made.
pub(super) fn check(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let need = |kind: Kind| stage.needs().find(|need| need.kind == kind);
    let data = need(Kind::Preprocess);
    match stage.stage.kind {
        Kind::Select => {
            let (Some(pool), Some(data)) = (need(Kind::Sample), data) else {
                return;
            };
            labels(stage, pool, data, diagnostics);
            conversations(stage, pool, data, diagnostics);
        }
        Kind::Sample => {
            let Some(texts) = stage.needs().find(|need| WRITERS.contains(&need.kind)) else {
                if let Some(counts) = need(Kind::Counts)
                    && let Some(data) = root(stage, counts)
                {
                    conversations(stage, stage.stage, data, diagnostics);
                }
                return;
            };
            // Votes are told of where they are cast.
            for kind in [Kind::Counts, Kind::Teacher] {
                for known in stage.needs().filter(|need| need.kind == kind) {
                    labels(stage, texts, known, diagnostics);
                }
            }
        }
        Kind::Classify | Kind::Score => {
            let Some(data) = data else { return };
            let trained = stage.params["train_on"].as_str();
            let samples = stage.needs().filter(|need| need.kind == Kind::Sample);
            let mut read = samples.filter(|one| trained.is_none_or(|name| one.name == name));
            // Which one is read where there are several is told elsewhere.
            if let (Some(texts), None) = (read.next(), read.next()) {
                labels(stage, texts, data, diagnostics);
            }
        }
        _ => {}
    }
}

/// The stage whose `labels` the texts or the classes of another are; none where that is told elsewhere.
fn root<'a>(user: &'a Resolved<'_>, stage: &'a Stage) -> Option<&'a Stage> {
    let mut stage = stage;
    // A circle of needs is told elsewhere.
    for _ in 0..=user.experiment.stages.len() {
        let needs = || {
            let names = stage.needs.iter();
            names.filter_map(move |(name, _)| {
                Some(&user.experiment.stages[*user.names.get(name.as_str())?])
            })
        };
        let of = |kinds: &[Kind]| needs().find(|need| kinds.contains(&need.kind));
        stage = match stage.kind {
            Kind::Preprocess | Kind::Pretrain => return Some(stage),
            Kind::Sample => of(&WRITERS).or_else(|| of(&[Kind::Counts]))?,
            _ => of(&[Kind::Preprocess])?,
        };
    }
    None
}

/// The labels that a stage declares, with where it does; none where they follow from an axis that the user does not have, or
/// from nothing that the file shows.
pub(super) fn declared(user: &Resolved<'_>, stage: &Stage) -> Option<(Vec<String>, Origin)> {
    let axes = &user.experiment.axes;
    let node = |key: &str| stage.node(key, axes, &user.at);
    let Some(labels) = node("labels") else {
        let text = |key: &str| node(key).and_then(|node| node.as_str());
        return match stage.kind {
            Kind::Preprocess if text("label_column") == Some("") => {
                Some((vec![NO_LABEL.to_owned()], stage.origin))
            }
            Kind::Preprocess if text("dataset")?.starts_with("builtin:") => {
                Some((EMOTION_LABELS.map(str::to_owned).to_vec(), stage.origin))
            }
            _ => None,
        };
    };
    // Of a table every combination is a label.
    if labels.as_table().is_some() {
        let (params, _) = stage.written(axes, &user.at);
        let table: DeclaredLabels = serde_json::from_value(params["labels"].clone()).ok()?;
        let few = combinations(&table.attributes()) <= MAX_COMBINATIONS;
        return few.then(|| (table.labels(), labels.origin));
    }
    let items = labels.as_array()?.iter();
    let names: Vec<String> = items
        .filter_map(|item| Some(item.as_str()?.to_owned()))
        .collect();
    (!names.is_empty()).then_some((names, labels.origin))
}

/// Refuses texts whose labels are not all known.
fn labels(user: &Resolved<'_>, texts: &Stage, known: &Stage, diagnostics: &mut Vec<Diagnostic>) {
    let (Some(from), Some(data)) = (root(user, texts), root(user, known)) else {
        return;
    };
    if from.name == data.name {
        return;
    }
    let (Some((borne, at)), Some((declared, there))) = (declared(user, from), declared(user, data))
    else {
        return;
    };
    let known_labels: HashSet<&str> = declared.iter().map(String::as_str).collect();
    let strange = borne.iter().map(String::as_str);
    let strange: Vec<&str> = strange
        .filter(|label| !known_labels.contains(label))
        .collect();
    if strange.is_empty() {
        return;
    }
    diagnostics.push(
        Diagnostic::at(
            Code::BadLabel,
            at,
            format!(
                "the texts of `{}` bear {}, which `labels` of `[stage.{}]` declares and `labels` of `[stage.{}]` does not: `{}` reads both",
                texts.name,
                listed(&strange, SHOWN),
                from.name,
                data.name,
                user.stage.name
            ),
        )
        .context(
            there,
            format!(
                "`{}` declares {}",
                data.name,
                listed(&declared, SHOWN)
            ),
        )
        .help("declare the same labels in both"),
    );
}

/// Refuses texts that are no conversations where those that they stand for are.
fn conversations(
    user: &Resolved<'_>,
    texts: &Stage,
    data: &Stage,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let axes = &user.experiment.axes;
    let messages = |stage: &Stage| {
        stage
            .node("messages", axes, &user.at)
            .map(|node| node.origin)
    };
    let Some(origin) = messages(data) else {
        return;
    };
    let is_bag = |stage: &Stage| {
        let kinds = stage.needs.iter();
        let mut kinds = kinds.filter_map(|(name, _)| user.names.get(name.as_str()));
        !kinds.any(|&at| WRITERS.contains(&user.experiment.stages[at].kind))
    };
    let why = match root(user, texts) {
        None => return,
        Some(_) if is_bag(texts) => "bags of words, drawn from counts",
        Some(from) if messages(from).is_some() => return,
        Some(_) => "texts, as its model does not know conversations",
    };
    diagnostics.push(
        Diagnostic::at(
            Code::Conflict,
            texts.origin,
            format!(
                "`{}` writes {why}, but `{}` reads conversations",
                texts.name, data.name
            ),
        )
        .context(origin, "conversations")
        .help(format!(
            "add a stage of kind `train` that reads `{}` to the needs of `{}`; with `epsilon = 0` it learns nothing of them",
            data.name, texts.name
        )),
    );
}
