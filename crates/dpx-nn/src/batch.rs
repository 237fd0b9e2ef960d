//! A batch of examples, packed, with its targets.

use super::{Error, PackedLayout};

/// One training sequence of a causal language model.
#[derive(Debug, Clone, Copy)]
pub struct Sequence<'a> {
    /// Ids of prompt and text, in the model's vocabulary.
    pub ids: &'a [u32],
    /// The first token whose prediction counts; tokens before it (a prompt) only condition. At least 1 has an effect, as
    /// nothing predicts token 0.
    pub counted_from: usize,
}

impl<'a> Sequence<'a> {
    /// Tokens whose prediction counts.
    fn counted(&self) -> usize {
        self.ids.len().saturating_sub(self.counted_from.max(1))
    }

    /// Tokens that are computed: all but the last, or none where nothing counts.
    pub fn inputs(&self) -> usize {
        if self.counted() == 0 {
            0
        } else {
            self.ids.len() - 1
        }
    }

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
    /// Nothing: the outputs alone are wanted.
    Nothing,
}

/// Examples without padding, one after the other.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Batch {
    /// Token ids `[rows]` of all sequences, one behind the other.
    pub ids: Vec<u32>,
    /// Which of the rows are whose sequence.
    pub rows: PackedLayout,
    pub targets: Targets,
    /// Where sequences come in pairs, one example each: the second of a pair is the text of the first under a wrong prompt.
    /// This is the weight of the prompt-mismatch loss between them.
    pub mismatch: Option<f32>,
    /// Where several records (a sequence each, or a pair) make one example, such as those of one person.
    pub units: Option<Units>,
}

/// How records belong to the examples that are bounded as one.
#[derive(Debug, Clone, PartialEq)]
pub struct Units {
    /// The records of each unit, one unit after the other.
    pub records: PackedLayout,
    /// What the loss of a record counts in that of its unit.
    pub weight: f32,
}

