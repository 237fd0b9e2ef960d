//! Figures about texts and predictions: utility, fidelity, diversity, leakage.
//!
//! Everything here works on plain slices: labels as indices, texts as strings, embeddings as `[n, d]` in row-major order.
//! Nothing here is covered by a privacy guarantee where real texts go in: such figures are internal.

pub mod confusion;
pub mod interval;

pub use confusion::{Classification, LabelFigures};
pub use interval::{Share, Spread};
