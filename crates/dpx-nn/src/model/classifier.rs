//! A classification head on any body: one label for a text, or one for each token.

use super::causal_lm::stored;
use super::head::{HeadLayers, HeadSaved, Pooling};
use super::weights::{StoredAs, write};
use super::{Body, Head, ModelConfig, ModelError, Weights, load};
use crate::kernel;
use crate::{
    Array, Batch, Error, Initializer, Network, PackedLayout, Parameters, Role, Tape, Targets,
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
    let config = &classifier.config;
    weights
        .finish(|name| load::is_buffer(config, name) || load::is_pretraining_head(config, name))?;
    Ok(classifier)
}

/// Reads the body of a folder onto a device and puts a new head for `labels` on it. A layer of the head that pretraining
/// leaves (BERT's pooler, ModernBERT's dense layer) is read where it is there.
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
        let pretrained = name.contains("pooler.") || name.starts_with("head.");
        if pretrained && weights.shape(name) == Some(shape) {
            return load::array(&mut weights, name, shape);
        }
        Ok(if name == "head.norm.weight" {
            Array::full(shape, 1.0)
        } else if role == Role::Bias || shape.len() == 1 {
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
        let head = HeadLayers::build(&config, body.parameters_mut(), &mut value)?;
        Ok(Self { config, body, head })
    }

    /// The model's `config.json`.
    pub const fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Says which token pads a batch, so that the last token of a text is found by whoever loads what [`Self::save`] writes.
    pub fn pad_with(&mut self, padding: u32) {
        self.config.pad_token = Some(padding);
        self.config
            .raw
            .insert("pad_token_id".into(), padding.into());
        if let Pooling::Last { padding: place } = &mut self.head.pooling {
            *place = Some(padding);
        }
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
        Ok(self.head_forward(&hidden, &batch).0)
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
        let (mut logits, saved_head) = self.head_forward(&hidden, batch);
        let losses = kernel::cross_entropy_with_gradient(&mut logits, classes, weights);
        let mut tape = Tape::new(losses.iter().copied().map(f64::from).collect());
        let single = PackedLayout::single(batch.len());
        let HeadSaved { dense, input } = saved_head;
        let mut gradient = self
            .head
            .out
            .backward(parameters, &single, &input, &logits, &mut tape);
        if let Some((layers, saved)) = self.head.dense.as_ref().zip(dense) {
            gradient = layers.backward(parameters, &single, saved, gradient, &mut tape);
        }
        let gradient = self.head.pooling.backward(&gradient, batch);
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

    /// Scores, and what the backward pass needs.
    fn head_forward(&self, hidden: &Array, batch: &Batch) -> (Array, HeadSaved) {
        let parameters = self.body.parameters();
        let pooled = self.head.pooling.forward(hidden, batch);
        let (input, dense) = match &self.head.dense {
            Some(layers) => {
                let (input, saved) = layers.forward(parameters, pooled);
                (input, Some(saved))
            }
            None => (pooled, None),
        };
        let scores = self.head.out.forward(parameters, &input);
        (scores, HeadSaved { dense, input })
    }

    /// Checks a batch of sequences with a class each.
    fn classes<'a>(&self, batch: &'a Batch) -> Result<&'a [u32], Error> {
        batch.check(self.config.vocabulary(), self.config.max_positions())?;
        if let Some(example) = batch.rows.lengths().position(|length| length == 0) {
            return Err(Error::EmptySequence { example });
        }
        if self.head.pooling == Pooling::Every {
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
        let (logits, _) = self.head_forward(&hidden, batch);
        let losses = kernel::cross_entropy(&logits, classes);
        Ok(losses.into_iter().map(f64::from).collect())
    }
}
