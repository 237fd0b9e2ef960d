//! Layers with forward, backward and per-example gradient samples.
//!
//! A layer's `forward` returns its output; the caller keeps what `backward` needs. `backward` takes the gradient of the output,
//! returns the gradient of the input and enters in a [`Tape`] the factors from which the gradient of each example is made.
//! Batches are packed: rows of activations are the tokens of one example after the other, without padding ([`PackedLayout`]).

mod arithmetic;
mod array;
mod batch;
pub mod device;
mod embedding;
mod error;
mod gguf;
mod init;
pub mod kernel;
mod kv_cache;
mod linear;
mod lora;
pub mod model;
mod network;
mod norm;
mod packed_layout;
mod parameters;
pub(crate) mod pool;
mod rounded;
pub mod seed;
pub mod softmax_regression;
pub mod symmetric;
mod tape;
pub mod text;

pub(crate) use dpx_schema::files::LFS_POINTER;
/// What is said of a pointer of Git LFS.
pub(crate) const IS_POINTER: &str =
    "is a pointer of Git LFS, not the file itself: get it with `git lfs pull`";

pub use arithmetic::Arithmetic;
pub use array::Array;
pub use batch::{Batch, Sequence, Targets, Units};
pub use embedding::Embedding;
pub use error::Error;
pub use init::Initializer;
pub use kv_cache::KvCache;
pub use linear::Linear;
pub use lora::Lora;
pub use network::Network;
pub use norm::{Norm, NormKind};
pub use packed_layout::PackedLayout;
pub use parameters::{Parameter, ParameterId, Parameters, Role, Selection};
pub use pool::{limit_waiting_memory, release_memory};
pub use rounded::RoundedMatrix;
pub use tape::{GradSample, Layout, Tape};
