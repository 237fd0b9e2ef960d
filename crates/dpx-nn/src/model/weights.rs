//! Model weights in the safetensors format: reading folders of the Hugging Face Hub and writing such folders.

mod header;
mod read;
mod write;

pub use read::Weights;
pub use write::{StoredAs, write};
