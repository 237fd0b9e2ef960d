//! Labelled texts in their splits.

use super::{DataError, DatasetFindings, Owner, people};
use dpx_schema::{PeopleBounds, Population};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

/// One labelled text: one line of `train.jsonl`, `validation.jsonl` or `test.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Number of the row in its dataset; the same in every run.
    pub id: u64,
    /// What was written, as it is trained on: scrubbed where a scrubber ran.
    pub text: String,
    /// Its label, one of the declared ones, or a combination of their values.
    pub label: String,
    /// Whose record it is, where people are protected: one person, or several. Empty where each record is a unit of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<Owner>,
    /// Personal data known to stand in the text, where that is known (`builtin:emotions`). Never written.
    #[serde(skip)]
    pub planted: Vec<Planted>,
}

/// A piece of personal data whose place is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planted {
    /// `person`, `email`, `phone` or `handle`.
    pub kind: &'static str,
    /// First byte in the text.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
}

/// What stands behind each turn in [`Dataset::said`]: the record separator.
pub(crate) const BETWEEN_TURNS: char = '\u{1e}';

/// A dataset in its three splits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dataset {
    /// The declared labels, in order.
    pub labels: Vec<String>,
    /// The private rows that models are trained on.
    pub train: Vec<Row>,
    /// Rows for choosing settings by.
    pub validation: Vec<Row>,
    /// Rows for the figures of the report.
    pub test: Vec<Row>,
    /// What was said in each conversation, by the number of its row: the words of all turns, of those too that `roles` leaves
    /// out, each behind a record separator (U+001E). Whoever it is of is known by these, and public texts must hold none of them.
    pub said: BTreeMap<u64, String>,
    /// How records belong to people, where these are protected.
    pub people: Option<PeopleBounds>,
    /// Rows at the end of `train` that state made-up facts: nobody wrote them.
    pub fact_rows: usize,
    /// What was found while reading: private, like the rows.
    pub findings: DatasetFindings,
}

impl Dataset {
    /// How large the training data are: the one count of units that everything else follows from.
    pub fn population(&self) -> Population {
        let records = self.train.len() as u64;
        Population {
            units: self.people.map_or(records, |_| people::people(&self.train)),
            records: Some(records),
            people: self.people,
        }
    }

    /// The splits by name, in the order train, validation, test.
    pub fn splits(&self) -> [(&'static str, &[Row]); 3] {
        [
            ("train", self.train.as_slice()),
            ("validation", self.validation.as_slice()),
            ("test", self.test.as_slice()),
        ]
    }

    /// The training rows that somebody wrote: all but those of made-up facts.
    pub fn written(&self) -> &[Row] {
        &self.train[..self.train.len() - self.fact_rows]
    }

    /// What a row holds, as it stands in the data: its text, or everything that was said in its conversation.
    pub fn said<'a>(&'a self, row: &'a Row) -> &'a str {
        self.said.get(&row.id).unwrap_or(&row.text)
    }

    /// What people wrote in all rows: of conversations each turn by itself.
    pub fn pieces(&self) -> Vec<&str> {
        let rows = self.splits().into_iter().flat_map(|(_, rows)| rows);
        rows.flat_map(|row| self.said(row).split(BETWEEN_TURNS))
            .filter(|piece| !piece.trim().is_empty())
            .collect()
    }

    /// The splits with their names, to be changed.
    pub fn splits_mut(&mut self) -> [(&'static str, &mut Vec<Row>); 3] {
        [
            ("train", &mut self.train),
            ("validation", &mut self.validation),
            ("test", &mut self.test),
        ]
    }
}

/// Reading and writing of a split in an artifact: JSON lines.
#[derive(Debug, Clone, Copy)]
pub struct Rows;

impl Rows {
    /// Reads the rows of a `.jsonl` file of a `preprocess` artifact.
    ///
    /// # Errors
    /// When the file is missing or a line is no row.
    pub fn read(path: impl AsRef<Path>) -> Result<Vec<Row>, DataError> {
        let path = path.as_ref();
        let file = std::fs::File::open(path).map_err(|error| DataError::file(path, error))?;
        let mut rows = Vec::new();
        for (number, line) in BufReader::new(file).lines().enumerate() {
            let fail = |_| {
                DataError::line(
                    path,
                    number as u64 + 1,
                    "expected an object with `id`, `text` and `label`",
                )
            };
            let line = line.map_err(|error| DataError::file(path, error))?;
            rows.push(serde_json::from_str(&line).map_err(fail)?);
        }
        Ok(rows)
    }

    /// Writes rows as JSON lines.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(path: impl AsRef<Path>, rows: &[Row]) -> Result<(), DataError> {
        let path = path.as_ref();
        let write = || -> std::io::Result<()> {
            let mut file = BufWriter::new(std::fs::File::create(path)?);
            for row in rows {
                serde_json::to_writer(&mut file, row)?;
                file.write_all(b"\n")?;
            }
            file.flush()
        };
        write().map_err(|error| DataError::file(path, error))
    }
}
