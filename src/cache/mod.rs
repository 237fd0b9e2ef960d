//! The cache: objects by digest, records by key, locks, garbage collection.

pub mod digest;
pub mod record;

pub use digest::{Digest, Key};
pub use record::{FileEntry, Manifest, Record};
