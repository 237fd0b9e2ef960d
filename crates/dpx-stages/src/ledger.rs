//! What each data set has spent: an append-only book per data set, outside the cache and untouched by its collection.
//!
//! A run is entered before its first private gradient. Runs compose whether or not their results are kept.

mod book;
mod entry;

pub use book::{Book, LedgerError, books, enter, entries};
pub use entry::{Entry, Joint, joint};
