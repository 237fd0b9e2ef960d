//! What can be wrong with a dataset. Messages name files and lines, never the content of a row.

use std::path::{Path, PathBuf};

/// A dataset or model that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Something at a line of a file.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its line (of a parquet file: its row), counted from 1.
        line: u64,
        /// What was found and what was expected.
        problem: String,
    },
    /// Something about a whole file or folder.
    #[error("`{}`: {problem}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was found and what was expected.
        problem: String,
    },
    /// A model or dataset that is neither on this machine nor to be had from the Hub.
    #[error("{what} is not on this machine and {why}")]
    Absent {
        /// What was asked for.
        what: String,
        /// Why it cannot be had, where it was looked for and what to do.
        why: String,
    },
    /// A name that leads nowhere, a declaration that does not fit, or the Hub's refusal.
    #[error("{0}")]
    Other(String),
}

impl DataError {
    pub(super) fn line(path: &Path, line: u64, problem: impl Into<String>) -> Self {
        Self::Line {
            path: path.to_owned(),
            line,
            problem: problem.into(),
        }
    }

    pub(super) fn file(path: &Path, problem: impl std::fmt::Display) -> Self {
        Self::File {
            path: path.to_owned(),
            problem: problem.to_string(),
        }
    }

    pub(super) fn other(problem: impl Into<String>) -> Self {
        Self::Other(problem.into())
    }
}
