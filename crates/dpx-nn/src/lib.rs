//! Layers with forward, backward and per-example records.
//!
//! A layer's `forward` returns its output; the caller keeps what `backward` needs. `backward` takes the gradient of the output,
//! returns the gradient of the input and enters in a [`Tape`] the factors from which the gradient of each example is made.
//! Batches are packed: rows of activations are the tokens of one example after the other, without padding ([`Rows`]).

mod arithmetic;
mod array;
mod batch;
mod cache;
pub mod device;
mod embedding;
mod error;
mod init;
pub mod kernel;
mod linear;
mod lora;
pub mod model;
mod network;
mod norm;
mod parameters;
pub(crate) mod pool;
mod rows;
pub mod seed;
mod tape;
pub mod text;

pub use arithmetic::Arithmetic;
pub use array::Array;
pub use batch::{Batch, Sequence, Targets};
pub use cache::Cache;
pub use embedding::Embedding;
pub use error::Error;
pub use init::Initialiser;
pub use linear::Linear;
pub use lora::Lora;
pub use network::Network;
pub use norm::Norm;
pub use parameters::{Parameter, ParameterId, Parameters, Role, Selection};
pub use pool::release_memory;
pub use rows::Rows;
pub use tape::{Layout, Record, Tape};
