//! Metadata and table of tensors of a GGUF file, checked before anything is allocated.
//!
//! Format: `GGUF`, a version, the numbers of tensors and of keys, the keys with their values, the tensors with name, axes (the
//! fastest first), type and place, then, aligned, the data. Everything is little-endian.

use super::{INSTEAD, Problem, Quant};
use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::path::Path;

/// Longest metadata and table that are read, in bytes: some ten times those of the largest vocabularies.
const MAX_HEADER: u64 = 128_000_000;
/// Longest name of a key or tensor.
const MAX_NAME: u64 = 65_535;
/// Most tensors and keys.
const MAX_COUNT: u64 = 100_000;

/// A value of the metadata.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Whole(i64),
    Real(f64),
    Flag(bool),
    Text(String),
    Texts(Vec<String>),
    Numbers(Vec<f64>),
    /// Something that no model needs.
    Other,
}

/// A tensor as the file describes it.
#[derive(Debug, Clone)]
pub(crate) struct Tensor {
    /// The slowest axis first, as everywhere else.
    pub(crate) shape: Vec<usize>,
    pub(crate) quant: Quant,
    /// First byte, from the start of the file.
    pub(crate) start: u64,
    /// Bytes.
    pub(crate) length: u64,
}

/// What a file says before its data.
#[derive(Debug)]
pub(crate) struct Gguf {
    values: BTreeMap<String, Value>,
    pub(crate) tensors: BTreeMap<String, Tensor>,
}

/// Reads with a bound on how much there can be.
struct Bounded<R> {
    inner: R,
    left: u64,
    read: u64,
}

impl<R: Read> Bounded<R> {
    fn bytes(&mut self, count: u64) -> Result<Vec<u8>, Problem> {
        if count > self.left {
            return Err(format!(
                "it claims {count} more bytes at byte {}, where {} are left: it is cut short or damaged",
                self.read, self.left
            ));
        }
        let mut bytes = vec![0; count as usize];
        self.inner
            .read_exact(&mut bytes)
            .map_err(|error| format!("it cannot be read at byte {}: {error}", self.read))?;
        self.left -= count;
        self.read += count;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let bytes = self.bytes(N as u64)?;
        bytes.try_into().map_err(|_| "it is cut short".to_owned())
    }

    fn u32(&mut self) -> Result<u32, Problem> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Problem> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn text(&mut self, most: u64) -> Result<String, Problem> {
        let length = self.u64()?;
        if length > most {
            return Err(format!(
                "it claims a text of {length} bytes at byte {}: it is damaged",
                self.read
            ));
        }
        let at = self.read;
        String::from_utf8(self.bytes(length)?)
            .map_err(|_| format!("the text at byte {at} is no UTF-8"))
    }

    /// Bytes of a number of some type, where it is one.
    const fn size_of(kind: u32) -> Option<u64> {
        match kind {
            0 | 1 | 7 => Some(1),
            2 | 3 => Some(2),
            4..=6 => Some(4),
            10..=12 => Some(8),
            _ => None,
        }
    }

