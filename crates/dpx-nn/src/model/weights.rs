//! Model weights in the safetensors format: reading folders of the Hugging Face Hub and writing such folders.

mod header;
mod read;
mod shards;
mod write;

pub use read::Weights;
pub(super) use read::copy_weights;
pub use write::StoredAs;
pub(crate) use write::{write, write_file};
