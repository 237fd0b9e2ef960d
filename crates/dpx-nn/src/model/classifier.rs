//! A classification head on any body: one label for a text, or one for each token.

use super::causal_lm::stored;
use super::weights::{StoredAs, write};
use super::{Body, Family, Head, ModelConfig, ModelError, Weights, load};
use crate::kernel;
use crate::{
    Array, Batch, Error, Initializer, Layout, Linear, Network, PackedLayout, Parameters, Role,
    Tape, Targets,
};
use dpx_schema::Device;
use std::path::Path;

/// A body with a classification head.
#[derive(Debug, Clone)]
pub struct Classifier {
    config: ModelConfig,
    body: Body,
    head: HeadLayers,
}

/// The layers of a head, as `transformers` has them.
#[derive(Debug, Clone)]
enum HeadLayers {
    /// BERT, MPNet: the first token through a dense layer and tanh, then scores.
    First { dense: Linear, out: Linear },
    /// GPT-2, Llama: the last token's scores.
    Last { out: Linear },
    /// Scores of every token.
    Token { out: Linear },
}

/// Reads a folder as a classifier with its own head onto a device.
///
/// # Errors
/// When the folder's model has no classification head, or a tensor is missing, misshapen or without a place, or the
/// device cannot be used.
pub fn load_classifier(folder: impl AsRef<Path>, device: Device) -> Result<Classifier, ModelError> {
    let folder = folder.as_ref();
    let config = ModelConfig::read(folder)?;
    if config.labels.is_empty() {
        return Err(ModelError::unsupported(
            folder.join("config.json"),
            "`architectures` names no classifier; expected `...ForSequenceClassification` or `...ForTokenClassification`",
        ));
    }
    let mut weights = Weights::open(folder, config.prefix())?;
    let body = load::body(&config, &mut weights, device)?;
    let classifier = Classifier::with_head(config, body, |name, _, shape| {
        load::array(&mut weights, name, shape)
    })?;
    let unused = |name: &str| {
        // A head for pretraining, or a pooler that token classification has no use for.
        let is_head = name.starts_with("cls.") || name.starts_with("pooler.");
        load::is_buffer(&classifier.config, name) || is_head
    };
    weights.finish(unused)?;
    Ok(classifier)
}

/// Reads the body of a folder onto a device and puts a new head for `labels` on it. BERT's pooler is read where it is there.
///
/// # Errors
/// As [`super::load_encoder`].
pub fn classifier_from(
    folder: impl AsRef<Path>,
    labels: &[String],
    seed: u64,
    device: Device,
) -> Result<Classifier, ModelError> {
    let folder = folder.as_ref();
    let config = ModelConfig::read(folder)?.with_classes(Head::SequenceClassification, labels);
    let mut weights = Weights::open(folder, config.prefix())?;
    let body = load::body(&config, &mut weights, device)?;
    let mut random = Initializer::new(seed);
    let classifier = Classifier::with_head(config, body, |name, role, shape| {
        if name.contains("pooler.") && weights.shape(name) == Some(shape) {
            return load::array(&mut weights, name, shape);
        }
        Ok(if role == Role::Bias || shape.len() == 1 {
            Array::zeros(shape)
        } else {
            random.normal(shape, 0.02)
        })
    })?;
    let config = &classifier.config;
    weights.finish(|name| load::is_buffer(config, name) || load::is_head(config, name))?;
    Ok(classifier)
}

