//! Fine-tuning a pretrained body with a new head: AdamW, warm-up, balanced weights, the best epoch on held-out texts.

use super::Probabilities;
use super::report::argmax;
use crate::model_source;
use crate::model_source::ModelSource;
use crate::score::read::LabelledTexts;
use crate::truncation::Truncation;
use dpx_nn::model::weights::StoredAs;
use dpx_nn::model::{Classifier, classifier_from};
use dpx_nn::seed::Stream;
use dpx_nn::text::Tokenizer;
use dpx_nn::{Network, Parameters};
use dpx_schema::params::{ClassifyParams, ClassifyPerformance};
use dpx_schema::progress::{ProgressUpdate, StageMetrics};
use dpx_schema::{StageContext, StageError};
use dpx_sgd::clip::{Clipping, clipped_sum};
use dpx_sgd::dp_optimizer::{DpOptimizer, DpOptimizerSettings};
use dpx_sgd::key::Key;
use dpx_sgd::optimizer::{AdamSettings, Averaging, Denoising, LearningRate};
use dpx_sgd::privatize::NoiseSpec;
use dpx_sgd::sampling::micro_batches;
use serde_json::{Value, json};

/// Epochs without a better one after which training ends.
const PATIENCE: usize = 3;

/// Token ids with classes.
struct Examples {
    ids: Vec<Vec<u32>>,
    labels: Vec<usize>,
    /// Soft labels, `[texts][labels]`.
    probabilities: Option<Vec<Vec<f64>>>,
}

impl Examples {
    fn select(&self, rows: &[usize]) -> Self {
        Self {
            ids: rows.iter().map(|&row| self.ids[row].clone()).collect(),
            labels: rows.iter().map(|&row| self.labels[row]).collect(),
            probabilities: self
                .probabilities
                .as_ref()
                .map(|all| rows.iter().map(|&row| all[row].clone()).collect()),
        }
    }

    /// The class that an example is learnt as in an epoch: its label, or one drawn from its probabilities, so that over the
    /// epochs the expected gradient is that of the soft labels.
    fn class(&self, row: usize, epoch: u64, seed: u64) -> usize {
        let Some(probabilities) = &self.probabilities else {
            return self.labels[row];
        };
        let mut left = Stream::new(seed, "classify soft label", &[epoch, row as u64]).uniform();
        for (class, probability) in probabilities[row].iter().enumerate() {
            left -= probability;
            if left < 0.0 {
                return class;
            }
        }
        self.labels[row]
    }
}

/// Trains on `training`, gives the probabilities of the `test` texts and a log of the epochs; writes `model/`.
pub(super) fn run(
    context: &StageContext<'_>,
    params: &ClassifyParams,
    performance: &ClassifyPerformance,
    name: &str,
    labels: &[String],
    training: &LabelledTexts,
    test: &LabelledTexts,
) -> Result<(Probabilities, Value), StageError> {
    let source = ModelSource::find(name)?;
    let mut tokenizer = Tokenizer::load(source.path())?;
    let mut classifier = classifier_from(source.path(), labels, context.seed, context.device)?;
    // One padding token in tokenizer and model: whoever loads them pads a batch and looks for the last token before the padding.
    tokenizer.settle_pad();
    classifier.pad_with(tokenizer.pad());
    let max_seq_len = (params.max_length as usize).min(classifier.config().max_positions());
    let context_length = classifier.config().max_positions();
    let mut truncation = Truncation::new(params.max_length, context_length);
    let mut encode = |texts: &LabelledTexts| -> Result<Examples, StageError> {
        Ok(Examples {
            ids: model_source::encode_all(&tokenizer, &texts.texts, max_seq_len, &mut truncation)?,
            labels: texts.labels.clone(),
            probabilities: texts.probabilities.clone(),
        })
    };
    let (train, held_out) = split(&encode(training)?, params.held_out, context.seed);
    let trainer = Trainer {
        context,
        params,
        tokens: performance.micro_batch_tokens as usize,
        label_weights: label_weights(&train, labels.len(), params.balanced),
    };
    let log = trainer.train(&mut classifier, &train, &held_out)?;
    let folder = context.output_path("model");
    classifier.save(&folder, StoredAs::F32)?;
    tokenizer.save(&folder, Some(classifier.config().max_positions()))?;
    let probabilities = trainer.probabilities(&classifier, &encode(test)?.ids)?;
    truncation.save(context)?;
    Ok((probabilities, log))
}

/// Holds out a share of the examples, chosen by the seed.
fn split(examples: &Examples, share: f64, seed: u64) -> (Examples, Examples) {
    let count = examples.ids.len();
    let mut order: Vec<usize> = (0..count).collect();
    Stream::new(seed, "classify held out", &[]).shuffle(&mut order);
    // At least one example stays to be trained on.
    let held_out = ((count as f64 * share) as usize).min(count - 1);
    let (out, rest) = order.split_at(held_out);
    let mut rest = rest.to_vec();
    rest.sort_unstable();
    (examples.select(&rest), examples.select(out))
}

/// The inverse frequency of each label's examples, with a mean of 1 over the examples; a soft label counts by its parts.
fn label_weights(examples: &Examples, classes: usize, balanced: bool) -> Vec<f32> {
    let mut counts = vec![0.0; classes];
    match &examples.probabilities {
        None => examples
            .labels
            .iter()
            .for_each(|label| counts[*label] += 1.0),
        Some(soft) => {
            for (class, probability) in soft.iter().flat_map(|row| row.iter().enumerate()) {
                counts[class] += probability;
            }
        }
    }
    let present = counts.iter().filter(|count| **count > 0.0).count() as f64;
    counts
        .iter()
        .map(|count| {
            if balanced && *count > 0.0 {
                (examples.ids.len() as f64 / (present * count)) as f32
            } else {
                1.0
            }
        })
        .collect()
}

