//! The stage: reads the artifacts, computes, writes `scores.json`.

use super::compute::{Models, Texts, compute};
use super::{SCORES_FILE, read};
use crate::stage::params::ScoreParams;
use crate::stage::{Kind, StageContext, StageError};
use crate::text::PublicSchema;

/// Runs the stage.
///
/// # Errors
/// When an artifact cannot be read or a model fails.
pub fn run(context: &StageContext<'_>) -> Result<(), StageError> {
    let params: ScoreParams = context.params()?;
    let data = &context.require(Kind::Preprocess)?.path;
    let sample = &context.require(Kind::Sample)?.path;
    let labels = PublicSchema::load(data.join("schema.json"))
        .map_err(|error| StageError::new(error.to_string()))?
        .labels;
    let texts = Texts {
        synthetic: read::synthetic(&sample.join("synthetic.csv"), &labels)?,
        training: read::split(&data.join("train.jsonl"), &labels)?,
        held_out: read::split(&data.join("test.jsonl"), &labels)?,
        planted: Vec::new(),
        labels,
    };
    let scores = compute(
        &texts,
        &params,
        context.seed,
        &Models::default(),
        context.progress,
    )?;
    let mut json = serde_json::to_vec_pretty(&scores)
        .map_err(|error| StageError::new(format!("could not write `{SCORES_FILE}`: {error}")))?;
    json.push(b'\n');
    std::fs::write(context.output_path(SCORES_FILE), json)?;
    Ok(())
}
