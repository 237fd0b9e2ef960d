//! What a dataset holds: columns, splits, labels, lengths. Texts only where that is asked for, with a word on whose they are.

use super::describe::grouped;
use dpx_data::{Description, Figures, Lengths, PeopleFigures, SplitDescription};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// More labels than this, or longer ones, are no labels.
const MOST_LABELS: usize = 100;
const LONGEST_LABEL: usize = 40;

const FIGURES: &str = "PRIVATE: exact counts of the rows themselves, which no guarantee covers: do not share this output.";
const PRIVATE: &str =
    "The rows below are PRIVATE unless this dataset is public: do not share this output.";
const PUBLIC: &str = "The rows below are public.";

/// The description, with the first texts of each label of the train split.
pub(super) struct View<'a> {
    pub(super) name: &'a str,
    pub(super) description: &'a Description,
    /// Texts shown of each label.
    pub(super) examples: usize,
    /// Whether the texts are public for certain: those inside the binary.
    pub(super) public: bool,
}

impl View<'_> {
    pub(super) fn text(&self) -> String {
        let mut lines = vec![format!("dataset      {}", self.name)];
        if !self.public {
            lines.push(FIGURES.to_owned());
        }
        for split in &self.description.splits {
            lines.push(String::new());
            lines.extend(split_lines(split, self.public));
        }
        if !self.description.not_read.is_empty() {
            lines.push(format!(
                "\nnot read: {}",
                self.description.not_read.join(", ")
            ));
        }
        if let Some(names) = &self.description.stored_labels {
            lines.push(format!("\nstored label names: {}", names.join(", ")));
        }
        let both = self.description.train_texts_in_test;
        if both > 0 {
            lines.push(format!(
                "\n{} of train {} word for word in test",
                counted(both, "text"),
                if both == 1 { "stands" } else { "stand" }
            ));
        }
        if self.examples > 0 {
            let whose = if self.public { PUBLIC } else { PRIVATE };
            lines.push(format!("\n{whose}"));
            for (label, text) in self.rows() {
                lines.push(format!("{label:<12} {text}"));
            }
        }
        lines.join("\n")
    }

    pub(super) fn json(&self) -> Value {
        let mut object = json!(self.description);
        object["dataset"] = self.name.into();
        object["public"] = self.public.into();
        if !self.public {
            object["warning"] = if self.examples > 0 { PRIVATE } else { FIGURES }.into();
        }
        if self.examples > 0 {
            let rows = self.rows().into_iter();
            let rows = rows.map(|(label, text)| json!({"label": label, "text": text}));
            object["examples"] = rows.collect();
        }
        object
    }

    /// The first rows of each label of the train split.
    fn rows(&self) -> Vec<&(String, String)> {
        let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
        let train = self.description.splits.first();
        let mut rows: Vec<_> = train
            .into_iter()
            .flat_map(|split| &split.rows)
            .filter(|(label, _)| {
                let count = shown.entry(label).or_default();
                *count += 1;
                *count <= self.examples
            })
            .collect();
        rows.sort_by_key(|(label, _)| label);
        rows
    }
}

fn split_lines(split: &SplitDescription, public: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = |key: &str, value: String| lines.push(format!("{key:<12} {value}"));
    let texts = split
        .figures
        .as_ref()
        .map_or_else(String::new, |figures| counted(figures.texts, "text"));
    let files = split.files.join(", ");
    let head = [texts, files].into_iter().filter(|part| !part.is_empty());
    line(split.split, head.collect::<Vec<_>>().join(" in "));
    let columns = if split.columns.is_empty() {
        "the first line does not look like a header".to_owned()
    } else {
        split.columns.join(", ")
    };
    line("  columns", columns);
    if let Some(problem) = &split.problem {
        line("  problem", problem.clone());
    }
    if let Some(figures) = &split.figures {
        if figures.labels.keys().any(|label| !label.is_empty()) {
            let whose = if public {
                ""
            } else {
                " (exact counts: private)"
            };
            line("  labels", labels(figures) + whose);
        }
        if let Some(turns) = figures.turns {
            line("  turns", lengths(turns));
        }
        // The first says how many turns there are.
        let found = figures
            .conversations
            .iter()
            .flat_map(|found| found.messages().split_off(1));
        for found in found {
            line(
                "  note",
                found.trim_start_matches("conversations: ").to_owned(),
            );
        }
        line("  words", lengths(figures.words));
        line("  characters", lengths(figures.characters));
        if figures.repeated > 0 {
            line(
                "  repeated",
                format!(
                    "{} of them repeat an earlier row",
                    grouped(figures.repeated)
                ),
            );
        }
    }
    if let Some(people) = &split.people {
        person_lines(people, &mut line);
    }
    if let Some(column) = &split.looks_like_people {
        line(
            "  people",
            format!(
                "`{column}` looks like a column of people, or of texts that were cut up: see `dpx inspect --unit {column}`"
            ),
        );
    }
    lines
}

fn person_lines(people: &PeopleFigures, line: &mut impl FnMut(&str, String)) {
    let Lengths {
        least,
        median,
        most_95,
        longest,
    } = people.records;
    line(
        "  people",
        format!("{} in `{}`", grouped(people.people), people.column),
    );
    line(
        "  records",
        format!(
            "{} to {} of each; half of the people have at most {}, 95 of 100 at most {}",
            grouped(least),
            grouped(longest),
            grouped(median),
            grouped(most_95)
        ),
    );
    let kept = people.kept.iter();
    let kept: Vec<String> = kept
        .map(|(bound, records)| format!("{bound}: {}", grouped(*records)))
        .collect();
    if !kept.is_empty() {
        line(
            "  bounded",
            format!(
                "records that would stay with `max_per_unit` of {}",
                kept.join(", ")
            ),
        );
    }
    if people.several_owners > 0 {
        line(
            "  shared",
            format!(
                "{} belong to several people",
                counted(people.several_owners, "record")
            ),
        );
    }
    if people.alike > 0 {
        line(
            "  alike",
            format!(
                "{} people have names that differ from another's by capitals, white space, unseen characters or the way a number is written alone",
                people.alike
            ),
        );
    }
    if people.without > 0 {
        line(
            "  nobody's",
            format!(
                "{} say of nobody whose they are",
                counted(people.without, "record")
            ),
        );
    }
}

fn labels(figures: &Figures) -> String {
    let strange = figures.labels.len() > MOST_LABELS
        || figures
            .labels
            .keys()
            .any(|label| label.chars().count() > LONGEST_LABEL);
    if strange {
        return format!(
            "{} different values, some long: is this the column of the labels? Name it with `--label-column`",
            grouped(figures.labels.len())
        );
    }
    let labels: Vec<String> = figures
        .labels
        .iter()
        .map(|(label, count)| format!("{label} {}", grouped(*count)))
        .collect();
    labels.join(", ")
}

fn lengths(lengths: Lengths) -> String {
    format!(
        "{} to {}; half of the texts at most {}, 95 of 100 at most {}",
        grouped(lengths.least),
        grouped(lengths.longest),
        grouped(lengths.median),
        grouped(lengths.most_95)
    )
}

fn counted(count: usize, what: &str) -> String {
    format!(
        "{} {what}{}",
        grouped(count),
        if count == 1 { "" } else { "s" }
    )
}
