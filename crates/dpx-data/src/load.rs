//! From a source to rows in splits with checked labels.

use super::error::{Problems, listed};
use super::labels::{Labels, Ways};
use super::people::{self, Owners};
use super::read::{Columns, RawRow, SplitFiles, over_lines, read_file};
use super::stored::StoredNames;
use super::{
    DataError, Dataset, DatasetFindings, Row, Source, SplitFindings, builtin, format, split,
};
use dpx_schema::PeopleBounds;
use dpx_schema::params::{LabelsBy, PreprocessParams, Quoting};
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
    /// How numbers in the label column are understood; none: by name, by index where no declared label is a number.
    pub labels_by: Option<LabelsBy>,
    /// Column of the people whose rows these are, where people are protected.
    pub unit_column: Option<&'a str>,
    /// Most training rows of one person.
    pub max_per_unit: Option<u64>,
    /// How files with delimiters are written.
    pub format: Format,
    /// Share of rows for validation where the dataset has no such split.
    pub validation_share: f64,
    /// Share of rows for testing where the dataset has no such split.
    pub test_share: f64,
    /// Most rows of each split.
    pub limit: Option<u64>,
}

/// How files with delimiters are written, as far as that is said.
#[derive(Debug, Clone, Copy, Default)]
pub struct Format {
    /// What quotation marks mean; none: `double`, of tab-separated files what fits the whole file.
    pub quoting: Option<Quoting>,
    /// The escape character; none: there is none.
    pub escape: Option<char>,
    /// The delimiter; none: by the file's extension and header.
    pub delimiter: Option<char>,
}

impl<'a> From<&'a PreprocessParams> for Request<'a> {
    fn from(params: &'a PreprocessParams) -> Self {
        Self {
            dataset: &params.dataset,
            text_column: &params.text_column,
            label_column: &params.label_column,
            labels: &params.labels,
            labels_by: params.labels_by,
            unit_column: params.unit_column.as_deref(),
            max_per_unit: params.max_per_unit(),
            format: Format {
                quoting: params.quoting,
                escape: params.escape,
                delimiter: params.delimiter,
            },
            validation_share: params.validation_share,
            test_share: params.test_share,
            limit: params.limit,
        }
    }
}

/// Reads a dataset and counts what is worth knowing of it.
///
/// # Errors
/// When it cannot be found or read, a label is not declared, or a split is left without rows. Names file and line; of
/// several problems the first twenty.
pub fn load(request: &Request<'_>) -> Result<Dataset, DataError> {
    let dataset = load_any(request)?;
    if dataset.people.is_some() && dataset.population().units < 2 {
        return Err(DataError::other(format!(
            "all training records of `{}` are of one person: at least two people needed",
            request.dataset
        )));
    }
    for ((name, rows), least) in dataset.splits().into_iter().zip([2, 0, 1]) {
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

/// As [`load`], with splits of any size.
pub(crate) fn load_any(request: &Request<'_>) -> Result<Dataset, DataError> {
    let source = Source::parse(request.dataset);
    if let Source::Builtin(_) = source {
        format::refuse_all(request.format, request.dataset)?;
    }
    let mut dataset = match &source {
        Source::Builtin(_) if request.unit_column.is_some() => {
            return Err(DataError::other(format!(
                "`{}` does not say whose its texts are: `unit_column` is for data sets of your own",
                request.dataset
            )));
        }
        Source::Builtin(name) => builtin_dataset(name, request.labels)?,
        Source::Hub { .. } | Source::Path(_) => {
            let resolved = source.resolve(super::Role::Dataset)?;
            read(&resolved.path, &resolved.split_files()?, request)?
        }
    };
    if let Some(limit) = request.limit {
        for (_, rows) in dataset.splits_mut() {
            split::limit(rows, limit);
        }
    }
    let mut findings = std::mem::take(&mut dataset.findings);
    if let (Some(column), Some(most)) = (request.unit_column, request.max_per_unit) {
        let found = people::bound(&mut dataset, column, most);
        dataset.people = Some(PeopleBounds {
            max_per_unit: most,
            several_owners: found.several_owners > 0,
        });
        findings.people = Some(found);
    }
    findings.count(&dataset);
    dataset.findings = findings;
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

fn read(path: &Path, files: &SplitFiles, request: &Request<'_>) -> Result<Dataset, DataError> {
    format::check(request.format)?;
    format::refuse_ignored(request.format, files)?;
    let stored = files.class_names(request.label_column);
    if request.labels.is_empty() {
        let such = stored.as_ref().map_or_else(
            || "such as `labels = [\"joy\", \"fear\"]`".to_owned(),
            |names| format!("the dataset stores the names {}", listed(names)),
        );
        return Err(DataError::file(
            path,
            format!(
                "`labels` must be declared for this dataset, {such}: labels are public, so they are not read from private rows"
            ),
        ));
    }
    let mut reading = Reading {
        request,
        labels: Labels::new(request.labels, request.labels_by)?,
        stored: StoredNames::of(path, files, request.label_column)?,
        findings: DatasetFindings {
            not_read: files.not_read.clone(),
            notes: files.notes.clone(),
            ..DatasetFindings::default()
        },
        ways: Ways::default(),
        problems: Problems::default(),
        root: path,
        next: 0,
    };
    reading.findings.stored_labels = reading.stored.names().map(<[String]>::to_vec);
    let train = reading.split("train", &files.train)?;
    let validation = reading.split("validation", &files.validation)?;
    let test = reading.split("test", &files.test)?;
    let suspects = match request.unit_column {
        Some(_) => None,
        None => people::suspected(&files.train, &columns_of(request)),
    };
    let Reading {
        problems,
        ways,
        mut stored,
        mut findings,
        ..
    } = reading;
    problems.check()?;
    findings.notes.extend(stored.notes());
    findings.labels_by = ways.counts();
    findings.people = suspects;
    let share = |files: &[PathBuf], share: f64| if files.is_empty() { share } else { 0.0 };
    let (train, made_validation, made_test) = split::make(
        train,
        share(&files.validation, request.validation_share),
        share(&files.test, request.test_share),
    );
    findings.made_validation = !made_validation.is_empty();
    findings.made_test = !made_test.is_empty();
    let either = |given: Vec<Row>, made: Vec<Row>| if given.is_empty() { made } else { given };
    Ok(Dataset {
        labels: request.labels.to_vec(),
        train,
        validation: either(validation, made_validation),
        test: either(test, made_test),
        people: None,
        findings,
    })
}

/// What is asked of each file.
const fn columns_of<'a>(request: &Request<'a>) -> Columns<'a> {
    Columns {
        text: request.text_column,
        label: request.label_column,
        quoting: request.format.quoting,
        escape: request.format.escape,
        delimiter: request.format.delimiter,
        labels: request.labels,
    }
}

/// The state of reading file after file.
struct Reading<'a> {
    request: &'a Request<'a>,
    labels: Labels,
    stored: StoredNames,
    findings: DatasetFindings,
    ways: Ways,
    problems: Problems,
    root: &'a Path,
    /// The number of the next row.
    next: u64,
}

