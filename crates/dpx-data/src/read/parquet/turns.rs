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

/// The leaves of a column of conversations.
pub(super) struct Turns {
    /// Who speaks; none in a list of strings.
    role: Option<Leaf>,
    content: Leaf,
}

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
        let named = |names: [&str; 2]| {
            let mut found = leaves
                .iter()
                .filter(|(last, _)| names.contains(&last.as_str()));
            found.find_map(|(_, leaf)| *leaf)
        };
        if let (Some(role), Some(content)) = (named(["role", "from"]), named(["content", "value"]))
        {
            return Ok(Some(Self {
                role: Some(role),
                content,
            }));
        }
        match leaves.as_slice() {
            [(_, Some(content))] => Ok(Some(Self {
                role: None,
                content: *content,
            })),
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
        let reader = |leaf: Leaf| match open(leaf.place)? {
            ColumnReader::ByteArrayColumnReader(reader) => Ok((reader, leaf)),
            _ => Err("a column is not of the type that the schema says".to_owned()),
        };
        Ok(TurnReaders {
            role: self.role.map(reader).transpose()?,
            content: reader(self.content)?,
        })
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

pub(super) struct TurnReaders {
    role: Option<(StringReader, Leaf)>,
    content: (StringReader, Leaf),
}

impl TurnReaders {
    /// The next conversations as JSON; empty at the end.
    pub(super) fn next(&mut self) -> Result<Vec<Option<Bytes>>, String> {
        let contents = lists(&mut self.content.0, self.content.1)?;
        let roles = match &mut self.role {
            Some((reader, leaf)) => Some(lists(reader, *leaf)?),
            None => None,
        };
        if let Some(roles) = &roles
            && roles.len() != contents.len()
        {
            return Err("its columns are of different length".to_owned());
        }
        let mut found = Vec::with_capacity(contents.len());
        for (row, contents) in contents.into_iter().enumerate() {
            let turns: Vec<Value> = match roles.as_ref().map(|roles| &roles[row]) {
                None => contents.into_iter().map(Value::from).collect(),
                Some(roles) if roles.len() == contents.len() => roles
                    .iter()
                    .zip(contents)
                    .map(|(role, content)| json!({"role": role, "content": content}))
                    .collect(),
                Some(_) => return Err("a turn has no role or no content".to_owned()),
            };
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
