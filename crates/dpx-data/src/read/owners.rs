//! The column that says whose a row is, read by itself.

use super::{Columns, RawRow, columns, extension, json, open, parquet, read_file, same};
use crate::DataError;
use crate::error::Problems;
use crate::labels::RawLabel;
use crate::people::no_column;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Whose a row is, as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// What the file calls the person; in JSON perhaps several.
    pub(crate) names: Vec<String>,
    /// The text beside it, where the column was read by itself: that of the row, or the file was read in two ways.
    pub(crate) text: Option<String>,
}

/// The names in a column by the line of the row: one, in JSON perhaps several. Rows with problems of their own may be missing;
/// whoever reads the rows tells those.
///
/// # Errors
/// The file has no such column, or cannot be read.
pub(crate) fn owners_of(
    path: &Path,
    wanted: &Columns<'_>,
    name: &str,
) -> Result<BTreeMap<u64, Named>, DataError> {
    let names = columns(path)?;
    let is_json = matches!(extension(path).as_str(), "jsonl" | "ndjson" | "json");
    if is_json {
        let found = json::names(&open::text(path)?, path, name)?;
        let found: BTreeMap<u64, Named> = found
            .into_iter()
            .map(|(line, names)| (line, Named { names, text: None }))
            .collect();
        if found.values().all(|row| row.names.is_empty())
            && !names.iter().any(|column| same(column, name))
        {
            return Err(no_column(path, name, &names));
        }
        return Ok(found);
    }
    if !names.iter().any(|column| same(column.trim(), name.trim())) {
        return Err(no_column(path, name, &names));
    }
    if extension(path) == "parquet" && parquet::holds_lists(path, name)? {
        return lists(path, wanted, name);
    }
    // The rows as they are, with this column in the place of the label.
    let columns = Columns {
        label: name,
        labels: &[],
        ..*wanted
    };
    let rows = read_file(path, &columns, &mut Problems::default())?;
    let of = |label: RawLabel| match label {
        RawLabel::Missing => Vec::new(),
        RawLabel::Float(number) if number.is_nan() => Vec::new(),
        RawLabel::Text(text) => names_in(&text),
        label => vec![label.to_string()],
    };
    let named = |row: RawRow| {
        let (names, text) = (of(row.label), Some(row.text));
        (row.line, Named { names, text })
    };
    Ok(rows.into_iter().map(named).collect())
}

/// The names in the lists of a parquet file.
fn lists(path: &Path, wanted: &Columns<'_>, name: &str) -> Result<BTreeMap<u64, Named>, DataError> {
    let columns = Columns {
        text: name,
        messages: true,
        label: "",
        others: &[],
        labels: &[],
        ..*wanted
    };
    let rows = read_file(path, &columns, &mut Problems::default())?;
    let named = |row: RawRow| {
        let list: Vec<Option<String>> = serde_json::from_str(&row.text).unwrap_or_default();
        let names = list.into_iter().flatten().collect();
        (row.line, Named { names, text: None })
    };
    Ok(rows.into_iter().map(named).collect())
}

/// The people that a string names: one, or those of a JSON list, as a table has it where a row belongs to several.
pub(super) fn names_in(text: &str) -> Vec<String> {
    let name = |value: Value| match value {
        Value::String(name) => Some(name),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    if text.trim_start().starts_with('[')
        && let Ok(list) = serde_json::from_str::<Vec<Value>>(text)
        && let Some(names) = list.into_iter().map(name).collect()
    {
        return names;
    }
    vec![RawLabel::Text(text.to_owned()).to_string()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, content: &str, column: &str) -> Result<BTreeMap<u64, Vec<String>>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        owners_of(&path, &Columns::named("text", "label"), column)
            .map(|found| {
                let names = found.into_iter().map(|(line, row)| (line, row.names));
                names.collect()
            })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn names_stand_by_line_in_every_format() {
        let csv = "text,label,who\n\"one,\ntwo\",a,ann\nthree,b, 7\nfour,a,\n";
        let found = read("x.csv", csv, "who").unwrap();
        assert_eq!(found[&2], ["ann"]);
        assert_eq!(found[&4], ["7"]);
        assert_eq!(found[&5], [""]);
        let csv = "text,label,who\n a,b,\"[\"\"ann\"\", 7]\"\nc,d,[ann]\n";
        let found = read("x.csv", csv, "who").unwrap();
        assert_eq!(found[&2], ["ann", "7"]);
        assert_eq!(found[&3], ["[ann]"]);
        let json = "{\"text\": \"one\", \"label\": 1, \"who\": [\"ann\", 7]}\n\n{\"text\": \"two\", \"label\": 1, \"who\": 8}\n{\"text\": \"three\", \"label\": 1}\n";
        let found = read("x.jsonl", json, "who").unwrap();
        assert_eq!(found[&1], ["ann", "7"]);
        assert_eq!(found[&3], ["8"]);
        assert!(found[&4].is_empty());
    }

    #[test]
    fn a_missing_column_names_those_that_there_are() {
        let error = read("x.csv", "text,label\na,b\n", "who").unwrap_err();
        assert!(
            error.contains("`unit_column`") && error.contains("`label`"),
            "{error}"
        );
        let error = read("x.jsonl", "{\"text\": \"a\", \"label\": 1}\n", "who").unwrap_err();
        assert!(error.contains("`unit_column`"), "{error}");
    }
}
