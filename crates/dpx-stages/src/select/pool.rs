//! The pool: texts of a `sample` stage with their prompted labels and embeddings. Nothing private is here.

use crate::metric::Embeddings;
use crate::score::read;
use crate::teacher::EmbeddingFeatures;
use dpx_schema::{Context, Kind, PublicSchema, StageContext, StageError};
use std::path::Path;

/// File of a `sample` artifact with the texts.
const TEXTS_FILE: &str = "synthetic.csv";

/// The texts that may be voted for.
#[derive(Debug)]
pub(super) struct Pool {
    /// Place of the label that each was prompted with.
    pub(super) labels: Vec<usize>,
    /// Of norm 1, `[texts, width]`.
    pub(super) embeddings: Embeddings,
    pub(super) digest: String,
}

impl Pool {
    /// Reads the pool among the needs.
    ///
    /// # Errors
    /// When it cannot be read, is empty, or bears labels that the data do not declare.
    pub(super) fn read(
        context: &StageContext<'_>,
        schema: &PublicSchema,
        encoder: &EmbeddingFeatures,
    ) -> Result<Self, StageError> {
        let folder = &context.require(Kind::Sample)?.path;
        let found = read::synthetic(&folder.join(TEXTS_FILE), &schema.labels)?;
        if found.is_empty() {
            return Err(StageError::new("the pool holds no text to vote for"));
        }
        Ok(Self {
            embeddings: encoder.unit(&found.texts)?,
            labels: found.labels,
            digest: digest(folder)?,
        })
    }
}

/// Says which texts a `sample` artifact holds.
///
/// # Errors
/// When they cannot be read.
pub(super) fn digest(folder: &Path) -> Result<String, StageError> {
    let path = folder.join(TEXTS_FILE);
    let bytes = std::fs::read(&path).context(path.display())?;
    Ok(blake3::hash(&bytes).to_hex().to_string())
}
