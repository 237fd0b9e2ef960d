//! What a backward pass leaves behind: for every use of a trainable parameter the factors of its per-example gradients.

use super::{Array, Batch, PackedLayout, ParameterId, Parameters, kernel};
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

/// What the per-example gradients of one use of one trainable parameter are made of. The gradient of example i is made from
/// the rows of example i alone.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub enum GradSample {
    /// Weight of a linear layer: gradient of example i = sum over its rows of input x output gradient.
    Linear {
        parameter: ParameterId,
        layout: Layout,
        rows: PackedLayout,
        /// Input `[rows, inputs]`.
        input: Array,
        /// Gradient of the output `[rows, outputs]`.
        gradient: Array,
    },
    /// Embedding table: row `ids[r]` of the gradient receives row r.
    Embedding {
        parameter: ParameterId,
        rows: PackedLayout,
        /// Which row of the table was looked up.
        ids: Arc<[u32]>,
        /// Gradient of the looked-up rows `[rows, width]`.
        gradient: Array,
    },
    /// A vector (bias, norm) whose per-example gradients are kept as they are.
    PerExample {
        parameter: ParameterId,
        /// Gradients `[batch, length]`.
        gradient: Array,
    },
}

impl GradSample {
    /// The parameter whose gradient this is a part of.
    pub const fn parameter(&self) -> ParameterId {
        match self {
            Self::Linear { parameter, .. }
            | Self::Embedding { parameter, .. }
            | Self::PerExample { parameter, .. } => *parameter,
        }
    }
}

/// Losses and gradient samples of one forward and backward pass.
#[derive(Debug, Clone, Default)]
pub struct Tape {
    /// Loss of each example: the mean over its own targets.
    pub losses: Vec<f64>,
    /// Uses of trainable parameters, in the order of the backward pass.
    pub grad_samples: Vec<GradSample>,
}

impl Tape {
    /// A tape of losses alone, to which the backward pass adds gradient samples.
    pub fn new(losses: Vec<f64>) -> Self {
        Self {
            losses,
            grad_samples: Vec::new(),
        }
    }

    /// Where several sequences of a batch make one example (pairs, or the records of a person): the gradient samples with rows by
    /// example, what belongs to any sequence of an example belonging to it alone. Any other tape stays as it is.
    #[must_use]
    pub(crate) fn of_examples(self, batch: &Batch) -> Self {
        let Some(groups) = batch.sequences_of_examples() else {
            return self;
        };
        // Layers share their layouts: each is grouped once, as a device keeps how it lays out each.
        let mut known: Vec<(PackedLayout, PackedLayout)> = Vec::new();
        let mut grouped = |rows: PackedLayout| {
            if let Some((_, grouped)) = known.iter().find(|(own, _)| own.is(&rows)) {
                return grouped.clone();
            }
            let grouped = rows.grouped(&groups);
            known.push((rows, grouped.clone()));
            grouped
        };
        let grad_samples = self.grad_samples.into_iter().map(|sample| match sample {
            GradSample::Linear {
                parameter,
                layout,
                rows,
                input,
                gradient,
            } => GradSample::Linear {
                parameter,
                layout,
                rows: grouped(rows),
                input,
                gradient,
            },
            GradSample::Embedding {
                parameter,
                rows,
                ids,
                gradient,
            } => GradSample::Embedding {
                parameter,
                rows: grouped(rows),
                ids,
                gradient,
            },
            GradSample::PerExample {
                parameter,
                gradient,
            } => GradSample::PerExample {
                parameter,
                gradient: kernel::column_sums(&groups, &gradient),
            },
        });
        Self {
            grad_samples: grad_samples.collect(),
            losses: self.losses,
        }
    }

    /// Number of examples.
    pub fn batch(&self) -> usize {
        self.losses.len()
    }

    /// The same gradient samples, their arrays on the host.
    #[cfg(test)]
    pub(crate) fn on_host(mut self) -> Self {
        for sample in &mut self.grad_samples {
            match sample {
                GradSample::Linear {
                    input, gradient, ..
                } => {
                    input.move_to(Device::Cpu);
                    gradient.move_to(Device::Cpu);
                }
                GradSample::Embedding { gradient, .. }
                | GradSample::PerExample { gradient, .. } => {
                    gradient.move_to(Device::Cpu);
                }
            }
        }
        self
    }

    /// Enters a use when its parameter is trained; `sample` is called only then.
    pub fn record(
        &mut self,
        parameters: &Parameters,
        parameter: ParameterId,
        sample: impl FnOnce() -> GradSample,
    ) {
        if parameters.trainable(parameter) {
            self.grad_samples.push(sample());
        }
    }
}