impl Batch {
    /// For a causal language model: the loss of an example is the mean over its own counted tokens.
    ///
    /// Tokens after which no prediction counts (the last one) are not computed. An example without a counted token is kept,
    /// with a loss and a gradient of zero.
    pub fn causal(sequences: &[Sequence<'_>]) -> Self {
        Self::causal_with_idle(sequences, &[], false)
    }

    /// Likewise, followed by idle sequences of the given lengths, which have a loss and a gradient of zero: they give a batch a
    /// shape that says nothing of the sequences. With `every_row` all rows have a target, those that do not count one of
    /// weight zero, so that the number of targets is that of the rows.
    pub fn causal_with_idle(sequences: &[Sequence<'_>], idle: &[usize], every_row: bool) -> Self {
        let (mut ids, mut lengths) = (Vec::new(), Vec::new());
        let (mut rows, mut counts) = (Vec::new(), Vec::new());
        let (mut targets, mut weights) = (Vec::new(), Vec::new());
        for sequence in sequences {
            let count = sequence.counted();
            let length = sequence.inputs();
            let start = ids.len();
            ids.extend_from_slice(&sequence.ids[..length]);
            lengths.push(length);
            let before = if every_row { length - count } else { 0 };
            counts.push(before + count);
            rows.extend((start + length - count - before)..(start + length));
            targets.extend_from_slice(&sequence.ids[sequence.ids.len() - count - before..]);
            weights.extend(std::iter::repeat_n(0.0, before));
            weights.extend(std::iter::repeat_n(1.0 / count as f32, count));
        }
        for &length in idle {
            rows.extend(ids.len()..ids.len() + length);
            ids.resize(ids.len() + length, 0);
            targets.resize(targets.len() + length, 0);
            weights.resize(weights.len() + length, 0.0);
            lengths.push(length);
            counts.push(length);
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
            units: None,
        }
    }

    /// The same records (sequences, or pairs of them), neighbors taken for one example: `counts` says how many, one number for
    /// each unit. The loss of a unit is the sum of those of its records, each times `weight`. With `each` every unit is filled
    /// up to as many records by empty ones, so that the shape of the batch does not tell how many a unit has.
    ///
    /// # Panics
    /// When the counts do not add up to the records, or a unit has more than `each`.
    #[must_use]
    pub fn in_units(mut self, counts: &[usize], each: Option<usize>, weight: f32) -> Self {
        let of_record = self.sequences_of_record();
        let records: usize = counts.iter().sum();
        assert_eq!(records * of_record, self.rows.batch(), "records in units");
        if let Some(each) = each {
            let filled = |layout: &PackedLayout| {
                let mut lengths = layout.lengths();
                let mut all = Vec::with_capacity(counts.len() * each * of_record);
                for &count in counts {
                    assert!(count <= each, "records of a unit");
                    all.extend(lengths.by_ref().take(count * of_record));
                    all.extend(std::iter::repeat_n(0, (each - count) * of_record));
                }
                PackedLayout::from_lengths(all)
            };
            self.rows = filled(&self.rows);
            if let Targets::NextToken { grouping, .. } = &mut self.targets {
                *grouping = filled(grouping);
            }
        }
        if let Targets::NextToken { weights, .. } = &mut self.targets {
            for own in weights {
                *own *= weight;
            }
        }
        let counts = counts.iter().map(|&count| each.unwrap_or(count));
        self.units = Some(Units {
            records: PackedLayout::from_lengths(counts),
            weight,
        });
        self
    }

    /// Sequences of a record: two where they come in pairs.
    const fn sequences_of_record(&self) -> usize {
        if self.mismatch.is_some() { 2 } else { 1 }
    }

    /// How sequences belong to examples; none where each is one.
    pub(crate) fn sequences_of_examples(&self) -> Option<PackedLayout> {
        let of_record = self.sequences_of_record();
        match &self.units {
            Some(units) => Some(units.records.times(of_record)),
            None if of_record > 1 => {
                let pairs = self.rows.batch() / of_record;
                Some(PackedLayout::from_lengths(std::iter::repeat_n(
                    of_record, pairs,
                )))
            }
            None => None,
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

    /// The same with idle sequences behind ([`Batch::causal_with_idle`]), an even number of them: two make an example.
    pub fn causal_pairs_with_idle(
        pairs: &[[Sequence<'_>; 2]],
        weight: f32,
        idle: &[usize],
        every_row: bool,
    ) -> Self {
        assert!(idle.len().is_multiple_of(2), "idle sequences in pairs");
        Self {
            mismatch: Some(weight),
            ..Self::causal_with_idle(pairs.as_flattened(), idle, every_row)
        }
    }

    /// For a classifier: one class per sequence.
    pub fn classification(sequences: &[&[u32]], classes: &[u32]) -> Self {
        Self {
            targets: Targets::Class(classes.to_vec()),
            ..Self::inference(sequences)
        }
    }

    /// Whole sequences without targets, for their outputs.
    pub fn inference(sequences: &[&[u32]]) -> Self {
        Self {
            ids: sequences.concat(),
            rows: PackedLayout::from_lengths(sequences.iter().map(|ids| ids.len())),
            targets: Targets::Nothing,
            mismatch: None,
            units: None,
        }
    }

    /// Number of rows that have a target.
    pub fn targets_count(&self) -> usize {
        match &self.targets {
            Targets::NextToken { rows, .. } => rows.len(),
            Targets::Class(classes) => classes.len(),
            Targets::Nothing => 0,
        }
    }

    /// Number of sequences.
    pub fn len(&self) -> usize {
        self.rows.batch()
    }

    /// Number of examples, which have a loss each: sequences, pairs of them, or units of several.
    pub fn examples(&self) -> usize {
        self.sequences_of_examples()
            .map_or_else(|| self.len(), |sequences| sequences.batch())
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
    fn idle_sequences_have_targets_of_weight_zero() {
        let sequences = [
            Sequence {
                ids: &[5, 6, 7, 8],
                counted_from: 2,
            },
            Sequence::whole(&[9]),
        ];
        for every_row in [false, true] {
            let batch = Batch::causal_with_idle(&sequences, &[3, 0, 2], every_row);
            assert_eq!(batch.ids, [5, 6, 7, 0, 0, 0, 0, 0]);
            assert_eq!(batch.rows.offsets(), [0, 3, 3, 6, 6, 8]);
            let Targets::NextToken {
                rows,
                grouping,
                ids,
                weights,
            } = &batch.targets
            else {
                panic!("next tokens")
            };
            let first = usize::from(!every_row);
            assert_eq!(*rows, (first..8).collect::<Vec<_>>());
            assert_eq!(ids[..3 - first], [6, 7, 8][first..]);
            assert_eq!(weights[..3 - first], [0.0, 0.5, 0.5][first..]);
            assert!(weights[3 - first..].iter().all(|&weight| weight == 0.0));
            assert_eq!(grouping.count(), rows.len());
            assert_eq!(grouping.batch(), 5);
        }
    }

    #[test]
    fn records_of_a_unit_stand_together_and_share_its_loss() {
        let sequences = [
            Sequence::whole(&[5, 6, 7]),
            Sequence::whole(&[9]),
            Sequence::whole(&[1, 2]),
        ];
        let bare = Batch::causal(&sequences).in_units(&[2, 0, 1], None, 0.5);
        assert_eq!(bare.rows.offsets(), [0, 2, 2, 3]);
        let units = bare.sequences_of_examples().unwrap();
        assert_eq!(bare.rows.grouped(&units).offsets(), [0, 2, 2, 3]);
        let full = Batch::causal(&sequences).in_units(&[2, 0, 1], Some(2), 0.5);
        assert_eq!(full.ids, bare.ids);
        assert_eq!(full.rows.offsets(), [0, 2, 2, 2, 2, 3, 3]);
        let units = full.sequences_of_examples().unwrap();
        assert_eq!(full.rows.grouped(&units).offsets(), [0, 2, 2, 3]);
        for batch in [bare, full] {
            let Targets::NextToken {
                weights, grouping, ..
            } = &batch.targets
            else {
                panic!("next tokens")
            };
            assert_eq!(weights, &[0.25, 0.25, 0.5]);
            assert_eq!(grouping.batch(), batch.rows.batch());
        }
        // Two sequences each make a record.
        let pairs = [
            [Sequence::whole(&[5, 6]), Sequence::whole(&[7, 6])],
            [Sequence::whole(&[1, 2, 3]), Sequence::whole(&[])],
        ];
        let pairs = Batch::causal_pairs(&pairs, 1.0).in_units(&[2], Some(3), 1.0);
        assert_eq!(pairs.rows.offsets(), [0, 1, 2, 4, 4, 4, 4]);
        assert_eq!(pairs.sequences_of_examples().unwrap().offsets(), [0, 6]);
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
