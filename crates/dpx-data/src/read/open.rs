//! Opening of files: regular ones only, compressed or not, within limits of size, as text.

use super::LONGEST;
use super::delimited::{lines, newline};
use crate::DataError;
use crate::error::Problems;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Largest file that is read, in bytes.
const LARGEST: u64 = 16 << 30;
/// What any file may expand to, in bytes, and what each of its bytes may expand to besides. Text shrinks three to ten times.
const FREE: u64 = 64 << 20;
const RATIO: u64 = 200;

pub(crate) use dpx_schema::files::LFS_POINTER as POINTER;

/// Largest such pointer, in bytes.
const POINTER_SIZE: u64 = 1024;

/// How much a file may still expand to while it is decompressed or decoded.
#[derive(Debug)]
pub(crate) struct Allowance {
    left: u64,
}

impl Allowance {
    /// For a file of so many bytes.
    pub(crate) fn of(bytes: u64) -> Self {
        Self {
            left: bytes.saturating_mul(RATIO).saturating_add(FREE),
        }
    }

    /// For so many bytes and no more.
    pub(crate) const fn exactly(bytes: u64) -> Self {
        Self { left: bytes }
    }

    /// Takes what is now needed.
    ///
    /// # Errors
    /// When there is not so much left. Says why.
    pub(crate) fn take(&mut self, bytes: u64) -> Result<(), String> {
        if bytes > self.left {
            return Err(format!(
                "it expands to more than its stated size, or {RATIO} times its size on disk: is it damaged, or no file of short texts?"
            ));
        }
        self.left -= bytes;
        Ok(())
    }

    pub(crate) const fn left(&self) -> u64 {
        self.left
    }
}

/// Opens a regular file. Pipes, sockets and devices may never end; a link must lead somewhere.
pub(crate) fn open(path: &Path) -> Result<(File, u64), DataError> {
    refuse_special(path)?;
    let file = File::open(path).map_err(|error| DataError::file(path, error))?;
    let size = file
        .metadata()
        .map_err(|error| DataError::file(path, error))?
        .len();
    if size > LARGEST {
        return Err(DataError::file(
            path,
            format!("the file has {size} bytes, at most {LARGEST} are read: split it"),
        ));
    }
    refuse_pointer(path, size)?;
    Ok((file, size))
}

/// Refuses what Git LFS leaves in the place of a large file until it is asked for it.
fn refuse_pointer(path: &Path, size: u64) -> Result<(), DataError> {
    if size > POINTER_SIZE {
        return Ok(());
    }
    let content = std::fs::read(path).map_err(|error| DataError::file(path, error))?;
    if content.starts_with(POINTER) {
        return Err(DataError::file(
            path,
            "a pointer of Git LFS, not the file itself: get it with `git lfs pull`",
        ));
    }
    Ok(())
}

/// Refuses what is neither a regular file nor a folder.
pub(crate) fn refuse_special(path: &Path) -> Result<(), DataError> {
    let found = match std::fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let problem = if path.is_symlink() {
                "a link that leads to no file: remove or mend it"
            } else {
                "no such file or folder"
            };
            return Err(DataError::file(path, problem));
        }
        Err(error) => return Err(DataError::file(path, error)),
    };
    if found.is_file() || found.is_dir() {
        return Ok(());
    }
    Err(DataError::file(
        path,
        format!(
            "{}: dpx reads regular files alone, since it reads them more than once",
            special(&found)
        ),
    ))
}

#[cfg(unix)]
fn special(found: &std::fs::Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    let kind = found.file_type();
    if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
const fn special(_: &std::fs::Metadata) -> &'static str {
    "no regular file"
}

/// How a file is compressed, by the end of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Packing {
    /// The packing and the name without its ending.
    pub(crate) fn of(name: &str) -> (Self, &str) {
        let lower = name.to_ascii_lowercase();
        for (ending, packing) in [
            (".gz", Self::Gzip),
            (".gzip", Self::Gzip),
            (".zst", Self::Zstd),
            (".zstd", Self::Zstd),
        ] {
            if lower.ends_with(ending) {
                return (packing, &name[..name.len() - ending.len()]);
            }
        }
        (Self::None, name)
    }
}

