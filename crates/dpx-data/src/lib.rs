//! Datasets: readers, the hub, the built-in corpora.
//!
//! [`load`] gives the train, validation and test rows of a dataset, wherever it comes from; [`Source`] finds models and
//! datasets by name: `builtin:NAME`, `hf:OWNER/NAME@REVISION` or a path; [`builtin`] is what the binary carries.

pub mod builtin;
mod describe;
mod error;
pub mod hub;
mod load;
mod read;
mod row;
mod source;
mod split;

pub use describe::{
    Description, Figures, Lengths, SplitDescription, describe, describe_rows, looks_like_dataset,
};
pub use error::DataError;
pub use load::{Request, load};
pub use row::{Dataset, Planted, Row, Rows};
pub use source::{Resolved, Role, Source};

#[cfg(test)]
mod tests;
