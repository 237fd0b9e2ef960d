//! Checkpoints: all that the rest of a run depends on, bound to the run's inputs, written whole or not at all.
//!
//! Layout: magic, binding (32 bytes), step, number of vectors, number of notes, their lengths (u64, little endian), the
//! vectors' values (f32), the notes' bytes, and a BLAKE3 digest of all before it. A checkpoint is read and verified whole
//! before anything is done with it.

use dpx_schema::files::write_whole_by;
use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"dpxstat2";
const HEAD: usize = 64;
const DIGEST: u64 = 32;

/// A checkpoint that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("checkpoint `{}`: {source}; remove it to start again without it", path.display())]
pub struct CheckpointError {
    path: PathBuf,
    source: std::io::Error,
}

/// A checkpoint that was read whole and whose digest is right.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    step: u64,
    vectors: Vec<Vec<f32>>,
    notes: Vec<Vec<u8>>,
}

impl Checkpoint {
    /// Number of steps that were done when it was written.
    pub const fn step(&self) -> u64 {
        self.step
    }

    /// What the stage put beside the trainer's state, in its order: none where the number is too high.
    pub fn note(&self, number: usize) -> Option<&[u8]> {
        self.notes.get(number).map(Vec::as_slice)
    }

    pub(super) fn vectors(&self) -> &[Vec<f32>] {
        &self.vectors
    }
}

