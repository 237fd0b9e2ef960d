//! What the stage leaves: the texts and what happened on the way to them.

use super::write::Written;
use crate::stage::params::SampleParams;
use crate::stage::{StageContext, StageError};
use serde_json::{Map, Value, json};

/// Writes `synthetic.csv` and `sample.json`.
pub(super) fn save(
    context: &StageContext<'_>,
    params: &SampleParams,
    labels: &[String],
    asked: &[u64],
    written: &Written,
) -> Result<(), StageError> {
    let path = context.output_path("synthetic.csv");
    let failed =
        |error: csv::Error| StageError::new(format!("cannot write `{}`: {error}", path.display()));
    let mut file = csv::Writer::from_path(&path).map_err(failed)?;
    file.write_record(["text", "label"]).map_err(failed)?;
    let mut counts = vec![0u64; labels.len()];
    for (label, text) in &written.texts {
        counts[*label] += 1;
        file.write_record([text, &labels[*label]]).map_err(failed)?;
    }
    file.flush()?;
    let by_label: Map<String, Value> = labels
        .iter()
        .zip(asked.iter().zip(&counts))
        .map(|(label, (asked, written))| {
            (label.clone(), json!({"asked": asked, "written": written}))
        })
        .collect();
    let texts = written.texts.len() as u64;
    let report = json!({
        "texts": texts,
        "by_label": by_label,
        "empty": {
            "policy": params.empty,
            "retried": written.empty_retried,
            "dropped": written.empty_dropped,
        },
        "duplicates": {
            "policy": params.duplicates,
            "retried": written.duplicates_retried,
            "kept": written.duplicates_kept,
            "dropped": written.duplicates_dropped,
        },
        "ended_share": written.ended as f64 / texts as f64,
        "mean_tokens": written.tokens as f64 / texts as f64,
    });
    std::fs::write(context.output_path("sample.json"), format!("{report:#}\n"))?;
    Ok(())
}
