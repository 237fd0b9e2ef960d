//! Parquet, as datasets on the Hub are stored, through the parquet crate's own column readers; pages are read and
//! decompressed here, within limits.

mod codec;
mod footer;
mod pages;
mod thrift;
mod turns;
mod whole;

pub use pages::parquet_page;
pub use whole::{ParquetTable, ParquetValues, read_parquet};

use super::open::Allowance;
use super::{ClassNames, Columns, LONGEST, RawRow, missing, names, open, same, too_long, twice};
use crate::DataError;
use crate::error::{Problems, printable};
use crate::labels::RawLabel;
use ::parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use ::parquet::data_type::DataType;
use ::parquet::file::metadata::{
    FileMetaData, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use ::parquet::schema::types::ColumnDescriptor;
use pages::Pages;
use std::fs::File;
use std::path::Path;
use turns::{Elements, TurnReaders, Turns};

/// Rows that are decoded at once. Few, since one value may be as long as its page.
const BATCH: usize = 64;

/// What each row takes besides its text.
const ROW: u64 = 64;

/// Reads all row groups.
pub(super) fn read(
    path: &Path,
    columns: &Columns<'_>,
    problems: &mut Problems,
) -> Result<Vec<RawRow>, DataError> {
    let broken = |error: &dyn std::fmt::Display| {
        DataError::file(path, format!("unreadable parquet file: {error}"))
    };
    dpx_schema::guard(|| {
        let (file, size) = open::open(path)?;
        let metadata = metadata(&file, size).map_err(|error| broken(&error))?;
        let leaves = find(&metadata, columns, path)?;
        let mut reader = Reader {
            file: &file,
            size,
            allowance: Allowance::of(size),
            path,
            columns,
            rows: Vec::new(),
            row: 0,
        };
        for group in metadata.row_groups() {
            reader
                .group(group, &leaves, problems)
                .map_err(|error| broken(&error))?;
        }
        Ok(reader.rows)
    })
    .unwrap_or_else(|| Err(broken(&"its content is damaged")))
}

/// The names in the schema.
pub(super) fn columns(path: &Path) -> Result<Vec<String>, DataError> {
    of_footer(path, roots)
}

/// Whether a column of people holds lists of strings or numbers.
///
/// # Errors
/// It holds lists of something else, or the file cannot be read.
pub(super) fn holds_lists(path: &Path, name: &str) -> Result<bool, DataError> {
    of_footer(path, |metadata| {
        Turns::find(metadata.schema_descr(), name, Elements::Names)
            .map(|found| found.is_some())
            .map_err(|problem| DataError::file(path, problem))
    })?
}

/// The names of labels in the metadata.
pub(super) fn label_names(path: &Path, label: &str) -> Result<ClassNames, DataError> {
    of_footer(path, |metadata| stored_names(metadata, label))
}

/// What the footer of a file tells.
fn of_footer<T>(path: &Path, tell: impl FnOnce(&FileMetaData) -> T) -> Result<T, DataError> {
    let broken = |error: &dyn std::fmt::Display| {
        DataError::file(path, format!("unreadable parquet file: {error}"))
    };
    dpx_schema::guard(|| {
        let (file, size) = open::open(path)?;
        let metadata = metadata(&file, size).map_err(|error| broken(&error))?;
        Ok(tell(metadata.file_metadata()))
    })
    .unwrap_or_else(|| Err(broken(&"its content is damaged")))
}

fn metadata(file: &File, size: u64) -> Result<ParquetMetaData, String> {
    footer::check(file, size)?;
    let reader = ParquetMetaDataReader::new();
    reader
        .parse_and_finish(file)
        .map_err(|error| error.to_string())
}

/// The names of the columns, whether they hold values or groups of values.
fn roots(metadata: &FileMetaData) -> Vec<String> {
    let fields = metadata.schema().get_fields().iter();
    fields.map(|field| field.name().to_owned()).collect()
}

/// The names that `datasets` keeps in the file for a column of type ClassLabel.
fn stored_names(metadata: &FileMetaData, label: &str) -> ClassNames {
    let mut pairs = metadata.key_value_metadata().into_iter().flatten();
    let json = pairs.find(|pair| pair.key == "huggingface");
    let json = json.and_then(|pair| pair.value.as_deref());
    json.map_or(ClassNames::None, |json| names::in_metadata(json, label))
}

/// Where the leaves of what is wanted lie.
struct Leaves {
    text: TextLeaves,
    /// None where there is no column of labels.
    label: Option<usize>,
    others: Vec<usize>,
}

enum TextLeaves {
    /// In a column of strings.
    Plain(usize),
    Turns(Turns),
}

/// The places of the columns of text and labels among the leaves.
fn find(
    metadata: &ParquetMetaData,
    columns: &Columns<'_>,
    path: &Path,
) -> Result<Leaves, DataError> {
    let metadata = metadata.file_metadata();
    let roots = roots(metadata);
    let names = || roots.iter().map(String::as_str);
    if let Some(problem) = twice(names()) {
        return Err(DataError::file(path, problem));
    }
    let schema = metadata.schema_descr();
    let has = |name: &str| names().any(|root| same(root, name));
    let place = |name: &str, key: &str| {
        let leaf = (0..schema.num_columns()).find(|leaf| {
            let column = schema.column(*leaf);
            column.path().parts().len() == 1 && same(column.name(), name)
        });
        if let Some(leaf) = leaf {
            let column = schema.column(leaf);
            if column.max_rep_level() == 0 {
                return Ok(leaf);
            }
        }
        Err(if has(name) {
            DataError::file(
                path,
                format!(
                    "the column `{}` holds lists or structures, not single values: name another with `{key}`",
                    printable(name)
                ),
            )
        } else {
            DataError::file(path, missing(name, key, names()))
        })
    };
    let elements = match (columns.messages, columns.owners) {
        (true, _) => Some(Elements::Turns),
        (false, true) => Some(Elements::Names),
        (false, false) => None,
    };
    let turns = elements.map(|elements| Turns::find(schema, columns.text, elements));
    let turns = turns
        .transpose()
        .map_err(|problem| DataError::file(path, problem))?
        .flatten();
    let text = match turns {
        Some(turns) => TextLeaves::Turns(turns),
        None => TextLeaves::Plain(place(columns.text, columns.text_key())?),
    };
    let label =
        if columns.label.is_empty() || (columns.only_label().is_some() && !has(columns.label)) {
            None
        } else {
            Some(place(columns.label, columns.label_key())?)
        };
    let others = columns.others.iter();
    let others = others.map(|name| place(name, columns.label_key()));
    let others = others.collect::<Result<Vec<_>, _>>()?;
    if let TextLeaves::Plain(text) = text {
        let kind = schema.column(text).physical_type();
        if !matches!(kind, Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY) {
            return Err(DataError::file(
                path,
                format!(
                    "the column `{}` holds values of type {kind}: expected strings",
                    printable(columns.text)
                ),
            ));
        }
    }
    for leaf in label.iter().chain(&others) {
        holds_labels(&schema.column(*leaf)).map_err(|problem| DataError::file(path, problem))?;
    }
    Ok(Leaves {
        text,
        label,
        others,
    })
}

/// Refuses a column of values that are no labels.
fn holds_labels(column: &ColumnDescriptor) -> Result<(), String> {
    let other = match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::Decimal(_)), _) | (_, ConvertedType::DECIMAL) => Some("decimal numbers"),
        (
            Some(
                LogicalType::Date
                | LogicalType::Time(_)
                | LogicalType::Timestamp(_)
                | LogicalType::Uuid
                | LogicalType::Float16,
            ),
            _,
        )
        | (
            _,
            ConvertedType::DATE
            | ConvertedType::TIME_MILLIS
            | ConvertedType::TIME_MICROS
            | ConvertedType::TIMESTAMP_MILLIS
            | ConvertedType::TIMESTAMP_MICROS
            | ConvertedType::INTERVAL,
        ) => Some("dates, times or other values that are no labels"),
        _ if column.physical_type() == Physical::INT96 => Some("times"),
        _ => None,
    };
    if let Some(other) = other {
        return Err(format!(
            "the column `{}` holds {other}: expected strings, whole numbers or truth values",
            printable(column.name())
        ));
    }
    Ok(())
}

