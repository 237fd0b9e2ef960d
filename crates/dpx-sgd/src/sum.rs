//! The sum of the clipped gradients of one batch: f32 within a micro-batch, f64 across micro-batches.

use super::vector::vectorized;
use rayon::prelude::*;

const TASK: usize = 1 << 16;

/// The sum of the clipped gradients of one batch, one vector of f64 per trainable tensor.
///
/// Only [`super::privatize`] looks at the values.
pub struct GradientSum {
    tensors: Vec<Vec<f64>>,
    micro_batches: usize,
}

impl std::fmt::Debug for GradientSum {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("GradientSum")
            .field("tensors", &self.tensors.len())
            .finish_non_exhaustive()
    }
}

impl GradientSum {
    /// All zeros, for tensors of these lengths.
    pub fn new(lengths: &[usize]) -> Self {
        Self {
            tensors: lengths.iter().map(|&length| vec![0.0; length]).collect(),
            micro_batches: 0,
        }
    }

    /// Sums that were made in f64 elsewhere.
    pub const fn of(tensors: Vec<Vec<f64>>) -> Self {
        Self {
            tensors,
            micro_batches: 1,
        }
    }

    /// Sets every sum to zero; a sum that nothing was added to is left as it is.
    pub fn clear(&mut self) {
        if self.micro_batches > 0 {
            for tensor in &mut self.tensors {
                tensor.par_chunks_mut(TASK).for_each(|part| part.fill(0.0));
            }
        }
        self.micro_batches = 0;
    }

    /// Adds the clipped sum of a micro-batch: the tensors in order.
    ///
    /// # Panics
    /// When number or lengths of the tensors differ.
    pub fn add<'a>(&mut self, clipped: impl ExactSizeIterator<Item = &'a [f32]>) {
        assert_eq!(
            clipped.len(),
            self.tensors.len(),
            "every trainable tensor has a sum"
        );
        for (tensor, values) in self.tensors.iter_mut().zip(clipped) {
            assert_eq!(tensor.len(), values.len(), "a tensor's sum has its length");
            tensor
                .par_chunks_mut(TASK)
                .zip(values.par_chunks(TASK))
                .for_each(|(sums, values)| vectorized(Add { sums, values }));
        }
        self.micro_batches += 1;
    }

    /// Number of values of each tensor, in order.
    pub fn lengths(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.tensors.iter().map(Vec::len)
    }

    pub(super) fn tensor(&self, tensor: usize) -> &[f64] {
        &self.tensors[tensor]
    }
}

struct Add<'a> {
    sums: &'a mut [f64],
    values: &'a [f32],
}

impl pulp::NullaryFnOnce for Add<'_> {
    type Output = ();

    #[expect(
        clippy::inline_always,
        reason = "vector instructions reach only what is inlined"
    )]
    #[inline(always)]
    fn call(self) {
        for (sum, &value) in self.sums.iter_mut().zip(self.values) {
            *sum += f64::from(value);
        }
    }
}
