//! The synthetic texts as csv, jsonl and parquet, with a dataset card that `datasets.load_dataset` reads.

#![expect(
    clippy::format_push_string,
    reason = "a page is written once, and reads better this way"
)]

mod columns;

pub(crate) use columns::{Column, FEATURES_KEY, features};

use super::study::{Row, SampleRef, Study};
use dpx_stages::sample::MESSAGES_COLUMN;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Columns of words: `text` and `label`, and those up to the first of a teacher's probabilities (`p_LABEL`).
fn word_columns(header: &csv::StringRecord) -> usize {
    let more = header
        .iter()
        .skip(2)
        .take_while(|name| !name.starts_with("p_"));
    header.len().min(2) + more.count()
}

/// A synthetic artifact, read from its `synthetic.csv`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Texts {
    /// Names of the columns.
    pub(crate) header: Vec<String>,
    /// The columns of words.
    pub(crate) words: Vec<Vec<String>>,
    /// The columns of numbers after them: a teacher's probabilities (`p_LABEL`).
    pub(crate) numbers: Vec<Vec<f64>>,
}

impl Texts {
    /// Reads the content of a `synthetic.csv`.
    ///
    /// # Errors
    /// It is no CSV with texts and then numbers.
    pub(crate) fn read(synthetic: &[u8]) -> io::Result<Self> {
        let mut reader = csv::Reader::from_reader(synthetic);
        let header = reader.headers()?.clone();
        let names = word_columns(&header);
        let mut words: Vec<Vec<String>> = vec![Vec::new(); names];
        let mut numbers: Vec<Vec<f64>> = vec![Vec::new(); header.len() - names];
        for row in reader.records() {
            let row = row?;
            for (column, field) in words.iter_mut().zip(&row) {
                column.push(field.to_owned());
            }
            for (column, field) in numbers.iter_mut().zip(row.iter().skip(names)) {
                column.push(field.parse().map_err(io::Error::other)?);
            }
        }
        Ok(Self {
            header: header.iter().map(str::to_owned).collect(),
            words,
            numbers,
        })
    }

    pub(crate) fn rows(&self) -> usize {
        self.words.first().map_or(0, Vec::len)
    }

    /// A row as an object; a conversation is a list of turns there.
    pub(crate) fn json(&self, row: usize) -> Value {
        let words = self.header.iter().zip(&self.words).map(|(name, column)| {
            let word = column[row].as_str();
            let turns = (name == MESSAGES_COLUMN).then(|| serde_json::from_str(word).ok());
            turns.flatten().unwrap_or_else(|| Value::from(word))
        });
        let numbers = self.numbers.iter().map(|column| Value::from(column[row]));
        let names = self.header.iter().cloned();
        let line: Map<String, Value> = names.zip(words.chain(numbers)).collect();
        Value::from(line)
    }

    /// The table as CSV: the bytes of a `synthetic.csv` that dpx wrote, whose numbers have six decimals.
    ///
    /// # Errors
    /// None that a table in memory gives rise to; the writer's own.
    pub(crate) fn csv(&self) -> io::Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&self.header)?;
        for row in 0..self.rows() {
            let words = self.words.iter().map(|column| column[row].clone());
            let numbers = self
                .numbers
                .iter()
                .map(|column| format!("{:.6}", column[row]));
            writer.write_record(words.chain(numbers))?;
        }
        writer.into_inner().map_err(io::Error::other)
    }

    /// The bytes of its parquet file.
    ///
    /// # Errors
    /// A label is not among `labels`.
    pub(crate) fn parquet(&self, labels: &[String]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        columns::encode(&mut bytes, &self.columns(labels)?).map_err(io::Error::other)?;
        Ok(bytes)
    }

    /// The bytes of its parquet file as dpx of a version would have written it, with pages that are compressed as those of `found`
    /// are.
    ///
    /// # Errors
    /// A label is not among `labels`, or a page of `found` holds something else.
    pub(crate) fn parquet_like(
        &self,
        labels: &[String],
        version: &str,
        found: &[u8],
    ) -> io::Result<Vec<u8>> {
        columns::encode_like(found, &self.columns(labels)?, version).map_err(io::Error::other)
    }

    /// The columns as a parquet file has them; labels by their place among `labels`, or as words where there are none.
    ///
    /// # Errors
    /// A label is not among them.
    pub(crate) fn columns<'a>(
        &'a self,
        labels: &'a [String],
    ) -> io::Result<Vec<(&'a str, Column<'a>)>> {
        let place_of: HashMap<&str, usize> = labels
            .iter()
            .enumerate()
            .rev()
            .map(|(place, label)| (label.as_str(), place))
            .collect();
        let mut columns = Vec::new();
        for (name, words) in self.header.iter().zip(&self.words) {
            let column = if name == "label" && !labels.is_empty() {
                let places = words.iter().map(|word| {
                    let place = place_of.get(word.as_str());
                    place.map(|&place| place as i64).ok_or_else(|| {
                        io::Error::other("a text bears a label that is not declared")
                    })
                });
                Column::Label(places.collect::<io::Result<_>>()?, labels)
            } else {
                Column::Text(words)
            };
            columns.push((name.as_str(), column));
        }
        let rest = self.header.iter().skip(self.words.len());
        columns.extend(
            rest.zip(&self.numbers)
                .map(|(name, numbers)| (name.as_str(), Column::Number(numbers))),
        );
        Ok(columns)
    }
}

