//! Digests that the Hub states of files: SHA-256 of large ones, git's own of small ones.

use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// What the Hub states of a file's content. Its digits are the name under which the cache folder keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stated {
    /// Of the bytes: large files.
    Sha256(String),
    /// SHA-1 of `blob SIZE`, a zero byte and the bytes: what git names a file by.
    Git(String),
}

impl Stated {
    /// From 64 hexadecimal digits; nothing else can be a digest, or the name of a file.
    pub(super) fn sha256(digits: &str) -> Option<Self> {
        hexadecimal(digits, 64).map(Self::Sha256)
    }

    /// From 40 hexadecimal digits.
    pub(super) fn git(digits: &str) -> Option<Self> {
        hexadecimal(digits, 40).map(Self::Git)
    }

    pub(super) fn digits(&self) -> &str {
        match self {
            Self::Sha256(digits) | Self::Git(digits) => digits,
        }
    }

    /// What it is called in messages.
    pub(super) const fn what(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "SHA-256",
            Self::Git(_) => "git digest",
        }
    }

    /// A hasher for a file of so many bytes.
    pub(super) fn hasher(&self, size: u64) -> Hasher {
        match self {
            Self::Sha256(_) => Hasher::Sha256(Sha256::new()),
            Self::Git(_) => {
                let mut hasher = Sha1::new();
                hasher.update(format!("blob {size}\0"));
                Hasher::Git(hasher)
            }
        }
    }
}

fn hexadecimal(digits: &str, length: usize) -> Option<String> {
    let sound = digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    sound.then(|| digits.to_ascii_lowercase())
}

/// Digests the bytes of a file, as they come.
pub(super) enum Hasher {
    Sha256(Sha256),
    Git(Sha1),
}

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Git(hasher) => hasher.update(bytes),
        }
    }

    /// The digest in hexadecimal digits.
    pub(super) fn finish(self) -> String {
        let digits = |bytes: &[u8]| {
            bytes.iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
        };
        match self {
            Self::Sha256(hasher) => digits(&hasher.finalize()),
            Self::Git(hasher) => digits(&hasher.finalize()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_git_and_sha256() {
        let digest = |stated: Stated, bytes: &[u8]| {
            let mut hasher = stated.hasher(bytes.len() as u64);
            hasher.update(&bytes[..2]);
            hasher.update(&bytes[2..]);
            hasher.finish()
        };
        // `printf 'hello\n' | git hash-object --stdin` and `sha256sum`.
        let git = Stated::git("CE013625030ba8dba906f756967f9e9ca394464a").unwrap();
        assert_eq!(digest(git.clone(), b"hello\n"), git.digits());
        let sha = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        assert_eq!(digest(Stated::sha256(sha).unwrap(), b"hello\n"), sha);
        assert_eq!(Stated::sha256("../x"), None);
        assert_eq!(Stated::git(&"g".repeat(40)), None);
    }
}
