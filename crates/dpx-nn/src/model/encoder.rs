//! Texts as vectors: mean-pooled hidden states of any body.

use super::{Body, ModelConfig, ModelError, Weights, load};
use crate::kernel::rows_computed_alike;
use crate::{Array, Batch, PackedLayout};
use dpx_schema::Device;
use std::path::Path;

/// A body without a head that turns texts into vectors.
#[derive(Debug, Clone)]
pub struct Encoder {
    config: ModelConfig,
    body: Body,
}

/// Reads the body of a folder's model onto a device; a head, where there is one, is left out.
///
/// # Errors
/// When a tensor of the body is missing or misshapen, one has no place, or the device cannot be used.
pub fn load_encoder(folder: impl AsRef<Path>, device: Device) -> Result<Encoder, ModelError> {
    let folder = folder.as_ref();
    let config = ModelConfig::read(folder)?;
    let mut weights = Weights::open(folder, config.prefix())?;
    let body = load::body(&config, &mut weights, device)?;
    weights.finish(|name| load::is_buffer(&config, name) || load::is_head(&config, name))?;
    Ok(Encoder { config, body })
}

impl Encoder {
    /// The model's `config.json`.
    pub const fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The body.
    pub const fn body(&self) -> &Body {
        &self.body
    }

    /// Whether embeddings share a large common part, as those of causal language models do: take their mean away (see
    /// [`center`]) before cosines are compared.
    pub const fn needs_centring(&self) -> bool {
        self.config.family().is_causal()
    }

    /// Mean of the hidden states over each sequence's tokens, `[sequences, hidden]`, on the host. No sequence may be empty.
    ///
    /// # Errors
    /// When a sequence is empty or too long, or a token has no embedding.
    pub fn mean_pooled(&self, sequences: &[&[u32]]) -> Result<Array, ModelError> {
        let (hidden, rows) = self.hidden(sequences)?;
        let hidden = hidden.on(Device::Cpu);
        let width = hidden.width();
        let mut pooled = Vec::with_capacity(rows.batch() * width);
        for example in 0..rows.batch() {
            let range = rows.range(example);
            let mut sums = vec![0.0f64; width];
            for row in hidden.host()[range.start * width..range.end * width].chunks_exact(width) {
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += f64::from(*value);
                }
            }
            pooled.extend(sums.iter().map(|sum| (sum / range.len() as f64) as f32));
        }
        Ok(Array::from_vec(pooled, &[rows.batch(), width]))
    }

    /// Hidden states of all tokens, packed, `[tokens, hidden]`, and how they belong to the sequences.
    ///
    /// # Errors
    /// As [`Encoder::mean_pooled`].
    pub fn hidden(&self, sequences: &[&[u32]]) -> Result<(Array, PackedLayout), ModelError> {
        let batch = checked(&self.config, sequences)?;
        Ok((self.body.hidden(&batch.ids, &batch.rows), batch.rows))
    }

    /// [`Encoder::mean_pooled`] of any number of sequences, computed in groups of like length of at most
    /// `micro_batch_tokens` tokens. Sequences are cut at what the model reads. The groups change speed alone.
    ///
    /// # Errors
    /// As [`Encoder::mean_pooled`].
    pub fn embed(
        &self,
        sequences: &[Vec<u32>],
        micro_batch_tokens: usize,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let max_seq_len = self.config.max_positions();
        let lengths: Vec<usize> = sequences
            .iter()
            .map(|ids| ids.len().min(max_seq_len))
            .collect();
        self.embed_groups(
            sequences,
            &lengths,
            groups(&lengths, micro_batch_tokens),
            &[],
        )
    }

    /// The same, where the embedding of a sequence does not depend on the others to the last bit: for sums over private texts.
    /// On the host an idle sequence fills each group up to the size from which rows are computed alike; on another device every
    /// sequence is computed alone, which takes longer.
    ///
    /// # Errors
    /// As [`Encoder::mean_pooled`].
    pub fn embed_each(
        &self,
        sequences: &[Vec<u32>],
        micro_batch_tokens: usize,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let max_seq_len = self.config.max_positions();
        let lengths: Vec<usize> = sequences
            .iter()
            .map(|ids| ids.len().min(max_seq_len))
            .collect();
        let parameters = self.body.parameters();
        if parameters.device() != Device::Cpu {
            let alone = (0..sequences.len()).map(|index| vec![index]).collect();
            return self.embed_groups(sequences, &lengths, alone, &[]);
        }
        let least = rows_computed_alike(parameters.least_width().unwrap_or(1));
        let tokens = vec![0; max_seq_len.min(least)];
        let idle = vec![tokens.as_slice(); least.div_ceil(tokens.len().max(1))];
        self.embed_groups(
            sequences,
            &lengths,
            groups(&lengths, micro_batch_tokens),
            &idle,
        )
    }

    fn embed_groups(
        &self,
        sequences: &[Vec<u32>],
        lengths: &[usize],
        groups: Vec<Vec<usize>>,
        idle: &[&[u32]],
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let mut embeddings = vec![Vec::new(); sequences.len()];
        for group in groups {
            let real = group.iter().map(|&i| &sequences[i][..lengths[i]]);
            let slices: Vec<&[u32]> = real.chain(idle.iter().copied()).collect();
            let pooled = self.mean_pooled(&slices)?;
            for (index, row) in group.iter().zip(pooled.host().chunks_exact(pooled.width())) {
                embeddings[*index] = row.to_vec();
            }
        }
        Ok(embeddings)
    }
}

/// Takes the mean of all embeddings away from each.
pub fn center(embeddings: &mut [Vec<f32>]) {
    let Some(width) = embeddings.first().map(Vec::len) else {
        return;
    };
    let mut mean = vec![0.0f64; width];
    for embedding in embeddings.iter() {
        for (sum, value) in mean.iter_mut().zip(embedding) {
            *sum += f64::from(*value) / embeddings.len() as f64;
        }
    }
    for embedding in embeddings {
        for (value, mean) in embedding.iter_mut().zip(&mean) {
            *value -= *mean as f32;
        }
    }
}

/// A batch without targets that the model can read.
pub(super) fn checked(config: &ModelConfig, sequences: &[&[u32]]) -> Result<Batch, ModelError> {
    if let Some(index) = sequences.iter().position(|ids| ids.is_empty()) {
        return Err(ModelError::Input(format!(
            "sequence {index} has no token: give at least one"
        )));
    }
    let batch = Batch::inference(sequences);
    batch.check(config.vocabulary(), config.max_positions())?;
    Ok(batch)
}

/// Indices of sequences in groups of like length with at most `most` tokens each (but at least one sequence), short ones
/// first.
pub fn groups(lengths: &[usize], most: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&index| lengths[index]);
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut tokens = 0;
    for index in order {
        if groups.is_empty() || tokens + lengths[index] > most {
            groups.push(Vec::new());
            tokens = 0;
        }
        tokens += lengths[index];
        if let Some(group) = groups.last_mut() {
            group.push(index);
        }
    }
    groups
}
