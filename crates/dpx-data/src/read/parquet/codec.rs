//! Decompression of pages, in Rust alone, to exactly the size that the page states.

use super::super::open::{Allowance, read_within, unzstd};
use ::parquet::basic::CompressionCodec as Codec;

/// How much a byte can become at most: of Snappy and LZ4, whose output is allocated beforehand.
const SNAPPY_RATIO: usize = 64;
const LZ4_RATIO: usize = 256;
const SLACK: usize = 1024;

/// Decompresses a page to `size` bytes.
///
/// # Errors
/// When it is damaged, gives another size, or the codec is not supported.
pub(super) fn decompress(codec: Codec, packed: &[u8], size: usize) -> Result<Vec<u8>, String> {
    if size == 0 {
        return Ok(Vec::new());
    }
    let bytes = match codec {
        Codec::UNCOMPRESSED => packed.to_vec(),
        Codec::SNAPPY => {
            let stated = snap::raw::decompress_len(packed).map_err(|error| error.to_string())?;
            if stated != size || too_much(packed, size, SNAPPY_RATIO) {
                return Err(damaged());
            }
            snap::raw::Decoder::new()
                .decompress_vec(packed)
                .map_err(|error| error.to_string())?
        }
        Codec::GZIP => read_within(flate2::read::MultiGzDecoder::new(packed), exactly(size))?,
        Codec::BROTLI => {
            let decoder = brotli_decompressor::Decompressor::new(packed, 4096);
            read_within(decoder, exactly(size))?
        }
        Codec::ZSTD => unzstd(packed, exactly(size))?,
        Codec::LZ4_RAW => lz4(packed, size)?,
        Codec::LZ4 => hadoop(packed, size).or_else(|_| lz4(packed, size))?,
        Codec::LZO => {
            return Err(
                "it is compressed with LZO, which is not supported: write it with zstd or snappy"
                    .to_owned(),
            );
        }
    };
    if bytes.len() == size {
        Ok(bytes)
    } else {
        Err(damaged())
    }
}

fn exactly(size: usize) -> Allowance {
    Allowance::exactly(size as u64)
}

fn too_much(packed: &[u8], size: usize, ratio: usize) -> bool {
    size > packed.len().saturating_mul(ratio).saturating_add(SLACK)
}

fn damaged() -> String {
    "a page does not decompress to its size".to_owned()
}

fn lz4(packed: &[u8], size: usize) -> Result<Vec<u8>, String> {
    if too_much(packed, size, LZ4_RATIO) {
        return Err(damaged());
    }
    lz4_flex::block::decompress(packed, size).map_err(|error| error.to_string())
}

/// LZ4 as Hadoop frames it: blocks, each after its two sizes in big-endian order.
fn hadoop(mut packed: &[u8], size: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while !packed.is_empty() {
        let (head, rest) = packed.split_first_chunk::<8>().ok_or_else(damaged)?;
        let number = |bytes: [u8; 4]| u32::from_be_bytes(bytes) as usize;
        let [a, b, c, d, e, f, g, h] = *head;
        let (plain, length) = (number([a, b, c, d]), number([e, f, g, h]));
        let block = rest.get(..length).ok_or_else(damaged)?;
        if plain > size - bytes.len() {
            return Err(damaged());
        }
        bytes.extend(lz4(block, plain)?);
        packed = &rest[length..];
    }
    Ok(bytes)
}
