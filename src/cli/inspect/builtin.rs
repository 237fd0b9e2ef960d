//! What the binary carries beside models, with source and licence.

use crate::data::builtin;
use serde_json::{Map, Value, json};

/// The description of a built-in asset that is no model; none for any other name.
pub(super) fn describe(name: &str, as_json: bool) -> Option<String> {
    let (figures, card) = match name.strip_prefix("builtin:")? {
        "emotions" => (
            emotions(),
            include_str!("../../../assets/emotions/README.md"),
        ),
        "dialogue" => (
            json!({"lines": builtin::dialogue().len()}),
            include_str!("../../../assets/dialogue/README.md"),
        ),
        "words" => (
            json!({"words": builtin::words().len()}),
            include_str!("../../../assets/words/README.md"),
        ),
        "feelings" => (
            json!({"words": builtin::feelings().len()}),
            include_str!("../../../assets/feelings/README.md"),
        ),
        _ => return None,
    };
    if as_json {
        let mut object = figures;
        object["name"] = name.into();
        object["card"] = card.into();
        return Some(format!("{object:#}"));
    }
    let mut lines = Vec::new();
    for (key, value) in figures.as_object().into_iter().flatten() {
        lines.push(format!("{key:<11} {}", plain(value)));
    }
    lines.push(String::new());
    lines.push(card.trim_end().to_owned());
    Some(lines.join("\n"))
}

fn plain(value: &Value) -> String {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| format!("{key} {}", plain(value)))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    }
}

/// Texts by split and label.
fn emotions() -> Value {
    let dataset = builtin::emotions();
    let mut splits = Map::new();
    for (split, rows) in dataset.splits() {
        let mut counts = Map::new();
        counts.insert("texts".into(), rows.len().into());
        for label in &dataset.labels {
            let count = rows.iter().filter(|row| row.label == *label).count();
            counts.insert(label.clone(), count.into());
        }
        splits.insert(split.to_owned(), counts.into());
    }
    Value::Object(splits)
}