/// Whether the integers of a column are unsigned.
fn unsigned(column: &ColumnDescriptor) -> bool {
    match column.logical_type_ref() {
        Some(LogicalType::Integer(kind)) => !kind.is_signed,
        _ => matches!(
            column.converted_type(),
            ConvertedType::UINT_8
                | ConvertedType::UINT_16
                | ConvertedType::UINT_32
                | ConvertedType::UINT_64
        ),
    }
}

struct Reader<'a> {
    file: &'a File,
    size: u64,
    allowance: Allowance,
    path: &'a Path,
    columns: &'a Columns<'a>,
    rows: Vec<RawRow>,
    /// Rows read so far, those with problems included.
    row: u64,
}

/// Readers of the texts of a row group.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum Texts {
    Plain(ColumnReader, bool),
    Turns(TurnReaders),
}

impl Reader<'_> {
    /// Reads a row group, a few rows at a time.
    fn group(
        &mut self,
        group: &RowGroupMetaData,
        leaves: &Leaves,
        problems: &mut Problems,
    ) -> Result<(), String> {
        let open = |leaf: usize| {
            let chunk = group.column(leaf);
            let pages = Pages::open(self.file, self.size, chunk)?;
            Ok::<_, String>(get_column_reader(chunk.column_descr_ptr(), Box::new(pages)))
        };
        let nullable = |leaf: usize| group.column(leaf).column_descr().max_def_level() > 0;
        let mut texts = match &leaves.text {
            TextLeaves::Plain(leaf) => Texts::Plain(open(*leaf)?, nullable(*leaf)),
            TextLeaves::Turns(turns) => Texts::Turns(turns.open(open)?),
        };
        let mut labels = Vec::new();
        for &leaf in leaves.label.iter().chain(&leaves.others) {
            labels.push((
                open(leaf)?,
                nullable(leaf),
                unsigned(group.column(leaf).column_descr()),
            ));
        }
        let expected = group.num_rows();
        let mut found = 0_i64;
        loop {
            let text = match &mut texts {
                Texts::Plain(reader, nullable) => strings(reader, *nullable)?,
                Texts::Turns(turns) => turns.next()?,
            };
            let mut columns = Vec::with_capacity(labels.len());
            for (reader, nullable, unsigned) in &mut labels {
                let values = values(reader, *nullable, *unsigned)?;
                if values.len() != text.len() {
                    return Err("its columns are of different length".to_owned());
                }
                columns.push(values.into_iter());
            }
            if text.is_empty() {
                break;
            }
            found += text.len() as i64;
            for text in text {
                self.row += 1;
                let size = match &text {
                    Some(Ok(text)) => text.len() as u64,
                    _ => 0,
                };
                self.allowance.take(size + ROW)?;
                let values = columns.iter_mut().map(|values| {
                    let value = values.next().flatten();
                    value.unwrap_or(RawLabel::Missing)
                });
                self.add(text, values.collect(), leaves.label.is_some(), problems);
            }
        }
        if found == expected {
            Ok(())
        } else {
            Err(format!(
                "a row group should hold {expected} rows and holds {found}"
            ))
        }
    }

    fn add(
        &mut self,
        text: Option<Bytes>,
        mut labels: Vec<RawLabel>,
        labelled: bool,
        problems: &mut Problems,
    ) {
        let Some(text) = text else {
            problems.add(
                self.path,
                self.row,
                format!(
                    "`{}` is null in this row: leave the row out",
                    printable(self.columns.text)
                ),
            );
            return;
        };
        let text = match text {
            Ok(text) => text,
            Err(length) => {
                problems.add(self.path, self.row, too_long(length));
                return;
            }
        };
        let Ok(text) = String::from_utf8(text) else {
            problems.add(
                self.path,
                self.row,
                format!(
                    "`{}` is not UTF-8 in this row: expected a string",
                    printable(self.columns.text)
                ),
            );
            return;
        };
        let only = || self.columns.only_label().unwrap_or(RawLabel::Missing);
        let label = if labelled { labels.remove(0) } else { only() };
        self.rows.push(RawRow {
            line: self.row,
            text,
            label,
            assumed: !labelled,
            others: labels,
        });
    }
}

