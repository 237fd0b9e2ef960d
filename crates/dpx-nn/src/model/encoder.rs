//! Texts as vectors: pooled hidden states of any body, or static embeddings.

use super::sentence::{Modules, Pooled};
use super::{Architecture, Body, ModelConfig, ModelError, StaticTable, Weights, load};
use crate::kernel::rows_computed_alike;
use crate::{Array, Batch, PackedLayout};
use dpx_schema::Device;
use std::path::Path;

/// A model without a head that turns texts into vectors.
#[derive(Debug, Clone)]
pub struct Encoder {
    config: ModelConfig,
    kind: Kind,
    modules: Modules,
}

#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "one encoder at a time")]
enum Kind {
    Body(Body),
    Static(StaticTable),
}

/// Reads the body of a folder's model onto a device, with what sentence-transformers lays over it; a head, where there is
/// one, is left out.
///
/// # Errors
/// When a tensor of the body is missing or misshapen, one has no place, a module is not known, or the device cannot be used.
pub fn load_encoder(folder: impl AsRef<Path>, device: Device) -> Result<Encoder, ModelError> {
    let folder = folder.as_ref();
    let config = ModelConfig::read(folder)?;
    if let Architecture::Static(_) = config.architecture {
        return Ok(Encoder {
            kind: Kind::Static(StaticTable::read(folder, &config)?),
            modules: Modules::none(),
            config,
        });
    }
    let modules = Modules::read(folder, config.hidden())?;
    let mut weights = Weights::open(folder, config.prefix())?;
    let body = load::body(&config, &mut weights, device)?;
    weights.finish(|name| load::is_buffer(&config, name) || load::is_head(&config, name))?;
    Ok(Encoder {
        config,
        kind: Kind::Body(body),
        modules,
    })
}

/// What makes embeddings of texts, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedding {
    /// What makes one of hidden states, or of the vectors of tokens, in order.
    pub modules: Vec<String>,
    /// Put before every text; empty in most models.
    pub prompt: String,
    /// Most tokens of a text that are read.
    pub max_seq_len: usize,
}

impl Embedding {
    /// Reads what a folder says of it, without the weights of the body.
    ///
    /// # Errors
    /// As [`load_encoder`].
    pub fn of(folder: &Path, config: &ModelConfig) -> Result<Self, ModelError> {
        let (modules, told) = if let Architecture::Static(_) = config.architecture {
            (Modules::none(), StaticTable::read(folder, config)?.told())
        } else {
            let modules = Modules::read(folder, config.hidden())?;
            let told = modules.told();
            (modules, told)
        };
        let read = config.max_positions();
        Ok(Self {
            modules: told,
            max_seq_len: modules.max_seq_len.map_or(read, |most| most.min(read)),
            prompt: modules.prompt,
        })
    }
}

impl Encoder {
    /// The model's `config.json`.
    pub const fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Numbers of an embedding.
    pub fn width(&self) -> usize {
        self.modules.width(self.config.hidden())
    }

    /// Most tokens of a text that are read.
    pub fn max_seq_len(&self) -> usize {
        let read = self.config.max_positions();
        self.modules.max_seq_len.map_or(read, |most| most.min(read))
    }

    /// What is put before every text; empty in most models.
    pub fn prompt(&self) -> &str {
        &self.modules.prompt
    }

    /// What makes an embedding of hidden states, in order and in words; of static embeddings, what makes one of their vectors.
    pub fn modules(&self) -> Vec<String> {
        match &self.kind {
            Kind::Body(_) => self.modules.told(),
            Kind::Static(table) => table.told(),
        }
    }

    /// Whether texts are read without the special tokens that the tokenizer adds, and without unknown ones.
    pub const fn reads_plain_tokens(&self) -> bool {
        matches!(self.kind, Kind::Static(_))
    }

    /// Whether embeddings share a large common part, as those of causal language models do: take their mean
    /// away before cosines are compared.
    pub const fn needs_centring(&self) -> bool {
        match &self.config.architecture {
            Architecture::Decoder(stack) => stack.family.is_causal(),
            Architecture::Encoder(_) | Architecture::Static(_) => false,
        }
    }

    /// Mean of the hidden states over each sequence's tokens, `[sequences, hidden]`, on the host. No sequence may be empty.
    ///
    /// # Errors
    /// When a sequence is empty or too long, or a token has no embedding.
    pub fn mean_pooled(&self, sequences: &[&[u32]]) -> Result<Array, ModelError> {
        self.pooled(sequences, Pooled::Mean)
    }

    fn pooled(&self, sequences: &[&[u32]], pooling: Pooled) -> Result<Array, ModelError> {
        if let Kind::Static(table) = &self.kind {
            return table.means(sequences);
        }
        let (hidden, rows) = self.hidden(sequences)?;
        let hidden = hidden.on(Device::Cpu);
        let width = hidden.width();
        let mut pooled = Vec::with_capacity(rows.batch() * width);
        for example in 0..rows.batch() {
            let range = rows.range(example);
            let row = |row: usize| &hidden.host()[row * width..(row + 1) * width];
            match pooling {
                Pooled::First => pooled.extend(row(range.start)),
                Pooled::Last => pooled.extend(row(range.end - 1)),
                Pooled::Mean => {
                    let mut sums = vec![0.0f64; width];
                    for row in range.clone().map(row) {
                        for (sum, value) in sums.iter_mut().zip(row) {
                            *sum += f64::from(*value);
                        }
                    }
                    pooled.extend(sums.iter().map(|sum| (sum / range.len() as f64) as f32));
                }
            }
        }
        Ok(Array::from_vec(pooled, &[rows.batch(), width]))
    }

    /// Hidden states of all tokens, packed, `[tokens, hidden]`, and how they belong to the sequences.
    ///
    /// # Errors
    /// As [`Encoder::mean_pooled`]; when the model has none, being a table of static embeddings.
    pub fn hidden(&self, sequences: &[&[u32]]) -> Result<(Array, PackedLayout), ModelError> {
        let Kind::Body(body) = &self.kind else {
            return Err(ModelError::Input(
                "static embeddings have no hidden states of tokens".into(),
            ));
        };
        let batch = checked(&self.config, sequences)?;
        Ok((body.hidden(&batch.ids, &batch.rows), batch.rows))
    }

    /// The embedding of any number of sequences, pooled as the folder says (by the mean where it says nothing) and sent through
    /// its dense layers and normalization, computed in groups of like length of at most `micro_batch_tokens` tokens.
    /// Sequences are cut at what the model reads. The groups change speed alone.
    ///
    /// # Errors
    /// As [`Encoder::mean_pooled`].
    pub fn embed(
        &self,
        sequences: &[Vec<u32>],
        micro_batch_tokens: usize,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let max_seq_len = self.max_seq_len();
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
        let Kind::Body(body) = &self.kind else {
            return self.embed(sequences, micro_batch_tokens);
        };
        let max_seq_len = self.max_seq_len();
        let lengths: Vec<usize> = sequences
            .iter()
            .map(|ids| ids.len().min(max_seq_len))
            .collect();
        let parameters = body.parameters();
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
            let pooled = self.pooled(&slices, self.modules.pooling)?;
            for (index, row) in group.iter().zip(pooled.host().chunks_exact(pooled.width())) {
                embeddings[*index] = self.modules.finish(row.to_vec());
            }
        }
        Ok(embeddings)
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
