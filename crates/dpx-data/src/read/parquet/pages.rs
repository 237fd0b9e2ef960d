//! The pages of one column chunk: headers in Thrift's compact protocol, limits on what they claim, decompression.

use super::super::open::Allowance;
use super::codec::decompress;
use super::thrift::{FALSE, I32, STRUCT, TRUE, Thrift, broken};
use ::parquet::basic::{CompressionCodec, Encoding, Type as Physical};
use ::parquet::column::page::{Page, PageMetadata, PageReader};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::ColumnChunkMetaData;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

/// Longest header of a page, statistics included.
const HEADER: usize = 8 << 20;
/// Largest page, decompressed. Writers aim at 1 MiB; a dictionary may be larger.
const PAGE: usize = 256 << 20;
/// Largest page of an encoding in which each value may be as long as the whole page.
const SHARED: usize = 8 << 20;

/// Where the content of the page lies, as it is stored, whose header begins at a place of a parquet file.
///
/// # Errors
/// No header of a page begins there, or the page does not lie within the file.
pub fn parquet_page(file: &[u8], at: usize) -> Result<Range<usize>, String> {
    let rest = file.get(at..).ok_or_else(broken)?;
    let mut thrift = Thrift::new(&rest[..rest.len().min(HEADER)]);
    let packed = usize::try_from(Header::read(&mut thrift)?.packed).map_err(|_| broken())?;
    let start = at + thrift.at();
    if packed > file.len() - start {
        return Err("a page does not lie within the file".to_owned());
    }
    Ok(start..start + packed)
}

/// Reads the pages of a column chunk from its bytes.
pub(super) struct Pages {
    chunk: bytes::Bytes,
    at: usize,
    codec: CompressionCodec,
    physical: Physical,
    width: usize,
    nullable: bool,
    repeated: bool,
    /// Values that are still to come.
    left: i64,
    /// Bytes that pages may still have, decompressed.
    allowance: Allowance,
}