struct Trainer<'a> {
    context: &'a StageContext<'a>,
    params: &'a ClassifyParams,
    tokens: usize,
    label_weights: Vec<f32>,
}

impl Trainer<'_> {
    fn train(
        &self,
        classifier: &mut Classifier,
        train: &Examples,
        held_out: &Examples,
    ) -> Result<Value, StageError> {
        let params = self.params;
        let count = train.ids.len();
        let per_epoch = count.div_ceil(params.batch_size as usize);
        let steps = ((params.epochs * per_epoch as f64).round() as usize).max(1);
        let settings = DpOptimizerSettings {
            adam: AdamSettings {
                weight_decay: params.weight_decay,
                ..AdamSettings::default()
            },
            learning_rate: LearningRate::new(
                params.learning_rate,
                params.schedule,
                params.warmup,
                steps as u64,
            ),
            averaging: Averaging::None,
            denoising: Denoising::None,
        };
        let mut optimizer = DpOptimizer::new(classifier.parameters(), settings);
        // Without protection no noise is drawn; the key is a formality.
        let key = Key::seeded(self.context.seed, &self.context.instance);
        let mut best: Option<(f64, usize, Parameters)> = None;
        let mut epochs = Vec::new();
        let mut done = 0;
        for epoch in 0.. {
            let mut order: Vec<usize> = (0..count).collect();
            Stream::new(self.context.seed, "classify shuffle", &[epoch as u64]).shuffle(&mut order);
            let mut loss = 0.0;
            let mut seen = 0;
            for rows in order.chunks(params.batch_size as usize) {
                if done == steps {
                    break;
                }
                if self.context.progress.stop_requested() {
                    return Err(StageError::interrupted());
                }
                loss += self.step(classifier, &mut optimizer, &key, train, rows, epoch as u64)?;
                seen += rows.len();
                done += 1;
                self.context.progress.update(
                    &ProgressUpdate::steps(done as u64, steps as u64).with(StageMetrics {
                        epoch: Some(epoch as u64 + 1),
                        loss: Some(loss / seen as f64),
                        ..StageMetrics::default()
                    }),
                );
            }
            let accuracy = if held_out.ids.is_empty() {
                None
            } else {
                Some(self.accuracy(classifier, held_out)?)
            };
            epochs.push(json!({
                "epoch": epoch + 1,
                "loss": loss / seen.max(1) as f64,
                "held_out_accuracy": accuracy,
            }));
            if let Some(accuracy) = accuracy {
                self.context.progress.log(&format!(
                    "epoch {}: loss {:.4}, accuracy {accuracy:.4} on held-out training texts",
                    epoch + 1,
                    loss / seen.max(1) as f64
                ));
                if best.as_ref().is_none_or(|(before, ..)| accuracy > *before) {
                    best = Some((accuracy, epoch, classifier.parameters().clone()));
                }
            }
            let stale = best
                .as_ref()
                .is_some_and(|(_, at, _)| epoch - at >= PATIENCE);
            if done == steps || stale {
                break;
            }
        }
        let chosen = match best {
            Some((_, epoch, parameters)) => {
                *classifier.parameters_mut() = parameters;
                epoch + 1
            }
            None => epochs.len(),
        };
        Ok(json!({
            "texts": count,
            "held_out": held_out.ids.len(),
            "steps": done,
            "chosen_epoch": chosen,
            "epochs": epochs,
        }))
    }

    /// One update in an epoch; gives the sum of the weighted losses.
    fn step(
        &self,
        classifier: &mut Classifier,
        optimizer: &mut DpOptimizer,
        key: &Key,
        train: &Examples,
        rows: &[usize],
        epoch: u64,
    ) -> Result<f64, StageError> {
        let lengths: Vec<usize> = rows.iter().map(|row| train.ids[*row].len()).collect();
        let mut loss = 0.0;
        for part in micro_batches(rows, &lengths, usize::MAX, self.tokens) {
            let sequences: Vec<&[u32]> = part.iter().map(|r| train.ids[*r].as_slice()).collect();
            let (classes, weights): (Vec<u32>, Vec<f32>) = part
                .iter()
                .map(|row| {
                    let class = train.class(*row, epoch, self.context.seed);
                    (class as u32, self.label_weights[class])
                })
                .unzip();
            let tape = classifier.weighted_forward_backward(&sequences, &classes, &weights)?;
            let sum = clipped_sum(classifier.parameters(), tape, Clipping::None, 1.0)?;
            loss += sum.losses.iter().sum::<f64>();
            optimizer.accumulate(&sum.gradients);
        }
        let divisor = rows.len() as f64;
        optimizer.apply(classifier.parameters_mut(), &NoiseSpec::None, key, divisor);
        Ok(loss)
    }

    fn accuracy(&self, classifier: &Classifier, examples: &Examples) -> Result<f64, StageError> {
        let probabilities = self.probabilities(classifier, &examples.ids)?;
        let right = probabilities
            .iter()
            .zip(&examples.labels)
            .filter(|(row, label)| argmax(row) == **label)
            .count();
        Ok(right as f64 / examples.ids.len() as f64)
    }

    fn probabilities(
        &self,
        classifier: &Classifier,
        ids: &[Vec<u32>],
    ) -> Result<Probabilities, StageError> {
        Ok(classifier.probabilities(ids, self.tokens)?)
    }
}
