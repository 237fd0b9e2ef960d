//! Thrift's compact protocol, as far as parquet's metadata needs it.

pub(super) const TRUE: u8 = 1;
pub(super) const FALSE: u8 = 2;
pub(super) const I32: u8 = 5;
pub(super) const LIST: u8 = 9;
pub(super) const STRUCT: u8 = 12;
/// Structures within structures.
const DEEPEST: usize = 16;

/// What is wrong where anything is.
pub(super) fn broken() -> String {
    "its metadata is damaged".to_owned()
}

pub(super) struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Thrift<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> Result<u8, String> {
        let byte = self.bytes.get(self.at).copied().ok_or_else(broken)?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(broken())
    }

    fn long(&mut self) -> Result<i64, String> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    pub(super) fn int(&mut self) -> Result<i32, String> {
        i32::try_from(self.long()?).map_err(|_| broken())
    }

    /// The number and type of the next field; none at the end of the structure.
    pub(super) fn field(&mut self, last: &mut i16) -> Result<Option<(i16, u8)>, String> {
        let head = self.byte()?;
        if head == 0 {
            return Ok(None);
        }
        let step = i16::from(head >> 4);
        *last = if step == 0 {
            i16::try_from(self.long()?).map_err(|_| broken())?
        } else {
            last.checked_add(step).ok_or_else(broken)?
        };
        Ok(Some((*last, head & 0x0f)))
    }

    /// The length of a list and the type of its elements.
    pub(super) fn list(&mut self) -> Result<(u64, u8), String> {
        let head = self.byte()?;
        let length = match head >> 4 {
            15 => self.varint()?,
            short => u64::from(short),
        };
        let kind = match head & 0x0f {
            // In lists a truth value takes a byte.
            TRUE | FALSE => 3,
            kind => kind,
        };
        Ok((length, kind))
    }

    fn advance(&mut self, bytes: u64) -> Result<(), String> {
        let left = (self.bytes.len() - self.at) as u64;
        if bytes > left {
            return Err(broken());
        }
        self.at += bytes as usize;
        Ok(())
    }

    pub(super) fn skip(&mut self, kind: u8, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(broken());
        }
        match kind {
            TRUE | FALSE => Ok(()),
            3 => self.advance(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.advance(8),
            8 => {
                let length = self.varint()?;
                self.advance(length)
            }
            LIST | 10 => {
                let (length, kind) = self.list()?;
                for _ in 0..length {
                    self.skip(kind, depth + 1)?;
                }
                Ok(())
            }
            STRUCT => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.skip(kind, depth + 1)?;
                }
                Ok(())
            }
            _ => Err(broken()),
        }
    }
}