/// The next values of a column; none where they are null.
fn next<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    nullable: bool,
) -> Result<Vec<Option<T::T>>, String> {
    let mut values = Vec::new();
    let mut levels = Vec::new();
    let (records, _, _) = reader
        .read_records(BATCH, nullable.then_some(&mut levels), None, &mut values)
        .map_err(|error| error.to_string())?;
    if !nullable {
        return Ok(values.into_iter().map(Some).collect());
    }
    let mut values = values.into_iter();
    let found = levels
        .into_iter()
        .take(records)
        .map(|level| if level > 0 { values.next() } else { None });
    Ok(found.collect())
}

/// Bytes, or the length of those that are too long to be copied: many may be one place of the file.
type Bytes = Result<Vec<u8>, usize>;

fn strings(reader: &mut ColumnReader, nullable: bool) -> Result<Vec<Option<Bytes>>, String> {
    let copy = |bytes: &[u8]| {
        if bytes.len() > LONGEST {
            Err(bytes.len())
        } else {
            Ok(bytes.to_vec())
        }
    };
    match reader {
        ColumnReader::ByteArrayColumnReader(reader) => {
            let values = next(reader, nullable)?.into_iter();
            Ok(values
                .map(|value| value.map(|value| copy(value.data())))
                .collect())
        }
        ColumnReader::FixedLenByteArrayColumnReader(reader) => {
            let values = next(reader, nullable)?.into_iter();
            Ok(values
                .map(|value| value.map(|value| copy(value.data())))
                .collect())
        }
        _ => Err("a column is not of the type that the schema says".to_owned()),
    }
}

