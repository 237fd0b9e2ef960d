//! Parquet, as datasets on the Hub are stored.

use super::delimited::missing;
use super::{Label, RawRow, label};
use crate::DataError;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::path::Path;

/// Reads all row groups.
pub(super) fn read(
    path: &Path,
    text_column: &str,
    label_column: &str,
) -> Result<Vec<RawRow>, DataError> {
    let file = std::fs::File::open(path).map_err(|error| DataError::file(path, error))?;
    let broken = |error: &dyn std::fmt::Display| {
        DataError::file(path, format!("no parquet file that can be read: {error}"))
    };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| broken(&error))?;
    let schema = builder.schema().clone();
    let find = |name: &str, key: &str| {
        schema.index_of(name).map_err(|_| {
            missing(
                path,
                name,
                key,
                schema.fields().iter().map(|field| field.name().as_str()),
            )
        })
    };
    let (text_at, label_at) = (
        find(text_column, "text_column")?,
        find(label_column, "label_column")?,
    );
    let reader = builder.build().map_err(|error| broken(&error))?;
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| broken(&error))?;
        for index in 0..batch.num_rows() {
            let line = rows.len() as u64 + 1;
            let text = string(&batch, text_at, index);
            let name = string(&batch, label_at, index).map(|name| label(&name));
            let wrong = |column: &str, expected: &str| {
                let problem = format!(
                    "row: `{column}` is missing or of an unsupported type: expected {expected}"
                );
                DataError::line(path, line, problem)
            };
            rows.push(RawRow {
                line,
                text: text.ok_or_else(|| wrong(text_column, "a string"))?,
                label: name
                    .or_else(|| integer(&batch, label_at, index).map(Label::Index))
                    .ok_or_else(|| wrong(label_column, "a string or a whole number"))?,
            });
        }
    }
    Ok(rows)
}

/// The names in the schema.
pub(super) fn columns(path: &Path) -> Result<Vec<String>, DataError> {
    let file = std::fs::File::open(path).map_err(|error| DataError::file(path, error))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| {
        DataError::file(path, format!("no parquet file that can be read: {error}"))
    })?;
    let fields = builder.schema().fields();
    Ok(fields.iter().map(|field| field.name().clone()).collect())
}

fn string(batch: &RecordBatch, column: usize, row: usize) -> Option<String> {
    let array = batch.column(column);
    if array.is_null(row) {
        return None;
    }
    let text = match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row),
        DataType::Utf8View => array.as_string_view().value(row),
        _ => return None,
    };
    Some(text.to_owned())
}

fn integer(batch: &RecordBatch, column: usize, row: usize) -> Option<i64> {
    let array = batch.column(column);
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Int8 => Some(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => Some(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => Some(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Some(array.as_primitive::<Int64Type>().value(row)),
        _ => None,
    }
}
