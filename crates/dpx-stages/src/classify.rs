//! `classify`: trains a classifier on one artifact and tests it on the real test split. All of its figures are internal.

mod fine_tune;
mod input;
mod labels;
mod report;

use crate::metric::Classification;
use crate::score::read::{self, LabelledTexts};
use crate::teacher::Teacher;
use dpx_nn::model::bag_of_words::{BagOfWords, BagOfWordsOptions};
use dpx_schema::params::{ClassifyParams, ClassifyPerformance};
use dpx_schema::{Kind, StageContext, StageError};
use dpx_schema::{PublicSchema, SCHEMA_FILE};
use labels::Labels;
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
    let view = Labels::new(&PublicSchema::load(data.join(SCHEMA_FILE))?, &params)?;
    let labels = view.told.clone();
    if labels.is_empty() {
        return Err(StageError::new(
            "there are no labels to tell apart: declare `labels`",
        ));
    }
    let test = view.told(read::split(&data.join("test.jsonl"), &view.declared)?);
    if test.is_empty() {
        return Err(StageError::new(
            "the test split is empty: there is nothing to test on",
        ));
    }
    std::fs::create_dir_all(context.output_path("model"))?;
    let (probabilities, log) = if params.model == "teacher" {
        teacher_alone(context, &params, &view, &test)?
    } else {
        trained(context, &params, &performance, &view, &test)?
    };
    report::save(context, &labels, &test, &probabilities, &log)
}

/// The probabilities of the DP teacher as it is: nothing is trained.
fn teacher_alone(
    context: &StageContext<'_>,
    params: &ClassifyParams,
    view: &Labels,
    test: &LabelledTexts,
) -> Result<(Probabilities, serde_json::Value), StageError> {
    if params.ensemble {
        return Err(StageError::new(
            "`ensemble` averages with a classifier trained on texts, but `model = \"teacher\"` tests the teacher as it is: take one of the two out",
        ));
    }
    let teacher = Teacher::load(&context.require(Kind::Teacher)?.path, context.device)?;
    let classes = teacher.classes_of(&view.declared)?;
    teacher.save(&context.output_path("model"))?;
    let probabilities = teacher
        .probabilities(&test.texts)?
        .iter()
        .map(|row| {
            let row = classes.iter().map(|&class| row[class]);
            let row = view.sums(&row.collect::<Vec<f64>>());
            row.into_iter()
                .map(|probability| probability as f32)
                .collect()
        })
        .collect();
    let log =
        serde_json::json!({"texts": 0, "teacher": true, "features": teacher.features.width()});
    Ok((probabilities, log))
}

/// The probabilities of a classifier trained on one artifact.
fn trained(
    context: &StageContext<'_>,
    params: &ClassifyParams,
    performance: &ClassifyPerformance,
    view: &Labels,
    test: &LabelledTexts,
) -> Result<(Probabilities, serde_json::Value), StageError> {
    let labels = view.told.as_slice();
    let training = view.told(input::training_texts(context, params, &view.declared)?);
    let (mut probabilities, mut log) = match params.model.as_str() {
        "bag-of-words" => {
            let model = bag_of_words(&training, labels.len(), params);
            model.save(&context.output_path("model"), labels)?;
            let log = serde_json::json!({"texts": training.len(), "words": model.vocabulary()});
            (by_words(&model, test), log)
        }
        name => fine_tune::run(context, params, performance, name, labels, &training, test)?,
    };
    log["soft_labels"] = training.probabilities.is_some().into();
    if params.ensemble && params.model != "bag-of-words" {
        let model = bag_of_words(&training, labels.len(), params);
        for (row, words) in probabilities.iter_mut().zip(by_words(&model, test)) {
            for (probability, other) in row.iter_mut().zip(words) {
                *probability = 0.5 * (*probability + other);
            }
        }
    }
    Ok((probabilities, log))
}

fn bag_of_words(training: &LabelledTexts, labels: usize, params: &ClassifyParams) -> BagOfWords {
    let texts: Vec<&str> = training.texts.iter().map(String::as_str).collect();
    let options = BagOfWordsOptions {
        balanced: params.balanced,
        inverse_penalty: params.inverse_penalty,
        ..BagOfWordsOptions::default()
    };
    match &training.probabilities {
        Some(soft) => BagOfWords::train_soft(&texts, soft.concat(), labels, &options),
        None => BagOfWords::train(&texts, &training.labels, labels, &options),
    }
}

/// What the quick classifier makes of the test texts once it has learnt from others, with its usual parameters.
pub(crate) fn quick(
    training: &LabelledTexts,
    test: &LabelledTexts,
    labels: &[String],
) -> Result<Classification, StageError> {
    let params: ClassifyParams = serde_json::from_value(serde_json::json!({}))?;
    let model = bag_of_words(training, labels.len(), &params);
    let probabilities = by_words(&model, test);
    let predicted: Vec<usize> = probabilities
        .iter()
        .map(|row| report::argmax(row))
        .collect();
    Ok(Classification::of(labels, &test.labels, &predicted)?)
}

fn by_words(model: &BagOfWords, texts: &LabelledTexts) -> Probabilities {
    let texts = texts.texts.par_iter();
    texts.map(|text| model.probabilities(text)).collect()
}

#[cfg(test)]
mod tests;
