//! The floor of a row: what a classifier learns from bags of words that are drawn from one private histogram at the row's
//! budget. A language model that does not beat it is not working yet.
//!
//! It is computed with the histogram of `experiments/floor.toml` and noise of a public seed, compared with test texts and
//! thrown away: internal like every other figure on private data, and no part of any claim.

use crate::classify;
use crate::counts::{Counted, said, simulated};
use crate::members::shares;
use crate::metric::Classification;
use crate::sample::bags_of_words;
use crate::score::read::LabelledTexts;
use dpx_accounting::budget::{Component, MechanismSpec, split};
use dpx_data::Row;
use dpx_schema::context::NoProgress;
use dpx_schema::params::CountsParams;
use dpx_schema::{Device, Kind, PublicSchema, StageContext, StageError};
use dpx_sgd::key::Key;
use serde_json::json;
use std::borrow::Cow;
use std::path::PathBuf;

/// Raised when the same request would give another floor.
pub const FLOOR_VERSION: u32 = 2;

/// Cells of a histogram beyond which no floor is computed: it would take longer than a comparison is worth.
const MOST_CELLS: usize = 6_000_000;

/// Texts of a floor, at most: more of them teach no more.
pub const MOST_TEXTS: u64 = 6000;

/// At what a floor is to be computed.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct FloorRequest {
    /// The row's certified epsilon; nothing where it has no guarantee, and so exact counts.
    pub epsilon: Option<f64>,
    pub delta: f64,
    /// How many texts are drawn; at most [`MOST_TEXTS`] count.
    pub texts: u64,
    /// Texts that one unit of privacy may hold.
    pub records: u64,
    /// What noise and texts are drawn by.
    pub seed: u64,
}

/// The floor, from the splits of a `preprocess` artifact (JSON lines) and its schema.
///
/// # Errors
/// When there are no labels to tell apart or too many, a split cannot be read or is empty, or the budget cannot be met. No text
/// is quoted.
pub fn floor(
    train: &[u8],
    test: &[u8],
    schema: &PublicSchema,
    request: &FloorRequest,
) -> Result<Classification, StageError> {
    let labels = &schema.labels;
    if labels.len() < 2 {
        return Err(StageError::new("there are no labels to tell apart"));
    }
    if !schema.attributes.is_empty() {
        return Err(StageError::new(
            "there are several columns of labels, and the row's classifier may tell one of them apart",
        ));
    }
    let params: CountsParams = serde_json::from_value(json!({
        "epsilon": "inf",
        "keywords": "builtin:words",
        "keywords_per_text": 20,
        "threshold": 2.5,
        "label_share": 0.001,
        "length_edges": [4, 8, 12, 16, 20, 24, 28],
        "length_share": 0.02,
    }))?;
    let words = crate::counts::keyword_list(&params.keywords)?.len();
    if words * labels.len() > MOST_CELLS {
        return Err(StageError::new(format!(
            "{} labels are too many for a histogram of {words} words",
            labels.len()
        )));
    }
    let shares = shares(&owned(train, schema)?, schema)?;
    let train = rows(train, "train", schema)?;
    let test = rows(test, "test", schema)?;
    let noise_multiplier = match request.epsilon {
        None => 0.0,
        Some(epsilon) => {
            let counts = Component {
                share: 1.0,
                mechanism: MechanismSpec::Gaussian { count: 1 },
            };
            let budget = split(epsilon, request.delta, &[counts])?;
            budget.noise_multipliers[0]
        }
    };
    let said: Vec<Cow<'_, str>> = train
        .texts
        .iter()
        .map(|text| said(text, schema.conversations))
        .collect();
    let texts: Vec<&str> = said.iter().map(AsRef::as_ref).collect();
    let counts = simulated(
        &Counted::of(&texts, &train.labels, shares.as_deref()),
        schema,
        &params,
        noise_multiplier,
        request.records,
        Key::seeded(request.seed, "floor"),
    )?;
    let nowhere = PathBuf::new;
    let context = StageContext {
        instance: "floor".into(),
        kind: Kind::Sample,
        params: json!({}),
        performance: json!({}),
        inputs: std::collections::BTreeMap::new(),
        output: nowhere(),
        state: nowhere(),
        secrets: nowhere(),
        ledger: nowhere().into(),
        key: String::new(),
        seed: request.seed,
        device: Device::Cpu,
        others: Vec::new(),
        progress: &NoProgress,
    };
    let drawn = bags_of_words(&counts, request.texts.clamp(1, MOST_TEXTS), &context)?;
    let (texts, own) = drawn.into_iter().unzip();
    let bags = LabelledTexts {
        texts,
        labels: own,
        probabilities: None,
        people: Vec::new(),
    };
    classify::quick(&bags, &test, labels)
}

