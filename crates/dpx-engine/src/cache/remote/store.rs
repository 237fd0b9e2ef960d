//! What a store of objects has to do. Calls block; a store is used by several threads at once.

use std::time::SystemTime;

/// What an attempt to make an object came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub enum Created {
    New,
    /// One of that name is there already; it was left as it is.
    Exists,
}

/// An object as [`Store::list`] names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name, from the root of the store.
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// When it was written, by the store's clock.
    pub modified: SystemTime,
}

/// Why a store did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum StoreError {
    /// It did not answer, or not in time: perhaps it did what it was asked to.
    #[error("does not answer: {what}")]
    Silent { what: String },
    /// The store refused: another try would not do better.
    #[error("{what}")]
    Refused { what: String },
}

impl StoreError {
    /// Whether another try may do better.
    pub(crate) const fn may_pass(&self) -> bool {
        matches!(self, Self::Silent { .. })
    }
}

/// Objects by name, such as a bucket holds them.
pub trait Store: std::fmt::Debug + Send + Sync {
    /// Its address, for messages.
    fn describe(&self) -> String;

    /// The content of an object.
    ///
    /// # Errors
    /// When the store does not answer or refuses.
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// The size of an object.
    ///
    /// # Errors
    /// As [`Store::get`].
    fn size(&self, name: &str) -> Result<Option<u64>, StoreError>;

    /// Writes an object, over another if there is one.
    ///
    /// # Errors
    /// As [`Store::get`].
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// Writes an object only if there is none of that name.
    ///
    /// # Errors
    /// As [`Store::get`]. A silent store may have written it.
    fn create(&self, name: &str, bytes: &[u8]) -> Result<Created, StoreError>;

    /// The objects whose names start with a folder, such as `records/`.
    ///
    /// # Errors
    /// As [`Store::get`].
    fn list(&self, folder: &str) -> Result<Vec<Listed>, StoreError>;

    /// Removes an object; one that is not there is fine.
    ///
    /// # Errors
    /// As [`Store::get`].
    fn delete(&self, name: &str) -> Result<(), StoreError>;
}
