//! Rows that a stray quotation mark would swallow: what tells a line inside a quoted text from a row of its own.

use super::delimited::{Dialect, Field, Records};
use crate::labels::{How, Labels, RawLabel, look};
use std::collections::HashSet;

/// Different values of a column that are remembered.
const KNOWN: usize = 10_000;
/// A column whose values are written in more ways than this tells nothing by them.
const SHAPES: usize = 16;
/// In a file without labels so many lines are suspicious where the next longest text has less than a quarter of them.
const LONG: u64 = 20;
/// So many lines of the form of rows are rows where no value tells: where rows have no space behind a delimiter, as the lines of
/// a text mostly have, and where they do.
const LINES: [usize; 2] = [2, 4];

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
    /// The declared labels, as they are looked up.
    declared: Option<Labels>,
    /// Whether rows have numbers that count the declared labels.
    counted: bool,
    /// Labels, declared or seen, in one spelling each.
    labels: HashSet<String>,
    /// The same as they are written, with the spaces around them.
    written: HashSet<String>,
    /// Without labels, what each column holds.
    columns: Vec<Column>,
    /// Rows of one line, and those of them with a space behind a delimiter.
    rows: u64,
    spaced: u64,
}

/// What the fields of a column look like.
#[derive(Debug, Default, Clone)]
struct Column {
    words: HashSet<String>,
    /// Of fields that hold a digit, such as numbers, dates and identifiers: ways in which they are written, the finest first.
    shapes: [HashSet<String>; 3],
}

impl Column {
    fn add(&mut self, field: &str) {
        let field = field.trim();
        if !has_digit(field) {
            if self.words.len() < KNOWN {
                self.words.insert(field.to_owned());
            }
            return;
        }
        if self.shapes.iter().all(|known| known.len() > SHAPES) {
            return;
        }
        for (known, shape) in self.shapes.iter_mut().zip(shapes(field)) {
            if known.len() <= SHAPES {
                known.insert(shape);
            }
        }
    }

    fn knows(&self, field: &str) -> bool {
        let field = field.trim();
        if !has_digit(field) {
            return !field.is_empty() && self.words.contains(field);
        }
        let mut levels = self.shapes.iter().zip(shapes(field));
        let telling = levels.find(|(known, _)| known.len() <= SHAPES);
        telling.is_some_and(|(known, shape)| known.contains(&shape))
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

/// The shape of a field; with one `x` for a run of letters and digits and the number of characters, as identifiers of one length
/// are alike (`x-x-x-x-x 36`); and without that number, as addresses are.
fn shapes(field: &str) -> [String; 3] {
    let fine = shape(field);
    let mut coarse = String::new();
    for letter in fine.chars() {
        let kind = if letter.is_alphanumeric() {
            'x'
        } else {
            letter
        };
        if kind != 'x' || !coarse.ends_with('x') {
            coarse.push(kind);
        }
    }
    let sized = format!("{coarse} {}", field.chars().count());
    [fine, sized, coarse]
}

/// A label without what does not change which one it is for a reader: case, invisible characters, and of a number the zeros
/// behind its point.
fn spelling(label: &str) -> String {
    let look = look(label);
    match look.split_once('.') {
        Some((whole, zeros))
            if whole.parse::<i64>().is_ok() && zeros.chars().all(|zero| zero == '0') =>
        {
            whole.to_owned()
        }
        _ => look,
    }
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
            declared: Labels::new(declared, None).ok(),
            counted: false,
            labels: declared.iter().map(|name| spelling(name)).collect(),
            written: declared.iter().cloned().collect(),
            columns: vec![Column::default(); fields],
            rows: 0,
            spaced: 0,
        }
    }

    /// Learns from a row of one line.
    pub(super) fn add(&mut self, fields: &[Field]) {
        if fields.len() != self.fields {
            return;
        }
        match self.label {
            Some(label) if self.labels.len() < KNOWN => {
                let label = &fields[label].text;
                if !self.counted {
                    self.counted = self.found(label) == Some(How::Index);
                }
                self.labels.insert(spelling(label));
                self.written.insert(label.clone());
            }
            Some(_) => {}
            None => {
                let columns = self.columns.iter_mut().zip(fields).enumerate();
                for (_, (column, field)) in columns.filter(|(place, _)| *place != self.text) {
                    column.add(&field.text);
                }
                let mut later = fields.iter().skip(1);
                self.rows += 1;
                self.spaced +=
                    u64::from(later.any(|field| !field.quoted && begins_with_space(&field.text)));
            }
        }
    }

