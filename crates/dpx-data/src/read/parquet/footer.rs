//! The footer of a file, looked at before the parquet crate parses it: what it claims of its schema would be allocated at
//! once, or overflow the stack.

use super::thrift::{I32, LIST, STRUCT, Thrift, broken};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

/// Groups within groups.
const DEEPEST: usize = 64;
/// Largest footer, in bytes.
const LARGEST: u64 = 256 << 20;

/// Checks that the schema is a tree of as many elements as are there, and no deep one.
pub(super) fn check(mut file: &File, size: u64) -> Result<(), String> {
    let ending = size.checked_sub(8).ok_or("it is too short")?;
    let mut tail = [0; 8];
    let mut read = |at: u64, bytes: &mut [u8]| {
        file.seek(SeekFrom::Start(at))
            .and_then(|_| file.read_exact(bytes))
            .map_err(|error| error.to_string())
    };
    read(ending, &mut tail)?;
    let [a, b, c, d, magic @ ..] = tail;
    if &magic == b"PARE" {
        return Err("it is encrypted".to_owned());
    }
    if &magic != b"PAR1" {
        return Err("it does not end as one".to_owned());
    }
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    if length > ending || length > LARGEST {
        return Err(broken());
    }
    let mut bytes = vec![0; length as usize];
    read(ending - length, &mut bytes)?;
    schema(&mut Thrift::new(&bytes))
}

fn schema(thrift: &mut Thrift<'_>) -> Result<(), String> {
    let mut last = 0;
    while let Some((field, kind)) = thrift.field(&mut last)? {
        // FileMetaData.schema.
        if (field, kind) == (2, LIST) {
            let (length, kind) = thrift.list()?;
            return if kind == STRUCT {
                tree(thrift, length)
            } else {
                Err(broken())
            };
        }
        thrift.skip(kind, 0)?;
    }
    Err(broken())
}

fn tree(thrift: &mut Thrift<'_>, elements: u64) -> Result<(), String> {
    // Children that are still to come, of each group that is open.
    let mut open: Vec<u64> = Vec::new();
    for element in 0..elements {
        let mut children = 0;
        let mut last = 0;
        while let Some((field, kind)) = thrift.field(&mut last)? {
            // SchemaElement.num_children.
            if (field, kind) == (5, I32) {
                children = u64::try_from(thrift.int()?).map_err(|_| broken())?;
            } else {
                thrift.skip(kind, 0)?;
            }
        }
        if children > elements - element - 1 {
            return Err(broken());
        }
        if let Some(left) = open.last_mut() {
            *left = left.checked_sub(1).ok_or_else(broken)?;
        }
        if children > 0 {
            open.push(children);
        }
        if open.len() > DEEPEST {
            return Err(format!("its columns are nested more than {DEEPEST} deep"));
        }
        while open.last() == Some(&0) {
            open.pop();
        }
    }
    Ok(())
}