fn values(
    reader: &mut ColumnReader,
    nullable: bool,
    unsigned: bool,
) -> Result<Vec<Option<RawLabel>>, String> {
    fn each<V>(values: Vec<Option<V>>, label: impl Fn(V) -> RawLabel) -> Vec<Option<RawLabel>> {
        values.into_iter().map(|value| value.map(&label)).collect()
    }
    let text = |bytes: Bytes| {
        let bytes = bytes.unwrap_or_else(|_| b"\xff".to_vec());
        RawLabel::Text(String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok(match reader {
        ColumnReader::BoolColumnReader(reader) => each(next(reader, nullable)?, RawLabel::Bool),
        ColumnReader::Int32ColumnReader(reader) => each(next(reader, nullable)?, |value| {
            RawLabel::Integer(if unsigned {
                value.cast_unsigned().into()
            } else {
                value.into()
            })
        }),
        ColumnReader::Int64ColumnReader(reader) => each(next(reader, nullable)?, |value| {
            RawLabel::Integer(if unsigned {
                value.cast_unsigned().into()
            } else {
                value.into()
            })
        }),
        ColumnReader::FloatColumnReader(reader) => each(next(reader, nullable)?, |value| {
            RawLabel::Float(shortest(value))
        }),
        ColumnReader::DoubleColumnReader(reader) => each(next(reader, nullable)?, RawLabel::Float),
        ColumnReader::ByteArrayColumnReader(_) | ColumnReader::FixedLenByteArrayColumnReader(_) => {
            each(strings(reader, nullable)?, text)
        }
        ColumnReader::Int96ColumnReader(_) => {
            return Err("a column is not of the type that the schema says".to_owned());
        }
    })
}

/// A single-precision number as it is written: 0.1 stays 0.1.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
pub(crate) mod tests;
