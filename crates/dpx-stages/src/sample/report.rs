//! What the stage leaves: the texts and what happened on the way to them.

use super::keywords::Keywords;
use super::teacher::{Choice, Chooser};
use super::write::{Length, Text, Written};
use crate::score::read::probability_column;
use dpx_schema::params::{SampleParams, TeacherPolicy};
use dpx_schema::{StageContext, StageError};
use serde_json::{Map, Value, json};

/// What the stage was asked for, by label, and with which keywords.
pub(super) struct Asked<'a> {
    pub(super) params: &'a SampleParams,
    pub(super) labels: &'a [String],
    pub(super) counts: &'a [u64],
    pub(super) keywords: &'a Keywords,
    /// What bags of words are drawn from; nothing where a model writes.
    pub(super) words: Option<Value>,
}

/// Writes `synthetic.csv` and `sample.json`. The texts of `written` are those that are left.
pub(super) fn save(
    context: &StageContext<'_>,
    asked: &Asked<'_>,
    written: &Written,
    teacher: Option<&Value>,
) -> Result<(), StageError> {
    let path = context.output_path("synthetic.csv");
    let failed =
        |error: csv::Error| StageError::new(format!("cannot write `{}`: {error}", path.display()));
    let mut file = csv::Writer::from_path(&path).map_err(failed)?;
    let soft = written
        .texts
        .iter()
        .any(|text| text.probabilities.is_some());
    let columns = asked.labels.iter().filter(|_| soft);
    let header = ["text", "label"].map(str::to_owned).into_iter();
    file.write_record(header.chain(columns.map(|label| probability_column(label))))
        .map_err(failed)?;
    for text in &written.texts {
        let names = [text.content.clone(), asked.labels[text.label].clone()];
        let probabilities = text.probabilities.iter().flatten();
        let record = names
            .into_iter()
            .chain(probabilities.map(|probability| format!("{probability:.6}")));
        file.write_record(record).map_err(failed)?;
    }
    file.flush()?;
    let kept = by_label(&written.texts, asked.labels.len());
    let counts: Map<String, Value> = asked
        .labels
        .iter()
        .zip(asked.counts.iter().zip(&kept))
        .map(|(label, (asked, written))| {
            (label.clone(), json!({"asked": asked, "written": written}))
        })
        .collect();
    let texts = written.texts.len() as u64;
    let lengths: Option<Vec<Length>> = written.texts.iter().map(|text| text.length).collect();
    let mut report = json!({
        "texts": texts,
        "by_label": counts,
        "empty": {
            "policy": asked.params.empty,
            "retried": written.empty_retried,
            "dropped": written.empty_dropped,
        },
        "duplicates": {
            "policy": asked.params.duplicates,
            "retried": written.duplicates_retried,
            "kept": written.duplicates_kept,
            "dropped": written.duplicates_dropped,
        },
    });
    if let Some(lengths) = lengths {
        let ended = lengths.iter().filter(|length| length.ended).count();
        let tokens: u64 = lengths.iter().map(|length| length.tokens).sum();
        report["ended_share"] = json!(ended as f64 / texts as f64);
        report["mean_tokens"] = json!(tokens as f64 / texts as f64);
    }
    if let Some(keywords) = asked.keywords.report(asked.labels) {
        report["keywords"] = keywords;
    }
    if let Some(words) = &asked.words {
        report["bags_of_words"] = words.clone();
    }
    if let Some(teacher) = teacher {
        report["teacher"] = teacher.clone();
    }
    std::fs::write(context.output_path("sample.json"), format!("{report:#}\n"))?;
    Ok(())
}

/// What the teacher did; `choice` is missing where it had no say.
pub(super) fn of_teacher(asked: &Asked<'_>, chooser: &Chooser, choice: Option<&Choice>) -> Value {
    let mut report = json!({
        "asked": asked.params.teacher,
        "applied": chooser.policy,
        // Infinity has no number in JSON.
        "epsilon": chooser.epsilon,
        "oversample": asked.params.oversample,
    });
    let Some(choice) = choice else {
        report["reason"] = json!("the teacher learnt nothing (epsilon 0)");
        return report;
    };
    let all: u64 = choice.confusion.iter().flatten().sum();
    let agreed: u64 = (0..asked.labels.len())
        .map(|label| choice.confusion[label][label])
        .sum();
    let kept = by_label(&choice.texts, asked.labels.len());
    let missing: u64 = if chooser.policy == TeacherPolicy::Soft {
        let asked: u64 = asked.counts.iter().sum();
        asked.saturating_sub(choice.texts.len() as u64)
    } else {
        asked
            .counts
            .iter()
            .zip(&kept)
            .map(|(asked, kept)| asked.saturating_sub(*kept))
            .sum()
    };
    let more = [
        ("order", json!(asked.params.order)),
        ("generated", json!(all)),
        ("agreement", json!(agreed as f64 / all.max(1) as f64)),
        ("labels", json!(asked.labels)),
        ("generator_by_teacher", json!(choice.confusion)),
        ("dropped_disagreeing", json!(choice.disagreed)),
        ("dropped_surplus", json!(choice.surplus)),
        ("missing", json!(missing)),
    ];
    for (name, value) in more {
        report[name] = value;
    }
    report
}

fn by_label(texts: &[Text], labels: usize) -> Vec<u64> {
    let mut counts = vec![0; labels];
    for text in texts {
        counts[text.label] += 1;
    }
    counts
}
