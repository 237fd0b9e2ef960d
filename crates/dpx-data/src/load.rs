//! From a source to rows in splits with checked labels.

use super::read::{Label, RawRow, read_file};
use super::{DataError, Dataset, Resolved, Row, Source, builtin, split};
use std::path::{Path, PathBuf};

/// What is asked of a dataset.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// `builtin:NAME`, `hf:OWNER/NAME/CONFIG@REVISION` or a path.
    pub dataset: &'a str,
    /// Column of the text.
    pub text_column: &'a str,
    /// Column of the label.
    pub label_column: &'a str,
    /// The declared labels; empty: those of a built-in dataset.
    pub labels: &'a [String],
    /// Share of rows for validation where the dataset has no such split.
    pub validation_share: f64,
    /// Share of rows for testing where the dataset has no such split.
    pub test_share: f64,
    /// Most rows of each split.
    pub limit: Option<u64>,
}

/// Reads a dataset.
///
/// # Errors
/// When it cannot be found or read, a label is not declared, or a split is left without rows. Names file and line.
pub fn load(request: &Request<'_>) -> Result<Dataset, DataError> {
    let source = Source::parse(request.dataset);
    let mut dataset = match &source {
        Source::Builtin(name) => builtin_dataset(name, request.labels)?,
        Source::Hub { .. } | Source::Path(_) => {
            let resolved = source.resolve(super::Role::Dataset)?;
            read(&resolved, request)?
        }
    };
    if let Some(limit) = request.limit {
        for (_, rows) in dataset.splits_mut() {
            split::limit(rows, limit);
        }
    }
    let least = [("train", 2), ("test", 1)];
    for ((name, rows), least) in dataset.splits().into_iter().filter_map(|split| {
        let wanted = least.iter().find(|(name, _)| *name == split.0);
        wanted.map(|(_, least)| (split, *least))
    }) {
        if rows.len() < least {
            return Err(DataError::other(format!(
                "the {name} split of `{}` holds {}: at least {least} needed",
                request.dataset,
                match rows.len() {
                    0 => "no example".to_owned(),
                    1 => "one example only".to_owned(),
                    n => format!("{n} examples"),
                }
            )));
        }
    }
    Ok(dataset)
}

fn builtin_dataset(name: &str, labels: &[String]) -> Result<Dataset, DataError> {
    if name != "emotions" {
        return Err(DataError::other(format!(
            "there is no dataset `builtin:{name}`: expected `builtin:emotions`"
        )));
    }
    let mut dataset = builtin::emotions();
    if !labels.is_empty() {
        for label in &dataset.labels {
            if !labels.contains(label) {
                return Err(DataError::other(format!(
                    "`labels` does not list `{label}`, which `builtin:emotions` has: leave `labels` out, or list all of {}",
                    dataset.labels.join(", ")
                )));
            }
        }
        dataset.labels = labels.to_vec();
    }
    Ok(dataset)
}

fn read(resolved: &Resolved, request: &Request<'_>) -> Result<Dataset, DataError> {
    if request.labels.is_empty() {
        return Err(DataError::file(
            &resolved.path,
            "`labels` must be declared for this dataset, such as `labels = [\"joy\", \"fear\"]`: labels are public, so they are not read from private rows",
        ));
    }
    let mut next = 0;
    let mut part = |files: &[PathBuf]| -> Result<Vec<Row>, DataError> {
        let mut rows = Vec::new();
        for file in files {
            for raw in read_file(file, request.text_column, request.label_column)? {
                rows.push(check(raw, next, file, request.labels)?);
                next += 1;
            }
        }
        Ok(rows)
    };
    let files = resolved.split_files()?;
    let (train, validation, test) = (
        part(&files.train)?,
        part(&files.validation)?,
        part(&files.test)?,
    );
    let share = |files: &[PathBuf], share: f64| if files.is_empty() { share } else { 0.0 };
    let (train, made_validation, made_test) = split::make(
        train,
        share(&files.validation, request.validation_share),
        share(&files.test, request.test_share),
    );
    let either = |given: Vec<Row>, made: Vec<Row>| if given.is_empty() { made } else { given };
    Ok(Dataset {
        labels: request.labels.to_vec(),
        train,
        validation: either(validation, made_validation),
        test: either(test, made_test),
    })
}

fn check(raw: RawRow, id: u64, path: &Path, labels: &[String]) -> Result<Row, DataError> {
    let declared = || {
        let list: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        list.join(", ")
    };
    let label = match raw.label {
        Label::Name(name) => labels.iter().find(|label| **label == name),
        Label::Index(index) => usize::try_from(index)
            .ok()
            .and_then(|index| labels.get(index)),
    };
    let Some(label) = label else {
        return Err(DataError::line(
            path,
            raw.line,
            format!(
                "unknown label: expected one of {} (or its number, counted from 0)",
                declared()
            ),
        ));
    };
    if raw.text.trim().is_empty() {
        return Err(DataError::line(
            path,
            raw.line,
            "the text is empty: leave the row out",
        ));
    }
    Ok(Row {
        id,
        text: raw.text,
        label: label.clone(),
        planted: Vec::new(),
    })
}
