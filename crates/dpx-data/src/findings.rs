//! What was found in a dataset besides its rows: counts that the user should know before anything is spent. They are
//! functions of private rows, for internal use alone, and hold no text.

use super::error::listed;
use super::messages::ConversationFindings;
use super::{Dataset, PeopleFindings};
use dpx_schema::counted;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Counts of a dataset. Internal: no guarantee covers them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetFindings {
    /// Files of the dataset that hold data and were not read, as places in its folder.
    pub not_read: Vec<String>,
    /// Names of labels that the dataset stores itself, in the order of their numbers.
    pub stored_labels: Option<Vec<String>>,
    /// How labels were understood: `name`, `stored names` (a number among the stored names), `index` (a place among the
    /// declared labels), with the number of rows.
    pub labels_by: BTreeMap<String, u64>,
    /// Whether the validation split was made from train, for want of one.
    pub made_validation: bool,
    /// Whether the test split was made from train, for want of one.
    pub made_test: bool,
    /// The splits in the order train, validation, test.
    pub splits: Vec<SplitFindings>,
    /// Texts of train, counted by rows, that stand word for word in test.
    pub train_texts_in_test: u64,
    /// Texts of train, counted by rows, that stand word for word in validation.
    pub train_texts_in_validation: u64,
    /// The people behind the rows, where a column tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub people: Option<PeopleFindings>,
    /// Counts of conversations, where the rows are such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversations: Option<ConversationFindings>,
    /// What else the user should know; no content of rows.
    pub notes: Vec<String>,
}

/// Counts of the rows of one split.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitFindings {
    /// `train`, `validation` or `test`.
    pub split: String,
    /// Its files, as places in the folder of the dataset; none for a built-in one.
    pub files: Vec<String>,
    /// Number of rows.
    pub texts: u64,
    /// Rows whose text stands in an earlier row of the split.
    pub repeated: u64,
    /// Rows of the most frequent text: whoever wrote it has so many examples.
    pub largest_multiplicity: u64,
    /// Texts that stand there with more than one label.
    pub with_several_labels: u64,
    /// Rows by declared label, those without a row included.
    pub labels: BTreeMap<String, u64>,
}

impl DatasetFindings {
    /// Counts the rows of a dataset; what was found while reading stays.
    pub(crate) fn count(&mut self, dataset: &Dataset) {
        let files: Vec<Vec<String>> = dataset
            .splits()
            .iter()
            .map(|(split, _)| {
                let found = self.splits.iter_mut().find(|found| found.split == *split);
                found
                    .map(|found| std::mem::take(&mut found.files))
                    .unwrap_or_default()
            })
            .collect();
        self.splits = dataset
            .splits()
            .into_iter()
            .zip(files)
            .map(|((split, rows), files)| {
                let mut labels: BTreeMap<String, u64> = dataset
                    .labels
                    .iter()
                    .map(|label| (label.clone(), 0))
                    .collect();
                let mut seen: HashMap<&str, (u64, &str, bool)> = HashMap::new();
                for row in rows {
                    *labels.entry(row.label.clone()).or_default() += 1;
                    let entry = seen.entry(&row.text).or_insert((0, &row.label, false));
                    entry.0 += 1;
                    entry.2 |= entry.1 != row.label;
                }
                SplitFindings {
                    split: split.to_owned(),
                    files,
                    texts: rows.len() as u64,
                    repeated: (rows.len() - seen.len()) as u64,
                    largest_multiplicity: seen.values().map(|entry| entry.0).max().unwrap_or(0),
                    with_several_labels: seen.values().filter(|entry| entry.2).count() as u64,
                    labels,
                }
            })
            .collect();
        let within = |rows: &[super::Row]| {
            let texts: HashSet<&str> = rows.iter().map(|row| row.text.as_str()).collect();
            let train = dataset.train.iter();
            train
                .filter(|row| texts.contains(row.text.as_str()))
                .count() as u64
        };
        self.train_texts_in_test = within(&dataset.test);
        self.train_texts_in_validation = within(&dataset.validation);
    }

    /// Records of the one who has most in train, as far as can be told: of the most frequent text, or of the busiest person in a
    /// column that looks like people's. Where people are protected it is none: all of theirs are.
    pub fn largest_multiplicity(&self) -> u64 {
        let train = self.splits.iter().find(|found| found.split == "train");
        let repeated = train.map_or(0, |found| found.largest_multiplicity);
        match &self.people {
            Some(people) if people.protected => 1,
            Some(people) => repeated.max(people.busiest),
            None => repeated,
        }
    }

    fn protects_people(&self) -> bool {
        self.people.as_ref().is_some_and(|people| people.protected)
    }

    /// Whether splits that dpx makes keep the records of a person together.
    fn splits_people(&self) -> bool {
        self.people
            .as_ref()
            .is_some_and(|people| people.protected && !people.by_record)
    }

    /// Labels without a text in a split, which figures per label cannot cover.
    pub fn labels_without_text(&self, split: &str) -> Vec<&str> {
        let found = self.splits.iter().find(|found| found.split == split);
        found
            .into_iter()
            .flat_map(|found| &found.labels)
            .filter(|(_, count)| **count == 0)
            .map(|(label, _)| label.as_str())
            .collect()
    }