impl Classifier {
    fn with_head(
        config: ModelConfig,
        mut body: Body,
        mut value: impl FnMut(&str, Role, &[usize]) -> Result<Array, ModelError>,
    ) -> Result<Self, ModelError> {
        let (width, classes) = (config.hidden(), config.labels.len());
        let parameters = body.parameters_mut();
        let device = parameters.device();
        let mut linear = |name: &str, outputs: usize, biased: bool| -> Result<_, ModelError> {
            // The head is a classifier's own: BERT's pooler counts as part of it.
            let mut add = |name: String, shape: &[usize]| {
                let array = value(&name, Role::Head, shape)?;
                Ok::<_, ModelError>(parameters.add(name, Role::Head, array.on(device)))
            };
            let weight = add(format!("{name}.weight"), &[outputs, width])?;
            let bias = if biased {
                Some(add(format!("{name}.bias"), &[outputs])?)
            } else {
                None
            };
            Ok(Linear::new(weight, bias, Layout::OutIn))
        };
        let head = match (config.family(), config.head) {
            (Family::Gpt2 | Family::Llama, _) => HeadLayers::Last {
                out: linear("score", classes, false)?,
            },
            (_, Head::TokenClassification) => HeadLayers::Token {
                out: linear("classifier", classes, true)?,
            },
            (Family::Bert, _) => HeadLayers::First {
                dense: linear("bert.pooler.dense", width, true)?,
                out: linear("classifier", classes, true)?,
            },
            (Family::Mpnet, _) => HeadLayers::First {
                dense: linear("classifier.dense", width, true)?,
                out: linear("classifier.out_proj", classes, true)?,
            },
        };
        Ok(Self { config, body, head })
    }

    /// The model's `config.json`.
    pub const fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Names of the classes, in order.
    pub fn labels(&self) -> &[String] {
        &self.config.labels
    }

    /// Scores `[sequences, classes]`, or `[tokens, classes]` of a token classifier.
    ///
    /// # Errors
    /// When a sequence is empty or too long, or a token has no embedding.
    pub fn logits(&self, sequences: &[&[u32]]) -> Result<Array, ModelError> {
        let batch = super::encoder::checked(&self.config, sequences)?;
        let hidden = self.body.hidden(&batch.ids, &batch.rows);
        Ok(self.head_forward(&hidden, &batch.rows).0)
    }

    /// [`Network::forward_backward`] with each example's loss and gradient times a weight.
    ///
    /// # Errors
    /// When a sequence is empty or too long, or a token or class is out of range.
    pub fn weighted_forward_backward(
        &self,
        sequences: &[&[u32]],
        classes: &[u32],
        weights: &[f32],
    ) -> Result<Tape, Error> {
        self.weighted(&Batch::classification(sequences, classes), weights)
    }

    fn weighted(&self, batch: &Batch, weights: &[f32]) -> Result<Tape, Error> {
        let classes = self.classes(batch)?;
        let parameters = self.body.parameters();
        let (hidden, saved) = self.body.forward(batch);
        let (mut logits, pooled, first) = self.head_forward(&hidden, &batch.rows);
        let losses = kernel::cross_entropy_with_gradient(&mut logits, classes, weights);
        let mut tape = Tape::new(losses.iter().copied().map(f64::from).collect());
        let single = PackedLayout::single(batch.len());
        let count = batch.rows.count();
        let gradient = match (&self.head, first) {
            (HeadLayers::First { dense, out }, Some(first)) => {
                let mut pooled_gradient =
                    out.backward(parameters, &single, &pooled, &logits, &mut tape);
                kernel::tanh_backward(&pooled, &mut pooled_gradient);
                let first_gradient =
                    dense.backward(parameters, &single, &first, &pooled_gradient, &mut tape);
                kernel::scatter_rows(&first_gradient, &pooled_rows(&batch.rows, false), count)
            }
            (
                HeadLayers::Last { out }
                | HeadLayers::Token { out }
                | HeadLayers::First { out, .. },
                _,
            ) => {
                let last = out.backward(parameters, &single, &pooled, &logits, &mut tape);
                kernel::scatter_rows(&last, &pooled_rows(&batch.rows, true), count)
            }
        };
        self.body.backward(batch, saved, &gradient, &mut tape);
        Ok(tape)
    }

