//! The embedding layer.

use super::{Array, GradSample, PackedLayout, ParameterId, Parameters, Tape, kernel};
use std::sync::Arc;

/// A table of rows that ids look up.
#[derive(Debug, Clone, Copy)]
pub struct Embedding {
    /// Place of the table `[entries, width]`.
    pub weight: ParameterId,
}

impl Embedding {
    /// A layer over an entered table.
    pub const fn new(weight: ParameterId) -> Self {
        Self { weight }
    }

    /// The rows of the ids: `[ids, width]`.
    pub fn forward(&self, parameters: &Parameters, ids: &[u32]) -> Array {
        kernel::embedding(parameters.value(self.weight), ids)
    }

    /// Adds the rows of the ids to `output`.
    pub fn add_forward(&self, parameters: &Parameters, ids: &[u32], output: &mut Array) {
        kernel::embedding_add(output, parameters.value(self.weight), ids);
    }

    /// Records the use of the table.
    pub fn backward(
        &self,
        parameters: &Parameters,
        rows: &PackedLayout,
        ids: impl Into<Arc<[u32]>>,
        gradient: &Array,
        tape: &mut Tape,
    ) {
        tape.record(parameters, self.weight, || GradSample::Embedding {
            parameter: self.weight,
            rows: rows.clone(),
            ids: ids.into(),
            gradient: gradient.clone(),
        });
    }
}