/// The bytes of a file, decompressed.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, DataError> {
    let (file, size) = open(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (packing, _) = Packing::of(&name);
    let damaged = |error: &dyn std::fmt::Display| {
        DataError::file(path, format!("it cannot be decompressed: {error}"))
    };
    let allowance = Allowance::of(size);
    match packing {
        Packing::None => {
            let mut bytes = Vec::new();
            file.take(LARGEST)
                .read_to_end(&mut bytes)
                .map_err(|error| DataError::file(path, error))?;
            Ok(bytes)
        }
        Packing::Gzip => {
            let decoder = flate2::read::MultiGzDecoder::new(std::io::BufReader::new(file));
            read_within(decoder, allowance).map_err(|error| damaged(&error))
        }
        Packing::Zstd => {
            let mut packed = Vec::new();
            file.take(LARGEST)
                .read_to_end(&mut packed)
                .map_err(|error| DataError::file(path, error))?;
            unzstd(&packed, allowance).map_err(|error| damaged(&error))
        }
    }
}

/// Reads to the end, at most as much as is allowed.
pub(super) fn read_within(reader: impl Read, mut allowance: Allowance) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let limit = allowance.left().saturating_add(1);
    reader
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    allowance.take(bytes.len() as u64)?;
    Ok(bytes)
}

/// Decompresses Zstandard frames that follow each other; skippable frames are skipped.
pub(super) fn unzstd(mut packed: &[u8], mut allowance: Allowance) -> Result<Vec<u8>, String> {
    use ruzstd::decoding::StreamingDecoder;
    use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
    let mut bytes = Vec::new();
    while !packed.is_empty() {
        let mut decoder = match StreamingDecoder::new(&mut packed) {
            Ok(decoder) => decoder,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                packed = packed
                    .get(length as usize..)
                    .ok_or("a frame is cut short")?;
                continue;
            }
            Err(error) => return Err(error.to_string()),
        };
        let before = bytes.len();
        let limit = allowance.left().saturating_add(1);
        Read::by_ref(&mut decoder)
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
        allowance.take((bytes.len() - before) as u64)?;
        let stated = decoder.decoder.get_checksum_from_data();
        if stated.is_some() && stated != decoder.decoder.get_calculated_checksum() {
            return Err("its content does not fit its checksum: it is damaged".to_owned());
        }
    }
    Ok(bytes)
}

/// The content of a text file, checked: not empty, UTF-8; a byte order mark is left out.
pub(super) fn text(path: &Path) -> Result<String, DataError> {
    let mut bytes = bytes(path)?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(DataError::line(path, 1, "the file is empty"));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(DataError::file(
            path,
            "the file is UTF-16: save it as UTF-8",
        ));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    String::from_utf8(bytes).map_err(|error| {
        let mut problems = Problems::default();
        let newline = newline(error.as_bytes());
        for (number, line) in error.as_bytes().split(|byte| *byte == newline).enumerate() {
            if let Err(error) = std::str::from_utf8(line) {
                problems.add(
                    path,
                    number as u64 + 1,
                    format!(
                        "invalid UTF-8 at byte {} of the line: save the file as UTF-8",
                        error.valid_up_to() + 1
                    ),
                );
            }
        }
        match problems.check() {
            Err(error) => error,
            Ok(()) => DataError::file(path, "invalid UTF-8: save the file as UTF-8"),
        }
    })
}

/// Adds a problem for each line that no short text fills.
pub(super) fn refuse_endless_lines(text: &str, path: &Path) -> Result<(), DataError> {
    let mut problems = Problems::default();
    for (number, line) in lines(text).enumerate() {
        if line.len() > LONGEST {
            problems.add(
                path,
                number as u64 + 1,
                format!(
                    "the line is {} bytes long, at most {LONGEST} are read: is this a file of short texts, one a line?",
                    line.len()
                ),
            );
        }
    }
    problems.check()
}
