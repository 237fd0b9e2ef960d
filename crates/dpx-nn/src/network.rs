//! What private training needs of a model.

use super::{Batch, Error, Parameters, Tape};

/// A model with a loss per example, whose backward pass records what per-example gradients are made of.
pub trait Network: Send + Sync {
    /// The registry.
    fn parameters(&self) -> &Parameters;

    /// The registry, to be written to.
    fn parameters_mut(&mut self) -> &mut Parameters;

    /// One forward and one backward pass of the sum of the examples' losses. No example's losses or gradient samples depend on
    /// another example.
    fn forward_backward(&self, batch: &Batch) -> Result<Tape, Error>;

    /// Losses alone, one per example: the mean over its own targets, 0 for an example without any.
    fn forward_loss(&self, batch: &Batch) -> Result<Vec<f64>, Error>;
}
