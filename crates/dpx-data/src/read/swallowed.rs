//! Rows that a stray quotation mark would swallow: what tells a line inside a quoted text from a row of its own.

use super::delimited::{Dialect, Field, Records};
use crate::labels::normal;
use std::collections::HashSet;

/// Different values of a column that are remembered.
const KNOWN: usize = 10_000;
/// A column whose values are written in more ways than this tells nothing by them.
const SHAPES: usize = 16;
/// In a file where nothing tells rows from lines of a text: so many lines are suspicious where the next longest text has less
/// than a quarter of them.
const LONG: u64 = 20;

/// A record over several lines, and the first of its fields that holds a line break.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) line: u64,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) field: usize,
}

/// What the rows of a file look like, by those of one line.
#[derive(Debug)]
pub(super) struct Look {
    text: usize,
    /// None where rows have no label.
    label: Option<usize>,
    fields: usize,
    newline: char,
    /// Labels, declared or seen, in composed form.
    labels: HashSet<String>,
    /// The same as they are written, with the spaces around them.
    written: HashSet<String>,
    /// Without labels, what each column holds.
    columns: Vec<Column>,
}

/// What the fields of a column look like.
#[derive(Debug, Default, Clone)]
struct Column {
    words: HashSet<String>,
    /// Of fields that hold a digit, such as numbers and dates.
    shapes: HashSet<String>,
}

impl Column {
    fn add(&mut self, field: &str) {
        let field = field.trim();
        if !has_digit(field) {
            if self.words.len() < KNOWN {
                self.words.insert(field.to_owned());
            }
        } else if self.shapes.len() <= SHAPES {
            self.shapes.insert(shape(field));
        }
    }

    fn knows(&self, field: &str) -> bool {
        let field = field.trim();
        if has_digit(field) {
            self.shapes.len() <= SHAPES && self.shapes.contains(&shape(field))
        } else {
            !field.is_empty() && self.words.contains(field)
        }
    }
}

fn has_digit(field: &str) -> bool {
    field.chars().any(char::is_numeric)
}

/// A field with one `9` for a run of digits and one `a` for a run of letters: `2026-11-30` is `9-9-9`.
fn shape(field: &str) -> String {
    let mut shape = String::new();
    for letter in field.chars() {
        let kind = if letter.is_numeric() {
            '9'
        } else if letter.is_alphabetic() {
            'a'
        } else {
            letter
        };
        if !shape.ends_with(kind) || !kind.is_alphanumeric() {
            shape.push(kind);
        }
    }
    shape
}

impl Look {
    /// For columns at these places; a label at or behind `fields` is none.
    pub(super) fn new(
        text: usize,
        label: usize,
        fields: usize,
        newline: u8,
        declared: &[String],
    ) -> Self {
        Self {
            text,
            label: (label < fields).then_some(label),
            fields,
            newline: char::from(newline),
            labels: declared.iter().map(|name| normal(name)).collect(),
            written: declared.iter().cloned().collect(),
            columns: vec![Column::default(); fields],
        }
    }

    /// Learns from a row of one line.
    pub(super) fn add(&mut self, fields: &[Field]) {
        if fields.len() != self.fields {
            return;
        }
        match self.label {
            Some(label) if self.labels.len() < KNOWN => {
                self.labels.insert(normal(&fields[label].text));
                self.written.insert(fields[label].text.clone());
            }
            Some(_) => {}
            None => {
                for (column, field) in self.columns.iter_mut().zip(fields) {
                    column.add(&field.text);
                }
            }
        }
    }

    /// Whether lines of a record look like rows of their own. In its first line the columns after the field that spans lines
    /// should be missing, in its last those before it, so that these tell; with labels the label alone does.
    pub(super) fn swallows(&self, text: &str, span: &Span, dialect: Dialect) -> bool {
        let lines: Vec<&str> = text[span.start..span.end].split(self.newline).collect();
        let last = lines.len() - 1;
        lines.iter().enumerate().any(|(number, line)| {
            let tells = |column: usize| match number {
                0 => column > span.field,
                number if number == last => column < span.field,
                _ => true,
            };
            let line = line.trim_end_matches('\r');
            match self.label {
                Some(label) => tells(label) && self.has_label(line, dialect, label),
                None => self.has_columns(line, dialect, tells),
            }
        })
    }

    /// The fields of a line that has all columns, by either reading.
    fn parsed(&self, line: &str, dialect: Dialect) -> Option<Vec<String>> {
        let fields = match Records::new(line, dialect).next() {
            Some(Ok(record)) if record.fields.len() == self.fields => {
                let fields = record.fields.into_iter();
                fields.map(|field| field.text).collect::<Vec<_>>()
            }
            _ => line
                .split(char::from(dialect.delimiter))
                .map(|field| field.trim_matches('"').to_owned())
                .collect(),
        };
        (fields.len() == self.fields && self.fields > 1).then_some(fields)
    }

    /// Whether a line has all columns, and in that of the label one that other rows have. Of a text with delimiters that nobody
    /// quoted the label is found from the other end, and is then written to the letter as elsewhere.
    fn has_label(&self, line: &str, dialect: Dialect, label: usize) -> bool {
        if let Some(fields) = self.parsed(line, dialect) {
            return self
                .labels
                .contains(&normal(fields[label].trim_matches('"')));
        }
        let pieces: Vec<&str> = line.split(char::from(dialect.delimiter)).collect();
        if pieces.len() <= self.fields || self.fields < 2 {
            return false;
        }
        let from_end = self.fields - label;
        let place = if label > self.text {
            pieces.len() - from_end
        } else {
            label
        };
        self.written.contains(pieces[place].trim_matches('"'))
    }

    /// Whether a line has all columns, and in those that tell something like other rows.
    fn has_columns(&self, line: &str, dialect: Dialect, tells: impl Fn(usize) -> bool) -> bool {
        let Some(fields) = self.parsed(line, dialect) else {
            return false;
        };
        let mut others = (0..self.fields)
            .filter(|column| *column != self.text && tells(*column))
            .peekable();
        others.peek().is_some() && others.all(|column| self.columns[column].knows(&fields[column]))
    }

    /// Of records over several lines the one that is longer than any other by far, with its number of lines, in a file where
    /// there is neither a label nor another column to tell rows by.
    pub(super) fn outlier(&self, text: &str, spans: &[Span]) -> Option<(u64, u64)> {
        if self.label.is_some() || self.fields > 1 {
            return None;
        }
        let lines = |span: &Span| {
            let breaks = text[span.start..span.end].matches(self.newline).count();
            (breaks as u64 + 1, span.line)
        };
        let mut longest: Vec<(u64, u64)> = spans.iter().map(lines).collect();
        longest.sort_unstable_by(|one, other| other.cmp(one));
        let &(count, line) = longest.first()?;
        let next = longest.get(1).map_or(1, |(count, _)| *count);
        (count >= LONG && count > 4 * next).then_some((line, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_tell_numbers_and_dates_from_words() {
        for (field, expected) in [
            ("17", "9"),
            ("2026-11-30", "9-9-9"),
            ("ab12x", "a9a"),
            ("--1", "--9"),
            ("١٢", "9"),
        ] {
            assert_eq!(shape(field), expected);
        }
        let mut column = Column::default();
        for field in ["12", "7", "anna"] {
            column.add(field);
        }
        assert!(column.knows(" 99 ") && column.knows("anna"));
        assert!(!column.knows("berta") && !column.knows("") && !column.knows("9-9"));
        (0..100).for_each(|count| column.add(&format!("1{}", "-".repeat(count))));
        assert!(!column.knows("99"), "anything goes there");
    }
}
