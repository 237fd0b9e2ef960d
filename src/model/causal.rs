//! What generation needs of a causal language model.

use crate::nn::{Array, Batch, Cache, Error, Network, Rows, Targets};

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
    fn prefill(&self, prompts: &[&[u32]], capacity: usize) -> Result<(Cache, Array), Error>;

    /// Reads one more token in each row of the cache; returns the logits after it, `[batch, vocabulary]`.
    ///
    /// Rows that are finished are dropped from the cache with [`Cache::keep`].
    fn decode(&self, cache: &mut Cache, tokens: &[u32]) -> Result<Array, Error>;
}

/// Checks what the tokens of a decoding step must satisfy.
pub(crate) fn check_step(
    cache: &Cache,
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
pub(crate) fn last_rows(rows: &Rows) -> Vec<usize> {
    (0..rows.batch())
        .filter(|&example| !rows.range(example).is_empty())
        .map(|example| rows.range(example).end - 1)
        .collect()
}

/// The targets of a batch of a causal language model.
pub(crate) struct NextTokens<'a> {
    pub(crate) rows: &'a [usize],
    pub(crate) grouping: &'a Rows,
    pub(crate) ids: &'a [u32],
    pub(crate) weights: &'a [f32],
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
}
