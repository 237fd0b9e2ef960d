//! Columns of lists, read as JSON: conversations as lists of strings or of structures with a role and a content, and people as
//! lists of strings or numbers.

use super::{Bytes, LONGEST, holds_labels, shortest, unsigned};
use crate::error::printable;
use ::parquet::basic::{Repetition, Type as Physical};
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::{ByteArray, DataType};
use ::parquet::schema::types::{SchemaDescriptor, Type};
use serde_json::{Value, json};

/// Lists that are read at once.
const BATCH: usize = 64;

/// Keys of a turn that are read, where they hold strings.
const KEYS: [&str; 5] = ["role", "from", "content", "value", "refusal"];

/// What the lists of a column hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Elements {
    Turns,
    /// Names of people: strings, or numbers as an index of people has them.
    Names,
}

/// The leaves of a column of lists: of a list of single values one without a key.
pub(super) struct Turns {
    leaves: Vec<(Option<&'static str>, Leaf)>,
    elements: Elements,
}

#[derive(Clone, Copy)]
struct Leaf {
    place: usize,
    /// The definition level from which on a list has an element; one less is an empty list, and still less is none at all.
    element: i16,
    /// The definition level of a value.
    value: i16,
    unsigned: bool,
}

impl Turns {
    /// The leaves of the column of that name; none where it is a column of single values or not there.
    ///
    /// # Errors
    /// It holds lists of something else.
    pub(super) fn find(
        schema: &SchemaDescriptor,
        name: &str,
        elements: Elements,
    ) -> Result<Option<Self>, String> {
        // The keys that lead from an element to a leaf, and the leaf where it is of a type that is read.
        let mut leaves: Vec<(&[String], Option<Leaf>)> = Vec::new();
        let columns = schema.columns();
        for (place, column) in columns.iter().enumerate() {
            let parts = column.path().parts();
            if parts.first().is_none_or(|first| first != name) {
                continue;
            }
            if column.max_rep_level() == 0 && parts.len() == 1 {
                return Ok(None);
            }
            let is_read = match column.physical_type() {
                Physical::BYTE_ARRAY => true,
                Physical::INT32 | Physical::INT64 | Physical::FLOAT | Physical::DOUBLE => {
                    elements == Elements::Names && holds_labels(column).is_ok()
                }
                _ => false,
            };
            let list = if column.max_rep_level() == 1 {
                within_list(schema.root_schema(), parts)
            } else {
                None
            };
            leaves.push(match list {
                Some((element, keys)) => {
                    let leaf = is_read.then(|| Leaf {
                        place,
                        element,
                        value: column.max_def_level(),
                        unsigned: unsigned(column),
                    });
                    (keys, leaf)
                }
                None => (parts, None),
            });
        }
        let leaves = match leaves.as_slice() {
            [] => return Ok(None),
            [([], Some(leaf))] => Some(vec![(None, *leaf)]),
            leaves if elements == Elements::Turns => keys(leaves),
            _ => None,
        };
        match leaves {
            Some(leaves) => Ok(Some(Self { leaves, elements })),
            None => Err(refusal(name, elements)),
        }
    }

    /// Opens the leaves of a row group.
    pub(super) fn open(
        &self,
        open: impl Fn(usize) -> Result<ColumnReader, String>,
    ) -> Result<TurnReaders, String> {
        let reader = |(key, leaf): &(Option<&'static str>, Leaf)| {
            Ok::<_, String>((*key, open(leaf.place)?, *leaf))
        };
        Ok(TurnReaders {
            readers: self.leaves.iter().map(reader).collect::<Result<_, _>>()?,
            elements: self.elements,
        })
    }
}

/// The leaves of a turn's keys; none where who speaks or what is said is missing, or stands twice.
fn keys(leaves: &[(&[String], Option<Leaf>)]) -> Option<Vec<(Option<&'static str>, Leaf)>> {
    let mut found = Vec::new();
    for key in KEYS {
        let mut of_key = leaves.iter().filter(|(keys, _)| *keys == [key]);
        if let Some((_, Some(leaf))) = of_key.next() {
            if of_key.next().is_some() {
                return None;
            }
            found.push((Some(key), *leaf));
        }
    }
    let has = |of: [&str; 2]| {
        let mut keys = found.iter().filter_map(|(key, _)| *key);
        keys.any(|key| of.contains(&key))
    };
    (has(["role", "from"]) && has(["content", "value"])).then_some(found)
}

fn refusal(name: &str, elements: Elements) -> String {
    let name = printable(name);
    match elements {
        Elements::Turns => format!(
            "the column `{name}` holds no lists of strings, nor of structures with a string `role` and a string `content` (or `from` and `value`): write the conversations as JSON, one a line"
        ),
        Elements::Names => format!(
            "the column `{name}` holds lists or structures that are no lists of strings or numbers: write the people of a record as a list of these, or the table as JSON lines (`unit_column`)"
        ),
    }
}

/// The definition level from which on the list at a path has an element, and the keys that lead from the element to the leaf:
/// none where the elements are single values.
fn within_list<'a>(root: &Type, parts: &'a [String]) -> Option<(i16, &'a [String])> {
    let mut node = root;
    let mut level = 0;
    for (at, part) in parts.iter().enumerate() {
        node = node
            .get_fields()
            .iter()
            .find(|field| field.name() == part)?;
        match node.get_basic_info().repetition() {
            Repetition::REQUIRED => {}
            Repetition::OPTIONAL => level += 1,
            Repetition::REPEATED => {
                let within = &parts[at + 1..];
                let keys = if at > 0 && wraps_element(node) {
                    within.get(1..)?
                } else {
                    within
                };
                return Some((level + 1, keys));
            }
        }
    }
    None
}

