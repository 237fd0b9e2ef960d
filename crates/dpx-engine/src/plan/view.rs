//! What a decision needs to know of the cache.

use dpx_schema::Kind;
use dpx_schema::{Key, Record};
use std::sync::Arc;

/// What the cache holds under a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// No record.
    Nothing,
    /// A record all of whose objects are there with the right size.
    Record(Arc<Record>),
    /// A record that cannot be used.
    Damaged {
        /// The record, if it could be read.
        record: Option<Arc<Record>>,
        /// In words, such as `object 3f2a... is missing`.
        what: String,
    },
}

/// The cache, as far as decisions look into it. Answers should come from memory: a decision is taken again whenever an
/// artifact appears.
pub trait CacheView {
    /// What the cache holds under a key; looks at records and sizes, not at content.
    fn lookup(&self, key: &Key) -> Found;

    /// All usable records of a kind, of any experiment, newest first. Asked once per kind, and only when something is not
    /// cached.
    fn history(&self, kind: Kind) -> Vec<Arc<Record>>;
}
