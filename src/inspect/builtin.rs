//! What the binary carries beside models, with source and licence.

use super::dataset::View;
use dpx_data::{builtin, describe_rows};
use serde_json::{Value, json};

/// The description of a built-in asset that is no model; none for any other name.
///
/// Of the dataset `examples` texts of each label are shown: they are public.
pub(super) fn describe(name: &str, examples: usize, as_json: bool) -> Option<String> {
    let (figures, card) = match name.strip_prefix("builtin:")? {
        "emotions" => return Some(emotions(name, examples, as_json)),
        "dialogue" => (
            json!({"lines": builtin::dialogue().len()}),
            dpx_assets::DIALOGUE_README,
        ),
        "words" => (
            json!({"words": builtin::words().len()}),
            dpx_assets::WORDS_README,
        ),
        "feelings" => (
            json!({"words": builtin::feelings().len()}),
            dpx_assets::FEELINGS_README,
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

fn emotions(name: &str, examples: usize, as_json: bool) -> String {
    let card = dpx_assets::EMOTIONS_README;
    let description = describe_rows(&builtin::emotions());
    let view = View {
        name,
        description: &description,
        examples,
        public: true,
    };
    if as_json {
        let mut object = view.json();
        object["card"] = card.into();
        return format!("{object:#}");
    }
    format!("{}\n\n{}", view.text(), card.trim_end())
}
