//! Writing texts with a causal language model.
//!
//! [`Sampling`] says how the next token is drawn from logits, [`generate`] runs many prompts in batches. A text depends
//! on its own prompt and random stream alone: not on the batch it was written in, nor on its neighbours.

mod batch;
mod choose;
mod steer;

pub use batch::{Decoder, Generated, Request, generate, greedy};
pub use choose::Sampling;
pub use steer::{SteeredWord, Steering};

#[cfg(test)]
mod tests;