    fn number(&mut self, kind: u32) -> Result<Value, Problem> {
        Ok(match kind {
            0 => Value::Whole(u8::from_le_bytes(self.array()?).into()),
            1 => Value::Whole(i8::from_le_bytes(self.array()?).into()),
            2 => Value::Whole(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Whole(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Whole(self.u32()?.into()),
            5 => Value::Whole(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Real(f32::from_le_bytes(self.array()?).into()),
            7 => Value::Flag(self.array::<1>()?[0] != 0),
            10 => i64::try_from(self.u64()?).map_or(Value::Other, Value::Whole),
            11 => Value::Whole(i64::from_le_bytes(self.array()?)),
            12 => Value::Real(f64::from_le_bytes(self.array()?)),
            _ => return Err(format!("it has a value of the unknown type {kind}")),
        })
    }

    fn value(&mut self) -> Result<Value, Problem> {
        let kind = self.u32()?;
        match kind {
            8 => Ok(Value::Text(self.text(MAX_HEADER)?)),
            9 => self.list(),
            _ => self.number(kind),
        }
    }

    fn list(&mut self) -> Result<Value, Problem> {
        let kind = self.u32()?;
        let count = self.u64()?;
        // A text has at least its length.
        let size = if kind == 8 {
            Some(8)
        } else {
            Self::size_of(kind)
        };
        let size = size.ok_or_else(|| format!("it has a list of the unknown type {kind}"))?;
        if count
            .checked_mul(size)
            .is_none_or(|bytes| bytes > self.left)
        {
            return Err(format!(
                "it claims a list of {count} values at byte {}, where {} bytes are left: it is cut short or damaged",
                self.read, self.left
            ));
        }
        if kind == 8 {
            let texts = (0..count).map(|_| self.text(MAX_HEADER));
            return Ok(Value::Texts(texts.collect::<Result<_, _>>()?));
        }
        let mut numbers = Vec::with_capacity(count as usize);
        for _ in 0..count {
            numbers.push(match self.number(kind)? {
                Value::Whole(number) => number as f64,
                Value::Real(number) => number,
                Value::Flag(flag) => f64::from(u8::from(flag)),
                _ => return Ok(Value::Other),
            });
        }
        Ok(Value::Numbers(numbers))
    }
}

impl Gguf {
    /// Reads and checks what stands before the data: every tensor lies inside the file and has as many bytes as its shape and
    /// type ask for.
    pub(crate) fn read(path: &Path) -> Result<Self, Problem> {
        let file =
            std::fs::File::open(path).map_err(|error| format!("it cannot be read: {error}"))?;
        let size = file
            .metadata()
            .map_err(|error| format!("it cannot be read: {error}"))?
            .len();
        Self::read_from(BufReader::new(file), size)
    }

    /// The same from a reader of a file of so many bytes, of which nothing is read but what stands before the data.
    pub(crate) fn read_from(reader: impl Read, size: u64) -> Result<Self, Problem> {
        let mut reader = Bounded {
            inner: reader,
            left: size.min(MAX_HEADER),
            read: 0,
        };
        let magic = if size < 24 { [0; 4] } else { reader.array()? };
        if magic == crate::LFS_POINTER[..4] {
            return Err(format!("it {}", crate::IS_POINTER));
        }
        if &magic != b"GGUF" {
            return Err("it is no GGUF file: it does not begin with `GGUF`".into());
        }
        match reader.u32()? {
            2 | 3 => {}
            1 => {
                return Err(format!(
                    "it has version 1 of GGUF, versions 2 and 3 are read: {INSTEAD}, or convert it again"
                ));
            }
            version if matches!(version.swap_bytes(), 1..=3) => {
                return Err(format!(
                    "its numbers are big-endian; little-endian files are read: {INSTEAD}"
                ));
            }
            version => {
                return Err(format!(
                    "it claims version {version} of GGUF; versions 2 and 3 are read"
                ));
            }
        }
        let (tensors, keys) = (reader.u64()?, reader.u64()?);
        if tensors > MAX_COUNT || keys > MAX_COUNT {
            return Err(format!(
                "it claims {tensors} tensors and {keys} keys: it is damaged"
            ));
        }
        let mut values = BTreeMap::new();
        for _ in 0..keys {
            let key = reader.text(MAX_NAME)?;
            let value = reader
                .value()
                .map_err(|problem| format!("key `{}`: {problem}", key.escape_debug()))?;
            if values.insert(key.clone(), value).is_some() {
                return Err(format!(
                    "it has the key `{}` twice: it is damaged",
                    key.escape_debug()
                ));
            }
        }
        let mut described = Vec::new();
        for _ in 0..tensors {
            described.push(described_tensor(&mut reader)?);
        }
        let mut gguf = Self {
            values,
            tensors: BTreeMap::new(),
        };
        if let Some(count) = gguf.whole("split.count")?.filter(|count| *count > 1) {
            return Err(format!(
                "it is one of {count} parts: put them together with `llama-gguf-split --merge`"
            ));
        }
        let alignment = gguf.whole("general.alignment")?.unwrap_or(32);
        if !(1..=65_536).contains(&alignment) {
            return Err(format!("`general.alignment` is {alignment}: it is damaged"));
        }
        let data = reader.read.next_multiple_of(alignment);
        for (name, dims, kind, offset) in described {
            let tensor = placed(&name, &dims, kind, (data, offset, size))?;
            if gguf.tensors.insert(name.clone(), tensor).is_some() {
                return Err(format!("it has the tensor `{}` twice", name.escape_debug()));
            }
        }
        Ok(gguf)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    fn wrong(key: &str, value: &Value, expected: &str) -> Problem {
        let found = match value {
            Value::Whole(number) => number.to_string(),
            Value::Real(number) => number.to_string(),
            Value::Flag(flag) => flag.to_string(),
            Value::Text(_) => "a text".into(),
            Value::Texts(_) | Value::Numbers(_) => "a list".into(),
            Value::Other => "something else".into(),
        };
        format!("`{key}` is {found}: expected {expected}")
    }

    /// A whole number that is not negative; none where the key is missing.
    pub(crate) fn whole(&self, key: &str) -> Result<Option<u64>, Problem> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Whole(number)) if *number >= 0 => Ok(Some(*number as u64)),
            Some(other) => Err(Self::wrong(key, other, "a whole number")),
        }
    }

    /// A number that is finite.
    pub(crate) fn real(&self, key: &str) -> Result<Option<f64>, Problem> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Real(number)) if number.is_finite() => Ok(Some(*number)),
            Some(Value::Whole(number)) => Ok(Some(*number as f64)),
            Some(other) => Err(Self::wrong(key, other, "a number")),
        }
    }

    /// True or false.
    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, Problem> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Flag(flag)) => Ok(Some(*flag)),
            Some(other) => Err(Self::wrong(key, other, "true or false")),
        }
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>, Problem> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(Self::wrong(key, other, "a text")),
        }
    }

    /// A list of texts.
    pub(crate) fn texts(&self, key: &str) -> Result<&[String], Problem> {
        match self.get(key) {
            Some(Value::Texts(texts)) => Ok(texts),
            Some(Value::Numbers(numbers)) if numbers.is_empty() => Ok(&[]),
            Some(other) => Err(Self::wrong(key, other, "a list of texts")),
            None => Err(format!("`{key}` is missing")),
        }
    }

    /// A list of numbers; none where the key is missing.
    pub(crate) fn numbers(&self, key: &str) -> Result<Option<&[f64]>, Problem> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Numbers(numbers)) => Ok(Some(numbers)),
            Some(other) => Err(Self::wrong(key, other, "a list of numbers")),
        }
    }
}