/// The forms that the texts of a sample instance are written in, by the endings of their files.
pub(crate) const ENDINGS: [&str; 3] = ["csv", "jsonl", "parquet"];

/// Writes one synthetic artifact, given as the content of its `synthetic.csv`, as `NAME.csv`, `NAME.jsonl` and
/// `NAME.parquet`. A teacher's probabilities (`p_LABEL`) are numbers there; the labels of the parquet file are of the type
/// `ClassLabel` with the names in `labels`, or words where those are empty. Says whether the texts are conversations.
///
/// # Errors
/// When the content is no CSV with texts and then numbers, a label is not among `labels`, or a file cannot be written.
pub(crate) fn write(
    folder: &Path,
    name: &str,
    synthetic: &[u8],
    labels: &[String],
) -> io::Result<bool> {
    let texts = Texts::read(synthetic)?;
    fs::write(folder.join(format!("{name}.csv")), synthetic)?;
    let mut lines = io::BufWriter::new(File::create(folder.join(format!("{name}.jsonl")))?);
    for row in 0..texts.rows() {
        writeln!(lines, "{}", texts.json(row))?;
    }
    lines.flush()?;
    let columns = texts.columns(labels)?;
    columns::write(&folder.join(format!("{name}.parquet")), &columns).map_err(io::Error::other)?;
    Ok(texts.header.iter().any(|name| name == MESSAGES_COLUMN))
}

/// The dataset card: one configuration per synthetic artifact, over its parquet file, or over its JSON lines where the texts are
/// conversations.
pub(crate) fn card(study: &Study, written: &[(&Row, &SampleRef, bool)]) -> String {
    // One label stands for none.
    let task = if study.labels.len() < 2 {
        "text-generation"
    } else {
        "text-classification"
    };
    let mut text = format!("---\ntask_categories:\n- {task}\ntags:\n- synthetic\nconfigs:\n");
    for (_, sample, conversations) in written {
        let ending = if *conversations { "jsonl" } else { "parquet" };
        text.push_str(
            &format!(
                "- config_name: {0}\n  data_files:\n  - split: train\n    path: {0}.{ending}\n",
                Value::from(sample.file.as_str())
            )
            .replace("path: \"", "path: ")
            .replace(&format!("\".{ending}"), &format!(".{ending}")),
        );
    }
    text.push_str(&format!(
        "---\n\n# Synthetic texts of the study `{}`\n\nWritten by dpx {}. The texts were generated by a program (a model, or words drawn from noisy counts); short phrases may coincide with training texts. Each configuration is one row of the study; the columns are `text` and `label`, and where a teacher left soft labels its probability of each label, `p_LABEL`{}.\n\n```python\nfrom datasets import load_dataset\ntexts = load_dataset(\"PATH/TO/THIS/FOLDER\", \"{}\", split=\"train\")\n```\n\n| configuration | guarantee | epsilon | delta |\n| --- | --- | --- | --- |\n",
        study.experiment,
        study.dpx_version,
        if written.iter().any(|(.., conversations)| *conversations) {
            "; conversations are also there as `messages`, lists of `role` and `content`"
        } else {
            ""
        },
        written.first().map_or("CONFIGURATION", |(_, sample, _)| &sample.file)
    ));
    for (row, sample, _) in written {
        let guarantee = &row.guarantee;
        text.push_str(&format!(
            "| {} | {} | {} | {} |\n",
            sample.file,
            guarantee.kind.words(),
            guarantee
                .epsilon
                .map_or_else(|| "inf".into(), |epsilon| format!("{epsilon:.3}")),
            guarantee
                .delta
                .map_or_else(|| "–".into(), |delta| delta.to_string()),
        ));
    }
    text.push_str("\nThis folder holds every row of the study, those without a guarantee included: it is internal. To share texts, make a release with `dpx release`, which holds only what the guarantee covers.\n");
    text
}

#[cfg(test)]
mod tests;
