//! From a source to rows in splits with checked labels.

use super::error::{Problems, listed};
use super::facts;
use super::labels::RawLabel;
use super::labels::{Labels, Ways};
use super::messages::{self, ConversationFindings};
use super::people::{self, Looks, Owners, Suspected};
use super::read::{Columns, RawRow, SplitFiles, assumed_labels, over_lines, read_file};
use super::stored::StoredNames;
use super::{
    DataError, Dataset, DatasetFindings, Request, Row, Source, SplitFindings, builtin, format,
    split,
};
use dpx_schema::params::{LabelsBy, place_of};
use dpx_schema::{PeopleBounds, is_invisible};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
    let mut suspects = None;
    let mut looks = Looks::default();
    let mut by_record = false;
    let mut dataset = match &source {
        Source::Builtin(_) if request.unit_column.is_some() => {
            return Err(DataError::other(format!(
                "`{}` does not say whose its texts are: `unit_column` is for data sets of your own",
                request.dataset
            )));
        }
        Source::Builtin(name) => builtin_dataset(name, request)?,
        Source::Hub { .. } | Source::Path(_) => {
            let resolved = source.resolve(super::Role::Dataset)?;
            let read = read(&resolved.path, &resolved.split_files()?, request)?;
            (suspects, looks, by_record) = (read.suspects, read.looks, read.by_record);
            read.dataset
        }
    };
    if let Some(limit) = request.limit {
        for (_, rows) in dataset.splits_mut() {
            split::limit(rows, limit, by_record);
        }
    }
    let mut findings = std::mem::take(&mut dataset.findings);
    // Also where the bound leaves none of such records: what stays of one person was then decided beside those of others.
    let several_owners = dataset.train.iter().any(|row| row.owners.len() > 1);
    if !several_owners {
        leave_out_wordless(&mut dataset);
    }
    if let (Some(column), Some(most)) = (request.unit_column, request.max_per_unit) {
        let found = people::bound(&mut dataset, column, most);
        leave_out_wordless(&mut dataset);
        dataset.people = Some(PeopleBounds {
            max_per_unit: most,
            several_owners,
        });
        findings.people = Some(people::PeopleFindings {
            people: people::people(&dataset.train),
            alike: looks.alike(),
            joined: looks.joined(),
            by_record,
            ..found
        });
    } else if let Some(suspects) = suspects {
        findings.people = suspects.findings(&dataset.train);
    }
    findings.count(&dataset);
    dataset.findings = findings;
    plant(&mut dataset, request);
    Ok(dataset)
}

/// Leaves out conversations without a turn. Until limits and bounds have been taken they hold their places: what one person says
/// must not decide which records of others stay.
fn leave_out_wordless(dataset: &mut Dataset) {
    for (_, rows) in dataset.splits_mut() {
        rows.retain(|row| !row.text.is_empty());
    }
}

/// Adds the texts of made-up facts to train.
fn plant(dataset: &mut Dataset, request: &Request<'_>) {
    let splits = dataset.splits();
    let ids = splits.iter().flat_map(|(_, rows)| rows.iter());
    let first = ids.map(|row| row.id + 1).max().unwrap_or(0);
    let (people, chats) = (dataset.people.is_some(), request.messages.is_some());
    let rows = facts::rows(&request.facts, &dataset.labels, first, people, chats);
    if rows.is_empty() {
        return;
    }
    let texts = splits.iter().flat_map(|(_, rows)| rows.iter());
    let known = facts::known(&request.facts, texts.map(|row| row.text.as_str()));
    dataset.findings.notes.push(format!(
        "facts: {} made-up facts stand in {} texts that were added to train",
        request.facts.len(),
        rows.len()
    ));
    if known > 0 {
        dataset.findings.notes.push(format!(
            "facts: {known} of the made-up names stand in texts of the data already: what `score` finds of these facts may come from there"
        ));
    }
    dataset.fact_rows = rows.len();
    dataset.train.extend(rows);
}

