//! What the Hub says of a repository: its commit, its files, and their sizes and digests.

use super::digest::Stated;
use serde::Deserialize;

/// Longest answer read, in bytes.
pub(super) const MAX_ANSWER: u64 = 64 << 20;
/// Longest name of a file, in bytes.
const MAX_NAME: usize = 1024;

/// A repository at one commit.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    /// The commit, 40 hexadecimal digits.
    pub(super) sha: String,
    #[serde(default)]
    pub(super) siblings: Vec<File>,
}

impl Info {
    /// The names of all files.
    pub(super) fn names(&self) -> Vec<&str> {
        self.siblings
            .iter()
            .map(|file| file.name.as_str())
            .collect()
    }

    /// The file of a name, where there is one.
    pub(super) fn file(&self, name: &str) -> Option<&File> {
        self.siblings.iter().find(|file| file.name == name)
    }
}

/// A file of a repository. A mirror may leave out all but the name.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct File {
    #[serde(rename = "rfilename")]
    pub(super) name: String,
    pub(super) size: Option<u64>,
    /// The digest under which git keeps it; of a large file that of its pointer.
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    /// There where the file is stored as a large one.
    lfs: Option<Lfs>,
}

#[derive(Debug, Clone, Deserialize)]
struct Lfs {
    sha256: Option<String>,
    size: Option<u64>,
}

impl File {
    /// The digest of the content, where the Hub states it.
    pub(super) fn stated(&self) -> Option<Stated> {
        match &self.lfs {
            Some(lfs) => Stated::sha256(lfs.sha256.as_deref()?),
            None => Stated::git(self.blob_id.as_deref()?),
        }
    }

    /// The size in bytes, where the Hub states it.
    pub(super) fn stated_size(&self) -> Option<u64> {
        self.lfs.as_ref().and_then(|lfs| lfs.size).or(self.size)
    }
}

/// Reads the Hub's answer; files with names that could lead out of a folder are left out.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(bytes: &[u8]) -> Result<Info, String> {
    let mut info: Info = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if !super::is_commit(&info.sha) {
        return Err("`sha` is not a commit".to_owned());
    }
    info.siblings.retain(|file| is_safe(&file.name));
    Ok(info)
}

/// Whether a name stays within the folder that it is put in, on every system.
fn is_safe(name: &str) -> bool {
    let part_is_safe = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.len() <= 255
            && !part.contains(['\\', '\0'])
            && !part.chars().any(char::is_control)
    };
    let mut start = name.chars();
    let drive = start.next().is_some_and(|c| c.is_ascii_alphabetic()) && start.next() == Some(':');
    name.len() <= MAX_NAME && !drive && name.split('/').all(part_is_safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_left_out() {
        for name in [
            "a",
            "a/b.csv",
            "a b",
            "é.csv",
            "..a",
            "a..b/c",
            "2023-01-01T00:00.csv",
        ] {
            assert!(is_safe(name), "{name}");
        }
        for name in [
            "",
            "/a",
            "a/",
            "a//b",
            "..",
            "../a",
            "a/../b",
            "./a",
            "C:\\a",
            "c:a",
            "a\\b",
            "a\0b",
            "a\nb",
            &"a".repeat(256),
            &"a/".repeat(600),
        ] {
            assert!(!is_safe(name), "{name}");
        }
        let commit = "1".repeat(40);
        let info = |siblings: &str| {
            read(format!("{{\"sha\": \"{commit}\", \"siblings\": {siblings}}}").as_bytes())
        };
        let names = info("[{\"rfilename\": \"../a\"}, {\"rfilename\": \"b\"}]").unwrap();
        assert_eq!(names.siblings.len(), 1);
        assert!(info("[{\"rfilename\": \"a\", \"size\": -1}]").is_err());
        assert!(info("5").is_err());
        assert!(
            read(b"{\"sha\": \"../../x\"}")
                .unwrap_err()
                .contains("`sha`")
        );
        assert!(read(b"<html>").is_err());
    }
}
