//! What a backward pass leaves behind: for every use of a trainable parameter the factors of its per-example gradients.

use super::{Array, Batch, ParameterId, Parameters, Rows, kernel};
#[cfg(test)]
use dpx_schema::Device;
use std::sync::Arc;

/// How the weight of a linear layer is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `[inputs, outputs]`: GPT-2's Conv1D.
    InOut,
    /// `[outputs, inputs]`: PyTorch's Linear.
    OutIn,
}

/// One use of one trainable parameter. The gradient of example i is made from the rows of example i alone.
#[derive(Debug, Clone)]
pub enum Record {
    /// Weight of a linear layer: gradient of example i = sum over its rows of input x output gradient.
    Linear {
        /// The weight.
        parameter: ParameterId,
        /// How it is stored.
        layout: Layout,
        /// How rows belong to examples.
        rows: Rows,
        /// Input `[rows, inputs]`.
        input: Array,
        /// Gradient of the output `[rows, outputs]`.
        gradient: Array,
    },
    /// Embedding table: row `ids[r]` of the gradient receives row r.
    Embedding {
        /// The table.
        parameter: ParameterId,
        /// How rows belong to examples.
        rows: Rows,
        /// Which row of the table was looked up.
        ids: Arc<[u32]>,
        /// Gradient of the looked-up rows `[rows, width]`.
        gradient: Array,
    },
    /// A vector (bias, norm) whose per-example gradients are kept as they are.
    PerExample {
        /// The vector.
        parameter: ParameterId,
        /// Gradients `[batch, length]`.
        gradient: Array,
    },
}

impl Record {
    /// The parameter it belongs to.
    pub const fn parameter(&self) -> ParameterId {
        match self {
            Self::Linear { parameter, .. }
            | Self::Embedding { parameter, .. }
            | Self::PerExample { parameter, .. } => *parameter,
        }
    }
}

/// Losses and records of one forward and backward pass.
#[derive(Debug, Clone, Default)]
pub struct Tape {
    /// Loss of each example: the mean over its own targets.
    pub losses: Vec<f64>,
    /// Uses of trainable parameters, in the order of the backward pass.
    pub records: Vec<Record>,
}

impl Tape {
    /// Without records.
    pub fn new(losses: Vec<f64>) -> Self {
        Self {
            losses,
            records: Vec::new(),
        }
    }

    /// Where a batch's sequences come in pairs: the records with rows by example, what belongs to either sequence of an
    /// example belonging to it alone. Any other tape stays as it is.
    #[must_use]
    pub fn of_examples(self, batch: &Batch) -> Self {
        if batch.mismatch.is_none() {
            return self;
        }
        let pairs = Rows::from_lengths(std::iter::repeat_n(2, self.losses.len()));
        let records = self.records.into_iter().map(|record| match record {
            Record::Linear {
                parameter,
                layout,
                rows,
                input,
                gradient,
            } => Record::Linear {
                parameter,
                layout,
                rows: rows.in_pairs(),
                input,
                gradient,
            },
            Record::Embedding {
                parameter,
                rows,
                ids,
                gradient,
            } => Record::Embedding {
                parameter,
                rows: rows.in_pairs(),
                ids,
                gradient,
            },
            Record::PerExample {
                parameter,
                gradient,
            } => Record::PerExample {
                parameter,
                gradient: kernel::column_sums(&pairs, &gradient),
            },
        });
        Self {
            records: records.collect(),
            losses: self.losses,
        }
    }

    /// Number of examples.
    pub fn batch(&self) -> usize {
        self.losses.len()
    }

    /// The same records, their arrays on the host.
    #[cfg(test)]
    pub(crate) fn on_host(mut self) -> Self {
        for record in &mut self.records {
            match record {
                Record::Linear {
                    input, gradient, ..
                } => {
                    input.move_to(Device::Cpu);
                    gradient.move_to(Device::Cpu);
                }
                Record::Embedding { gradient, .. } | Record::PerExample { gradient, .. } => {
                    gradient.move_to(Device::Cpu);
                }
            }
        }
        self
    }

    /// Enters a use when its parameter is trained; `record` is called only then.
    pub fn record(
        &mut self,
        parameters: &Parameters,
        parameter: ParameterId,
        record: impl FnOnce() -> Record,
    ) {
        if parameters.trainable(parameter) {
            self.records.push(record());
        }
    }
}