    /// Probabilities of the classes for any number of sequences, computed in groups of like length of at most
    /// `micro_batch_tokens` tokens. The groups change speed alone.
    ///
    /// # Errors
    /// When a sequence is empty or too long, or a token has no embedding.
    pub fn probabilities(
        &self,
        sequences: &[Vec<u32>],
        micro_batch_tokens: usize,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
        let mut probabilities = vec![Vec::new(); sequences.len()];
        for group in super::groups(&lengths, micro_batch_tokens) {
            let slices: Vec<&[u32]> = group.iter().map(|&i| sequences[i].as_slice()).collect();
            let logits = self.logits(&slices)?.on(Device::Cpu);
            for (index, row) in group.iter().zip(logits.host().chunks_exact(logits.width())) {
                let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let weights: Vec<f32> = row.iter().map(|logit| (logit - highest).exp()).collect();
                let total: f32 = weights.iter().sum();
                probabilities[*index] = weights.iter().map(|weight| weight / total).collect();
            }
        }
        Ok(probabilities)
    }

    /// Writes `config.json` and `model.safetensors` so that `transformers` loads them. The tokenizer is written by its owner.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path, stored_as: StoredAs) -> Result<(), ModelError> {
        self.config.write(folder)?;
        let kept = self
            .body
            .kept()
            .into_iter()
            .map(|(name, array)| (name.to_owned(), array.shape().to_vec(), array.to_vec()));
        write(
            folder,
            stored(self.body.parameters()).chain(kept),
            stored_as,
        )
    }

    /// Scores, with the pooled input of the last layer and of the dense one.
    fn head_forward(&self, hidden: &Array, rows: &PackedLayout) -> (Array, Array, Option<Array>) {
        let parameters = self.body.parameters();
        match &self.head {
            HeadLayers::Token { out } => (out.forward(parameters, hidden), hidden.clone(), None),
            HeadLayers::Last { out } => {
                let pooled = kernel::gather_rows(hidden, &pooled_rows(rows, true));
                (out.forward(parameters, &pooled), pooled, None)
            }
            HeadLayers::First { dense, out } => {
                let first = kernel::gather_rows(hidden, &pooled_rows(rows, false));
                let mut pooled = dense.forward(parameters, &first);
                kernel::tanh(&mut pooled);
                (out.forward(parameters, &pooled), pooled, Some(first))
            }
        }
    }

    /// Checks a batch of sequences with a class each.
    fn classes<'a>(&self, batch: &'a Batch) -> Result<&'a [u32], Error> {
        batch.check(self.config.vocabulary(), self.config.max_positions())?;
        if let Some(example) = batch.rows.lengths().position(|length| length == 0) {
            return Err(Error::EmptySequence { example });
        }
        if matches!(self.head, HeadLayers::Token { .. }) {
            return Err(Error::WrongTargets {
                found: "a class for each text",
                expected: "a class for each token",
            });
        }
        let found = match &batch.targets {
            Targets::Class(classes) => {
                let count = self.config.labels.len();
                return match classes.iter().find(|&&class| class as usize >= count) {
                    Some(&class) => Err(Error::ClassOutOfRange {
                        class,
                        classes: count,
                    }),
                    None => Ok(classes),
                };
            }
            Targets::NextToken { .. } => "next tokens",
            Targets::Nothing => "nothing",
        };
        Err(Error::WrongTargets {
            found,
            expected: "classes",
        })
    }
}

/// First or last row of each example; examples without rows have none and are refused before.
fn pooled_rows(rows: &PackedLayout, last: bool) -> Vec<usize> {
    (0..rows.batch())
        .map(|example| {
            let range = rows.range(example);
            if last { range.end - 1 } else { range.start }
        })
        .collect()
}

impl Network for Classifier {
    fn parameters(&self) -> &Parameters {
        self.body.parameters()
    }

    fn parameters_mut(&mut self) -> &mut Parameters {
        self.body.parameters_mut()
    }

    fn forward_backward(&self, batch: &Batch) -> Result<Tape, Error> {
        self.weighted(batch, &vec![1.0; batch.len()])
    }

    fn forward_loss(&self, batch: &Batch) -> Result<Vec<f64>, Error> {
        let classes = self.classes(batch)?;
        let hidden = self.body.hidden(&batch.ids, &batch.rows);
        let (logits, _, _) = self.head_forward(&hidden, &batch.rows);
        let losses = kernel::cross_entropy(&logits, classes);
        Ok(losses.into_iter().map(f64::from).collect())
    }
}
