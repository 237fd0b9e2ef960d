//! Readers of the file formats: csv, tsv, `text;label`, JSON lines and arrays, parquet; and the split a file belongs to.

mod delimited;
mod files;
mod json;
mod names;
mod open;
mod owners;
mod parquet;
pub(crate) mod shards;
mod swallowed;
mod table;

pub(crate) use files::{Listed, SplitFiles, has_data, split_files};
pub(crate) use names::ClassNames;
pub(crate) use open::{POINTER, refuse_special};
pub(crate) use owners::{Named, owners_of};
pub use parquet::{ParquetTable, ParquetValues, parquet_page, read_parquet};

#[cfg(test)]
pub(crate) use parquet::tests::{write_parquet, write_parquet_with_names};

use super::DataError;
use super::error::{Problems, listed, printable};
use super::labels::RawLabel;
use dpx_schema::params::Quoting;
use open::Packing;
use std::collections::HashMap;
use std::path::Path;
use unicode_normalization::UnicodeNormalization;

/// Longest line or field, in bytes: far above any short text, far below what a broken file gives.
const LONGEST: usize = 512 * 1024;

/// Endings of the files that are read, besides those of compression.
const EXTENSIONS: [&str; 7] = ["csv", "tsv", "txt", "jsonl", "ndjson", "json", "parquet"];

/// The key of the experiment file that names columns of labels by its own keys.
const TABLE: &str = "labels";

/// What is asked of each file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns<'a> {
    pub(crate) text: &'a str,
    /// Whether that column holds conversations: lists of turns, which are given on as JSON.
    pub(crate) messages: bool,
    /// Whether that column says whose a row is, perhaps by a list of strings or numbers, which is given on as JSON.
    pub(crate) owners: bool,
    /// Column of the label; empty: there is none.
    pub(crate) label: &'a str,
    /// Further columns of labels.
    pub(crate) others: &'a [&'a str],
    /// Whether `labels` is a table, whose keys name the columns of labels.
    pub(crate) table: bool,
    /// What quotation marks mean, where that is said.
    pub(crate) quoting: Option<Quoting>,
    /// The escape character of csv and tsv, where there is one.
    pub(crate) escape: Option<char>,
    /// The delimiter, where it is said.
    pub(crate) delimiter: Option<char>,
    /// The declared labels, by which rows inside a quoted text are recognized.
    pub(crate) labels: &'a [String],
}

impl<'a> Columns<'a> {
    /// By name, the rest as usual.
    pub(crate) const fn named(text: &'a str, label: &'a str) -> Self {
        Self {
            text,
            messages: false,
            owners: false,
            label,
            others: &[],
            table: false,
            quoting: None,
            escape: None,
            delimiter: None,
            labels: &[],
        }
    }
}

impl Columns<'_> {
    /// The key of the experiment file that names the column of the text.
    const fn text_key(&self) -> &'static str {
        if self.messages {
            "messages"
        } else {
            "text_column"
        }
    }

    /// The key that names the columns of labels.
    const fn label_key(&self) -> &'static str {
        if self.table { TABLE } else { "label_column" }
    }

    /// What rows are labelled with where a file has no column of labels: the one label that is declared. None where there
    /// are several, so that the column is missed.
    fn only_label(&self) -> Option<RawLabel> {
        if self.label.is_empty() {
            let none = self.labels.first().cloned();
            return Some(RawLabel::Text(none.unwrap_or_default()));
        }
        match self.labels {
            [label] if self.others.is_empty() => Some(RawLabel::Text(label.clone())),
            _ => None,
        }
    }
}

/// A row as it stands in a file.
#[derive(Debug, PartialEq)]
pub(crate) struct RawRow {
    /// Line of the file where it begins, from 1; of a parquet file its row.
    pub(crate) line: u64,
    pub(crate) text: String,
    pub(crate) label: RawLabel,
    /// Whether that is the one label that is declared, for want of one in the file.
    pub(crate) assumed: bool,
    /// The labels of further columns.
    pub(crate) others: Vec<RawLabel>,
}

