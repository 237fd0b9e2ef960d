//! The models that stages read beside their inputs: where they are and how texts are given to them.

use crate::truncation::Truncation;
use dpx_data::{Resolved, Role, Source};
use dpx_nn::text::Tokenizer;
use dpx_schema::StageError;
use std::path::Path;

/// A model folder, unpacked or downloaded where need be; temporary files live as long as this.
pub(super) struct ModelSource(Resolved);

impl ModelSource {
    /// Finds `builtin:base`, `builtin:encoder`, `hf:owner/name@revision` or a folder.
    pub(super) fn find(name: &str) -> Result<Self, StageError> {
        Ok(Self(Source::parse(name).resolve(Role::Model)?))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0.path
    }
}

/// Texts as an encoder or classifier reads them: with the special tokens its tokenizer adds, cut to `max_seq_len` tokens, of which
/// all special ones stay; a text without tokens becomes the end or padding token. What is cut is counted.
pub(super) fn encode_all(
    tokenizer: &Tokenizer,
    texts: &[String],
    max_seq_len: usize,
    truncation: &mut Truncation,
) -> Result<Vec<Vec<u32>>, StageError> {
    texts
        .iter()
        .map(|text| {
            let (mut ids, cut) = tokenizer.encode_within(text, max_seq_len)?;
            truncation.add(ids.len() + cut, cut);
            if ids.is_empty() {
                ids.push(tokenizer.pad());
            }
            Ok(ids)
        })
        .collect()
}