/// Name, axes, type and place of a tensor.
type Described = (String, Vec<u64>, u32, u64);

fn described_tensor<R: Read>(reader: &mut Bounded<R>) -> Result<Described, Problem> {
    let name = reader.text(MAX_NAME)?;
    let axes = reader.u32()?;
    if axes == 0 || axes > 4 {
        return Err(format!(
            "tensor `{}` has {axes} axes: it is damaged",
            name.escape_debug()
        ));
    }
    let dims = (0..axes).map(|_| reader.u64()).collect::<Result<_, _>>()?;
    Ok((name, dims, reader.u32()?, reader.u64()?))
}

fn placed(
    name: &str,
    dims: &[u64],
    kind: u32,
    (data, offset, size): (u64, u64, u64),
) -> Result<Tensor, Problem> {
    let name = name.escape_debug();
    let quant = Quant::of(kind).ok_or_else(|| {
        format!(
            "tensor `{name}` is stored as {}; read are {}: take a file of one of these, such as Q8_0 or Q4_K_M, or {INSTEAD}",
            Quant::name_of(kind),
            Quant::list()
        )
    })?;
    let (of_block, bytes) = quant.block();
    let count = dims
        .iter()
        .try_fold(1_u64, |count, &axis| count.checked_mul(axis));
    let whole = dims[0].is_multiple_of(of_block) && !dims.contains(&0);
    let length = count
        .filter(|_| whole)
        .and_then(|count| (count / of_block).checked_mul(bytes));
    let start = data.checked_add(offset);
    let end = start
        .zip(length)
        .and_then(|(start, length)| start.checked_add(length));
    let (Some(start), Some(length), Some(end)) = (start, length, end) else {
        return Err(format!(
            "tensor `{name}` of shape {dims:?} is described wrongly: the file is damaged"
        ));
    };
    if end > size {
        return Err(format!(
            "tensor `{name}` claims bytes {start} to {end} of {size}: the file is cut short"
        ));
    }
    Ok(Tensor {
        shape: dims.iter().rev().map(|&axis| axis as usize).collect(),
        quant,
        start,
        length,
    })
}
