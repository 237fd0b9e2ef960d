//! What a verb fails with: the kind decides the exit code, hints say what to do.

use super::ExitCode;
use std::fmt::Display;

/// An error on its way to the user.
#[derive(Debug)]
pub(crate) struct Error {
    code: ExitCode,
    message: String,
    hints: Vec<String>,
    /// Printed already, in a form of its own: only the exit code is left.
    silent: bool,
}

impl Error {
    /// The file or the arguments are wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: ExitCode::Usage,
            message: message.into(),
            hints: Vec::new(),
            silent: false,
        }
    }

    /// A stage failed, or the machine did.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self {
            code: ExitCode::Failed,
            ..Self::usage(message)
        }
    }

    /// Everything is said already; only the exit code is left.
    pub(crate) fn silent(code: ExitCode) -> Self {
        Self {
            code,
            silent: true,
            ..Self::usage("")
        }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// How the process ends.
    pub(crate) const fn exit_code(&self) -> ExitCode {
        self.code
    }

    /// What was found, expected, and where.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }

    /// Whether nothing is left to print.
    pub(crate) const fn is_silent(&self) -> bool {
        self.silent
    }
}

/// Results whose errors have no type of their own here: what they say is the message.
pub(crate) trait OrError<T> {
    /// The file or the arguments are wrong.
    fn or_usage(self) -> Result<T, Error>;

    /// A stage failed, or the machine did.
    fn or_failed(self) -> Result<T, Error>;

    /// The machine failed; says what could not be done: ``could not write `a.csv` ``.
    fn or_could_not(self, what: impl Display) -> Result<T, Error>;
}

impl<T, E: Display> OrError<T> for Result<T, E> {
    fn or_usage(self) -> Result<T, Error> {
        self.map_err(|error| Error::usage(error.to_string()))
    }

    fn or_failed(self) -> Result<T, Error> {
        self.map_err(|error| Error::failed(error.to_string()))
    }

    fn or_could_not(self, what: impl Display) -> Result<T, Error> {
        self.map_err(|error| Error::failed(format!("could not {what}: {error}")))
    }
}

/// Errors that become one by `?`: failures, then what the user got wrong.
macro_rules! from {
    ($($error:ty => $kind:ident,)*) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::$kind(error.to_string())
            }
        })*
    };
}

from! {
    std::io::Error => failed,
    serde_json::Error => failed,
    dpx_data::DataError => failed,
    dpx_engine::cache::CacheError => failed,
    dpx_engine::cache::RemoteError => failed,
    dpx_engine::plan::SourceError => failed,
    dpx_report::AssembleError => failed,
    dpx_accounting::AccountantError => usage,
    dpx_accounting::ClaimError => usage,
    dpx_nn::model::ModelError => usage,
    dpx_nn::text::TextError => usage,
}

/// Errors that know whether the user got something wrong.
macro_rules! from_either {
    ($($error:ty,)*) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                if error.is_usage() {
                    Self::usage(error.to_string())
                } else {
                    Self::failed(error.to_string())
                }
            }
        })*
    };
}

from_either! {
    dpx_engine::run::ResultsError,
    dpx_engine::run::RunError,
}

impl From<dpx_report::ReleaseError> for Error {
    fn from(error: dpx_report::ReleaseError) -> Self {
        use dpx_report::ReleaseError;
        match error {
            ReleaseError::Refused(..) | ReleaseError::Missing(_) => Self::usage(error.to_string()),
            ReleaseError::Io(_) | ReleaseError::Unreadable(_) => Self::failed(error.to_string()),
        }
    }
}

impl From<dpx_ledger::LedgerError> for Error {
    fn from(error: dpx_ledger::LedgerError) -> Self {
        if error.is_refusal() {
            Self::usage(error.to_string())
        } else {
            Self::failed(error.to_string())
        }
    }
}

impl From<dpx_report::StudyError> for Error {
    fn from(error: dpx_report::StudyError) -> Self {
        use dpx_report::StudyError;
        let told = error.to_string();
        let (told, hint) = match error {
            StudyError::Refused { hint, .. } => (Self::usage(told), hint),
            StudyError::Failed { hint, .. } => (Self::failed(told), hint),
            StudyError::Ledger(error) => return error.into(),
            StudyError::Cache(error) => return error.into(),
            StudyError::Accountant(error) => return error.into(),
            StudyError::Claim(error) => return error.into(),
        };
        match hint {
            Some(hint) => told.hint(hint),
            None => told,
        }
    }
}

impl From<dpx_data::own_data::LookError> for Error {
    fn from(error: dpx_data::own_data::LookError) -> Self {
        use dpx_data::own_data::LookError;
        let hint = match &error {
            LookError::NotLocal(_) => {
                "for a dataset on the Hub or a built-in one write `dataset` in the file that `dpx init` makes"
            }
            LookError::Missing(_) => {
                "give a csv, tsv, jsonl or parquet file, or a folder with train and test in it"
            }
            LookError::Data(_) => return Self::usage(error.to_string()),
        };
        Self::usage(error.to_string()).hint(hint)
    }
}
