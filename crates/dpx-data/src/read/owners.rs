//! The column that says whose a row is, read by itself.

use super::{
    Columns, RawRow, columns, extension, json, open, parquet, read_file, same, same_column,
};
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
    /// What the file calls the person; in a list perhaps several. An error says why it names nobody.
    pub(crate) names: Result<Vec<String>, String>,
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
    let names = columns(path, &[name, wanted.text])?;
    let is_json = matches!(extension(path).as_str(), "jsonl" | "ndjson" | "json");
    if is_json {
        let found = json::names(&open::text(path)?, path, name)?;
        let found: BTreeMap<u64, Named> = found
            .into_iter()
            .map(|(line, names)| (line, Named { names, text: None }))
            .collect();
        let is_nobodys = |row: &Named| row.names.as_ref().is_ok_and(Vec::is_empty);
        if found.values().all(is_nobodys) && !names.iter().any(|column| same(column, name)) {
            return Err(no_column(path, name, &names));
        }
        return Ok(found);
    }
    if !names.iter().any(|column| same_column(column, name)) {
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
        RawLabel::Missing => Ok(Vec::new()),
        RawLabel::Float(number) if number.is_nan() => Ok(Vec::new()),
        RawLabel::Text(text) => names_in(&text),
        label => Ok(vec![label.to_string()]),
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
        messages: false,
        owners: true,
        label: "",
        others: &[],
        labels: &[],
        ..*wanted
    };
    let rows = read_file(path, &columns, &mut Problems::default())?;
    let named = |row: RawRow| {
        let list = serde_json::from_str(&row.text).map_err(|error| error.to_string());
        let names = list.and_then(|list| names_of(&list));
        (row.line, Named { names, text: None })
    };
    Ok(rows.into_iter().map(named).collect())
}

/// The people that a value names: one, or those of a list. What is missing names nobody.
pub(super) fn names_of(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => names_in(text),
        Value::Number(number) => Ok(vec![number.to_string()]),
        Value::Array(list) => names_of_list(list),
        Value::Bool(_) | Value::Object(_) => Err(NO_NAME.to_owned()),
    }
}

const NO_NAME: &str = "holds what is no name: expected a string, a number, or a list of these";

fn names_of_list(list: &[Value]) -> Result<Vec<String>, String> {
    let mut names = Vec::with_capacity(list.len());
    for value in list {
        match value {
            Value::Null => {}
            Value::String(name) => names.push(name.clone()),
            Value::Number(number) => names.push(number.to_string()),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => return Err(NO_NAME.to_owned()),
        }
    }
    Ok(names)
}

/// The people that a string names: one, or those of a JSON list, as a table has it where a row belongs to several.
fn names_in(text: &str) -> Result<Vec<String>, String> {
    if text.trim_start().starts_with('[') {
        // What other programs write for a list would be one person whom nobody else is.
        let list: Vec<Value> = serde_json::from_str(text).map_err(|_| {
            "begins with `[` and is no JSON list of names: expected such as [\"ann\", \"bob\"], with double quotation marks".to_owned()
        })?;
        return names_of_list(&list);
    }
    Ok(vec![RawLabel::Text(text.to_owned()).to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, content: &str, column: &str) -> Result<BTreeMap<u64, Vec<String>>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        owners_of(&path, &Columns::named("text", "label"), column)
            .map_err(|error| error.to_string())?
            .into_iter()
            .map(|(line, row)| Ok((line, row.names?)))
            .collect()
    }

    #[test]
    fn names_stand_by_line_in_every_format() {
        let csv = "text,label,who\n\"one,\ntwo\",a,ann\nthree,b, 7\nfour,a,\n";
        let found = read("x.csv", csv, "who").unwrap();
        assert_eq!(found[&2], ["ann"]);
        assert_eq!(found[&4], ["7"]);
        assert_eq!(found[&5], [""]);
        let csv = "text,label,who\n a,b,\"[\"\"ann\"\", null, 7]\"\nc,d,{ann}\n";
        let found = read("x.csv", csv, "who").unwrap();
        assert_eq!(found[&2], ["ann", "7"]);
        assert_eq!(found[&3], ["{ann}"]);
        let json = "{\"text\": \"one\", \"label\": 1, \"who\": [\"ann\", 7]}\n\n{\"text\": \"two\", \"label\": 1, \"who\": 8}\n{\"text\": \"three\", \"label\": 1}\n";
        let found = read("x.jsonl", json, "who").unwrap();
        assert_eq!(found[&1], ["ann", "7"]);
        assert_eq!(found[&3], ["8"]);
        assert!(found[&4].is_empty());
    }

    /// Neither one person more nor some fewer than there are.
    #[test]
    fn what_is_no_list_of_names_is_an_error() {
        for (name, content) in [
            ("x.csv", "text,label,who\na,b,\"['ann', 'bob']\"\n"),
            ("x.csv", "text,label,who\na,b,[ann; bob]\n"),
            ("x.csv", "text,label,who\na,b,\"[\"\"ann\"\", [7]]\"\n"),
            (
                "x.jsonl",
                "{\"text\": \"a\", \"label\": 1, \"who\": [\"ann\", {\"name\": \"bob\"}]}\n",
            ),
            (
                "x.jsonl",
                "{\"text\": \"a\", \"label\": 1, \"who\": {\"name\": \"bob\"}}\n",
            ),
            (
                "x.jsonl",
                "{\"text\": \"a\", \"label\": 1, \"who\": true}\n",
            ),
        ] {
            let error = read(name, content, "who").unwrap_err();
            assert!(error.contains("expected"), "{content}: {error}");
        }
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
