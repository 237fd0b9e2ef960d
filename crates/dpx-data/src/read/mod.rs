//! Readers of the file formats: csv, tsv, `text;label`, JSON lines, parquet; and the split a file belongs to.

mod delimited;
mod files;
mod json;
mod parquet;

pub(super) use files::{SplitFiles, split_files};

use super::DataError;
use std::path::Path;

/// Longest line or field, in bytes: far above any short text, far below what a broken file gives.
const LONGEST: usize = 512 * 1024;

/// A row as it stands in a file.
pub(super) struct RawRow {
    /// Line of the file where it begins, from 1; of a parquet file its row.
    pub(super) line: u64,
    /// The text.
    pub(super) text: String,
    /// The label.
    pub(super) label: Label,
}

/// A label as it stands in a file: its name, or its number in the declared list.
pub(super) enum Label {
    /// By name.
    Name(String),
    /// By place in the list of declared labels.
    Index(i64),
}

/// Reads the rows of a file, by its extension.
pub(super) fn read_file(path: &Path, text: &str, label: &str) -> Result<Vec<RawRow>, DataError> {
    let rows = match extension(path).as_str() {
        "jsonl" | "ndjson" | "json" => json::read(&content(path)?, path, text, label)?,
        "parquet" => parquet::read(path, text, label)?,
        "txt" => delimited::read_pairs(&content(path)?, path)?,
        "tsv" => delimited::read(&content(path)?, path, b'\t', text, label)?,
        _ => {
            let content = content(path)?;
            delimited::read(&content, path, delimiter(&content), text, label)?
        }
    };
    if rows.is_empty() {
        return Err(DataError::line(path, 1, "the file holds no row"));
    }
    Ok(rows)
}

/// The names of a file's columns; none where what stands in their place does not look like names, since a file without a
/// header has a private row there.
pub(super) fn columns(path: &Path) -> Result<Vec<String>, DataError> {
    let names = match extension(path).as_str() {
        "jsonl" | "ndjson" | "json" => json::columns(&content(path)?),
        "parquet" => parquet::columns(path)?,
        "txt" => ["text", "label"].map(str::to_owned).to_vec(),
        "tsv" => delimited::columns(&content(path)?, path, b'\t')?,
        _ => {
            let content = content(path)?;
            delimited::columns(&content, path, delimiter(&content))?
        }
    };
    let all = names.iter().all(|name| delimited::is_name(name));
    Ok(if all { names } else { Vec::new() })
}

/// The delimiter that a header has most of; of equals the comma.
fn delimiter(content: &str) -> u8 {
    let header = content.lines().next().unwrap_or("");
    let most = [b',', b';', b'\t'].into_iter().max_by_key(|delimiter| {
        let count = header.bytes().filter(|byte| byte == delimiter).count();
        (count, u8::from(*delimiter == b','))
    });
    most.unwrap_or(b',')
}

/// The lower-case extension of a path.
pub(super) fn extension(path: &Path) -> String {
    path.extension()
        .map(|extension| extension.to_string_lossy().to_lowercase())
        .unwrap_or_default()
}

/// The content of a text file, checked: not empty, UTF-8, no endless line; a byte order mark is left out.
fn content(path: &Path) -> Result<String, DataError> {
    let bytes = std::fs::read(path).map_err(|error| DataError::file(path, error))?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(DataError::line(path, 1, "the file is empty"));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.len() > LONGEST {
            return Err(DataError::line(
                path,
                number as u64 + 1,
                format!(
                    "the line is {} bytes long, at most {LONGEST} are read: is this a file of short texts, one a line?",
                    line.len()
                ),
            ));
        }
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            let line = before.split(|byte| *byte == b'\n').count() as u64;
            let start = before
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |at| at + 1);
            Err(DataError::line(
                path,
                line,
                format!(
                    "invalid UTF-8 at byte {} of the line: save the file as UTF-8",
                    before.len() - start + 1
                ),
            ))
        }
    }
}

/// A label from its spelling in a text file: a whole number is an index unless a label has that very name.
fn label(text: &str) -> Label {
    let text = text.trim();
    match text.parse() {
        Ok(index) => Label::Index(index),
        Err(_) => Label::Name(text.to_owned()),
    }
}