impl Reading<'_> {
    fn split(&mut self, name: &str, files: &[PathBuf]) -> Result<Vec<Row>, DataError> {
        let columns = columns_of(self.request);
        let mut rows = Vec::new();
        for file in files {
            let content = read_file(file, &columns, &mut self.problems)?;
            let own = content.names.as_deref();
            let places = self.stored.places(file, own, &content.rows, &self.labels)?;
            let over_lines = over_lines(file, &columns, &content.rows);
            self.findings.notes.extend(over_lines);
            let people = self.request.unit_column;
            let people = people
                .map(|name| Owners::read(file, &columns, name).map(|owners| (name, owners)))
                .transpose()?;
            for raw in content.rows {
                // A row with a problem has its number too, so that mending it moves no other row.
                let id = self.next;
                self.next += 1;
                let (line, text) = (raw.line, people.as_ref().map(|_| raw.text.clone()));
                let Some(mut row) = self.row(raw, id, file, places.as_deref()) else {
                    continue;
                };
                if let Some((name, people)) = &people {
                    let text = text.as_deref().unwrap_or_default();
                    row.owners = people.required(file, (line, text), name, &mut self.problems);
                }
                rows.push(row);
            }
        }
        let place = |file: &PathBuf| {
            let place = file.strip_prefix(self.root).ok();
            let place = place.filter(|place| !place.as_os_str().is_empty());
            let name = file.file_name().unwrap_or_default();
            place.map_or_else(
                || name.to_string_lossy().into_owned(),
                |place| place.display().to_string(),
            )
        };
        self.findings.splits.push(SplitFindings {
            split: name.to_owned(),
            files: files.iter().map(place).collect(),
            ..SplitFindings::default()
        });
        Ok(rows)
    }

    fn row(&mut self, raw: RawRow, id: u64, path: &Path, stored: Option<&[usize]>) -> Option<Row> {
        if raw.text.trim().is_empty() {
            self.problems
                .add(path, raw.line, "the text is empty: leave the row out");
            return None;
        }
        match self.labels.find(&raw.label, stored) {
            Ok((place, how)) => {
                self.ways.add(how);
                Some(Row {
                    id,
                    text: raw.text,
                    label: self.labels.declared()[place].clone(),
                    owners: Vec::new(),
                    planted: Vec::new(),
                })
            }
            Err(problem) => {
                self.problems.add(path, raw.line, problem);
                None
            }
        }
    }
}
