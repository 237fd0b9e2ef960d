//! Texts that the experiment file itself holds: labels, prompts and whatever else is a sentence. They reach models and releases
//! as they stand, and are public.

use super::Private;
use crate::plan::Plan;
use dpx_data::Overlap;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What has fewer words says nothing by itself.
const FEWEST_WORDS: usize = 6;

/// A sentence of the experiment file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stated {
    stage: String,
    /// Such as `prompt`, or `labels[2]`.
    place: String,
    pub(super) text: String,
}

/// Every sentence of the parameters of a plan.
pub(super) fn of(plan: &Plan) -> BTreeSet<Stated> {
    let mut found = BTreeSet::new();
    for instance in &plan.instances {
        let Some(params) = instance.params.as_object() else {
            continue;
        };
        for (key, value) in params {
            collect(&instance.stage, key.clone(), value, &mut found);
        }
    }
    found
}

fn collect(stage: &str, place: String, value: &Value, found: &mut BTreeSet<Stated>) {
    match value {
        Value::String(text) => {
            let words = text.split(|letter: char| !letter.is_alphanumeric());
            let is_spaced = words.filter(|word| !word.is_empty()).count() >= FEWEST_WORDS;
            let is_unspaced =
                text.chars().filter(|letter| !letter.is_ascii()).count() >= FEWEST_WORDS;
            if is_spaced || is_unspaced {
                found.insert(Stated {
                    stage: stage.to_owned(),
                    place,
                    text: text.clone(),
                });
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(stage, format!("{place}[{index}]"), item, found);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                collect(stage, format!("{place}.{key}"), value, found);
            }
        }
        _ => {}
    }
}

/// What is compared, for the place of the comparison.
pub(super) fn compared(stated: &Stated) -> Value {
    json!({ "stated": stated.text })
}

/// Says where a private text stands in the file, without a word of it.
pub(super) fn tell(private: &Private, stated: &Stated, found: &Overlap, refused: &mut String) {
    if found.is_none() {
        return;
    }
    let Stated { stage, place, .. } = stated;
    let _ = write!(
        refused,
        "\n  `{place}` of `[stage.{stage}]` holds a private text that `{}` reads, or 13 words of one in a row: it would reach models \
         and releases as it stands\n    write it in other words; where all records begin with it, take it out of the records",
        private.stage
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_found_wherever_they_stand() {
        let mut found = BTreeSet::new();
        let params = json!({
            "labels": ["joy", "a label of more than five words"],
            "model": "builtin:base",
            "roles": { "system": "you are a helpful and kind assistant" },
            "prompt": "三月九日她告诉医生",
            "count": 7,
        });
        for (key, value) in params.as_object().unwrap() {
            collect("preprocess", key.clone(), value, &mut found);
        }
        let places: Vec<&str> = found.iter().map(|one| one.place.as_str()).collect();
        assert_eq!(places, ["labels[1]", "prompt", "roles.system"]);
    }
}
