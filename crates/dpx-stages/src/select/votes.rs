//! What a `select` stage releases: noisy votes for texts of a pool.

use super::pool::digest;
use crate::counts::Noisy;
use dpx_schema::params::VoteFor;
use dpx_schema::{Context, StageError};
use serde::{Deserialize, Serialize};
use std::path::Path;

pub(super) const VOTES_FILE: &str = "votes.json";

/// The content of `votes.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Votes {
    pub(crate) labels: Vec<String>,
    pub(crate) by: VoteFor,
    /// Digest of the pool's texts.
    pub(crate) pool: String,
    /// Clusters of the pool; 0 where votes were for single texts.
    pub(crate) clusters: usize,
    /// The cluster of each text of the pool, in the order of its file; none where votes were for single texts.
    pub(crate) of_pool: Vec<usize>,
    /// Noisy votes: `[labels, clusters]`, row-major, or one number for each text of the pool. None at epsilon 0.
    pub(crate) counts: Noisy,
}

impl Votes {
    /// Writes the file into a folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn save(&self, folder: &Path) -> Result<(), StageError> {
        // On one line: there may be 100,000 numbers.
        let json = serde_json::to_string(self)?;
        Ok(std::fs::write(folder.join(VOTES_FILE), json + "\n")?)
    }

    /// The votes that a `select` stage released into `folder`, for the texts of the `sample` artifact at `pool`.
    ///
    /// # Errors
    /// When they cannot be read, or are votes for other texts.
    pub(crate) fn load(folder: &Path, pool: &Path) -> Result<Self, StageError> {
        let path = folder.join(VOTES_FILE);
        let bytes = std::fs::read(&path).context(path.display())?;
        let votes: Self = serde_json::from_slice(&bytes).context(path.display())?;
        if votes.pool != digest(pool)? {
            return Err(StageError::new(
                "the votes were cast for other texts than those of the `sample` stage among the needs: both stages must need the same pool",
            ));
        }
        Ok(votes)
    }
}