/// What was found in the place of a checkpoint.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "what its name says")]
pub enum Found {
    None,
    /// A whole checkpoint of a run with other inputs.
    OtherInputs,
    /// A file that is no whole checkpoint; the reason.
    Damaged(&'static str),
    /// A whole checkpoint of these inputs.
    Whole(Checkpoint),
}

impl Found {
    /// The checkpoint, if there is one to go on from.
    pub fn whole(self) -> Option<Checkpoint> {
        match self {
            Self::Whole(checkpoint) => Some(checkpoint),
            _ => None,
        }
    }
}

/// Writes a checkpoint beside its place, syncs it and renames it there.
pub(super) fn write(
    path: &Path,
    binding: &[u8; 32],
    step: u64,
    vectors: &[&[f32]],
    notes: &[&[u8]],
) -> Result<(), CheckpointError> {
    let fresh = path.with_extension("fresh");
    let written = write_whole_by(&fresh, path, |file| {
        let mut out = Hashed::new(BufWriter::with_capacity(1 << 18, file));
        out.write_all(&MAGIC)?;
        out.write_all(binding)?;
        out.write_all(&step.to_le_bytes())?;
        out.write_all(&(vectors.len() as u64).to_le_bytes())?;
        out.write_all(&(notes.len() as u64).to_le_bytes())?;
        let lengths = vectors.iter().map(|vector| vector.len());
        for length in lengths.chain(notes.iter().map(|note| note.len())) {
            out.write_all(&(length as u64).to_le_bytes())?;
        }
        let mut bytes = Vec::with_capacity(1 << 16);
        for part in vectors.iter().flat_map(|vector| vector.chunks(1 << 14)) {
            bytes.clear();
            bytes.extend(part.iter().flat_map(|value| value.to_le_bytes()));
            out.write_all(&bytes)?;
        }
        for note in notes {
            out.write_all(note)?;
        }
        let digest = out.hasher.finalize();
        out.inner.write_all(digest.as_bytes())?;
        out.inner.flush()
    });
    written.map_err(|source| error(path, source))
}

/// Reads a checkpoint and verifies all of it. It takes as much memory as the file is long.
///
/// # Errors
/// When the file cannot be read; what stands in it is no error but [`Found::Damaged`].
pub fn read(path: &Path, binding: &[u8; 32]) -> Result<Found, CheckpointError> {
    let found = (|| {
        // A pipe in the place of a checkpoint would be waited for.
        if !std::fs::metadata(path)?.is_file() {
            return Ok(Found::Damaged("it is not a file"));
        }
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        read_from(&file, length, binding)
    })();
    match found {
        Err(source) if source.kind() == ErrorKind::NotFound => Ok(Found::None),
        Err(source) if source.kind() == ErrorKind::UnexpectedEof => {
            Ok(Found::Damaged("it is too short"))
        }
        found => found.map_err(|source| error(path, source)),
    }
}

fn read_from(file: &File, length: u64, binding: &[u8; 32]) -> std::io::Result<Found> {
    const NO_FIT: Found = Found::Damaged("its length is not the one that it states");
    let mut input = Hashed::new(BufReader::with_capacity(1 << 18, file));
    let mut head = [0; HEAD];
    input.read_exact(&mut head)?;
    if head[..8] != MAGIC {
        return Ok(Found::Damaged(
            "it does not begin like a checkpoint of this version",
        ));
    }
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&head[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let (step, vectors, notes) = (number(40), number(48), number(56));
    // Nothing is allocated that the file does not hold.
    let mut left = length.saturating_sub(HEAD as u64 + DIGEST);
    let mut lengths = |count: u64, size: u64| -> std::io::Result<Option<Vec<usize>>> {
        if count > left / 8 {
            return Ok(None);
        }
        left -= 8 * count;
        let mut lengths = Vec::with_capacity(count as usize);
        let mut bytes = [0; 8];
        for _ in 0..count {
            input.read_exact(&mut bytes)?;
            lengths.push(u64::from_le_bytes(bytes));
        }
        let mut all = Vec::with_capacity(lengths.len());
        for length in lengths {
            let Some(rest) = length
                .checked_mul(size)
                .and_then(|bytes| left.checked_sub(bytes))
            else {
                return Ok(None);
            };
            left = rest;
            all.push(length as usize);
        }
        Ok(Some(all))
    };
    let Some(vectors) = lengths(vectors, 4)? else {
        return Ok(NO_FIT);
    };
    let Some(notes) = lengths(notes, 1)? else {
        return Ok(NO_FIT);
    };
    if left != 0 {
        return Ok(NO_FIT);
    }
    let vectors = vectors
        .into_iter()
        .map(|length| floats(&mut input, length))
        .collect::<std::io::Result<Vec<_>>>()?;
    let notes = notes
        .into_iter()
        .map(|length| {
            let mut note = vec![0; length];
            input.read_exact(&mut note).map(|()| note)
        })
        .collect::<std::io::Result<Vec<_>>>()?;
    let computed = input.hasher.finalize();
    let mut digest = [0; DIGEST as usize];
    input.inner.read_exact(&mut digest)?;
    if digest != *computed.as_bytes() {
        return Ok(Found::Damaged("its digest is not that of its content"));
    }
    if head[8..40] != *binding {
        return Ok(Found::OtherInputs);
    }
    Ok(Found::Whole(Checkpoint {
        step,
        vectors,
        notes,
    }))
}

fn floats<T: Read>(input: &mut Hashed<T>, length: usize) -> std::io::Result<Vec<f32>> {
    let mut bytes = vec![0; 1 << 16];
    let mut values = Vec::with_capacity(length);
    while values.len() < length {
        let part = &mut bytes[..4 * (length - values.len()).min(1 << 14)];
        input.read_exact(part)?;
        let floats = part.as_chunks().0.iter();
        values.extend(floats.map(|bytes| f32::from_le_bytes(*bytes)));
    }
    Ok(values)
}

/// Hashes what passes through.
struct Hashed<T> {
    inner: T,
    hasher: blake3::Hasher,
}

impl<T> Hashed<T> {
    fn new(inner: T) -> Self {
        Self {
            inner,
            hasher: blake3::Hasher::new(),
        }
    }
}

impl<T: Write> Hashed<T> {
    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hasher.update(bytes);
        self.inner.write_all(bytes)
    }
}

impl<T: Read> Hashed<T> {
    fn read_exact(&mut self, bytes: &mut [u8]) -> std::io::Result<()> {
        self.inner.read_exact(bytes)?;
        self.hasher.update(bytes);
        Ok(())
    }
}

fn error(path: &Path, source: std::io::Error) -> CheckpointError {
    CheckpointError {
        path: path.into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BINDING: [u8; 32] = [1; 32];

    fn stored(path: &Path) -> Vec<u8> {
        let vectors: [&[f32]; 3] = [&[1.5, -0.0, f32::MIN_POSITIVE], &[], &[2.0; 50]];
        write(path, &BINDING, 7, &vectors, &[b"a log", b""]).unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn bits_and_notes_survive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.bin");
        stored(&path);
        let found = read(&path, &BINDING).unwrap().whole().unwrap();
        assert_eq!(found.step(), 7);
        assert_eq!(found.vectors()[0][1].to_bits(), (-0.0f32).to_bits());
        assert_eq!(found.vectors()[0][0], 1.5);
        assert_eq!(found.vectors()[2], [2.0; 50]);
        assert_eq!(found.note(0), Some(b"a log".as_slice()));
        assert_eq!(found.note(1), Some(b"".as_slice()));
        assert_eq!(found.note(2), None);
        assert_eq!(read(&path, &[2; 32]).unwrap(), Found::OtherInputs);
    }

    /// Every single bit, every length shorter, one byte more, no file, a folder.
    #[test]
    fn damage_of_any_kind_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.bin");
        let whole = stored(&path);
        let found = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read(&path, &BINDING).unwrap()
        };
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let found = found(&flipped);
            assert!(matches!(found, Found::Damaged(_)), "bit {bit}: {found:?}");
        }
        for length in 0..whole.len() {
            let found = found(&whole[..length]);
            assert!(matches!(found, Found::Damaged(_)), "cut at {length}");
        }
        let longer = [&whole[..], &[0]].concat();
        assert!(matches!(found(&longer), Found::Damaged(_)));
        assert!(matches!(found(&whole), Found::Whole(_)));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read(&path, &BINDING).unwrap(), Found::None);
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(read(&path, &BINDING).unwrap(), Found::Damaged(_)));
    }
}
