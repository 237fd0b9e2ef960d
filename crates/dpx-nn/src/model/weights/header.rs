//! The header of a safetensors file, checked before anything is allocated.
//!
//! Format: a little-endian u64 with the header's length, a JSON object `{name: {dtype, shape, data_offsets}}`, then the
//! data. Offsets count from the end of the header and need not be aligned.

use crate::gguf::{Arrange, Quant};
use crate::model::ModelError;
use crate::{IS_POINTER, LFS_POINTER};
use std::collections::BTreeMap;
use std::io::{Read, Seek};
use std::path::Path;

/// Longest header that is read: some 100,000 tensors. The format allows 100 MB, which take gigabytes once they are read.
const MAX_HEADER: u64 = 16_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    F32,
    F16,
    Bf16,
    /// Whole numbers of 8 bits: read where a model is known to be stored so.
    I8,
    /// Numbers of a double's width and whole numbers of 32 and 64 bits: read where model2vec writes them.
    F64,
    I32,
    I64,
    Gguf(Quant),
    /// Anything else: known by name and size of an element, for buffers that are skipped.
    Other,
}

impl Number {
    fn parse(name: &str) -> Self {
        match name {
            "F32" => Self::F32,
            "F16" => Self::F16,
            "BF16" => Self::Bf16,
            "I8" => Self::I8,
            "F64" => Self::F64,
            "I32" => Self::I32,
            "I64" => Self::I64,
            _ => Self::Other,
        }
    }

    pub(super) const fn size(self) -> Option<u64> {
        match self {
            Self::F64 | Self::I64 => Some(8),
            Self::F32 | Self::I32 => Some(4),
            Self::F16 | Self::Bf16 => Some(2),
            Self::I8 => Some(1),
            Self::Gguf(_) | Self::Other => None,
        }
    }
}

/// Where a tensor lies in its file.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) number: Number,
    pub(super) number_name: String,
    pub(super) shape: Vec<usize>,
    /// First byte, from the start of the file.
    pub(super) start: u64,
    /// Length in bytes; checked to equal the shape's size for the number formats that are read.
    pub(super) length: u64,
    /// What has to be done to the values.
    pub(super) arrange: Arrange,
}

#[derive(serde::Deserialize)]
struct RawEntry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// Reads and checks a header: every tensor lies inside the file and has as many bytes as its shape asks for.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Entry>, ModelError> {
    let bad = |problem: String| ModelError::malformed(path, problem);
    let mut file = std::fs::File::open(path).map_err(|error| ModelError::read(path, error))?;
    let size = file
        .metadata()
        .map_err(|error| ModelError::read(path, error))?
        .len();
    let mut start = [0; LFS_POINTER.len()];
    if size >= start.len() as u64 {
        file.read_exact(&mut start)
            .and_then(|()| file.rewind())
            .map_err(|error| ModelError::read(path, error))?;
        if start == LFS_POINTER {
            return Err(bad(format!("it {IS_POINTER}")));
        }
    }
    let mut length = [0; 8];
    if size < 8 {
        return Err(bad(format!("{size} bytes are no safetensors file")));
    }
    file.read_exact(&mut length)
        .map_err(|error| ModelError::read(path, error))?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER || length > size - 8 {
        return Err(bad(format!(
            "the header claims {length} bytes, but the file has {size}: it is cut short or no safetensors file"
        )));
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header)
        .map_err(|error| ModelError::read(path, error))?;
    let raw: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&header)
        .map_err(|error| bad(format!("the header is no JSON object: {error}")))?;
    let data = size - 8 - length;
    let mut entries = BTreeMap::new();
    for (name, value) in raw {
        if name == "__metadata__" {
            continue;
        }
        let raw: RawEntry = serde_json::from_value(value)
            .map_err(|error| bad(format!("tensor `{name}` is described wrongly: {error}")))?;
        let (start, end) = raw.data_offsets;
        if start > end || end > data {
            return Err(bad(format!(
                "tensor `{name}` claims bytes {start} to {end} of {data}: the file is cut short"
            )));
        }
        let number = Number::parse(&raw.dtype);
        if let Some(size) = number.size() {
            let wanted = raw
                .shape
                .iter()
                .try_fold(size, |product, &axis| product.checked_mul(axis));
            if wanted != Some(end - start) {
                return Err(bad(format!(
                    "tensor `{name}` of shape {:?} and type {} has {} bytes",
                    raw.shape,
                    raw.dtype,
                    end - start
                )));
            }
        }
        entries.insert(
            name,
            Entry {
                number,
                number_name: raw.dtype,
                shape: raw.shape.iter().map(|&axis| axis as usize).collect(),
                start: 8 + length + start,
                length: end - start,
                arrange: Arrange::Same,
            },
        );
    }
    Ok(entries)
}
