//! What private training needs of a model.

use super::{Batch, Error, GradSample, Parameters, Tape};

/// A model with a loss per example, whose backward pass records what per-example gradients are made of.
pub trait Network: Send + Sync {
    /// Its parameters, trainable or not.
    fn parameters(&self) -> &Parameters;

    /// The registry, to be written to.
    fn parameters_mut(&mut self) -> &mut Parameters;

    /// One forward and one backward pass of the sum of the examples' losses. No example's losses or gradient samples depend on
    /// another example.
    fn forward_backward(&self, batch: &Batch) -> Result<Tape, Error>;

    /// The same with as many backward passes after the forward pass as asked for, each handed over in parts: what belongs to some
    /// parameters, as soon as all of their uses are known, with the number of the pass. Each parameter is in one part of a pass,
    /// and all passes hand over the same bits. Returns the losses.
    fn backward_in_parts(
        &self,
        batch: &Batch,
        passes: usize,
        part: &mut dyn FnMut(usize, Vec<GradSample>),
    ) -> Result<Vec<f64>, Error> {
        let tape = self.forward_backward(batch)?;
        for pass in 0..passes {
            part(pass, tape.grad_samples.clone());
        }
        Ok(tape.losses)
    }

    /// Whether the backward pass computes activations anew, to save memory: whoever keeps a whole tape then saves none.
    fn recomputes(&self) -> bool {
        false
    }

    /// Losses alone, one per example: the mean over its own targets, 0 for an example without any.
    fn forward_loss(&self, batch: &Batch) -> Result<Vec<f64>, Error>;
}
