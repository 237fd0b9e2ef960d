//! What a stage is given: parameters, input folders, an output folder, a device and somewhere to report progress.

use crate::progress::ProgressUpdate;
use crate::{Device, InstanceName, Kind, LedgerAccess, ReleaseLabel};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The folder of an artifact with what no guarantee covers: losses, coins, figures on private data.
pub const INTERNAL_FOLDER: &str = "internal";

/// An artifact that a stage reads.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Input {
    /// Kind of the stage that made it.
    pub kind: Kind,
    /// Folder with its files, read-only.
    pub path: PathBuf,
    /// Digest of its content, hexadecimal.
    pub digest: String,
    pub flow: ReleaseLabel,
}

/// Everything a stage may use while it runs.
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct StageContext<'a> {
    /// Instance name, such as `train@epsilon=8`.
    pub instance: InstanceName,
    pub kind: Kind,
    /// Resolved parameters that can change the result: the kind's `Params` as JSON.
    pub params: serde_json::Value,
    /// Parameters that only change speed: the kind's `Performance` as JSON.
    pub performance: serde_json::Value,
    /// Artifacts of the stages this one needs, by stage name.
    pub inputs: BTreeMap<String, Input>,
    /// Folder to write the artifact to; empty at the start.
    pub output: PathBuf,
    /// Folder for checkpoints, kept when the worker dies; the next attempt of the same key finds it again.
    pub state: PathBuf,
    /// Folder for secret keys of this cache, outside of it.
    pub secrets: PathBuf,
    /// The ledger, outside the cache, and what a run says there.
    pub ledger: LedgerAccess,
    /// Key of this instance, hexadecimal: identifies the run in the ledger and binds checkpoints.
    pub key: String,
    /// Seed of the experiment, already mixed with the values of the sweep's axes that reach this instance.
    pub seed: u64,
    /// The device that the stage computes on.
    pub device: Device,
    /// Devices beside it, of the same class, that a training is divided over; of any other stage none.
    pub others: Vec<Device>,
    /// Told what happens while the stage runs.
    pub progress: &'a dyn Progress,
}

impl std::fmt::Debug for StageContext<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("StageContext")
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

impl StageContext<'_> {
    /// The parameters as the kind's own type.
    ///
    /// # Errors
    /// When they do not fit, naming the JSON path.
    pub fn params<T: serde::de::DeserializeOwned>(&self) -> Result<T, StageError> {
        serde_json::from_value(self.params.clone()).map_err(|error| {
            StageError::new(format!(
                "the parameters of `{}` do not fit: {error}",
                self.instance
            ))
        })
    }

    /// The speed-only parameters as the kind's own type.
    ///
    /// # Errors
    /// When they do not fit.
    pub fn performance<T: serde::de::DeserializeOwned>(&self) -> Result<T, StageError> {
        serde_json::from_value(self.performance.clone()).map_err(|error| {
            StageError::new(format!(
                "the performance parameters of `{}` do not fit: {error}",
                self.instance
            ))
        })
    }

    /// The first input of a kind, with its stage name.
    pub fn input_of(&self, kind: Kind) -> Option<(&str, &Input)> {
        self.inputs
            .iter()
            .find(|(_, input)| input.kind == kind)
            .map(|(name, input)| (name.as_str(), input))
    }

    /// The first input of a kind.
    ///
    /// # Errors
    /// When the stage needs none of that kind.
    pub fn require(&self, kind: Kind) -> Result<&Input, StageError> {
        self.input_of(kind).map(|(_, input)| input).ok_or_else(|| {
            StageError::new(format!(
                "`{}` needs a stage of kind `{kind}`: add one to its `needs`",
                self.instance
            ))
        })
    }

    /// Name of the stage: the instance's without its axes.
    pub fn stage(&self) -> &str {
        self.instance.stage()
    }

    /// A path for what no guarantee covers: the folder `internal` of the artifact, which no stage is given whose own
    /// artifact may be released.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn internal_path(&self, name: impl AsRef<Path>) -> std::io::Result<PathBuf> {
        let folder = self.output.join(INTERNAL_FOLDER);
        std::fs::create_dir_all(&folder)?;
        Ok(folder.join(name))
    }

    /// A path in the output folder.
    pub fn output_path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.output.join(name)
    }
}

/// What a stage did: an artifact in its output folder, and what is left to be done once that is safe.
pub type StageResult = Result<Finish, StageError>;

/// What a stage leaves to be done once its closing manifest is on disk, from where on its artifact cannot be lost: a secret
/// key is destroyed only then, since a kill before would otherwise cost a second run with another key.
#[derive(Default)]
pub struct Finish(Vec<Box<dyn FnOnce() -> Result<(), StageError>>>);

impl std::fmt::Debug for Finish {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_tuple("Finish")
            .field(&self.0.len())
            .finish()
    }
}

impl Finish {
    /// A stage that is done when it returns.
    pub const fn nothing() -> Self {
        Self(Vec::new())
    }

    /// A stage that leaves one thing to do when its artifact is committed.
    pub fn with(step: impl FnOnce() -> Result<(), StageError> + 'static) -> Self {
        Self(vec![Box::new(step)])
    }

    /// Whether the stage is done already.
    pub const fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// Does all of it, also what comes after a failure.
    ///
    /// # Errors
    /// The first failure.
    pub fn run(self) -> Result<(), StageError> {
        let results: Vec<Result<(), StageError>> = self.0.into_iter().map(|step| step()).collect();
        results.into_iter().collect()
    }
}

/// Receives what a running stage reports. Figures given here are internal: they are shown and journalled, never released.
pub trait Progress: Send + Sync {
    /// How far the stage is, with what it measured.
    fn update(&self, update: &ProgressUpdate);
    /// A line for the stage's log.
    fn log(&self, line: &str);
    /// Whether the runner asked to stop at the next checkpoint.
    fn stop_requested(&self) -> bool {
        false
    }
}

/// Ignores everything; for tests and tools.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn update(&self, _update: &ProgressUpdate) {}
    fn log(&self, _line: &str) {}
}

/// Why a stage failed, in words for its user. Never quotes a private text.
///
/// Any error becomes one by `?`. For that it is no [`std::error::Error`] itself, as with `anyhow`.
#[derive(Debug)]
pub struct StageError {
    message: String,
    /// The stage stopped at a checkpoint because it was asked to: not a failure.
    pub interrupted: bool,
}

impl StageError {
    /// An error with its whole message.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            interrupted: false,
        }
    }

    /// The stage stopped at a checkpoint, as asked.
    pub fn interrupted() -> Self {
        Self {
            message: "stopped at a checkpoint, as asked".into(),
            interrupted: true,
        }
    }
}

impl std::fmt::Display for StageError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl<E: std::error::Error> From<E> for StageError {
    fn from(error: E) -> Self {
        Self::new(error.to_string())
    }
}

/// Says what an error is about, as the trait of this name of `anyhow` does.
pub trait Context<T> {
    /// Puts a file, a key or what was tried before the message: `counts.json: no such file`.
    ///
    /// # Errors
    /// The error itself, if it is one.
    fn context(self, what: impl std::fmt::Display) -> Result<T, StageError>;
}

impl<T, E: Into<StageError>> Context<T> for Result<T, E> {
    fn context(self, what: impl std::fmt::Display) -> Result<T, StageError> {
        self.map_err(|error| {
            let error: StageError = error.into();
            StageError {
                message: format!("{what}: {}", error.message),
                ..error
            }
        })
    }
}
