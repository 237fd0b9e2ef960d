//! Why a model could not be read, written or run.

use std::path::{Path, PathBuf};

/// Why a model cannot be read, written or run.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum ModelError {
    /// A file could not be read or written.
    #[error("cannot {verb} `{}`: {source}", path.display())]
    File {
        /// `read` or `write`.
        verb: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    /// A file holds something else than it should.
    #[error("`{}`: {problem}", path.display())]
    Malformed {
        path: PathBuf,
        /// What was found, what was expected, what to do.
        problem: String,
    },
    /// A tensor is missing, has another shape, or is not used by the architecture.
    #[error("`{}`: {problem}", path.display())]
    Tensor {
        /// The folder or file of the weights.
        path: PathBuf,
        /// What is wrong, with the tensor's name.
        problem: String,
    },
    /// The architecture, or a variant of it, is not supported.
    #[error("`{}`: {problem}", path.display())]
    Unsupported {
        /// `config.json`.
        path: PathBuf,
        /// What was found and what is supported.
        problem: String,
    },
    /// The network refused its input.
    #[error(transparent)]
    Network(#[from] crate::Error),
    /// The device to run on cannot be used.
    #[error(transparent)]
    Device(#[from] crate::device::DeviceError),
    /// What was asked of the model does not fit it: a token out of range, a text too long.
    #[error("{0}")]
    Input(String),
}

impl ModelError {
    pub(crate) fn read(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::File {
            verb: "read",
            path: path.as_ref().into(),
            source,
        }
    }

    pub(crate) fn write(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::File {
            verb: "write",
            path: path.as_ref().into(),
            source,
        }
    }

    pub(crate) fn malformed(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.as_ref().into(),
            problem: problem.into(),
        }
    }

    pub(crate) fn unsupported(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::Unsupported {
            path: path.as_ref().into(),
            problem: problem.into(),
        }
    }
}
