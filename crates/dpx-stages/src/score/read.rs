//! Reading the labelled texts that `preprocess` and `sample` write.

use dpx_schema::{Context, StageError};
use serde::Deserialize;
use std::io::BufRead;
use std::path::Path;

/// Texts with their labels as indices into the declared labels.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LabelledTexts {
    /// In the order of the file.
    pub texts: Vec<String>,
    /// Index of each text's label.
    pub labels: Vec<usize>,
    /// Soft labels, `[texts][labels]`: a teacher's probabilities, where the file bears them.
    pub probabilities: Option<Vec<Vec<f64>>>,
    /// Whose each text is, where people are protected: of several the first. Empty where each text is by itself.
    pub people: Vec<String>,
}

impl LabelledTexts {
    /// Number of texts.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The texts of these rows, in this order.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        Self {
            texts: rows.iter().map(|&row| self.texts[row].clone()).collect(),
            labels: rows.iter().map(|&row| self.labels[row]).collect(),
            probabilities: self
                .probabilities
                .as_ref()
                .map(|all| rows.iter().map(|&row| all[row].clone()).collect()),
            people: rows
                .iter()
                .filter_map(|&row| self.people.get(row).cloned())
                .collect(),
        }
    }

    /// Number of texts of each of `labels` labels.
    pub(crate) fn label_counts(&self, labels: usize) -> Vec<u64> {
        let mut counts = vec![0; labels];
        for &label in &self.labels {
            counts[label] += 1;
        }
        counts
    }

    fn push(
        &mut self,
        text: String,
        label: &str,
        labels: &[String],
        path: &Path,
        line: usize,
    ) -> Result<(), StageError> {
        let index = labels.iter().position(|known| known == label);
        let index = index.ok_or_else(|| {
            // The label may be a private text in the wrong column: it is not quoted.
            StageError::new(format!(
                "{}:{line}: a label that is not declared: expected one of {}",
                name(path),
                labels.join(", ")
            ))
        })?;
        self.texts.push(text);
        self.labels.push(index);
        Ok(())
    }
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

fn reading(path: &Path) -> String {
    format!("could not read `{}`", name(path))
}

fn read(path: &Path) -> Result<String, StageError> {
    std::fs::read_to_string(path).context(reading(path))
}

/// Reads one split of a `preprocess` artifact: JSON lines with `text` and `label`.
///
/// # Errors
/// When the file cannot be read, or a line is malformed or has an undeclared label; the line is named, never quoted.
pub fn split(path: &Path, labels: &[String]) -> Result<LabelledTexts, StageError> {
    #[derive(Deserialize)]
    struct Row {
        text: String,
        label: String,
        #[serde(default)]
        owners: Vec<String>,
    }
    let mut found = LabelledTexts::default();
    let file = std::fs::File::open(path).context(reading(path))?;
    for (index, line) in std::io::BufReader::new(file).lines().enumerate() {
        let line = line.context(format_args!("could not read `{}`", name(path)))?;
        let row: Row = serde_json::from_str(&line).map_err(|_| {
            StageError::new(format!(
                "{}:{}: no row: expected a JSON object with `text` and `label`",
                name(path),
                index + 1
            ))
        })?;
        found.push(row.text, &row.label, labels, path, index + 1)?;
        found.people.extend(row.owners.into_iter().next());
    }
    // Made-up facts are nobody's.
    if found.people.len() != found.len() {
        found.people.clear();
    }
    Ok(found)
}

/// Name of the column with a teacher's probability of a label.
pub(crate) fn probability_column(label: &str) -> String {
    format!("p_{label}")
}

/// Reads `synthetic.csv` of a `sample` artifact, with a teacher's probabilities where there is a column for each label.
///
/// # Errors
/// As [`split`]; and when the probabilities of a line are none.
pub fn synthetic(path: &Path, labels: &[String]) -> Result<LabelledTexts, StageError> {
    let text = read(path)?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let malformed = |line: usize| {
        StageError::new(format!(
            "{}:{line}: no row: expected the columns `text,label`",
            name(path)
        ))
    };
    let header = reader.headers().map_err(|_| malformed(1))?;
    let column = |wanted: &str| header.iter().position(|column| column == wanted);
    let (text_at, label_at) = column("text")
        .zip(column("label"))
        .ok_or_else(|| malformed(1))?;
    let soft_at: Option<Vec<usize>> = labels
        .iter()
        .map(|label| column(&probability_column(label)))
        .collect();
    let soft_at = soft_at.filter(|columns| !columns.is_empty());
    let mut found = LabelledTexts::default();
    let mut soft = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| {
            malformed(
                error
                    .position()
                    .map_or(0, |position| position.line() as usize),
            )
        })?;
        let line = row
            .position()
            .map_or(0, |position| position.line() as usize);
        let (text, label) = row
            .get(text_at)
            .zip(row.get(label_at))
            .ok_or_else(|| malformed(line))?;
        found.push(text.to_owned(), label, labels, path, line)?;
        if let Some(columns) = &soft_at {
            let probabilities = distribution(&row, columns).ok_or_else(|| {
                StageError::new(format!(
                    "{}:{line}: the columns `p_LABEL` are no probabilities: expected numbers from 0 to 1 with the sum 1",
                    name(path)
                ))
            })?;
            soft.push(probabilities);
        }
    }
    found.probabilities = soft_at.map(|_| soft);
    Ok(found)
}

/// The numbers in some columns, if they are a distribution; rounding on the way to the file is allowed for, and undone.
fn distribution(row: &csv::StringRecord, columns: &[usize]) -> Option<Vec<f64>> {
    let numbers: Option<Vec<f64>> = columns
        .iter()
        .map(|&column| row.get(column)?.parse().ok())
        .collect();
    let numbers = numbers?;
    let sum: f64 = numbers.iter().sum();
    let fits = numbers.iter().all(|number| (0.0..=1.0).contains(number));
    (fits && (sum - 1.0).abs() < 1e-3).then(|| numbers.iter().map(|number| number / sum).collect())
}
