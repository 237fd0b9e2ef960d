//! Labels as files write them, matched with the declared names: by name first, by index only where that is meant.

use crate::DataError;
use crate::error::listed;
use dpx_schema::is_invisible;
use dpx_schema::params::LabelsBy;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use unicode_normalization::UnicodeNormalization;

/// A label as it stands in a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RawLabel {
    Text(String),
    Integer(i128),
    /// A number with a fraction part, perhaps of zero.
    Float(f64),
    /// A truth value.
    Bool(bool),
    Missing,
}

impl fmt::Display for RawLabel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(&normal(text)),
            Self::Integer(number) => number.fmt(formatter),
            Self::Float(number) => number.fmt(formatter),
            Self::Bool(value) => value.fmt(formatter),
            Self::Missing => Ok(()),
        }
    }
}

/// Composed (NFC), without white space around it: what counts when names are compared.
pub(crate) fn normal(name: &str) -> String {
    name.trim().nfc().collect()
}

/// As `normal`, without differences of case and of white space.
fn folded(name: &str) -> String {
    let lower = normal(name).to_lowercase();
    lower.split_whitespace().collect::<Vec<_>>().join("")
}

/// As `folded`, without differences that can hardly be seen: invisible characters, ligatures, full-width letters.
pub(crate) fn look(name: &str) -> String {
    let visible = name.chars().filter(|letter| !is_invisible(*letter));
    folded(&visible.nfkc().collect::<String>())
}

/// From here on floating-point numbers leave out whole numbers, so that a label may be another one.
const INEXACT: f64 = 9_007_199_254_740_992.0;

/// Whether a number was rounded when it was read.
fn is_rounded(label: &RawLabel) -> bool {
    matches!(label, RawLabel::Float(value) if value.abs() >= INEXACT)
}

/// A number in one spelling: `1`, `1.0` and `1.00` are `1`. None where the text is no plain decimal number (`01` is a name).
fn number(text: &str) -> Option<String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let sign = if text.starts_with('-') && !(whole == "0" && fraction.is_empty()) {
        "-"
    } else {
        ""
    };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