fn builtin_dataset(name: &str, request: &Request<'_>) -> Result<Dataset, DataError> {
    let labels = &request.labels;
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

/// The rows of files.
struct Read {
    dataset: Dataset,
    /// A column that looks like one of people, where none is said to be.
    suspects: Option<Suspected>,
    looks: Looks,
    /// See [`people::PeopleFindings::by_record`].
    by_record: bool,
}

fn read(path: &Path, files: &SplitFiles, request: &Request<'_>) -> Result<Read, DataError> {
    format::check(request.format)?;
    format::refuse_ignored(request.format, files)?;
    let several = !request.attributes.is_empty();
    let names: Vec<&str> = request
        .attributes
        .iter()
        .map(|attribute| attribute.name.as_str())
        .collect();
    let columns = Columns {
        text: request.messages.unwrap_or(request.text_column),
        messages: request.messages.is_some(),
        owners: false,
        label: names.first().unwrap_or(&request.label_column),
        others: names.get(1..).unwrap_or_default(),
        table: several,
        quoting: request.format.quoting,
        escape: request.format.escape,
        delimiter: request.format.delimiter,
        labels: &request.labels,
    };
    if request.labels.is_empty() {
        let stored = if several {
            StoredNames::default()
        } else {
            StoredNames::of(path, files, request.label_column)?
        };
        let such = stored.told().map_or_else(
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
    if request.label_column.is_empty() && !several && request.labels.len() > 1 {
        return Err(DataError::other(
            "`label_column` is empty, so that no text has a label, but `labels` declares several: name the column, or leave `labels` out",
        ));
    }
    let mut reading = Reading {
        request,
        columns,
        labels: LabelColumn::all(path, files, request)?,
        conversations: ConversationFindings::default(),
        said: BTreeMap::new(),
        looks: Looks::default(),
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
    if let [column] = &reading.labels[..] {
        reading.findings.stored_labels = column.stored.names().map(<[String]>::to_vec);
    }
    let train = reading.split("train", &files.train)?;
    let validation = reading.split("validation", &files.validation)?;
    let test = reading.split("test", &files.test)?;
    let suspects = match request.unit_column {
        Some(_) => None,
        None => Suspected::read(&files.train, &columns),
    };
    let Reading {
        problems,
        ways,
        mut labels,
        mut findings,
        conversations,
        said,
        looks,
        ..
    } = reading;
    problems.check()?;
    for column in &mut labels {
        findings.notes.extend(column.stored.notes());
    }
    findings.conversations = request.messages.map(|_| conversations);
    findings.labels_by = ways.counts();
    let by_record = [&train, &validation, &test]
        .into_iter()
        .flatten()
        .any(|row| row.owners.len() > 1);
    let share = |files: &[PathBuf], share: f64| if files.is_empty() { share } else { 0.0 };
    let (train, made_validation, made_test) = split::make(
        train,
        by_record,
        share(&files.validation, request.validation_share),
        share(&files.test, request.test_share),
    );
    findings.made_validation = !made_validation.is_empty();
    findings.made_test = !made_test.is_empty();
    let either = |given: Vec<Row>, made: Vec<Row>| if given.is_empty() { made } else { given };
    let dataset = Dataset {
        labels: request.labels.to_vec(),
        train,
        validation: either(validation, made_validation),
        test: either(test, made_test),
        said,
        people: None,
        findings,
        fact_rows: 0,
    };
    Ok(Read {
        dataset,
        suspects,
        looks,
        by_record,
    })
}

/// The state of reading file after file.
struct Reading<'a> {
    request: &'a Request<'a>,
    columns: Columns<'a>,
    /// One for each column of labels.
    labels: Vec<LabelColumn>,
    conversations: ConversationFindings,
    /// See [`Dataset::said`].
    said: BTreeMap<u64, String>,
    looks: Looks,
    findings: DatasetFindings,
    ways: Ways,
    problems: Problems,
    root: &'a Path,
    /// The number of the next row.
    next: u64,
}

impl Reading<'_> {
    fn split(&mut self, name: &str, files: &[PathBuf]) -> Result<Vec<Row>, DataError> {
        let mut rows = Vec::new();
        for file in files {
            let raw_rows = read_file(file, &self.columns, &mut self.problems)?;
            let places = self.places(file, &raw_rows)?;
            let over_lines = over_lines(file, &self.columns, &raw_rows);
            self.findings.notes.extend(over_lines);
            let assumed = assumed_labels(file, &self.columns, &raw_rows);
            self.findings.notes.extend(assumed);
            let people = self.request.unit_column;
            let people = people
                .map(|name| Owners::read(file, &self.columns, name).map(|owners| (name, owners)))
                .transpose()?;
            if let Some((_, owners)) = &people {
                self.looks.add(owners);
            }
            for raw in raw_rows {
                // A row with a problem has its number too, so that mending it moves no other row.
                let id = self.next;
                self.next += 1;
                let (line, text) = (raw.line, people.as_ref().map(|_| raw.text.clone()));
                let Some(mut row) = self.row(raw, id, file, &places) else {
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

    fn row(&mut self, mut raw: RawRow, id: u64, path: &Path, stored: &[Places]) -> Option<Row> {
        if let Some(column) = self.request.messages {
            match messages::conversation(&raw.text, column, &self.request.roles) {
                Ok(found) => {
                    self.conversations.add(&found);
                    if found.conversation.turns.is_empty() {
                        return Some(Row {
                            id,
                            text: String::new(),
                            label: self.request.labels[0].clone(),
                            owners: Vec::new(),
                            planted: Vec::new(),
                        });
                    }
                    raw.text = found.conversation.text();
                    self.said.insert(id, found.said);
                }
                Err(problem) => {
                    self.problems.add(path, raw.line, problem);
                    return None;
                }
            }
        }
        if let Some(problem) = unreadable(&raw.text) {
            self.problems.add(path, raw.line, problem);
            return None;
        }
        match self.label(&raw, stored) {
            Ok(place) => Some(Row {
                id,
                text: raw.text,
                label: self.request.labels[place].clone(),
                owners: Vec::new(),
                planted: Vec::new(),
            }),
            Err(problem) => {
                self.problems.add(path, raw.line, problem);
                None
            }
        }
    }

    /// For each column of labels the places of the names that the numbers of a file count.
    fn places(&mut self, file: &Path, rows: &[RawRow]) -> Result<Vec<Places>, DataError> {
        let mut all = Vec::with_capacity(self.labels.len());
        for (index, column) in self.labels.iter_mut().enumerate() {
            let labels = rows.iter().filter_map(|row| label(row, index));
            let numbers = labels.clone().any(|label| column.labels.is_place(label));
            let said = self.request.labels_by.is_some();
            let places = column
                .stored
                .places(file, (numbers, said), &column.labels)?;
            all.push(places);
        }
        Ok(all)
    }

    /// The place of a row's label, or of the combination of its labels.
    fn label(&mut self, raw: &RawRow, stored: &[Places]) -> Result<usize, String> {
        let several = !self.request.attributes.is_empty();
        let mut values = Vec::with_capacity(self.labels.len());
        for (index, (column, stored)) in self.labels.iter().zip(stored).enumerate() {
            let found = label(raw, index).unwrap_or(&RawLabel::Missing);
            let (value, how) = column
                .labels
                .find(found, stored.as_deref())
                .map_err(|problem| {
                    let by_index = self.request.labels_by == Some(LabelsBy::Index);
                    let problem = if by_index && column.stored.has(found) {
                        format!("{problem}; the label is a name that the dataset stores, and `labels_by = \"index\"` renames numbers alone: declare the stored names, or write the labels as numbers")
                    } else {
                        problem
                    };
                    if several {
                        format!("`{}`: {problem}", column.name)
                    } else {
                        problem
                    }
                })?;
            self.ways.add(how);
            values.push(value);
        }
        Ok(if several {
            place_of(&self.request.attributes, &values)
        } else {
            values[0]
        })
    }
}

/// Why a text cannot be used, whatever it says.
fn unreadable(text: &str) -> Option<&'static str> {
    let shows =
        |letter: char| !letter.is_whitespace() && !letter.is_control() && !is_invisible(letter);
    if text.trim().is_empty() {
        Some("the text is empty: leave the row out")
    } else if text.contains('\0') {
        Some("the text holds a NUL character (U+0000): remove it, or leave the row out")
    } else if !text.contains(shows) {
        Some("the text holds no visible character: leave the row out")
    } else {
        None
    }
}

/// The places among the declared labels of the names that numbers count; none where no names are stored.
type Places = Option<Vec<usize>>;

struct LabelColumn {
    name: String,
    labels: Labels,
    stored: StoredNames,
}

impl LabelColumn {
    /// All columns of labels, at least one.
    fn all(path: &Path, files: &SplitFiles, request: &Request<'_>) -> Result<Vec<Self>, DataError> {
        let column = |name: &str, values: &[String]| {
            Ok(Self {
                name: name.to_owned(),
                labels: Labels::new(values, request.labels_by)?,
                stored: StoredNames::of(path, files, name)?,
            })
        };
        if request.attributes.is_empty() {
            return Ok(vec![column(request.label_column, &request.labels)?]);
        }
        let attributes = request.attributes.iter();
        attributes
            .map(|attribute| column(&attribute.name, &attribute.values))
            .collect()
    }
}

/// The label of a row in the column of labels with an index.
fn label(row: &RawRow, index: usize) -> Option<&RawLabel> {
    match index {
        0 => Some(&row.label),
        _ => row.others.get(index - 1),
    }
}
