//! `classify`: trains a classifier on one artifact and tests it on the real test split. All of its figures are internal.

mod fine_tune;
mod input;
mod report;

use super::params::{ClassifyParams, ClassifyPerformance};
use super::{Kind, StageContext, StageError};
use crate::model::bag_of_words::{BagOfWords, BagOfWordsOptions};
use crate::stage::score::read::{self, LabelledTexts};
use crate::text::{PublicSchema, SCHEMA_FILE};
use rayon::prelude::*;

/// Probabilities of the labels, one row a text.
type Probabilities = Vec<Vec<f32>>;

/// Writes `metrics.json`, `predictions.csv`, `training.json` and `model/`.
///
/// # Errors
/// When an artifact or the model cannot be read, or there is nothing to train or test on.
pub(super) fn run(context: &StageContext<'_>) -> Result<(), StageError> {
    let params: ClassifyParams = context.params()?;
    let performance: ClassifyPerformance = context.performance()?;
    let data = &context.require(Kind::Preprocess)?.path;
    let labels = PublicSchema::load(data.join(SCHEMA_FILE))
        .map_err(|error| StageError::new(error.to_string()))?
        .labels;
    if labels.is_empty() {
        return Err(StageError::new(
            "there are no labels to tell apart: declare `labels`",
        ));
    }
    let test = read::split(&data.join("test.jsonl"), &labels)?;
    if test.is_empty() {
        return Err(StageError::new(
            "the test split is empty: there is nothing to test on",
        ));
    }
    let training = input::training_texts(context, &params, &labels)?;
    std::fs::create_dir_all(context.output_path("model"))?;
    let (mut probabilities, log) = match params.model.as_str() {
        "teacher" => {
            return Err(StageError::new(
                "`model = \"teacher\"` cannot be tested yet: choose another classifier",
            ));
        }
        "bag-of-words" => {
            let model = bag_of_words(&training, labels.len(), params.balanced);
            model
                .save(&context.output_path("model"), &labels)
                .map_err(|error| StageError::new(error.to_string()))?;
            let log = serde_json::json!({"texts": training.len(), "words": model.vocabulary()});
            (by_words(&model, &test), log)
        }
        name => fine_tune::run(
            context,
            &params,
            &performance,
            name,
            &labels,
            &training,
            &test,
        )?,
    };
    if params.ensemble && params.model != "bag-of-words" {
        let model = bag_of_words(&training, labels.len(), params.balanced);
        for (row, words) in probabilities.iter_mut().zip(by_words(&model, &test)) {
            for (probability, other) in row.iter_mut().zip(words) {
                *probability = 0.5 * (*probability + other);
            }
        }
    }
    report::save(context, &labels, &test, &probabilities, &log)
}

fn bag_of_words(training: &LabelledTexts, labels: usize, balanced: bool) -> BagOfWords {
    let texts: Vec<&str> = training.texts.iter().map(String::as_str).collect();
    let options = BagOfWordsOptions {
        balanced,
        ..BagOfWordsOptions::default()
    };
    BagOfWords::train(&texts, &training.labels, labels, &options)
}

fn by_words(model: &BagOfWords, texts: &LabelledTexts) -> Probabilities {
    let texts = texts.texts.par_iter();
    texts.map(|text| model.probabilities(text)).collect()
}

#[cfg(test)]
mod tests;
