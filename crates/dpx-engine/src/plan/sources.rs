//! The identity of every model and dataset that a stage reads: what stands in the key for it.

use crate::pipes::unreadable_twice;
use dpx_data::{DataError, Role, Source};
use std::path::Path;

/// Why a source has no identity.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    message: String,
    absent: Option<Absent>,
}

/// What is neither on this machine nor to be had from the Hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Absent {
    pub(super) what: String,
    /// Why it cannot be had, where it was looked for and what to do: the same for all that is missing for one reason.
    pub(super) why: String,
}

impl SourceError {
    /// An error with its whole message: what was looked for, where, and how to provide it.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            absent: None,
        }
    }

    pub(super) const fn absent(&self) -> Option<&Absent> {
        self.absent.as_ref()
    }
}

impl From<DataError> for SourceError {
    fn from(error: DataError) -> Self {
        let message = error.to_string();
        let absent = match error {
            DataError::Absent { what, why } => Some(Absent { what, why }),
            _ => None,
        };
        Self { message, absent }
    }
}

/// Tells what a source holds, without reading it twice.
pub trait Sources {
    /// The identity of a source: the digest of its content, or the commit that a revision on the Hub stands for. Two
    /// sources with one identity hold the same.
    ///
    /// # Errors
    /// When it cannot be found.
    fn identity(&self, role: Role, source: &Source) -> Result<String, SourceError>;

    /// What stands in the key beside the identity of a source, where this program reads the same content otherwise than earlier ones
    /// did: the rules of a model's tokenizer. None where it does not, so that what the cache holds, and privacy was spent on, counts.
    ///
    /// # Errors
    /// When the files that tell it cannot be had.
    fn reading(
        &self,
        _role: Role,
        _source: &Source,
        _identity: &str,
    ) -> Result<Option<String>, SourceError> {
        Ok(None)
    }
}

/// The digest of a file or folder, by [`dpx_data::content_identity`].
///
/// # Errors
/// When something cannot be read.
pub(crate) fn content_identity(
    path: &Path,
    digest: &mut dyn FnMut(&Path) -> std::io::Result<dpx_schema::Digest>,
) -> Result<String, SourceError> {
    if let Some(what) = unreadable_twice(path) {
        return Err(SourceError::new(format!(
            "`{}` is {what}: data and models are read several times; save them to a file first",
            path.display()
        )));
    }
    let mut bytes = |file: &Path| digest(file).map(|digest| *digest.as_bytes());
    Ok(dpx_data::content_identity(path, &mut bytes)?)
}

/// Takes every source for seen: enough to draw the graph of an experiment, not to run it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen;

impl Sources for Seen {
    fn identity(&self, _role: Role, _source: &Source) -> Result<String, SourceError> {
        Ok("seen".to_owned())
    }
}
