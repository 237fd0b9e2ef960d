//! A TOML tree in which every key and value remembers where it was written.

use super::files::Origin;
use std::collections::HashMap;

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Node {
    pub value: Value,
    /// Where it stands; for a table, its header.
    pub origin: Origin,
}

/// A TOML value, with the places of everything in it.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names are TOML's")]
pub enum Value {
    String(String),
    /// A whole number; wider than TOML's, so that one too large is still told apart.
    Integer(i128),
    /// A number with a point or an exponent, an infinity, or not a number.
    Float(f64),
    Boolean(bool),
    /// A date or a time, which no key takes.
    Datetime(String),
    Array(Vec<Node>),
    Table(Table),
}

impl Value {
    /// What it is, with an article, for messages.
    pub const fn what(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Boolean(_) => "a boolean",
            Self::Datetime(_) => "a date",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// A table in the order in which it was written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// Keys with their values; no key stands twice.
    pub entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Entry {
    /// The key without quotation marks.
    pub key: String,
    pub key_origin: Origin,
    /// What stands behind the equals sign.
    pub node: Node,
}

impl Table {
    /// Looks a key up, with the place where it was written.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// Looks a key up.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// The keys in the order in which they were written.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.key.as_str())
    }

    /// Lays another table over this one: tables are merged key by key, every other value is replaced.
    pub(crate) fn overlay(&mut self, over: Self) {
        let mut places: HashMap<String, usize> = self
            .entries
            .iter()
            .enumerate()
            .map(|(place, entry)| (entry.key.clone(), place))
            .collect();
        for entry in over.entries {
            let Some(&place) = places.get(&entry.key) else {
                places.insert(entry.key.clone(), self.entries.len());
                self.entries.push(entry);
                continue;
            };
            let old = &mut self.entries[place];
            match (&mut old.node.value, entry.node.value) {
                // The place of a table stays that of its first header.
                (Value::Table(old_table), Value::Table(table)) => old_table.overlay(table),
                (old_value, value) => {
                    *old_value = value;
                    old.node.origin = entry.node.origin;
                    old.key_origin = entry.key_origin;
                }
            }
        }
    }
}

impl Node {
    /// The table, if it is one.
    pub const fn as_table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The list, if it is one.
    pub fn as_array(&self) -> Option<&[Self]> {
        match &self.value {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The axis that the value stands for: `epsilon` for `"$epsilon"`.
    pub fn axis(&self) -> Option<&str> {
        self.as_str().and_then(axis_name)
    }

    /// The value as JSON. An infinite float becomes the word that epsilon knows, `"inf"`; whole floats become integers, so
    /// that `16` and `16.0` are one value.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::String(text) | Value::Datetime(text) => Json::from(text.as_str()),
            Value::Integer(number) => {
                i64::try_from(*number).map_or_else(|_| Json::from(*number as f64), Json::from)
            }
            Value::Float(number) => number_to_json(*number),
            Value::Boolean(flag) => Json::from(*flag),
            Value::Array(items) => items.iter().map(Self::to_json).collect(),
            Value::Table(table) => Json::Object(
                table
                    .entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.node.to_json()))
                    .collect(),
            ),
        }
    }
}

/// Largest whole number below which every whole number is a float.
pub(super) const LARGEST_INTEGER: i128 = 1 << 53;

fn number_to_json(number: f64) -> serde_json::Value {
    if number == f64::INFINITY {
        return "inf".into();
    }
    if number.fract() == 0.0 && number.abs() <= LARGEST_INTEGER as f64 {
        return (number as i64).into();
    }
    number.into()
}

/// The name in `$name`, if the text is a reference to an axis.
pub(super) fn axis_name(text: &str) -> Option<&str> {
    text.strip_prefix('$').filter(|name| is_name(name))
}

/// Whether a text can name a stage or an axis: a letter, then letters, digits, `_` or `-`.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "_-".contains(character))
}