impl Pages {
    /// Reads the bytes of a column chunk, which has to lie within the file.
    pub(super) fn open(
        mut file: &File,
        size: u64,
        chunk: &ColumnChunkMetaData,
    ) -> Result<Self, String> {
        if chunk.file_path().is_some_and(|path| !path.is_empty()) {
            return Err("its columns lie in other files, which is not supported".to_owned());
        }
        let start = match chunk.dictionary_page_offset() {
            // Some writers state 0 where there is no dictionary.
            Some(offset) if offset > 0 && offset < chunk.data_page_offset() => offset,
            _ => chunk.data_page_offset(),
        };
        let range = u64::try_from(start)
            .ok()
            .zip(u64::try_from(chunk.compressed_size()).ok())
            .filter(|(start, length)| start.checked_add(*length).is_some_and(|end| end <= size));
        let (start, length) = range.ok_or("a column does not lie within the file")?;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(start))
            .map_err(|error| error.to_string())?;
        file.take(length)
            .read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
        if bytes.len() as u64 != length {
            return Err("a column does not lie within the file".to_owned());
        }
        Ok(Self {
            chunk: bytes.into(),
            at: 0,
            codec: chunk.compression_codec(),
            physical: chunk.column_type(),
            width: usize::try_from(chunk.column_descr().type_length()).unwrap_or(0),
            nullable: chunk.column_descr().max_def_level() > 0,
            repeated: chunk.column_descr().max_rep_level() > 0,
            left: chunk.num_values(),
            allowance: Allowance::of(size),
        })
    }

    fn next_page(&mut self) -> Result<Option<Page>, String> {
        while self.left > 0 && self.at < self.chunk.len() {
            let end = self.chunk.len().min(self.at + HEADER);
            let mut thrift = Thrift::new(&self.chunk[self.at..end]);
            let header = Header::read(&mut thrift)?;
            let start = self.at + thrift.at();
            let packed = usize::try_from(header.packed).map_err(|_| broken())?;
            let size = usize::try_from(header.size).map_err(|_| broken())?;
            if packed > self.chunk.len() - start {
                return Err("a page does not lie within its column".to_owned());
            }
            if size > PAGE {
                return Err(format!("a page of {size} bytes: at most {PAGE} are read"));
            }
            self.allowance.take(size as u64)?;
            let body = self.chunk.slice(start..start + packed);
            if header
                .checksum
                .is_some_and(|stated| stated != crc32fast::hash(&body))
            {
                return Err("a page does not fit its checksum: the file is damaged".to_owned());
            }
            self.at = start + packed;
            if let Some(page) = self.page(&header, &body, size)? {
                self.check_lengths(&page)?;
                if page.is_data_page() {
                    self.left -= i64::from(page.num_values());
                }
                return Ok(Some(page));
            }
        }
        Ok(None)
    }

    /// Decodes a page; none where it is of a kind that readers may skip.
    fn page(
        &self,
        header: &Header,
        body: &bytes::Bytes,
        size: usize,
    ) -> Result<Option<Page>, String> {
        let number = |value: i32| u32::try_from(value).map_err(|_| broken());
        let page = match header.kind {
            // Data, in the first version.
            0 => Page::DataPage {
                buf: decompress(self.codec, body, size)?.into(),
                num_values: number(header.values)?,
                encoding: encoding(header.encoding)?,
                def_level_encoding: encoding(header.definition)?,
                rep_level_encoding: encoding(header.repetition)?,
                statistics: None,
            },
            // A dictionary.
            2 => {
                let bytes = decompress(self.codec, body, size)?;
                let values = number(header.values)?;
                if values as usize > bytes.len() / self.least_width() {
                    return Err("a dictionary claims more values than it holds".to_owned());
                }
                Page::DictionaryPage {
                    buf: bytes.into(),
                    num_values: values,
                    encoding: encoding(header.encoding)?,
                    is_sorted: false,
                }
            }
            // Data, in the second version: levels lie uncompressed before the values.
            3 => {
                let definition = number(header.definition)?;
                let repetition = number(header.repetition)?;
                let levels = definition as usize + repetition as usize;
                if levels > size || levels > body.len() {
                    return Err(broken());
                }
                let buf = if header.compressed {
                    let mut bytes = body[..levels].to_vec();
                    bytes.extend(decompress(self.codec, &body[levels..], size - levels)?);
                    bytes.into()
                } else {
                    body.clone()
                };
                Page::DataPageV2 {
                    buf,
                    num_values: number(header.values)?,
                    encoding: encoding(header.encoding)?,
                    num_nulls: number(header.nulls)?,
                    num_rows: number(header.rows)?,
                    def_levels_byte_len: definition,
                    rep_levels_byte_len: repetition,
                    is_compressed: header.compressed,
                    statistics: None,
                }
            }
            _ => return Ok(None),
        };
        if page.encoding() == Encoding::DELTA_BYTE_ARRAY && size > SHARED {
            return Err(format!(
                "a page of {size} bytes in DELTA_BYTE_ARRAY: at most {SHARED} are read"
            ));
        }
        Ok(Some(page))
    }

    /// Lengths that are stored as differences take next to no room: the decoder makes a list of as many as the page claims.
    fn check_lengths(&mut self, page: &Page) -> Result<(), String> {
        if !matches!(
            page.encoding(),
            Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY
        ) {
            return Ok(());
        }
        let buffer = page.buffer();
        let levels = if let Page::DataPageV2 {
            def_levels_byte_len,
            rep_levels_byte_len,
            ..
        } = page
        {
            *def_levels_byte_len as usize + *rep_levels_byte_len as usize
        } else {
            // The length of levels stands before them: of repetition, then of definition.
            let mut at = 0;
            for _ in [self.repeated, self.nullable]
                .into_iter()
                .filter(|has| *has)
            {
                let rest: &[u8] = buffer.get(at..).ok_or_else(broken)?;
                let length = rest.first_chunk::<4>().ok_or_else(broken)?;
                at += 4 + u32::from_le_bytes(*length) as usize;
            }
            at
        };
        let mut values = Thrift::new(buffer.get(levels..).ok_or_else(broken)?);
        values.varint()?;
        values.varint()?;
        let count = values.varint()?;
        if count > u64::from(page.num_values()) {
            return Err("a page claims more values than it holds".to_owned());
        }
        self.allowance.take(count * 8)
    }

    /// The fewest bytes of a value in a dictionary.
    fn least_width(&self) -> usize {
        match self.physical {
            Physical::BOOLEAN => 1,
            Physical::INT32 | Physical::FLOAT | Physical::BYTE_ARRAY => 4,
            Physical::INT64 | Physical::DOUBLE => 8,
            Physical::INT96 => 12,
            Physical::FIXED_LEN_BYTE_ARRAY => self.width.max(1),
        }
    }
}

