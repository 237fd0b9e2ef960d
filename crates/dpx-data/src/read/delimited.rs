//! csv, tsv, and lines of `text;label`.

use super::{LONGEST, RawRow, label};
use crate::DataError;
use std::path::Path;

/// Reads a file with a header.
pub(super) fn read(
    content: &str,
    path: &Path,
    delimiter: u8,
    text_column: &str,
    label_column: &str,
) -> Result<Vec<RawRow>, DataError> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .from_reader(content.as_bytes());
    let header = reader
        .headers()
        .map_err(|error| failed(&error, path))?
        .clone();
    let find = |name: &str, key: &str| {
        header
            .iter()
            .position(|column| column.trim() == name)
            .ok_or_else(|| missing(path, name, key, header.iter()))
    };
    let text_at = find(text_column, "text_column")?;
    let label_at = find(label_column, "label_column")?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| failed(&error, path))?;
        let line = record.position().map_or(0, csv::Position::line);
        let text = record.get(text_at).unwrap_or("");
        if text.len() > LONGEST {
            return Err(DataError::line(
                path,
                line,
                format!(
                    "the text is {} bytes long, at most {LONGEST} are read: is a quotation mark left open?",
                    text.len()
                ),
            ));
        }
        rows.push(RawRow {
            line,
            text: text.to_owned(),
            label: label(record.get(label_at).unwrap_or("")),
        });
    }
    Ok(rows)
}

/// The fields of the first line.
pub(super) fn columns(content: &str, path: &Path, delimiter: u8) -> Result<Vec<String>, DataError> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .from_reader(content.as_bytes());
    let header = reader.headers().map_err(|error| failed(&error, path))?;
    Ok(header.iter().map(|name| name.trim().to_owned()).collect())
}

/// Whether a field of the first line looks like the name of a column.
pub(super) fn is_name(column: &str) -> bool {
    !column.is_empty()
        && column.len() <= 32
        && column
            .chars()
            .all(|letter| letter.is_alphanumeric() || "_-.".contains(letter))
}

/// Reads lines of `text;label` without a header.
pub(super) fn read_pairs(content: &str, path: &Path) -> Result<Vec<RawRow>, DataError> {
    let mut rows = Vec::new();
    for (number, line) in content.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let number = number as u64 + 1;
        let Some((text, name)) = line.rsplit_once(';') else {
            return Err(DataError::line(
                path,
                number,
                "no `;` in the line: expected `text;label`",
            ));
        };
        if number == 1 && text.trim() == "text" && name.trim() == "label" {
            continue;
        }
        rows.push(RawRow {
            line: number,
            text: text.to_owned(),
            label: label(name),
        });
    }
    Ok(rows)
}

/// The error for a column that is not there. Lists the columns only where they look like names, since a file without
/// header has a private row in their place.
pub(super) fn missing<'a>(
    path: &Path,
    name: &str,
    key: &str,
    columns: impl Iterator<Item = &'a str>,
) -> DataError {
    let columns: Vec<&str> = columns.map(str::trim).collect();
    let found = if columns.iter().all(|column| is_name(column)) {
        format!(
            "the file has {}",
            columns
                .iter()
                .map(|column| format!("`{column}`"))
                .collect::<Vec<_>>()
                .join(", ")
        )
    } else {
        "the first line does not look like a header".to_owned()
    };
    DataError::line(
        path,
        1,
        format!("no column `{name}`: {found}; name the column with `{key}`"),
    )
}

fn failed(error: &csv::Error, path: &Path) -> DataError {
    let line = error.position().map_or(1, csv::Position::line);
    let problem = match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!(
                "{len} fields where the header has {expected_len}: quote texts that hold the delimiter"
            )
        }
        csv::ErrorKind::Utf8 { .. } => "invalid UTF-8: save the file as UTF-8".to_owned(),
        _ => "not a row of delimited fields".to_owned(),
    };
    DataError::line(path, line, problem)
}
