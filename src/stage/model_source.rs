//! The models that stages read beside their inputs: where they are and how texts are given to them.

use super::StageError;
use crate::text::Tokenizer;
use std::path::{Path, PathBuf};

/// A model folder.
pub(super) struct ModelSource(PathBuf);

impl ModelSource {
    /// Finds a folder.
    pub(super) fn find(name: &str) -> Result<Self, StageError> {
        let path = PathBuf::from(name);
        if path.join("config.json").is_file() {
            return Ok(Self(path));
        }
        Err(StageError::new(format!(
            "there is no model `{name}`: expected a folder with `config.json`"
        )))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

/// Texts as an encoder or classifier reads them: with the special tokens its tokenizer adds, cut to `longest` tokens. A
/// closing token such as `[SEP]` stays at the end; a text without tokens becomes the end or padding token.
pub(super) fn encode_all(
    tokenizer: &Tokenizer,
    texts: &[String],
    longest: usize,
) -> Result<Vec<Vec<u32>>, StageError> {
    texts
        .iter()
        .map(|text| {
            let mut ids = tokenizer
                .encode_with_special(text)
                .map_err(|error| StageError::new(error.to_string()))?;
            if ids.len() > longest {
                let close = ids.last().copied().filter(|id| {
                    let special = tokenizer.special();
                    special.sep == Some(*id) || special.eos == Some(*id)
                });
                ids.truncate(longest);
                if let (Some(close), Some(last)) = (close, ids.last_mut()) {
                    *last = close;
                }
            }
            if ids.is_empty() {
                ids.push(tokenizer.pad());
            }
            Ok(ids)
        })
        .collect()
}
