//! A batch of examples, packed, with its targets.

use super::{Error, PackedLayout};

/// One training sequence of a causal language model.
#[derive(Debug, Clone, Copy)]
pub struct Sequence<'a> {
    /// Token ids.
    pub ids: &'a [u32],
    /// The first token whose prediction counts; tokens before it (a prompt) only condition. At least 1 has an effect, as
    /// nothing predicts token 0.
    pub counted_from: usize,
}

impl<'a> Sequence<'a> {
    /// Every token counts but the first, which nothing predicts.
    pub const fn whole(ids: &'a [u32]) -> Self {
        Self {
            ids,
            counted_from: 1,
        }
    }
}

/// What the loss compares outputs with.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// For some rows the next token. An example's weights add up to 1, or it has no target.
    NextToken {
        /// Rows of the batch that have a target, ascending.
        rows: Vec<usize>,
        /// How these rows belong to examples.
        grouping: PackedLayout,
        /// The token that follows each of the rows.
        ids: Vec<u32>,
        /// Weight of each in its example's loss.
        weights: Vec<f32>,
    },
    /// A class for each example.
    Class(Vec<u32>),
    /// None: inference.
    Nothing,
}

/// Examples without padding, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Token ids of all rows.
    pub ids: Vec<u32>,
    /// How rows belong to examples.
    pub rows: PackedLayout,
    /// Targets of the loss.
    pub targets: Targets,
    /// Where sequences come in pairs, one example each: the second of a pair is the text of the first under a wrong prompt.
    /// This is the weight of the prompt-mismatch loss between them.
    pub mismatch: Option<f32>,
}

impl Batch {
    /// For a causal language model: the loss of an example is the mean over its own counted tokens.
    ///
    /// Tokens after which no prediction counts (the last one) are not computed. An example without a counted token is kept,
    /// with a loss and a gradient of zero.
    pub fn causal(sequences: &[Sequence<'_>]) -> Self {
        let (mut ids, mut lengths) = (Vec::new(), Vec::new());
        let (mut rows, mut counts) = (Vec::new(), Vec::new());
        let (mut targets, mut weights) = (Vec::new(), Vec::new());
        for sequence in sequences {
            let from = sequence.counted_from.max(1);
            let count = sequence.ids.len().saturating_sub(from);
            let length = if count == 0 {
                0
            } else {
                sequence.ids.len() - 1
            };
            let start = ids.len();
            ids.extend_from_slice(&sequence.ids[..length]);
            lengths.push(length);
            counts.push(count);
            rows.extend((start + length - count)..(start + length));
            targets.extend_from_slice(&sequence.ids[sequence.ids.len() - count..]);
            weights.extend(std::iter::repeat_n(1.0 / count as f32, count));
        }
        Self {
            ids,
            rows: PackedLayout::from_lengths(lengths),
            targets: Targets::NextToken {
                rows,
                grouping: PackedLayout::from_lengths(counts),
                ids: targets,
                weights,
            },
            mismatch: None,
        }
    }

    /// For a causal language model with the prompt-mismatch loss: each example is a text under its own prompt and the same
    /// text under another one, with as many counted tokens.
    ///
    /// With `d` the log-probability in nats that the text loses under the other prompt, the loss of an example is the mean
    /// over its own counted tokens, plus `weight` times `ln(1 + exp(-d))`: the cross-entropy of telling the prompt from the
    /// text by Bayes' rule. (Mattern et al. 2022, arXiv 2210.13918, subtract the loss of the mismatch itself, which has no
    /// lower bound.)
    pub fn causal_pairs(pairs: &[[Sequence<'_>; 2]], weight: f32) -> Self {
        Self {
            mismatch: Some(weight),
            ..Self::causal(pairs.as_flattened())
        }
    }

    /// For a classifier: one class per sequence.
    pub fn classification(sequences: &[&[u32]], classes: &[u32]) -> Self {
        Self {
            targets: Targets::Class(classes.to_vec()),
            ..Self::inference(sequences)
        }
    }

    /// Without targets.
    pub fn inference(sequences: &[&[u32]]) -> Self {
        Self {
            ids: sequences.concat(),
            rows: PackedLayout::from_lengths(sequences.iter().map(|ids| ids.len())),
            targets: Targets::Nothing,
            mismatch: None,
        }
    }

    /// Number of sequences.
    pub fn len(&self) -> usize {
        self.rows.batch()
    }

    /// Whether there are no sequences.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks that ids, targets and lengths fit a model.
    pub fn check(&self, vocabulary: usize, context: usize) -> Result<(), Error> {
        let targets: &[u32] = match &self.targets {
            Targets::NextToken { ids, .. } => ids,
            Targets::Class(_) | Targets::Nothing => &[],
        };
        if let Some(&id) = self
            .ids
            .iter()
            .chain(targets)
            .find(|&&id| id as usize >= vocabulary)
        {
            return Err(Error::TokenOutOfRange { id, vocabulary });
        }
        match self.rows.lengths().find(|&length| length > context) {
            Some(length) => Err(Error::TooLong { length, context }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_condition_and_do_not_count() {
        let sequences = [
            Sequence {
                ids: &[5, 6, 7, 8],
                counted_from: 2,
            },
            Sequence::whole(&[9]),
            Sequence::whole(&[1, 2]),
        ];
        let batch = Batch::causal(&sequences);
        assert_eq!(batch.ids, [5, 6, 7, 1]);
        assert_eq!(batch.rows.offsets(), [0, 3, 3, 4]);
        let Targets::NextToken {
            rows,
            grouping,
            ids,
            weights,
        } = &batch.targets
        else {
            panic!("next tokens")
        };
        assert_eq!(rows, &[1, 2, 3]);
        assert_eq!(grouping.offsets(), [0, 2, 2, 3]);
        assert_eq!(ids, &[7, 8, 2]);
        assert_eq!(weights, &[0.5, 0.5, 1.0]);
    }

    #[test]
    fn ids_and_lengths_are_checked() {
        let batch = Batch::inference(&[&[3, 4, 5]]);
        assert!(batch.check(6, 3).is_ok());
        assert_eq!(
            batch.check(5, 3),
            Err(Error::TokenOutOfRange {
                id: 5,
                vocabulary: 5
            })
        );
        assert_eq!(
            batch.check(6, 2),
            Err(Error::TooLong {
                length: 3,
                context: 2
            })
        );
    }
}
