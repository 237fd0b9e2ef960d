//! What stands in the way where a study is planned, priced or checked against the ledger.

/// An error that a verb prints with its hint.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// The experiment file, the data or what was run before do not allow it.
    #[error("{message}")]
    #[allow(missing_docs, reason = "the names of the fields say what they are")]
    Refused {
        message: String,
        hint: Option<String>,
    },
    /// Something that should be there cannot be read or written.
    #[error("{message}")]
    #[allow(missing_docs, reason = "the names of the fields say what they are")]
    Failed {
        message: String,
        hint: Option<String>,
    },
    /// The ledger refuses, or cannot be read.
    #[error(transparent)]
    Ledger(#[from] dpx_ledger::LedgerError),
    /// The cache cannot be read.
    #[error(transparent)]
    Cache(#[from] dpx_engine::cache::CacheError),
    /// Settings that no accountant can price.
    #[error(transparent)]
    Accountant(#[from] dpx_accounting::AccountantError),
    /// Runs that make no joint claim.
    #[error(transparent)]
    Claim(#[from] dpx_accounting::ClaimError),
}

impl StudyError {
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::Refused {
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed {
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do. The other kinds say it in their message.
    #[must_use]
    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Refused { hint, .. } | Self::Failed { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }
}
