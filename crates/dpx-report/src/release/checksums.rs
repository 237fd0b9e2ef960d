//! `SHA256SUMS`, as `sha256sum -c` reads it.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes read at once.
const BUFFER: usize = 1 << 16;

/// The SHA-256 of a file in hexadecimal.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => hasher.update(&buffer[..length]),
        }
    }
    let mut text = String::new();
    for byte in hasher.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// The content of `SHA256SUMS`: one line per file, sorted by path.
pub(crate) fn write(sums: &BTreeMap<String, String>) -> String {
    sums.iter().fold(String::new(), |list, (path, sum)| {
        list + sum + "  " + path + "\n"
    })
}

/// Reads `SHA256SUMS`: checksums by path.
///
/// # Errors
/// A line is not one that [`write`] would have written there. Names the line.
pub(crate) fn read(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut sums = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let entry = line.split_once("  ").filter(|(sum, path)| {
            sum.len() == 64
                && sum
                    .chars()
                    .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
                && !path.is_empty()
        });
        let Some((sum, path)) = entry else {
            return Err(format!(
                "line {} is no checksum of a file: expected 64 hexadecimal digits, two spaces and a path",
                number + 1
            ));
        };
        if sums.insert(path.to_owned(), sum.to_owned()).is_some() {
            return Err(format!(
                "line {} names a file for the second time",
                number + 1
            ));
        }
    }
    if write(&sums) != text {
        return Err("its lines are not sorted by path, each ended by a line feed".to_owned());
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_sha256sum_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "abc").unwrap();
        let sum = sha256(&path).unwrap();
        assert_eq!(
            sum,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let sums = BTreeMap::from([("a".to_owned(), sum.clone()), ("b/c".to_owned(), sum)]);
        let text = write(&sums);
        assert_eq!(read(&text).unwrap(), sums);
        let (first, second) = text.split_once('\n').unwrap();
        for bad in [
            format!("{second}{first}\n"),
            format!("{text}\n"),
            text.replace("  a", " *a"),
            text.to_uppercase(),
            text.replace('\n', "\r\n"),
            format!("{first}\n{first}\n"),
            text.trim_end().to_owned(),
        ] {
            assert!(read(&bad).is_err(), "{bad:?}");
        }
    }
}