impl Iterator for Pages {
    type Item = Result<Page, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>, ParquetError> {
        self.next_page().map_err(ParquetError::General)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>, ParquetError> {
        Err(ParquetError::NYI("pages are read in order".to_owned()))
    }

    /// A list may go on in the next page, as long as there is one.
    fn at_record_boundary(&mut self) -> Result<bool, ParquetError> {
        Ok(self.left <= 0)
    }

    fn skip_next_page(&mut self) -> Result<(), ParquetError> {
        Err(ParquetError::NYI("pages are read in order".to_owned()))
    }
}

fn encoding(number: i32) -> Result<Encoding, String> {
    Ok(match number {
        0 => Encoding::PLAIN,
        2 => Encoding::PLAIN_DICTIONARY,
        3 => Encoding::RLE,
        #[expect(deprecated, reason = "old files use it")]
        4 => Encoding::BIT_PACKED,
        5 => Encoding::DELTA_BINARY_PACKED,
        6 => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        7 => Encoding::DELTA_BYTE_ARRAY,
        8 => Encoding::RLE_DICTIONARY,
        9 => Encoding::BYTE_STREAM_SPLIT,
        _ => return Err(format!("a page in an unknown encoding ({number})")),
    })
}

/// What the header of a page says. `definition` and `repetition` are encodings in the first version of data pages, and
/// lengths in the second.
#[derive(Debug, Default)]
struct Header {
    kind: i32,
    size: i32,
    packed: i32,
    values: i32,
    nulls: i32,
    rows: i32,
    encoding: i32,
    definition: i32,
    repetition: i32,
    compressed: bool,
    /// CRC-32 of the page as it is stored.
    checksum: Option<u32>,
}

impl Header {
    /// Fields of `PageHeader` in parquet.thrift.
    fn read(thrift: &mut Thrift<'_>) -> Result<Self, String> {
        let mut header = Self {
            compressed: true,
            ..Self::default()
        };
        let mut last = 0;
        while let Some((field, kind)) = thrift.field(&mut last)? {
            match (field, kind) {
                (1, I32) => header.kind = thrift.int()?,
                (2, I32) => header.size = thrift.int()?,
                (3, I32) => header.packed = thrift.int()?,
                (4, I32) => header.checksum = Some(thrift.int()?.cast_unsigned()),
                // DataPageHeader, DictionaryPageHeader, DataPageHeaderV2.
                (5 | 7 | 8, STRUCT) => header.page(thrift, field)?,
                _ => thrift.skip(kind, 0)?,
            }
        }
        Ok(header)
    }

    fn page(&mut self, thrift: &mut Thrift<'_>, version: i16) -> Result<(), String> {
        let mut last = 0;
        while let Some((field, kind)) = thrift.field(&mut last)? {
            match (version, field, kind) {
                (_, 1, I32) => self.values = thrift.int()?,
                (5 | 7, 2, I32) | (8, 4, I32) => self.encoding = thrift.int()?,
                (5, 3, I32) | (8, 5, I32) => self.definition = thrift.int()?,
                (5, 4, I32) | (8, 6, I32) => self.repetition = thrift.int()?,
                (8, 2, I32) => self.nulls = thrift.int()?,
                (8, 3, I32) => self.rows = thrift.int()?,
                (8, 7, TRUE | FALSE) => self.compressed = kind == TRUE,
                _ => thrift.skip(kind, 0)?,
            }
        }
        Ok(())
    }
}
