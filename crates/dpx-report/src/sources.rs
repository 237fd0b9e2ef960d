//! What a study is made from: the plan, what is known of its instances, and their files, each read as its own type.

use super::study::{InstanceState, Reference};
use dpx_engine::cache::ArtifactReader;
use dpx_engine::plan::{InstanceId, Plan};
use dpx_schema::{INTERNAL_FOLDER, InstanceName, PRIVACY_FILE, PrivacyRecord, Record};
use dpx_stages::floor::FloorRequest;
use dpx_stages::metric::Classification;
use dpx_stages::preprocess::{DatasetFindings, FINDINGS_FILE};
use serde::de::DeserializeOwned;
use std::path::Path;
use std::sync::Arc;

/// A file of an artifact that cannot be used: a report that left it out would show fewer figures than there are.
#[derive(Debug, thiserror::Error)]
#[error("`{file}` of `{instance}` {reason}; `dpx run` makes it again")]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct AssembleError {
    pub instance: InstanceName,
    /// Path in the artifact.
    pub file: String,
    /// What is wrong with the file, behind its name in a sentence.
    pub reason: String,
}

/// Where files of artifacts come from: the cache, or folders in tests.
pub trait Artifacts {
    /// The verified content of a file of an artifact; nothing where the artifact has no such file.
    ///
    /// # Errors
    /// The file cannot be read, or its content is not what its record says.
    fn read(&self, record: &Record, path: &str) -> Result<Option<Vec<u8>>, String>;
}

impl Artifacts for ArtifactReader {
    fn read(&self, record: &Record, path: &str) -> Result<Option<Vec<u8>>, String> {
        Self::read(self, record, path)
    }
}

/// What is known of an instance.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Known {
    pub state: InstanceState,
    /// Its record, where it is finished.
    pub record: Option<Arc<Record>>,
}

/// Who computes floors, or remembers them.
pub trait Floors {
    /// The floor of a row on the data of a finished `preprocess` instance; nothing where it has none, or it is not known.
    fn floor(&self, data: &Record, request: &FloorRequest) -> Option<Classification>;
}

/// What the study is made from.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// Every instance of the study, finished or not.
    pub plan: &'a Plan,
    /// What is known of each instance, in the plan's order.
    pub known: &'a [Known],
    /// Where files of artifacts come from.
    pub artifacts: &'a dyn Artifacts,
    /// Who computes floors, or remembers them.
    pub floors: &'a dyn Floors,
    /// Title of the report, if it is not the experiment's name.
    pub title: Option<&'a str>,
    /// Published figures to compare with.
    pub reference: Option<&'a Reference>,
}

impl Sources<'_> {
    pub(crate) fn record(&self, id: InstanceId) -> Option<&Record> {
        self.known[id].record.as_deref()
    }

    /// A file of an instance's artifact; nothing where the instance is not finished, or has no such file.
    pub(crate) fn file(
        &self,
        id: InstanceId,
        path: &str,
    ) -> Result<Option<Vec<u8>>, AssembleError> {
        let Some(record) = self.record(id) else {
            return Ok(None);
        };
        self.artifacts
            .read(record, path)
            .map_err(|reason| self.unusable(id, path, reason))
    }

    pub(crate) fn unusable(
        &self,
        id: InstanceId,
        path: &str,
        reason: impl std::fmt::Display,
    ) -> AssembleError {
        AssembleError {
            instance: self.name(id).clone(),
            file: path.to_owned(),
            reason: format!("{reason}"),
        }
    }

    /// A JSON file of an instance's artifact as its own type.
    pub(crate) fn json<T: DeserializeOwned>(
        &self,
        id: InstanceId,
        path: &str,
    ) -> Result<Option<T>, AssembleError> {
        self.file(id, path)?
            .map(|bytes| {
                serde_json::from_slice(&bytes).map_err(|error| {
                    self.unusable(id, path, format!("is not what this dpx writes: {error}"))
                })
            })
            .transpose()
    }

    /// What a `preprocess` instance found in its data.
    pub(crate) fn findings(
        &self,
        id: InstanceId,
    ) -> Result<Option<DatasetFindings>, AssembleError> {
        self.json(id, &format!("{INTERNAL_FOLDER}/{FINDINGS_FILE}"))
    }

    /// The privacy record of an instance; nothing where it is not finished.
    pub(crate) fn privacy(&self, id: InstanceId) -> Result<Option<PrivacyRecord>, AssembleError> {
        if self.record(id).is_none() {
            return Ok(None);
        }
        let bytes = self
            .file(id, PRIVACY_FILE)?
            .ok_or_else(|| self.unusable(id, PRIVACY_FILE, "is missing"))?;
        PrivacyRecord::from_bytes(&bytes, Path::new(PRIVACY_FILE))
            .map(Some)
            .map_err(|error| self.unusable(id, PRIVACY_FILE, error))
    }

    pub(crate) fn name(&self, id: InstanceId) -> &InstanceName {
        &self.plan.instances[id].name
    }
}
