//! What the cache remembers of a finished stage instance.

use super::{Digest, Key};
use crate::{InstanceName, Kind, ReleaseLabel};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A file of an artifact, by path and content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileEntry {
    /// Path in the artifact's folder, with `/`.
    pub path: String,
    /// BLAKE3 of its bytes.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
}

/// The files of an artifact, sorted by path.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// Path, size and digest of each.
    pub files: Vec<FileEntry>,
}

impl Manifest {
    /// The digest of the artifact's content: over path, length and digest of every file.
    pub fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"dpx artifact v1\0");
        for file in &self.files {
            hasher.update(&(file.path.len() as u64).to_le_bytes());
            hasher.update(file.path.as_bytes());
            hasher.update(&file.size.to_le_bytes());
            hasher.update(file.digest.as_bytes());
        }
        Digest::from_bytes(*hasher.finalize().as_bytes())
    }
}

impl Record {
    /// The version that this program writes; records of other versions are misses.
    pub const VERSION: u32 = 1;
}

/// The record of a finished instance, one JSON file per key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Record {
    /// [`Record::VERSION`] of the program that wrote it.
    pub version: u32,
    /// The key under which it is found.
    pub key: Key,
    /// Name of the experiment that ran it.
    pub experiment: String,
    /// NAME of `[stage.NAME]`.
    pub stage: String,
    /// Such as `train@epsilon=8`.
    pub instance: InstanceName,
    pub kind: Kind,
    /// The kind's version when it ran.
    pub kind_version: u32,
    /// Values of the sweep's axes that reach the instance.
    pub axes: BTreeMap<String, serde_json::Value>,
    /// The instance's seed, which the key covers.
    pub seed: u64,
    /// Resolved parameters that the key covers.
    pub params: serde_json::Value,
    /// Digests of the artifacts it read, by stage name.
    pub inputs: BTreeMap<String, Digest>,
    /// Digests of the models and datasets it used, by parameter.
    pub sources: BTreeMap<String, String>,
    /// The files of its artifact.
    pub output: Manifest,
    pub flow: ReleaseLabel,
    /// Seconds from start to end of the worker.
    pub wall_seconds: f64,
    /// The device that really ran; of a training that was divided all of them, with commas between.
    pub device: String,
    /// The dpx whose worker ran, such as `0.1.0`.
    pub dpx_version: String,
    /// End of the run, RFC 3339.
    pub finished_at: String,
}
