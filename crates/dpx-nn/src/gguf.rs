//! Models in one GGUF file, as llama.cpp writes them: read as if they were a folder of `transformers`.
//!
//! Metadata become the `config.json` that the model was converted from, tensors get their names, rows and values back, and the
//! vocabulary becomes a tokenizer. What cannot be given back exactly is refused by name.

mod arrange;
mod config;
mod header;
mod quants;
mod rope;
mod tokenizer;

pub(crate) use arrange::{Arrange, tensors};
pub(crate) use config::config;
pub(crate) use header::{Gguf, Tensor};
pub(crate) use quants::Quant;
pub(crate) use tokenizer::tokenizer;

use dpx_schema::files::is_gguf;
use std::path::{Path, PathBuf};

/// Why a GGUF file cannot be used; always told with the file.
pub(crate) type Problem = String;

/// What can be done about a file that is not read.
const INSTEAD: &str =
    "take the model that it was converted from (config.json, model.safetensors, tokenizer.json)";

/// The GGUF file that a path stands for: the file itself, or the only one in a folder without other weights.
///
/// # Errors
/// When a folder has several.
pub(crate) fn find(path: &Path) -> Result<Option<PathBuf>, Problem> {
    if path.is_file() {
        return Ok(is_gguf(path).then(|| path.to_owned()));
    }
    let weights = ["model.safetensors", "model.safetensors.index.json"];
    if weights.iter().any(|name| path.join(name).exists()) {
        return Ok(None);
    }
    let Ok(entries) = std::fs::read_dir(path) else {
        return Ok(None);
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_gguf(path))
        .collect();
    found.sort();
    if found.len() > 1 {
        let names: Vec<String> = found
            .iter()
            .filter_map(|path| Some(format!("`{}`", path.file_name()?.to_str()?)))
            .collect();
        return Err(format!(
            "it holds {} GGUF files: give the path of one of them ({})",
            names.len(),
            names.join(", ")
        ));
    }
    Ok(found.pop())
}

#[cfg(test)]
mod tests;
