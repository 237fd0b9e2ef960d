//! What generation needs of a causal language model.

use crate::kernel;
use crate::{Array, Batch, Error, KvCache, Network, PackedLayout, Targets, Units};
use std::ops::Range;

/// A causal language model that can be read forwards, token by token, over a cache of keys and values.
pub trait CausalModel: Network {
    /// Number of tokens in the vocabulary.
    fn vocabulary(&self) -> usize;

    /// Longest sequence that the model takes.
    fn context(&self) -> usize;

    /// Logits of every position of every sequence: `[sum of the lengths, vocabulary]`, one sequence after the other.
    fn logits(&self, sequences: &[&[u32]]) -> Result<Array, Error>;

    /// Reads prompts of any lengths (none empty) and makes room for `capacity` tokens a row, the prompt included.
    ///
    /// Returns the cache and the logits after each prompt, `[batch, vocabulary]`.
    fn prefill(&self, prompts: &[&[u32]], capacity: usize) -> Result<(KvCache, Array), Error>;

    /// Reads one more token in each row of the cache; returns the logits after it, `[batch, vocabulary]`.
    ///
    /// Rows that are finished are dropped from the cache with [`KvCache::keep`].
    fn decode(&self, cache: &mut KvCache, tokens: &[u32]) -> Result<Array, Error>;
}

/// Checks what the tokens of a decoding step must satisfy.
pub(crate) fn check_step(
    cache: &KvCache,
    tokens: &[u32],
    vocabulary: usize,
    context: usize,
) -> Result<(), Error> {
    let limit = context.min(cache.capacity());
    if let Some(&id) = tokens.iter().find(|&&id| id as usize >= vocabulary) {
        return Err(Error::TokenOutOfRange { id, vocabulary });
    }
    match cache.lengths().iter().max() {
        Some(&length) if length >= limit => Err(Error::TooLong {
            length: length + 1,
            context: limit,
        }),
        _ => Ok(()),
    }
}

/// Row of the last token of each prompt.
pub(crate) fn last_rows(rows: &PackedLayout) -> Vec<usize> {
    (0..rows.batch())
        .filter(|&example| !rows.range(example).is_empty())
        .map(|example| rows.range(example).end - 1)
        .collect()
}

/// The prompt-mismatch loss of a pair, and its slope in the summed token losses of either sequence.
struct Pair {
    loss: f64,
    factors: [f64; 2],
}

/// The targets of a batch of a causal language model.
pub(crate) struct NextTokens<'a> {
    pub(crate) rows: &'a [usize],
    pub(crate) grouping: &'a PackedLayout,
    pub(crate) ids: &'a [u32],
    pub(crate) weights: &'a [f32],
    mismatch: Option<f32>,
    units: Option<&'a Units>,
}

impl<'a> NextTokens<'a> {
    /// The targets, where the batch has any of this kind.
    pub(crate) fn of(batch: &'a Batch) -> Result<Self, Error> {
        let found = match &batch.targets {
            Targets::NextToken {
                rows,
                grouping,
                ids,
                weights,
            } => {
                return Ok(Self {
                    rows,
                    grouping,
                    ids,
                    weights,
                    mismatch: batch.mismatch,
                    units: batch.units.as_ref(),
                });
            }
            Targets::Class(_) => "classes",
            Targets::Nothing => "nothing",
        };
        Err(Error::WrongTargets {
            found,
            expected: "next tokens",
        })
    }

    /// Whether the loss of a sequence depends on another's, so that no part of the targets has a gradient of its own.
    pub(crate) const fn compares(&self) -> bool {
        self.mismatch.is_some()
    }

    /// Turns logits `[targets, vocabulary]` into the gradient of the sum of the examples' losses; returns these.
    pub(crate) fn losses_with_gradient(&self, logits: &mut Array) -> Vec<f64> {
        let Some(weight) = self.mismatch else {
            let losses = self.part_with_gradient(logits, 0..self.ids.len());
            return self.of_targets(&losses);
        };
        let losses = kernel::cross_entropy_with_gradient(logits, self.ids, &self.counted());
        let pairs = self.pairs(&losses, f64::from(weight));
        let factors: Vec<_> = pairs
            .iter()
            .flat_map(|pair| pair.factors.map(|factor| Some(factor as f32)))
            .collect();
        *logits = kernel::scaled_rows(logits, &self.grouping.spread(&factors));
        self.of_units(pairs.into_iter().map(|pair| pair.loss).collect())
    }

    /// Turns the logits of some targets into their gradient; returns the weighted loss of each of them. Only where no loss depends
    /// on another's.
    pub(crate) fn part_with_gradient(&self, logits: &mut Array, part: Range<usize>) -> Vec<f32> {
        let (ids, weights) = (&self.ids[part.clone()], &self.weights[part]);
        kernel::cross_entropy_with_gradient(logits, ids, weights)
    }

    /// The losses of examples from the weighted losses of all targets.
    pub(crate) fn of_targets(&self, losses: &[f32]) -> Vec<f64> {
        self.of_units(self.grouping.sums(losses))
    }

    /// The losses of examples from those of records.
    fn of_units(&self, records: Vec<f64>) -> Vec<f64> {
        let Some(units) = self.units else {
            return records;
        };
        let of = |unit| records[units.records.range(unit)].iter().sum();
        (0..units.records.batch()).map(of).collect()
    }

    /// The examples' losses from minus the log-probability of each target.
    pub(crate) fn losses(&self, mut losses: Vec<f32>) -> Vec<f64> {
        if let Some(weight) = self.mismatch {
            for (loss, counted) in losses.iter_mut().zip(self.counted()) {
                *loss *= counted;
            }
            let pairs = self.pairs(&losses, f64::from(weight));
            return self.of_units(pairs.into_iter().map(|pair| pair.loss).collect());
        }
        for (loss, weight) in losses.iter_mut().zip(self.weights) {
            *loss *= weight;
        }
        self.of_targets(&losses)
    }

    /// 1 for each target that counts, 0 for others.
    fn counted(&self) -> Vec<f32> {
        let weights = self.weights.iter();
        weights.map(|&weight| f32::from(weight > 0.0)).collect()
    }

    /// The prompt-mismatch loss of each pair of sequences, from the losses of all tokens (see [`Batch::causal_pairs`]).
    fn pairs(&self, of_tokens: &[f32], weight: f64) -> Vec<Pair> {
        let counts = self.grouping.sums(&self.counted());
        let sums = self.grouping.sums(of_tokens);
        let of_record = self.units.map_or(1.0, |units| f64::from(units.weight));
        sums.chunks_exact(2)
            .zip(counts.chunks_exact(2))
            .map(|(sums, counts)| {
                let share = 1.0 / counts[0].max(1.0);
                // Without a second sequence there is nothing to be told apart.
                let weight = if counts[1] == 0.0 { 0.0 } else { weight };
                let lost = sums[1] - sums[0];
                let pull = weight / (1.0 + lost.exp());
                let told_apart = (-lost).max(0.0) + (-lost.abs()).exp().ln_1p();
                Pair {
                    loss: of_record * (share * sums[0] + weight * told_apart),
                    factors: [of_record * (share + pull), of_record * -pull],
                }
            })
            .collect()
    }
}