/// Reads the rows of a file, by its extension. What is wrong with single rows is added to the problems.
///
/// # Errors
/// When the file as a whole cannot be read.
pub(crate) fn read_file(
    path: &Path,
    columns: &Columns<'_>,
    problems: &mut Problems,
) -> Result<Vec<RawRow>, DataError> {
    let before = problems.count();
    let rows = match extension(path).as_str() {
        "jsonl" | "ndjson" | "json" => json::read(&open::text(path)?, path, columns, problems)?,
        "parquet" => parquet::read(path, columns, problems)?,
        "txt" => table::read_pairs(&checked(path)?, path, columns, problems),
        _ => table::read(&checked(path)?, path, columns, problems)?,
    };
    if rows.is_empty() && problems.count() == before {
        return Err(DataError::line(path, 1, "the file holds no row"));
    }
    Ok(rows)
}

/// The names of a file's columns; none where what stands in their place neither has those that are `wanted` nor looks like names, since
/// a file without a header has a private row there.
pub(crate) fn columns(path: &Path, wanted: &[&str]) -> Result<Vec<String>, DataError> {
    let names = match extension(path).as_str() {
        "jsonl" | "ndjson" | "json" => json::columns(&open::text(path)?),
        "parquet" => parquet::columns(path)?,
        "txt" => ["text", "label"].map(str::to_owned).to_vec(),
        _ => table::columns(&checked(path)?, path)?,
    };
    let has = |name: &&str| names.iter().any(|column| same_column(column, name));
    let wanted: Vec<&str> = wanted
        .iter()
        .copied()
        .filter(|name| !name.is_empty())
        .collect();
    let header = !wanted.is_empty() && wanted.iter().all(has);
    let all = names.iter().all(|name| is_name(name));
    Ok(if header || all { names } else { Vec::new() })
}

/// The names of labels that a file itself stores; only parquet does.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn label_names(path: &Path, label: &str) -> Result<ClassNames, DataError> {
    match extension(path).as_str() {
        "parquet" => parquet::label_names(path, label),
        _ => Ok(ClassNames::None),
    }
}

/// What to say of texts that go over several lines, so that those that a stray quotation mark makes are seen.
pub(crate) fn over_lines(path: &Path, columns: &Columns<'_>, rows: &[RawRow]) -> Option<String> {
    if columns.quoting.is_some() || !matches!(extension(path).as_str(), "csv" | "tsv") {
        return None;
    }
    let lines = |row: &RawRow| {
        let breaks = |kind: char| row.text.matches(kind).count();
        breaks('\n').max(breaks('\r')) + 1
    };
    let mut several = rows.iter().filter(|row| lines(row) > 1).peekable();
    several.peek()?;
    let count = several.clone().count();
    // The first of the longest.
    let longest = several.max_by_key(|row| (lines(row), std::cmp::Reverse(row.line)))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Some(format!(
        "`{}`: {} over several lines, the longest from line {} over {}; where that is not so, a quotation mark is not closed",
        printable(&name),
        if count == 1 {
            "1 text goes".to_owned()
        } else {
            format!("{count} texts go")
        },
        longest.line,
        lines(longest)
    ))
}

/// What to say of rows that have the one declared label for want of a column, so that a slip in its name is seen.
pub(crate) fn assumed_labels(path: &Path, asked: &Columns<'_>, rows: &[RawRow]) -> Option<String> {
    let assumed = rows.iter().filter(|row| row.assumed).count();
    if asked.label.is_empty() || assumed == 0 {
        return None;
    }
    let (label, only) = (printable(asked.label), listed(asked.labels));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let of = if assumed == rows.len() {
        format!("no column `{label}`: all {assumed} rows have {only}")
    } else {
        let all = rows.len();
        format!("{assumed} of {all} rows have no `{label}`: they have {only}")
    };
    let columns = columns(path, &[asked.text]).unwrap_or_default();
    let others = || {
        let columns = columns.iter().map(|column| column.trim());
        columns.filter(|column| !same(column, asked.text) && !same(column, asked.label))
    };
    let hint = match others().find(|column| is_near(column, asked.label)) {
        Some(near) if asked.table => {
            let near = printable(near);
            format!("; if `{near}` is meant, write it as the key in `{TABLE}`")
        }
        Some(near) => {
            let near = printable(near);
            format!("; if `{near}` is meant, set `label_column = \"{near}\"`")
        }
        None if others().next().is_none() => String::new(),
        None => format!("; its other columns are {}", listed(others())),
    };
    Some(format!("labels: `{}`: {of}{hint}", printable(&name)))
}

