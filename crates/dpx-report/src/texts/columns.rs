//! A table of texts as a parquet file: zstd, and names of labels as `datasets` keeps them.
//!
//! The parquet crate's own zstd is C code that takes longer to build than all else. Its column writers are used without
//! compression, and each page is compressed on its way out, by the pure-Rust encoder of `ruzstd`.

use bytes::Bytes;
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::column::writer::{ColumnWriter, get_column_writer};
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use parquet::schema::types::{ColumnDescPtr, Type};
use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Key under which `datasets` keeps the types of columns in a parquet file.
pub(crate) const FEATURES_KEY: &str = "huggingface";

/// The values of a column, none of them null.
pub(crate) enum Column<'a> {
    Text(&'a [String]),
    /// Places of labels among the names, which the file keeps too.
    Label(Vec<i64>, &'a [String]),
    Number(&'a [f64]),
}

impl Column<'_> {
    fn schema(&self, name: &str) -> Result<Arc<Type>, ParquetError> {
        let (physical, logical) = match self {
            Self::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Self::Label(..) => (Physical::INT64, None),
            Self::Number(_) => (Physical::DOUBLE, None),
        };
        Type::primitive_type_builder(name, physical)
            // `datasets` believes its own types only of columns that may hold nulls, as arrow writes them.
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()
            .map(Arc::new)
    }

    fn feature(&self) -> Value {
        match self {
            Self::Text(_) => json!({ "dtype": "string", "_type": "Value" }),
            Self::Label(_, names) => json!({ "names": names, "_type": "ClassLabel" }),
            Self::Number(_) => json!({ "dtype": "float64", "_type": "Value" }),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(texts) => texts.len(),
            Self::Label(places, _) => places.len(),
            Self::Number(numbers) => numbers.len(),
        }
    }

    fn write(&self, writer: &mut ColumnWriter<'_>) -> Result<(), ParquetError> {
        let present = vec![1; self.len()];
        let levels = Some(present.as_slice());
        match (self, writer) {
            (Self::Text(texts), ColumnWriter::ByteArrayColumnWriter(writer)) => {
                let values: Vec<ByteArray> =
                    texts.iter().map(|text| text.as_str().into()).collect();
                writer.write_batch(&values, levels, None)?;
            }
            (Self::Label(places, _), ColumnWriter::Int64ColumnWriter(writer)) => {
                writer.write_batch(places, levels, None)?;
            }
            (Self::Number(numbers), ColumnWriter::DoubleColumnWriter(writer)) => {
                writer.write_batch(numbers, levels, None)?;
            }
            _ => unreachable!("the writer was made for the type in this column's schema"),
        }
        Ok(())
    }
}

/// What `datasets` keeps of the columns' types.
pub(crate) fn features<'a>(columns: impl Iterator<Item = (&'a str, &'a Column<'a>)>) -> String {
    let features: Map<String, Value> = columns
        .map(|(name, column)| (name.to_owned(), column.feature()))
        .collect();
    json!({ "info": { "features": features } }).to_string()
}

/// Writes columns of equal length as one row group without nulls.
pub(crate) fn write(path: &Path, columns: &[(&str, Column<'_>)]) -> Result<(), ParquetError> {
    encode(&mut File::create(path)?, columns)
}

/// Likewise into whatever takes bytes.
pub(crate) fn encode(
    target: &mut (impl std::io::Write + Send),
    columns: &[(&str, Column<'_>)],
) -> Result<(), ParquetError> {
    let fields = columns
        .iter()
        .map(|(name, column)| column.schema(name))
        .collect::<Result<_, _>>()?;
    let schema = Type::group_type_builder("schema")
        .with_fields(fields)
        .build()?;
    let features = features(columns.iter().map(|(name, column)| (*name, column)));
    let properties = Arc::new(
        WriterProperties::builder()
            .set_created_by(format!("dpx {}", env!("CARGO_PKG_VERSION")))
            .set_key_value_metadata(Some(vec![KeyValue::new(FEATURES_KEY.to_owned(), features)]))
            .build(),
    );
    let mut file = SerializedFileWriter::new(target, Arc::new(schema), properties.clone())?;
    let descriptions: Vec<ColumnDescPtr> = file.schema_descr().columns().to_vec();
    let mut group = file.next_row_group()?;
    for (description, (_, column)) in descriptions.into_iter().zip(columns) {
        let mut sink = TrackedWrite::new(Vec::new());
        let pages = Zstd(SerializedPageWriter::new(&mut sink));
        let mut writer = get_column_writer(description, properties.clone(), Box::new(pages));
        column.write(&mut writer)?;
        let mut closed = writer.close()?;
        closed.metadata = closed
            .metadata
            .into_builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build()?;
        group.append_column(&Bytes::from(sink.into_inner()?), closed)?;
    }
    group.close()?;
    file.close()?;
    Ok(())
}

/// Compresses pages on their way to a writer.
struct Zstd<'a>(SerializedPageWriter<'a, Vec<u8>>);

impl PageWriter for Zstd<'_> {
    fn write_page(&mut self, page: CompressedPage) -> Result<PageWriteSpec, ParquetError> {
        let size = page.uncompressed_size();
        let packed = |buf: Bytes| compressed(&buf).map(Bytes::from);
        let page = match page.compressed_page().clone() {
            Page::DataPage {
                buf,
                num_values,
                encoding,
                def_level_encoding,
                rep_level_encoding,
                statistics,
            } => Page::DataPage {
                buf: packed(buf)?,
                num_values,
                encoding,
                def_level_encoding,
                rep_level_encoding,
                statistics,
            },
            Page::DictionaryPage {
                buf,
                num_values,
                encoding,
                is_sorted,
            } => Page::DictionaryPage {
                buf: packed(buf)?,
                num_values,
                encoding,
                is_sorted,
            },
            Page::DataPageV2 { .. } => {
                return Err(ParquetError::General(
                    "a page of the second version, which this writer does not make".to_owned(),
                ));
            }
        };
        self.0.write_page(CompressedPage::new(page, size))
    }

    fn close(&mut self) -> Result<(), ParquetError> {
        self.0.close()
    }
}

/// One zstd frame, read back before it is trusted.
fn compressed(bytes: &[u8]) -> Result<Vec<u8>, ParquetError> {
    let packed = compress_to_vec(bytes, CompressionLevel::Fastest);
    let mut unpacked = Vec::with_capacity(bytes.len());
    let read = StreamingDecoder::new(packed.as_slice())
        .map_err(|error| error.to_string())
        .and_then(|mut decoder| {
            decoder
                .read_to_end(&mut unpacked)
                .map_err(|error| error.to_string())
        });
    if read.is_ok() && unpacked == bytes {
        Ok(packed)
    } else {
        Err(ParquetError::General(
            "a page that was compressed with zstd reads back otherwise".to_owned(),
        ))
    }
}
