//! What the stage leaves: figures and predictions.

use super::Probabilities;
use crate::metric::Classification;
use crate::score::read::LabelledTexts;
use dpx_schema::{Context, StageContext, StageError};

/// The likeliest class of a row, the first among equals.
pub(super) fn argmax(probabilities: &[f32]) -> usize {
    let mut best = 0;
    for (class, probability) in probabilities.iter().enumerate() {
        if *probability > probabilities[best] {
            best = class;
        }
    }
    best
}

/// Writes `metrics.json`, `predictions.csv` (row, label, predicted, a probability for each label; no text) and
/// `training.json`.
pub(super) fn save(
    context: &StageContext<'_>,
    labels: &[String],
    test: &LabelledTexts,
    probabilities: &Probabilities,
    log: &serde_json::Value,
) -> Result<(), StageError> {
    let predicted: Vec<usize> = probabilities.iter().map(|row| argmax(row)).collect();
    let metrics = Classification::of(labels, &test.labels, &predicted)?.by_people(
        &test.people,
        &test.labels,
        &predicted,
    );
    context.progress.log(&format!(
        "accuracy {:.4}, macro-F1 {:.4} on {} texts",
        metrics.accuracy, metrics.macro_f1, metrics.n
    ));
    let json = serde_json::to_string_pretty(&metrics).context("cannot write `metrics.json`")?;
    std::fs::write(context.output_path("metrics.json"), json + "\n")?;
    std::fs::write(context.output_path("training.json"), format!("{log:#}\n"))?;
    let path = context.output_path("predictions.csv");
    let writing = "cannot write `predictions.csv`";
    let mut file = csv::Writer::from_path(&path).context(writing)?;
    let header = ["row", "label", "predicted"].map(str::to_owned);
    let columns = labels.iter().map(|label| format!("p_{label}"));
    file.write_record(header.into_iter().chain(columns))
        .context(writing)?;
    for (row, (truth, (predicted, probabilities))) in test
        .labels
        .iter()
        .zip(predicted.iter().zip(probabilities))
        .enumerate()
    {
        let names = [
            row.to_string(),
            labels[*truth].clone(),
            labels[*predicted].clone(),
        ];
        let figures = probabilities.iter().map(|p| format!("{p:.6}"));
        file.write_record(names.into_iter().chain(figures))
            .context(writing)?;
    }
    file.flush()?;
    Ok(())
}