    /// What to tell the user, a line each; internal, like the counts.
    pub fn messages(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for found in &self.splits {
            if !found.files.is_empty() {
                lines.push(format!(
                    "{}: {} from {}",
                    found.split,
                    counted(found.texts, "text"),
                    listed(&found.files)
                ));
            }
        }
        if !self.not_read.is_empty() {
            lines.push(format!("not read: {}", listed(&self.not_read)));
        }
        lines.extend(self.notes.iter().cloned());
        lines.extend(self.people.iter().flat_map(PeopleFindings::messages));
        if let Some(names) = &self.stored_labels {
            lines.push(format!(
                "labels: the dataset stores the names {}",
                listed(names)
            ));
        }
        if let Some(count) = self.labels_by.get("index") {
            lines.push(format!(
                "labels: {} have a number for a label, understood as a place in `labels`, counted from 0",
                counted(*count, "row")
            ));
        }
        lines.extend(
            self.conversations
                .iter()
                .flat_map(ConversationFindings::messages),
        );
        for (made, split) in [
            (self.made_validation, "validation"),
            (self.made_test, "test"),
        ] {
            if made {
                let by = if self.splits_people() {
                    "whose they are, so that nobody is in two splits"
                } else {
                    "their number"
                };
                lines.push(format!(
                    "{split}: the dataset has no such split; its rows are taken from train by a hash of {by}"
                ));
            }
        }
        for found in &self.splits {
            if found.repeated > 0 {
                let whose = if self.protects_people() {
                    String::new()
                } else {
                    format!(
                        ", so that whoever wrote it has {} examples",
                        found.largest_multiplicity
                    )
                };
                lines.push(format!(
                    "{}: {} an earlier one; the most frequent text stands in {} rows{whose}",
                    found.split,
                    if found.repeated == 1 {
                        "1 text repeats".to_owned()
                    } else {
                        format!("{} texts repeat", found.repeated)
                    },
                    found.largest_multiplicity,
                ));
            }
            if found.with_several_labels > 0 {
                lines.push(format!(
                    "{}: {} with more than one label",
                    found.split,
                    if found.with_several_labels == 1 {
                        "1 text stands there".to_owned()
                    } else {
                        format!("{} texts stand there", found.with_several_labels)
                    }
                ));
            }
        }
        for (count, split) in [
            (self.train_texts_in_test, "test"),
            (self.train_texts_in_validation, "validation"),
        ] {
            if count > 0 {
                lines.push(format!(
                    "{} of train {} word for word in {split}",
                    counted(count, "text"),
                    if count == 1 { "stands" } else { "stand" }
                ));
            }
        }
        for split in ["train", "test"] {
            let without = self.labels_without_text(split);
            if !without.is_empty() {
                lines.push(format!(
                    "{split}: no text with the label {}: figures cover the other labels alone",
                    listed(without)
                ));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Row;

    fn rows(texts: &[(&str, &str)]) -> Vec<Row> {
        let rows = texts.iter().zip(0..);
        rows.map(|((text, label), id)| Row {
            id,
            text: (*text).into(),
            label: (*label).into(),
            owners: Vec::new(),
            planted: Vec::new(),
        })
        .collect()
    }

    #[test]
    fn counts_are_exact_and_hold_no_text() {
        let dataset = Dataset {
            labels: vec!["joy".into(), "fear".into(), "love".into()],
            train: rows(&[
                ("secret one", "joy"),
                ("secret two", "fear"),
                ("secret one", "joy"),
                ("secret one", "fear"),
            ]),
            validation: rows(&[("secret three", "love")]),
            test: rows(&[("secret two", "joy"), ("secret one", "joy")]),
            ..Dataset::default()
        };
        let mut findings = DatasetFindings {
            not_read: vec!["eval.csv".into()],
            ..DatasetFindings::default()
        };
        findings.count(&dataset);
        let train = &findings.splits[0];
        assert_eq!(
            (
                train.texts,
                train.repeated,
                train.largest_multiplicity,
                train.with_several_labels
            ),
            (4, 2, 3, 1)
        );
        assert_eq!(train.labels["love"], 0);
        assert_eq!(
            (
                findings.train_texts_in_test,
                findings.train_texts_in_validation
            ),
            (4, 0)
        );
        assert_eq!(findings.labels_without_text("train"), ["love"]);
        assert_eq!(findings.labels_without_text("test"), ["fear", "love"]);
        let json = serde_json::to_string(&findings).unwrap();
        assert_eq!(
            serde_json::from_str::<DatasetFindings>(&json).unwrap(),
            findings
        );
        let told = findings.messages().join("\n");
        for line in [
            "not read: `eval.csv`",
            "train: 2 texts repeat an earlier one; the most frequent text stands in 3 rows",
            "train: 1 text stands there with more than one label",
            "4 texts of train stand word for word in test",
            "test: no text with the label `fear`, `love`",
        ] {
            assert!(told.contains(line), "{told}");
        }
        assert!(!told.contains("secret") && !json.contains("secret"));
        // Counted again, the same.
        let before = findings.clone();
        findings.count(&dataset);
        assert_eq!(findings, before);
    }
}