    /// How a label is understood, where it is one of those declared.
    fn found(&self, label: &str) -> Option<How> {
        let label = RawLabel::Text(label.to_owned());
        let found = self.declared.as_ref()?.find(&label, None);
        found.ok().map(|(_, how)| how)
    }

    /// Whether rows have such a label, or could.
    fn is_label(&self, label: &str) -> bool {
        self.labels.contains(&spelling(label))
            || match self.found(label) {
                Some(How::Index) => self.counted,
                found => found.is_some(),
            }
    }

    /// Whether lines of a record look like rows of their own. In its first line the columns after the field that spans lines
    /// should be missing, in its last those before it, so that these tell. With labels the label alone does; without, a value
    /// that other rows have, or several lines of the form of rows.
    pub(super) fn swallows(&self, text: &str, span: &Span, dialect: Dialect) -> bool {
        let lines: Vec<&str> = text[span.start..span.end].split(self.newline).collect();
        let last = lines.len() - 1;
        let (mut telling, mut formed) = (0_usize, 0_usize);
        for (number, line) in lines.iter().enumerate() {
            let tells = |column: usize| match number {
                0 => column > span.field,
                number if number == last => column < span.field,
                _ => true,
            };
            let line = line.trim_end_matches('\r');
            if let Some(label) = self.label {
                if tells(label) && self.has_label(line, dialect, label) {
                    return true;
                }
                continue;
            }
            let mut others = (0..self.fields).filter(|column| *column != self.text);
            if line.trim().is_empty() || !others.any(tells) {
                continue;
            }
            telling += 1;
            let Some(fields) = self.parsed(line, dialect) else {
                continue;
            };
            if self.has_known(&fields, tells) {
                return true;
            }
            formed += usize::from(self.is_formed(&fields));
        }
        formed >= LINES[usize::from(self.is_spaced())] && 2 * formed >= telling
    }

    /// Whether fields may be those of a row: a text and something beside it, spaces where rows have some.
    fn is_formed(&self, fields: &[String]) -> bool {
        let filled =
            |(place, field): (usize, &String)| !field.trim().is_empty() && place != self.text;
        !fields[self.text].trim().is_empty()
            && fields.iter().enumerate().any(filled)
            && (self.is_spaced() || !fields.iter().any(|field| begins_with_space(field)))
    }

    /// Whether rows have spaces behind delimiters, as the lines of a text have.
    const fn is_spaced(&self) -> bool {
        10 * self.spaced > self.rows
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
            return self.is_label(fields[label].trim_matches('"'));
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

    /// Whether a column of these fields, that of the text aside, holds a value like those of other rows.
    fn has_known(&self, fields: &[String], tells: impl Fn(usize) -> bool) -> bool {
        let mut others = (0..self.fields).filter(|column| *column != self.text && tells(*column));
        others.any(|column| {
            let field = &fields[column];
            // "Taste, 5": a comma of a sentence, where rows have no space behind theirs.
            let is_prose = column > 0 && begins_with_space(field) && !self.is_spaced();
            !is_prose && self.columns[column].knows(field)
        })
    }

    /// Of records over several lines the one that is longer than any other by far, with its number of lines, in a file without
    /// labels: where rows that were swallowed hold delimiters in their texts, or there is no other column, no line tells.
    pub(super) fn outlier(&self, text: &str, spans: &[Span]) -> Option<(u64, u64)> {
        if self.label.is_some() {
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

fn begins_with_space(field: &str) -> bool {
    field.starts_with(char::is_whitespace)
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
        // Identifiers are written in many ways, and are of one length.
        let mut column = Column::default();
        let id = |seed: u32| {
            let hash = blake3::hash(&seed.to_le_bytes()).to_hex();
            format!("{}-{}-{}", &hash[..8], &hash[8..12], &hash[12..24])
        };
        (0..500).for_each(|seed| column.add(&id(seed)));
        assert!(column.knows(&id(1000)) && !column.knows("well-1-2"));
    }

    #[test]
    fn labels_are_known_in_other_spellings() {
        let declared = ["neg", "pos"].map(str::to_owned);
        let field = |text: &str| Field {
            text: text.to_owned(),
            quoted: false,
            spans: false,
        };
        let mut look = Look::new(0, 1, 2, b'\n', &declared);
        assert!(look.is_label("NEG") && !look.is_label("1.0") && !look.is_label("well"));
        look.add(&[field("a"), field("1")]);
        assert!(look.is_label("0.0") && look.is_label("1.00") && !look.is_label("2"));
    }
}