/// Whether a repeated node is a frame around the element, as the format has it today, and not the element itself, as older
/// writers have it.
fn wraps_element(repeated: &Type) -> bool {
    let name = repeated.name();
    repeated.is_group()
        && repeated.get_fields().len() == 1
        && name != "array"
        && !name.ends_with("_tuple")
}

pub(super) struct TurnReaders {
    readers: Vec<(Option<&'static str>, ColumnReader, Leaf)>,
    elements: Elements,
}

impl TurnReaders {
    /// The next lists as JSON; empty at the end.
    pub(super) fn next(&mut self) -> Result<Vec<Option<Bytes>>, String> {
        let mut columns = Vec::with_capacity(self.readers.len());
        for (key, reader, leaf) in &mut self.readers {
            columns.push((*key, lists(reader, *leaf)?.into_iter()));
        }
        let rows = columns.first().map_or(0, |(_, lists)| lists.len());
        if columns.iter().any(|(_, lists)| lists.len() != rows) {
            return Err("its columns are of different length".to_owned());
        }
        let mut found = Vec::with_capacity(rows);
        for _ in 0..rows {
            let mut elements: Vec<Value> = Vec::new();
            let (mut is_null, mut is_text) = (false, true);
            for (place, (key, lists)) in columns.iter_mut().enumerate() {
                let list = lists.next().unwrap_or_default();
                is_null |= list.is_null;
                is_text &= list.is_text;
                if place == 0 {
                    elements = match key {
                        None => list.values.clone(),
                        Some(_) => vec![json!({}); list.values.len()],
                    };
                }
                if elements.len() != list.values.len() {
                    return Err("a turn has no role or no content".to_owned());
                }
                if let Some(key) = key {
                    for (element, value) in elements.iter_mut().zip(list.values) {
                        element[*key] = value;
                    }
                }
            }
            found.push(match (is_null, self.elements) {
                (true, Elements::Turns) => None,
                // A record that is nobody's, as a null among single values is.
                (true, Elements::Names) => Some(Ok(b"null".to_vec())),
                // What no text is made of: the row is told, as one of a column of strings is.
                (false, _) if !is_text => Some(Ok(vec![0xff])),
                (false, _) => {
                    let text = Value::from(elements).to_string();
                    Some(if text.len() > LONGEST {
                        Err(text.len())
                    } else {
                        Ok(text.into_bytes())
                    })
                }
            });
        }
        Ok(found)
    }
}

/// The list of a row.
#[derive(Default)]
struct List {
    is_null: bool,
    /// Whether every string in it is UTF-8.
    is_text: bool,
    values: Vec<Value>,
}

/// The next lists of a leaf.
fn lists(reader: &mut ColumnReader, leaf: Leaf) -> Result<Vec<List>, String> {
    let number = |value: f64| match value {
        value if value.is_nan() => Value::Null,
        value if value.is_infinite() => Value::from(value.to_string()),
        value => Value::from(value),
    };
    match reader {
        ColumnReader::ByteArrayColumnReader(reader) => {
            lists_of(reader, leaf, |value: ByteArray| {
                std::str::from_utf8(value.data()).ok().map(Value::from)
            })
        }
        ColumnReader::Int32ColumnReader(reader) => lists_of(reader, leaf, |value| {
            Some(if leaf.unsigned {
                Value::from(value.cast_unsigned())
            } else {
                Value::from(value)
            })
        }),
        ColumnReader::Int64ColumnReader(reader) => lists_of(reader, leaf, |value| {
            Some(if leaf.unsigned {
                Value::from(value.cast_unsigned())
            } else {
                Value::from(value)
            })
        }),
        ColumnReader::FloatColumnReader(reader) => {
            lists_of(reader, leaf, |value| Some(number(shortest(value))))
        }
        ColumnReader::DoubleColumnReader(reader) => {
            lists_of(reader, leaf, |value| Some(number(value)))
        }
        _ => Err("a column is not of the type that the schema says".to_owned()),
    }
}

/// The next lists of a leaf whose values become JSON by `value`; none of what is no text.
fn lists_of<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    leaf: Leaf,
    value: impl Fn(T::T) -> Option<Value>,
) -> Result<Vec<List>, String> {
    let (mut definition, mut repetition, mut values) = (Vec::new(), Vec::new(), Vec::new());
    reader
        .read_records(
            BATCH,
            Some(&mut definition),
            Some(&mut repetition),
            &mut values,
        )
        .map_err(|error| error.to_string())?;
    let mut lists: Vec<List> = Vec::new();
    let mut values = values.into_iter();
    for (definition, repetition) in definition.into_iter().zip(repetition) {
        if repetition == 0 {
            lists.push(List {
                is_null: definition < leaf.element - 1,
                is_text: true,
                values: Vec::new(),
            });
        }
        let list = lists.last_mut().ok_or("a list begins in its middle")?;
        if definition < leaf.element {
            continue;
        }
        let element = if definition == leaf.value {
            let found = values.next().ok_or("a value is missing")?;
            let found = value(found);
            list.is_text &= found.is_some();
            found.unwrap_or_default()
        } else {
            Value::Null
        };
        list.values.push(element);
    }
    Ok(lists)
}

#[cfg(test)]
mod tests;