/// Whether one name of a column may be meant by another: a slip, or a part of it.
fn is_near(one: &str, other: &str) -> bool {
    let (one, other) = (composed(one).to_lowercase(), composed(other).to_lowercase());
    let part = one.len() > 2 && (one.contains(&other) || other.contains(&one));
    part || strsim::damerau_levenshtein(&one, &other) <= 2
}

/// The text of a file of short lines, decompressed.
pub(crate) fn checked(path: &Path) -> Result<String, DataError> {
    let text = open::text(path)?;
    open::refuse_endless_lines(&text, path)?;
    Ok(text)
}

/// The lower-case extension of a path, that of compression left out.
pub(crate) fn extension(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (_, name) = Packing::of(&name);
    name.rsplit_once('.')
        .map(|(_, extension)| extension.to_lowercase())
        .unwrap_or_default()
}

/// Whether what stands in the place of a column's name looks like one.
fn is_name(column: &str) -> bool {
    !column.is_empty()
        && column.len() <= 32
        && composed(column)
            .chars()
            .all(|letter| letter.is_alphanumeric() || "_-.".contains(letter))
}

/// The name of a column in composed form.
fn composed(name: &str) -> String {
    if name.is_ascii() {
        name.to_owned()
    } else {
        name.nfc().collect()
    }
}

/// Whether two names of columns are one, in whatever form of Unicode and with whatever white space around them they are written.
pub fn same_column(one: &str, other: &str) -> bool {
    same(one.trim(), other.trim())
}

/// Whether two names of columns are one, in whatever form of Unicode they are written.
fn same(one: &str, other: &str) -> bool {
    one == other || (!(one.is_ascii() && other.is_ascii()) && composed(one) == composed(other))
}

/// What is wrong where a column is not there. Lists the columns only where they look like names, since a file without
/// header has a private row in their place.
fn missing<'a>(name: &str, key: &str, columns: impl Iterator<Item = &'a str>) -> String {
    let columns: Vec<&str> = columns.map(str::trim).collect();
    let names = columns.iter().filter(|column| !column.is_empty());
    if !names.clone().all(|column| is_name(column)) {
        return no_header(name, key);
    }
    let lower = |name: &str| composed(name).to_lowercase();
    let alike = columns.iter().find(|column| lower(column) == lower(name));
    let hint = match (alike, key) {
        (Some(column), TABLE) => {
            format!("write `{}` as the key in `{TABLE}`", printable(column))
        }
        (Some(column), _) => format!("write `{key} = \"{}\"`", printable(column)),
        (None, _) => naming(key),
    };
    format!(
        "no column `{}`: the file has {}; {hint}",
        printable(name),
        listed(names)
    )
}

/// What is wrong where a column is not there, nor any names of columns.
fn no_header(name: &str, key: &str) -> String {
    format!(
        "no column `{}`: the first line does not look like a header; {}",
        printable(name),
        naming(key)
    )
}

/// How the experiment file names a column.
fn naming(key: &str) -> String {
    match key {
        TABLE => format!("the keys of `{TABLE}` name the columns"),
        _ => format!("name the column with `{key}`"),
    }
}

/// Two columns of one name: which one is meant cannot be told.
fn twice<'a>(columns: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut seen = HashMap::new();
    let named = columns.map(str::trim).enumerate();
    for (second, name) in named.filter(|(_, name)| !name.is_empty()) {
        if let Some(first) = seen.insert(composed(name), second) {
            let name = if is_name(name) {
                format!("`{name}`")
            } else {
                "one name".to_owned()
            };
            return Some(format!(
                "columns {} and {} are both called {name}: rename or remove one",
                first + 1,
                second + 1
            ));
        }
    }
    None
}

/// What is wrong with a text that is too long.
fn too_long(bytes: usize) -> String {
    format!(
        "the text is {bytes} bytes long, at most {LONGEST} are read: cut it into several records, or leave it out"
    )
}
