//! Checkpoints: the step number and vectors of f32, bound to the run's inputs, written whole or not at all.
//!
//! Layout: magic, binding (32 bytes), step, number of vectors, their lengths (u64, little endian), the values, and a
//! BLAKE3 digest of all before it. A checkpoint that is damaged or bound to other inputs counts as none.

use dpx_schema::files::write_whole_by;
use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"dpxstat1";

/// A checkpoint that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("checkpoint `{}`: {source}", path.display())]
pub struct CheckpointError {
    path: PathBuf,
    source: std::io::Error,
}

/// Writes a checkpoint beside its place, syncs it and renames it there.
pub(super) fn write(
    path: &Path,
    binding: &[u8; 32],
    step: u64,
    vectors: &[&[f32]],
) -> Result<(), CheckpointError> {
    let fresh = path.with_extension("fresh");
    let written = write_whole_by(&fresh, path, |file| {
        let mut out = Hashed::new(BufWriter::with_capacity(1 << 18, file));
        out.write_all(&MAGIC)?;
        out.write_all(binding)?;
        out.write_all(&step.to_le_bytes())?;
        out.write_all(&(vectors.len() as u64).to_le_bytes())?;
        for vector in vectors {
            out.write_all(&(vector.len() as u64).to_le_bytes())?;
        }
        let mut bytes = Vec::with_capacity(1 << 16);
        for part in vectors.iter().flat_map(|vector| vector.chunks(1 << 14)) {
            bytes.clear();
            bytes.extend(part.iter().flat_map(|value| value.to_le_bytes()));
            out.write_all(&bytes)?;
        }
        let digest = out.hasher.finalize();
        out.inner.write_all(digest.as_bytes())?;
        out.inner.flush()
    });
    written.map_err(|source| error(path, source))
}

/// The step of a checkpoint by its first bytes; nothing where there is none bound to these inputs.
pub fn step(path: &Path, binding: &[u8; 32]) -> Result<Option<u64>, CheckpointError> {
    let mut head = [0; 48];
    match File::open(path).and_then(|mut file| file.read_exact(&mut head)) {
        Ok(()) if head[..8] == MAGIC && head[8..40] == *binding => {
            let mut number = [0; 8];
            number.copy_from_slice(&head[40..]);
            Ok(Some(u64::from_le_bytes(number)))
        }
        Ok(()) => Ok(None),
        Err(source) if [ErrorKind::NotFound, ErrorKind::UnexpectedEof].contains(&source.kind()) => {
            Ok(None)
        }
        Err(source) => Err(error(path, source)),
    }
}

/// Reads a checkpoint into vectors of the same lengths; nothing when there is none that is whole and fits. The vectors
/// change only when it is.
pub(super) fn read(
    path: &Path,
    binding: &[u8; 32],
    vectors: &mut [&mut [f32]],
) -> Result<Option<u64>, CheckpointError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(error(path, source)),
    };
    match read_from(&file, binding, vectors) {
        Err(source) if source.kind() == ErrorKind::UnexpectedEof => Ok(None),
        result => result.map_err(|source| error(path, source)),
    }
}

fn read_from(
    file: &File,
    binding: &[u8; 32],
    vectors: &mut [&mut [f32]],
) -> std::io::Result<Option<u64>> {
    let mut input = Hashed::new(BufReader::with_capacity(1 << 18, file));
    let mut head = [0; 56];
    input.read_exact(&mut head)?;
    let mut number = [0; 8];
    number.copy_from_slice(&head[40..48]);
    let step = u64::from_le_bytes(number);
    number.copy_from_slice(&head[48..]);
    let count = u64::from_le_bytes(number);
    if head[..8] != MAGIC || head[8..40] != *binding || count != vectors.len() as u64 {
        return Ok(None);
    }
    for vector in vectors.iter() {
        input.read_exact(&mut number)?;
        if u64::from_le_bytes(number) != vector.len() as u64 {
            return Ok(None);
        }
    }
    let mut read: Vec<Vec<f32>> = Vec::with_capacity(vectors.len());
    let mut bytes = vec![0; 1 << 16];
    for vector in vectors.iter() {
        let mut values = Vec::with_capacity(vector.len());
        while values.len() < vector.len() {
            let part = &mut bytes[..4 * (vector.len() - values.len()).min(1 << 14)];
            input.read_exact(part)?;
            let floats = part.as_chunks().0.iter();
            values.extend(floats.map(|bytes| f32::from_le_bytes(*bytes)));
        }
        read.push(values);
    }
    let computed = input.hasher.finalize();
    let mut digest = [0; 32];
    input.inner.read_exact(&mut digest)?;
    if digest != *computed.as_bytes() {
        return Ok(None);
    }
    for (vector, values) in vectors.iter_mut().zip(read) {
        vector.copy_from_slice(&values);
    }
    Ok(Some(step))
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

    fn stored() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.bin");
        write(
            &path,
            &BINDING,
            7,
            &[&[1.5, -0.0, f32::MIN_POSITIVE], &[], &vec![2.0; 40_000]],
        )
        .unwrap();
        (folder, path)
    }

    fn read_back(
        path: &Path,
        binding: &[u8; 32],
        lengths: [usize; 3],
    ) -> (Option<u64>, Vec<Vec<f32>>) {
        let mut vectors = lengths.map(|length| vec![9.0; length]).to_vec();
        let mut slices: Vec<&mut [f32]> = vectors.iter_mut().map(Vec::as_mut_slice).collect();
        let step = read(path, binding, &mut slices).unwrap();
        (step, vectors)
    }

    #[test]
    fn bits_survive() {
        let (_folder, path) = stored();
        let (step, vectors) = read_back(&path, &BINDING, [3, 0, 40_000]);
        assert_eq!(step, Some(7));
        assert_eq!(vectors[0][1].to_bits(), (-0.0f32).to_bits());
        assert_eq!(vectors[0][0], 1.5);
        assert!(vectors[2].iter().all(|&value| value == 2.0));
    }

    #[test]
    fn what_does_not_fit_counts_as_none() {
        let (_folder, path) = stored();
        assert_eq!(
            read_back(&path, &[2; 32], [3, 0, 40_000]).0,
            None,
            "another binding"
        );
        assert_eq!(
            read_back(&path, &BINDING, [3, 1, 40_000]).0,
            None,
            "another shape"
        );
        let whole = std::fs::read(&path).unwrap();
        for length in [0, 10, 60, 1000, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let (step, vectors) = read_back(&path, &BINDING, [3, 0, 40_000]);
            assert_eq!(step, None, "cut at {length}");
            assert_eq!(vectors[0], [9.0; 3], "nothing is changed");
        }
        let mut flipped = whole;
        flipped[5000] ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        assert_eq!(
            read_back(&path, &BINDING, [3, 0, 40_000]).0,
            None,
            "a flipped bit"
        );
        std::fs::remove_file(&path).unwrap();
        assert_eq!(
            read_back(&path, &BINDING, [3, 0, 40_000]).0,
            None,
            "no file"
        );
    }
}