/// The truth value that a text is, as Python, JSON and SQL write it.
fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// The spelling of a label that is a number, if it is one, and whether the file has it as a number rather than as text.
fn numeral(label: &RawLabel) -> Option<(String, bool)> {
    match label {
        RawLabel::Text(text) => Some((number(text.trim())?, false)),
        RawLabel::Integer(value) => Some((value.to_string(), true)),
        RawLabel::Float(_) if is_rounded(label) => None,
        RawLabel::Float(value) => Some((number(&value.to_string())?, true)),
        RawLabel::Bool(value) => Some((u8::from(*value).to_string(), true)),
        RawLabel::Missing => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Name,
    /// As a place among the names that the dataset stores.
    Stored,
    /// As a place among the declared labels.
    Index,
}

/// The declared labels, ready to be looked up.
#[derive(Debug)]
pub(crate) struct Labels {
    declared: Vec<String>,
    by: Option<LabelsBy>,
    names: HashMap<String, usize>,
    /// None where two names are one number.
    numbers: HashMap<String, Option<usize>>,
    truths: HashMap<bool, Option<usize>>,
    folded: HashMap<String, usize>,
    looks: HashMap<String, usize>,
}

impl Labels {
    /// # Errors
    /// When two names are the same, or one is empty.
    pub(crate) fn new(declared: &[String], by: Option<LabelsBy>) -> Result<Self, DataError> {
        let mut labels = Self {
            declared: declared.to_vec(),
            by,
            names: HashMap::new(),
            numbers: HashMap::new(),
            truths: HashMap::new(),
            folded: HashMap::new(),
            looks: HashMap::new(),
        };
        for (place, label) in declared.iter().enumerate() {
            let name = normal(label);
            if name.is_empty() {
                return Err(DataError::other("`labels` holds an empty name"));
            }
            if let Some(number) = number(&name) {
                let entry = labels.numbers.entry(number).or_insert(Some(place));
                *entry = entry.filter(|first| *first == place);
            }
            if let Some(truth) = truth(&name) {
                let entry = labels.truths.entry(truth).or_insert(Some(place));
                *entry = entry.filter(|first| *first == place);
            }
            labels.folded.insert(folded(&name), place);
            labels.looks.insert(look(&name), place);
            if let Some(first) = labels.names.insert(name, place) {
                return Err(DataError::other(format!(
                    "`labels` lists {} twice (names are compared in composed form, without white space around them)",
                    listed([&declared[first]])
                )));
            }
        }
        Ok(labels)
    }

    /// Whether a number can be the name of a label, so that none is taken for an index unasked.
    fn has_numbers(&self) -> bool {
        !self.numbers.is_empty() || !self.truths.is_empty()
    }

    /// The places among the declared labels of the names that a dataset stores.
    ///
    /// # Errors
    /// When the names are not those declared.
    pub(crate) fn stored(&self, names: &[String], path: &Path) -> Result<Vec<usize>, DataError> {
        let places: Option<Vec<usize>> = names
            .iter()
            .map(|name| self.names.get(&normal(name)).copied())
            .collect();
        if let Some(places) = places {
            let mut sorted = places.clone();
            sorted.sort_unstable();
            if sorted.iter().copied().eq(0..self.declared.len()) {
                return Ok(places);
            }
        }
        if self.by == Some(LabelsBy::Index) && names.len() == self.declared.len() {
            return Ok((0..names.len()).collect());
        }
        Err(DataError::file(
            path,
            format!(
                "the dataset stores the label names {}, `labels` declares {}: declare the stored names (in any order), or set `labels_by = \"index\"` and as many names of your own, in the order of the stored ones",
                listed(names),
                listed(&self.declared)
            ),
        ))
    }

    /// Whether a label may be a place in a list of names, and not a name itself.
    pub(crate) fn is_place(&self, label: &RawLabel) -> bool {
        numeral(label).is_some_and(|(_, typed)| self.counts(label, typed))
    }

    /// Whether numbers count stored names: those that the file has as numbers, and text where no name is a number. A truth
    /// value is a name where one is declared.
    fn counts(&self, label: &RawLabel, typed: bool) -> bool {
        let named = matches!(label, RawLabel::Bool(_)) && !self.truths.is_empty();
        !named && (typed || self.numbers.is_empty())
    }

    /// The place of a label among the declared ones. `stored` are the places of the names that its dataset stores. Whether a
    /// number is a name or a place follows from the declared and stored names alone, never from the number.
    ///
    /// # Errors
    /// What was expected; never the label.
    pub(crate) fn find(
        &self,
        label: &RawLabel,
        stored: Option<&[usize]>,
    ) -> Result<(usize, How), String> {
        let text = match label {
            RawLabel::Text(text) => normal(text),
            RawLabel::Bool(value) => value.to_string(),
            _ => String::new(),
        };
        let numeral = numeral(label);
        let unknown = || self.unknown(label, &text, numeral.is_some());
        if let Some((digits, typed)) = &numeral {
            let place = digits.parse::<usize>().ok();
            let counts = self.counts(label, *typed);
            if let Some(stored) = stored.filter(|_| counts) {
                let found = place.and_then(|place| stored.get(place));
                return found.map(|place| (*place, How::Stored)).ok_or_else(|| {
                    "the label is a number without a name: the dataset stores fewer label names"
                        .to_owned()
                });
            }
            let truth = matches!(label, RawLabel::Bool(_)) && !counts;
            let index = match self.by {
                Some(LabelsBy::Index) => !truth,
                Some(LabelsBy::Name) => false,
                // What programs mean by a truth value is not the order of names.
                None => !self.has_numbers() && !matches!(label, RawLabel::Bool(_)),
            };
            if stored.is_none() && index {
                let found = place.filter(|place| *place < self.declared.len());
                return found.map(|place| (place, How::Index)).ok_or_else(unknown);
            }
        }
        let by_name = self.names.get(&text).copied();
        let by_truth = || {
            let value = match label {
                RawLabel::Bool(value) => Some(*value),
                _ => truth(&text),
            };
            self.truths.get(&value?).copied().flatten()
        };
        let by_number = || {
            let (digits, _) = numeral.as_ref()?;
            let name = self.names.get(digits).copied();
            name.or_else(|| self.numbers.get(digits).copied().flatten())
        };
        let found = by_name.or_else(by_truth).or_else(by_number);
        found.map(|place| (place, How::Name)).ok_or_else(unknown)
    }

    fn unknown(&self, label: &RawLabel, text: &str, is_number: bool) -> String {
        let expected = format!("expected one of {}", listed(&self.declared));
        if is_rounded(label) {
            return "the label is a number of more digits than are read exactly: write the labels of this column as text".to_owned();
        }
        if *label == RawLabel::Missing || (text.is_empty() && !is_number) {
            return format!("the label is missing: {expected}");
        }
        if matches!(label, RawLabel::Bool(_)) && self.truths.is_empty() {
            return format!(
                "the label is a truth value: {expected}; declare `true` and `false`, or set `labels_by = \"index\"` where the first name stands for false and the second for true"
            );
        }
        if is_number {
            let last = self.declared.len().saturating_sub(1);
            return match self.by {
                Some(LabelsBy::Index) => format!(
                    "the label is a number that is no index from 0 to {last}: {expected} (`labels_by` is \"index\")"
                ),
                None if !self.has_numbers() => format!(
                    "the label is a number that is no index from 0 to {last}: {expected}, or the place of one, counted from 0"
                ),
                _ => format!(
                    "the label is a number that is none of the declared names: {expected}; if it counts these names from 0, set `labels_by = \"index\"`"
                ),
            };
        }
        if let Some(place) = self.folded.get(&folded(text)) {
            return format!(
                "the label differs from {} in case or spaces: write both alike",
                listed([&self.declared[*place]])
            );
        }
        if let Some(place) = self.looks.get(&look(text)) {
            return format!(
                "the label differs from {} in invisible characters or forms of letters, such as ligatures: write both alike",
                listed([&self.declared[*place]])
            );
        }
        format!("unknown label: {expected}")
    }
}

/// How many labels were understood in each way; kept in the findings.
#[derive(Debug, Default)]
pub(crate) struct Ways(BTreeMap<&'static str, u64>);

impl Ways {
    pub(crate) fn add(&mut self, how: How) {
        let way = match how {
            How::Name => "name",
            How::Stored => "stored names",
            How::Index => "index",
        };
        *self.0.entry(way).or_default() += 1;
    }

    pub(crate) fn counts(self) -> BTreeMap<String, u64> {
        let counts = self.0.into_iter();
        counts.map(|(way, count)| (way.to_owned(), count)).collect()
    }
}

#[cfg(test)]
mod tests;
