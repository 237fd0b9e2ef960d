//! Columns of conversations: lists of strings, or of structures with a role and a content, read as JSON.

use super::{Bytes, LONGEST};
use crate::error::printable;
use ::parquet::basic::{Repetition, Type as Physical};
use ::parquet::column::reader::ColumnReader;
use ::parquet::column::reader::ColumnReaderImpl;
use ::parquet::data_type::ByteArrayType;
use ::parquet::schema::types::{SchemaDescriptor, Type};
use serde_json::{Value, json};

/// Conversations that are read at once.
const BATCH: usize = 64;

/// Keys of a turn that are read, where they hold strings.
const KEYS: [&str; 5] = ["role", "from", "content", "value", "refusal"];

/// The leaves of a column of conversations: of a list of strings one without a key.
pub(super) struct Turns(Vec<(Option<&'static str>, Leaf)>);

#[derive(Clone, Copy)]
struct Leaf {
    place: usize,
    /// The definition level from which on a list has an element.
    element: i16,
    /// The definition level of a value.
    value: i16,
}

impl Turns {
    /// The leaves of the column of that name; none where it is a column of single values or not there.
    ///
    /// # Errors
    /// It holds lists of something else.
    pub(super) fn find(schema: &SchemaDescriptor, name: &str) -> Result<Option<Self>, String> {
        let mut leaves = Vec::new();
        for place in 0..schema.num_columns() {
            let column = schema.column(place);
            let parts = column.path().parts();
            if parts.first().is_none_or(|first| first != name) {
                continue;
            }
            if column.max_rep_level() == 0 && parts.len() == 1 {
                return Ok(None);
            }
            let last = parts.last().map_or("", String::as_str);
            let leaf = (column.max_rep_level() == 1
                && column.physical_type() == Physical::BYTE_ARRAY)
                .then(|| element_level(schema.root_schema(), parts))
                .flatten()
                .map(|element| Leaf {
                    place,
                    element,
                    value: column.max_def_level(),
                });
            leaves.push((last.to_owned(), leaf));
        }
        if leaves.is_empty() {
            return Ok(None);
        }
        let of_key = |key: &'static str| {
            let mut found = leaves.iter().filter(|(last, _)| last == key);
            Some((Some(key), found.find_map(|(_, leaf)| *leaf)?))
        };
        let keys: Vec<_> = KEYS.into_iter().filter_map(of_key).collect();
        let has = |keys_of: [&str; 2]| {
            let mut keys = keys.iter().filter_map(|(key, _)| *key);
            keys.any(|key| keys_of.contains(&key))
        };
        if has(["role", "from"]) && has(["content", "value"]) {
            return Ok(Some(Self(keys)));
        }
        match leaves.as_slice() {
            [(_, Some(content))] => Ok(Some(Self(vec![(None, *content)]))),
            _ => Err(format!(
                "the column `{}` holds no lists of strings, nor of structures with a string `role` and a string `content` (or `from` and `value`): write the conversations as JSON, one a line",
                printable(name)
            )),
        }
    }

    /// Opens the leaves of a row group.
    pub(super) fn open(
        &self,
        open: impl Fn(usize) -> Result<ColumnReader, String>,
    ) -> Result<TurnReaders, String> {
        let reader = |(key, leaf): &(Option<&'static str>, Leaf)| match open(leaf.place)? {
            ColumnReader::ByteArrayColumnReader(reader) => Ok((*key, reader, *leaf)),
            _ => Err("a column is not of the type that the schema says".to_owned()),
        };
        Ok(TurnReaders(
            self.0.iter().map(reader).collect::<Result<_, _>>()?,
        ))
    }
}

/// The definition level from which on the list at a path has an element: that of its repeated node.
fn element_level(root: &Type, parts: &[String]) -> Option<i16> {
    let mut node = root;
    let mut level = 0;
    for part in parts {
        node = node
            .get_fields()
            .iter()
            .find(|field| field.name() == part)?;
        match node.get_basic_info().repetition() {
            Repetition::REQUIRED => {}
            Repetition::OPTIONAL => level += 1,
            Repetition::REPEATED => return Some(level + 1),
        }
    }
    None
}

type StringReader = ColumnReaderImpl<ByteArrayType>;

pub(super) struct TurnReaders(Vec<(Option<&'static str>, StringReader, Leaf)>);

impl TurnReaders {
    /// The next conversations as JSON; empty at the end.
    pub(super) fn next(&mut self) -> Result<Vec<Option<Bytes>>, String> {
        let mut columns = Vec::with_capacity(self.0.len());
        for (key, reader, leaf) in &mut self.0 {
            columns.push((*key, lists(reader, *leaf)?.into_iter()));
        }
        let rows = columns.first().map_or(0, |(_, lists)| lists.len());
        if columns.iter().any(|(_, lists)| lists.len() != rows) {
            return Err("its columns are of different length".to_owned());
        }
        let mut found = Vec::with_capacity(rows);
        for _ in 0..rows {
            let mut turns: Vec<Value> = Vec::new();
            for (place, (key, lists)) in columns.iter_mut().enumerate() {
                let values = lists.next().unwrap_or_default();
                if place == 0 {
                    turns = match key {
                        None => values.iter().cloned().map(Value::from).collect(),
                        Some(_) => vec![json!({}); values.len()],
                    };
                }
                if turns.len() != values.len() {
                    return Err("a turn has no role or no content".to_owned());
                }
                if let Some(key) = key {
                    for (turn, value) in turns.iter_mut().zip(values) {
                        turn[*key] = Value::from(value);
                    }
                }
            }
            let text = Value::from(turns).to_string();
            found.push(Some(if text.len() > LONGEST {
                Err(text.len())
            } else {
                Ok(text.into_bytes())
            }));
        }
        Ok(found)
    }
}

/// The next lists of a leaf.
fn lists(reader: &mut StringReader, leaf: Leaf) -> Result<Vec<Vec<Option<String>>>, String> {
    let (mut definition, mut repetition, mut values) = (Vec::new(), Vec::new(), Vec::new());
    reader
        .read_records(
            BATCH,
            Some(&mut definition),
            Some(&mut repetition),
            &mut values,
        )
        .map_err(|error| error.to_string())?;
    let mut lists: Vec<Vec<Option<String>>> = Vec::new();
    let mut values = values.into_iter();
    for (definition, repetition) in definition.into_iter().zip(repetition) {
        if repetition == 0 {
            lists.push(Vec::new());
        }
        let list = lists.last_mut().ok_or("a list begins in its middle")?;
        if definition < leaf.element {
            continue;
        }
        list.push(if definition == leaf.value {
            let value = values.next().ok_or("a value is missing")?;
            let text = std::str::from_utf8(value.data()).map_err(|_| "a turn is not UTF-8")?;
            Some(text.to_owned())
        } else {
            None
        });
    }
    Ok(lists)
}
