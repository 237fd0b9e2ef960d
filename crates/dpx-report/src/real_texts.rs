//! Real training texts for a page that is then as private as they are.

use super::sources::{AssembleError, Sources};
use dpx_schema::Kind;
use dpx_stages::score::Examples;
use serde_json::Value;

/// Real training texts of each label, for a page as private as they are; as many as a score stage keeps of synthetic ones.
///
/// # Errors
/// The texts cannot be read.
pub fn real_texts(sources: &Sources<'_>) -> Result<Vec<Examples>, AssembleError> {
    const MOST: usize = 20;
    let plan = sources.plan;
    let data = (0..plan.instances.len()).find(|&id| plan.instances[id].kind == Kind::Preprocess);
    let lines = data
        .map(|id| sources.file(id, "train.jsonl"))
        .transpose()?
        .flatten()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_default();
    let mut found: Vec<Examples> = Vec::new();
    for line in lines.lines() {
        let Ok(row) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let (Some(text), Some(label)) = (row["text"].as_str(), row["label"].as_str()) else {
            continue;
        };
        match found.iter_mut().find(|own| own.label == label) {
            Some(own) if own.texts.len() < MOST => own.texts.push(text.to_owned()),
            Some(_) => {}
            None => found.push(Examples {
                label: label.to_owned(),
                texts: vec![text.to_owned()],
            }),
        }
    }
    Ok(found)
}
