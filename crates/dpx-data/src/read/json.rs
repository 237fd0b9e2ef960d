//! JSON lines.

use super::delimited::missing;
use super::{Label, RawRow, label};
use crate::DataError;
use serde_json::{Map, Value};
use std::path::Path;

/// Reads one object a line.
pub(super) fn read(
    content: &str,
    path: &Path,
    text_column: &str,
    label_column: &str,
) -> Result<Vec<RawRow>, DataError> {
    let mut rows = Vec::new();
    for (number, line) in content.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let number = number as u64 + 1;
        let object: Map<String, Value> = serde_json::from_str(line).map_err(|error| {
            let column = error.column();
            DataError::line(
                path,
                number,
                format!("no JSON object (column {column}): expected one object a line"),
            )
        })?;
        let field = |name: &str, key: &str| {
            object.get(name).ok_or_else(|| {
                let error = missing(path, name, key, object.keys().map(String::as_str));
                match error {
                    DataError::Line { problem, .. } => DataError::line(path, number, problem),
                    other => other,
                }
            })
        };
        let text = field(text_column, "text_column")?.as_str().ok_or_else(|| {
            DataError::line(path, number, format!("`{text_column}` is no string"))
        })?;
        let label = match field(label_column, "label_column")? {
            Value::String(name) => label(name),
            Value::Number(index) if index.is_i64() => Label::Index(index.as_i64().unwrap_or(-1)),
            _ => {
                let problem = format!("`{label_column}` is neither a string nor a whole number");
                return Err(DataError::line(path, number, problem));
            }
        };
        rows.push(RawRow {
            line: number,
            text: text.to_owned(),
            label,
        });
    }
    Ok(rows)
}

/// The keys of the first object.
pub(super) fn columns(content: &str) -> Vec<String> {
    let first = content.lines().find(|line| !line.trim().is_empty());
    first
        .and_then(|line| serde_json::from_str::<Map<String, Value>>(line).ok())
        .map(|object| object.keys().cloned().collect())
        .unwrap_or_default()
}
