//! Every column of a parquet file of plain values, as releases are written; checked like any other file.

use super::pages::Pages;
use super::{RawLabel, metadata, roots, strings, unsigned, values};
use crate::DataError;
use crate::read::open::{self, Allowance};
use ::parquet::basic::Type as Physical;
use ::parquet::column::reader::get_column_reader;
use ::parquet::file::metadata::ColumnChunkMetaData;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

/// The values of a column, one for each row.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub enum ParquetValues {
    Text(Vec<String>),
    Integer(Vec<i64>),
    Number(Vec<f64>),
}

/// A parquet file that holds no nulls, lists or structures.
#[derive(Debug, Clone, PartialEq)]
pub struct ParquetTable {
    /// Name and values of each column.
    pub columns: Vec<(String, ParquetValues)>,
    /// What the file keeps beside them, by key.
    pub metadata: BTreeMap<String, String>,
}

/// Reads all columns of a parquet file that holds strings, whole numbers and numbers, and no null.
///
/// # Errors
/// The file cannot be read, is damaged, or holds something else.
pub fn read_parquet(path: &Path) -> Result<ParquetTable, DataError> {
    let broken = |error: String| DataError::file(path, format!("unreadable parquet file: {error}"));
    dpx_schema::guard(|| {
        let (file, size) = open::open(path)?;
        read(&file, size).map_err(broken)
    })
    .unwrap_or_else(|| Err(broken("its content is damaged".to_owned())))
}

fn read(file: &File, size: u64) -> Result<ParquetTable, String> {
    let metadata = metadata(file, size)?;
    let of_file = metadata.file_metadata();
    let names = roots(of_file);
    if of_file.schema_descr().num_columns() != names.len() {
        return Err("it holds lists or structures".to_owned());
    }
    let mut allowance = Allowance::of(size);
    let mut columns = Vec::new();
    for (place, name) in names.into_iter().enumerate() {
        let description = of_file.schema_descr().column(place);
        if description.max_def_level() > 1 || description.max_rep_level() > 0 {
            return Err("it holds lists or structures".to_owned());
        }
        let mut column = match description.physical_type() {
            Physical::BYTE_ARRAY => ParquetValues::Text(Vec::new()),
            Physical::INT64 => ParquetValues::Integer(Vec::new()),
            Physical::DOUBLE => ParquetValues::Number(Vec::new()),
            other => return Err(format!("a column holds values of type {other}")),
        };
        for group in metadata.row_groups() {
            let before = column.len();
            column.extend(file, size, group.column(place), &mut allowance)?;
            if (column.len() - before) as i64 != group.num_rows() {
                return Err("a column has another number of values than rows".to_owned());
            }
        }
        columns.push((name, column));
    }
    let pairs = of_file.key_value_metadata().into_iter().flatten();
    let mut kept = BTreeMap::new();
    for pair in pairs {
        let value = pair.value.clone().unwrap_or_default();
        if kept.insert(pair.key.clone(), value).is_some() {
            return Err("it keeps two values under one key".to_owned());
        }
    }
    Ok(ParquetTable {
        columns,
        metadata: kept,
    })
}

impl ParquetValues {
    fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Integer(values) => values.len(),
            Self::Number(values) => values.len(),
        }
    }

    /// Reads a column chunk, a few values at a time.
    fn extend(
        &mut self,
        file: &File,
        size: u64,
        chunk: &ColumnChunkMetaData,
        allowance: &mut Allowance,
    ) -> Result<(), String> {
        let pages = Pages::open(file, size, chunk)?;
        let mut reader = get_column_reader(chunk.column_descr_ptr(), Box::new(pages));
        let nullable = chunk.column_descr().max_def_level() > 0;
        let null = || "it holds a null".to_owned();
        loop {
            let before = self.len();
            match self {
                Self::Text(texts) => {
                    for text in strings(&mut reader, nullable)? {
                        let bytes = text.ok_or_else(null)?.map_err(|_| "a text is too long")?;
                        allowance.take(bytes.len() as u64 + super::ROW)?;
                        let text = String::from_utf8(bytes).map_err(|_| "a text is not UTF-8")?;
                        texts.push(text);
                    }
                }
                Self::Integer(numbers) => {
                    for value in values(&mut reader, nullable, unsigned(chunk.column_descr()))? {
                        let number = match value.ok_or_else(null)? {
                            RawLabel::Integer(number) => i64::try_from(number).ok(),
                            _ => None,
                        };
                        allowance.take(super::ROW)?;
                        numbers.push(number.ok_or("a whole number is too large")?);
                    }
                }
                Self::Number(numbers) => {
                    for value in values(&mut reader, nullable, false)? {
                        let RawLabel::Float(number) = value.ok_or_else(null)? else {
                            return Err("a value is no number".to_owned());
                        };
                        allowance.take(super::ROW)?;
                        numbers.push(number);
                    }
                }
            }
            if self.len() == before {
                return Ok(());
            }
        }
    }
}
