//! A table of texts as a parquet file: zstd, and names of labels as `datasets` keeps them.
//!
//! The parquet crate's own zstd is C code that takes longer to build than all else. Its column writers are used without
//! compression, and each page is compressed on its way out, by the pure-Rust encoder of `ruzstd`.

use bytes::Bytes;
use dpx_data::parquet_page;
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
    encode_with(target, columns, env!("CARGO_PKG_VERSION"), &mut compressed)
}

/// The file that dpx of a version would have written if it had compressed pages as those of `found` are. Every byte but those
/// follows from the columns and the version; each page of `found` has to be one frame of exactly what is written there.
///
/// # Errors
/// A page of `found` is something else, or beyond its end.
pub(crate) fn encode_like(
    found: &[u8],
    columns: &[(&str, Column<'_>)],
    version: &str,
) -> Result<Vec<u8>, ParquetError> {
    let mut at = MAGIC;
    let mut as_found = |plain: &[u8]| {
        let page = parquet_page(found, at).map_err(ParquetError::General)?;
        at = page.end;
        let packed = &found[page];
        if is_frame_of(packed, plain) {
            Ok(packed.to_vec())
        } else {
            Err(ParquetError::General(
                "a page holds something else than its texts".to_owned(),
            ))
        }
    };
    let mut bytes = Vec::new();
    encode_with(&mut bytes, columns, version, &mut as_found)?;
    Ok(bytes)
}

/// Length of the mark at the beginning of a file, behind which its first page lies.
const MAGIC: usize = 4;

/// What makes a zstd frame of a page.
type Compressor<'a> = &'a mut (dyn FnMut(&[u8]) -> Result<Vec<u8>, ParquetError> + Send);

fn encode_with(
    target: &mut (impl std::io::Write + Send),
    columns: &[(&str, Column<'_>)],
    version: &str,
    compressor: Compressor<'_>,
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
            .set_created_by(format!("dpx {version}"))
            .set_key_value_metadata(Some(vec![KeyValue::new(FEATURES_KEY.to_owned(), features)]))
            .build(),
    );
    let mut file = SerializedFileWriter::new(target, Arc::new(schema), properties.clone())?;
    let descriptions: Vec<ColumnDescPtr> = file.schema_descr().columns().to_vec();
    let mut group = file.next_row_group()?;
    for (description, (_, column)) in descriptions.into_iter().zip(columns) {
        let mut sink = TrackedWrite::new(Vec::new());
        let pages = Zstd {
            writer: SerializedPageWriter::new(&mut sink),
            compressor: &mut *compressor,
        };
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
struct Zstd<'a> {
    writer: SerializedPageWriter<'a, Vec<u8>>,
    compressor: Compressor<'a>,
}

impl PageWriter for Zstd<'_> {
    fn write_page(&mut self, page: CompressedPage) -> Result<PageWriteSpec, ParquetError> {
        let size = page.uncompressed_size();
        let mut packed = |buf: Bytes| (self.compressor)(&buf).map(Bytes::from);
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
        self.writer.write_page(CompressedPage::new(page, size))
    }

    fn close(&mut self) -> Result<(), ParquetError> {
        self.writer.close()
    }
}

/// One zstd frame, read back before it is trusted.
fn compressed(bytes: &[u8]) -> Result<Vec<u8>, ParquetError> {
    let packed = compress_to_vec(bytes, CompressionLevel::Fastest);
    if is_frame_of(&packed, bytes) {
        Ok(packed)
    } else {
        Err(ParquetError::General(
            "a page that was compressed with zstd reads back otherwise".to_owned(),
        ))
    }
}

/// Fewest bytes that a block of a frame stands for on average: compressors make blocks of up to 128 KiB, few of them smaller than this.
const LEAST_BLOCK: usize = 4096;

/// Whether something is a single zstd frame of these bytes, and nothing beside it: no other frame, no byte behind it, and a stated
/// size and checksum that are theirs.
fn is_frame_of(mut packed: &[u8], bytes: &[u8]) -> bool {
    let Ok(mut decoder) = StreamingDecoder::new(&mut packed) else {
        return false;
    };
    let mut unpacked = Vec::with_capacity(bytes.len());
    let read = Read::by_ref(&mut decoder)
        .take(bytes.len() as u64 + 1)
        .read_to_end(&mut unpacked);
    let size = decoder.decoder.content_size();
    let stated = decoder.decoder.get_checksum_from_data();
    // Blocks that stand for nothing may hold a byte of anything.
    let blocks = decoder.decoder.blocks_decoded();
    let is_plain = blocks <= 2 + bytes.len() / LEAST_BLOCK;
    let is_whole = decoder.decoder.is_finished()
        && is_plain
        && (size == 0 || size == bytes.len() as u64)
        && (stated.is_none() || stated == decoder.decoder.get_calculated_checksum());
    read.is_ok() && is_whole && unpacked == bytes && packed.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(version: &str, mut compressor: impl FnMut(&[u8]) -> Vec<u8> + Send) -> Vec<u8> {
        let texts: Vec<String> = (0..50)
            .map(|number| format!("text {}", number % 7))
            .collect();
        let names = ["joy", "fear"].map(str::to_owned);
        let columns = [
            ("text", Column::Text(&texts)),
            ("label", Column::Label(vec![1; 50], &names)),
        ];
        let mut bytes = Vec::new();
        let mut call = |page: &[u8]| Ok(compressor(page));
        encode_with(&mut bytes, &columns, version, &mut call).unwrap();
        bytes
    }

    fn fits(found: &[u8]) -> bool {
        let texts: Vec<String> = (0..50)
            .map(|number| format!("text {}", number % 7))
            .collect();
        let names = ["joy", "fear"].map(str::to_owned);
        let columns = [
            ("text", Column::Text(&texts)),
            ("label", Column::Label(vec![1; 50], &names)),
        ];
        encode_like(found, &columns, "0.9.0").is_ok_and(|own| own == found)
    }

    #[test]
    fn another_compressor_writes_the_same_file_and_hides_nothing() {
        let stored = |page: &[u8]| compress_to_vec(page, CompressionLevel::Uncompressed);
        let fast = |page: &[u8]| compress_to_vec(page, CompressionLevel::Fastest);
        let whole = written("0.9.0", stored);
        assert!(fits(&whole) && fits(&written("0.9.0", fast)));
        assert_ne!(whole, written("0.9.0", fast));
        // Who says to be another version, bytes behind a frame, another frame, and a frame that readers skip.
        assert!(!fits(&written("0.9.1", stored)));
        let skipped = [
            &0x184D_2A50_u32.to_le_bytes()[..],
            &6_u32.to_le_bytes(),
            b"hidden",
        ]
        .concat();
        for more in [
            &b"hidden"[..],
            &stored(b"hidden")[..],
            &stored(b"")[..],
            &skipped[..],
        ] {
            assert!(!fits(
                &written("0.9.0", |page| [&fast(page)[..], more].concat())
            ));
        }
        assert!(!fits(&written("0.9.0", |page| [
            &skipped[..],
            &fast(page)[..]
        ]
        .concat())));
        // Empty blocks before the last one: each repeats a byte of the publisher's choice no times (bit 0 is for the last block, the type
        // follows, RLE is 1).
        let empty = |page: &[u8]| {
            let frame = stored(page);
            // Magic number, descriptor and window.
            let header = 6;
            let blocks = b"hidden".iter().flat_map(|&byte| [2, 0, 0, byte]);
            let mut other = frame[..header].to_vec();
            other.extend(blocks);
            other.extend(&frame[header..]);
            other
        };
        let mut read = Vec::new();
        StreamingDecoder::new(&empty(b"words")[..])
            .unwrap()
            .read_to_end(&mut read)
            .unwrap();
        assert_eq!(read, b"words");
        assert!(!fits(&written("0.9.0", empty)));
        // More in a page than its texts, such as a word of the dictionary that no text has.
        let more = |page: &[u8]| fast(&[page, b"\x06\0\0\0hidden"].concat());
        assert!(!fits(&written("0.9.0", more)));
        // Every byte counts but those of the frames, of which content and length do: words and labels have a dictionary each.
        let mut frames = Vec::new();
        for _ in 0..4 {
            let at = frames
                .last()
                .map_or(MAGIC, |last: &std::ops::Range<usize>| last.end);
            frames.push(parquet_page(&whole, at).unwrap());
        }
        let in_frame = |at: &usize| frames.iter().any(|frame| frame.contains(at));
        for at in (0..whole.len()).filter(|at| !in_frame(at)) {
            let mut other = whole.clone();
            other[at] ^= 1;
            assert!(!fits(&other), "byte {at} of {}", whole.len());
        }
        for at in [4, whole.len() - 8, whole.len()] {
            let mut other = whole.clone();
            other.insert(at, 0);
            assert!(!fits(&other), "a byte more at {at}");
        }
        assert!(!fits(&whole[..whole.len() - 1]) && !fits(b"PAR1") && !fits(b""));
    }
}