/// The training rows with their owners, where people are protected; none elsewhere.
fn owned(lines: &[u8], schema: &PublicSchema) -> Result<Vec<Row>, StageError> {
    if schema.people.is_none() {
        return Ok(Vec::new());
    }
    let lines = lines.split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            serde_json::from_slice(line)
                .map_err(|_| StageError::new("a line of the train split is no row"))
        })
        .collect()
}

fn rows(lines: &[u8], split: &str, schema: &PublicSchema) -> Result<LabelledTexts, StageError> {
    #[derive(serde::Deserialize)]
    struct Row {
        text: String,
        label: String,
    }
    let mut found = LabelledTexts::default();
    for (at, line) in lines.split(|byte| *byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        let row: Row = serde_json::from_slice(line).map_err(|_| {
            StageError::new(format!("line {} of the {split} split is no row", at + 1))
        })?;
        let label = schema.label_index(&row.label).map_err(|_| {
            StageError::new(format!(
                "line {} of the {split} split has a label that is not declared",
                at + 1
            ))
        })?;
        found.texts.push(row.text);
        found.labels.push(label);
    }
    if found.is_empty() {
        return Err(StageError::new(format!("the {split} split is empty")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpx_schema::LabelIntegration;
    use std::fmt::Write;

    fn schema(labels: &[&str]) -> PublicSchema {
        let labels = labels.iter().map(|&label| label.to_owned()).collect();
        PublicSchema::new(labels, "{label}: {text}", LabelIntegration::Prefix, 400)
    }

    /// Two labels that differ in one word.
    fn split(rows: usize) -> Vec<u8> {
        let mut lines = String::new();
        for row in 0..rows {
            let (word, label) = [("happy", "joy"), ("afraid", "fear")][row % 2];
            writeln!(
                lines,
                r#"{{"text":"i am so {word} about the day","label":"{label}"}}"#
            )
            .unwrap();
        }
        lines.into_bytes()
    }

    #[test]
    fn word_counts_tell_easy_labels_apart_and_noise_takes_that_away() {
        let request = FloorRequest {
            epsilon: None,
            delta: 1e-5,
            texts: 200,
            records: 1,
            seed: 1,
        };
        let at = |epsilon, records| {
            let request = FloorRequest {
                epsilon,
                records,
                ..request
            };
            floor(
                &split(400),
                &split(100),
                &schema(&["joy", "fear"]),
                &request,
            )
            .unwrap()
            .accuracy
        };
        assert_eq!(at(None, 1), 1.0);
        assert_eq!(at(Some(8.0), 1), 1.0);
        assert!(
            at(Some(0.05), 1) < 0.9,
            "all counts drown: {}",
            at(Some(0.05), 1)
        );
        assert!(
            at(Some(8.0), 100) < 0.9,
            "as they do where one person wrote a hundred texts"
        );
        assert_eq!(at(Some(0.05), 1), at(Some(0.05), 1), "the same each time");
    }

    #[test]
    fn what_has_no_floor_is_an_error_that_quotes_nothing() {
        let request = FloorRequest {
            epsilon: Some(8.0),
            delta: 1e-5,
            texts: 10,
            records: 1,
            seed: 1,
        };
        let error = |train: &[u8], labels: &[&str]| {
            floor(train, &split(4), &schema(labels), &request)
                .unwrap_err()
                .to_string()
        };
        assert!(error(&split(4), &["joy"]).contains("no labels to tell apart"));
        assert!(error(b"", &["joy", "fear"]).contains("train split is empty"));
        let secret = error(br#"{"text":"secret","label":"secret"}"#, &["joy", "fear"]);
        assert!(
            secret.contains("line 1") && !secret.contains("secret"),
            "{secret}"
        );
        let many: Vec<String> = (0..600).map(|label| label.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(error(&split(4), &many).contains("600 labels are too many"));
    }
}
