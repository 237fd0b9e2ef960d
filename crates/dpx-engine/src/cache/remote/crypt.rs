//! The team's key: names, encryption, signatures.
//!
//! One secret of 32 bytes, from which keys for each purpose are derived (BLAKE3). Contents are encrypted with ChaCha20 and
//! signed with keyed BLAKE3 after that. A piece of an object has a key of its own, made of the digest of its content: the same
//! bytes give the same piece, and no key is used for two.

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use dpx_schema::Digest;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// What a sealed record begins with.
const MAGIC: &[u8] = b"dpx-sealed-1\n";

/// What every version of it begins with.
const MAGIC_OF_ALL: &[u8] = b"dpx-sealed-";

const SALT: usize = 32;
const SIGNATURE: usize = 32;

/// The key of a team that shares a cache. It is in no experiment file and in no cache.
#[derive(Clone)]
pub struct TeamKey {
    naming: [u8; 32],
    encrypting: [u8; 32],
    signing: [u8; 32],
}

impl std::fmt::Debug for TeamKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TeamKey")
    }
}

/// What is inside a sealed record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unsealed {
    Plain(Vec<u8>),
    /// Another version of the seal; which, in words.
    OtherFormat(String),
    /// The signature is not this key's for this name.
    BadSignature,
}

/// Why a key cannot be read or made.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("cannot {action} the key of the remote cache `{}`: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("`{}` does not hold the key of a remote cache: expected 64 hexadecimal digits, as `dpx cache key` writes them", path.display())]
    NoKey { path: PathBuf },
    #[error("the key of the remote cache `{}` can be read by others: `chmod 600 {}`", path.display(), path.display())]
    Open { path: PathBuf },
    /// The operating system has no random numbers.
    #[error("cannot draw random numbers: {what}")]
    Random { what: String },
}

impl TeamKey {
    /// Reads a key from its file.
    ///
    /// # Errors
    /// When it cannot be read, holds no key, or others may read it.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::Io {
            action: "read",
            path: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(failed)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            if file.metadata().map_err(failed)?.mode() & 0o077 != 0 {
                return Err(KeyError::Open {
                    path: path.to_owned(),
                });
            }
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let digest: Option<Digest> = text.trim().parse().ok();
        let digest = digest.ok_or_else(|| KeyError::NoKey {
            path: path.to_owned(),
        })?;
        Ok(Self::derive(digest.as_bytes()))
    }

    /// Draws a key and writes it to a file that must not exist, for its owner alone.
    ///
    /// # Errors
    /// When it exists or cannot be written.
    pub fn make(path: &Path) -> Result<(), KeyError> {
        let secret = Digest::from_bytes(random()?);
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(path).and_then(|mut file| {
            writeln!(file, "{secret}")?;
            file.sync_all()
        });
        written.map_err(|source| KeyError::Io {
            action: "make",
            path: path.to_owned(),
            source,
        })
    }

    pub(super) fn derive(secret: &[u8; 32]) -> Self {
        Self {
            naming: blake3::derive_key("dpx remote cache v1: names", secret),
            encrypting: blake3::derive_key("dpx remote cache v1: encryption", secret),
            signing: blake3::derive_key("dpx remote cache v1: signatures", secret),
        }
    }

    /// The name of something in the store.
    pub(super) fn name(&self, purpose: &str, what: &[u8]) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.naming);
        hasher.update(purpose.as_bytes()).update(b"\0").update(what);
        hasher.finalize().to_hex().to_string()
    }

    /// Encrypts a piece of an object, or decrypts it: that is the same.
    pub(super) fn turn_piece(&self, digest: &Digest, piece: u64, bytes: &mut [u8]) {
        let mut hasher = blake3::Hasher::new_keyed(&self.encrypting);
        hasher
            .update(b"piece\0")
            .update(digest.as_bytes())
            .update(&piece.to_le_bytes());
        turn(hasher.finalize().as_bytes(), bytes);
    }

    /// Encrypts and signs a record, for one name.
    pub(super) fn seal(&self, name: &str, plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        let salt: [u8; SALT] = random()?;
        let mut sealed = Vec::with_capacity(MAGIC.len() + SALT + plain.len() + SIGNATURE);
        sealed.extend_from_slice(MAGIC);
        sealed.extend_from_slice(&salt);
        sealed.extend_from_slice(plain);
        turn(&self.record_key(&salt), &mut sealed[MAGIC.len() + SALT..]);
        let signature = self.sign(name, &sealed);
        sealed.extend_from_slice(signature.as_bytes());
        Ok(sealed)
    }

    /// The content of a sealed record, if it is this key's, for this name.
    pub(super) fn open(&self, name: &str, sealed: &[u8]) -> Unsealed {
        if sealed.starts_with(MAGIC_OF_ALL) && !sealed.starts_with(MAGIC) {
            let line = sealed.split(|&byte| byte == b'\n').next();
            let number = &line.unwrap_or_default()[MAGIC_OF_ALL.len()..];
            // A number that was changed is damage and no version.
            if (1..=9).contains(&number.len()) && number.iter().all(u8::is_ascii_digit) {
                let number = String::from_utf8_lossy(number);
                return Unsealed::OtherFormat(format!("version {number} of its seal: expected 1"));
            }
        }
        self.unseal(name, sealed)
            .map_or(Unsealed::BadSignature, Unsealed::Plain)
    }

    fn unseal(&self, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (signed, signature) = sealed.split_last_chunk::<SIGNATURE>()?;
        // The comparison takes the same time wherever they differ.
        if self.sign(name, signed) != *signature {
            return None;
        }
        let rest = signed.strip_prefix(MAGIC)?;
        let (salt, encrypted) = rest.split_first_chunk::<SALT>()?;
        let mut plain = encrypted.to_vec();
        turn(&self.record_key(salt), &mut plain);
        Some(plain)
    }

    fn record_key(&self, salt: &[u8; SALT]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.encrypting);
        hasher.update(b"record\0").update(salt);
        *hasher.finalize().as_bytes()
    }

    fn sign(&self, name: &str, bytes: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.signing);
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes()).update(bytes);
        hasher.finalize()
    }
}

/// No key serves twice, so the nonce may be zero.
fn turn(key: &[u8; 32], bytes: &mut [u8]) {
    ChaCha20::new(key.into(), &[0; 12].into()).apply_keystream(bytes);
}

fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| KeyError::Random {
        what: error.to_string(),
    })?;
    Ok(bytes)
}

/// A name that nobody else draws.
pub(super) fn random_name() -> Result<String, KeyError> {
    Ok(format!("{:032x}", u128::from_le_bytes(random()?)))
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_key_and_its_name_alone() {
        let key = TeamKey::derive(&[7; 32]);
        let sealed = key.seal("records/a", b"a record").unwrap();
        assert!(!sealed.windows(8).any(|window| window == b"a record"));
        let bad = Unsealed::BadSignature;
        assert_eq!(
            key.open("records/a", &sealed),
            Unsealed::Plain(b"a record".to_vec())
        );
        assert_eq!(key.open("records/b", &sealed), bad, "moved to another name");
        assert_eq!(TeamKey::derive(&[8; 32]).open("records/a", &sealed), bad);
        for at in [0, MAGIC.len(), MAGIC.len() + SALT, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key.open("records/a", &changed), bad, "byte {at}");
        }
        assert_eq!(key.open("records/a", &sealed[..10]), bad);
        let later = [b"dpx-sealed-2\n", &sealed[MAGIC.len()..]].concat();
        assert!(matches!(
            key.open("records/a", &later),
            Unsealed::OtherFormat(_)
        ));
        assert_ne!(
            sealed,
            key.seal("records/a", b"a record").unwrap(),
            "no key stream twice"
        );
    }

    #[test]
    fn pieces_are_the_same_for_the_same_content_and_differ_otherwise() {
        let key = TeamKey::derive(&[7; 32]);
        let turned = |digest: &[u8], piece| {
            let mut bytes = *b"some bytes";
            key.turn_piece(&Digest::of(digest), piece, &mut bytes);
            bytes
        };
        assert_eq!(turned(b"a", 0), turned(b"a", 0));
        assert_ne!(turned(b"a", 0), turned(b"a", 1));
        assert_ne!(turned(b"a", 0), turned(b"b", 0));
        assert_ne!(key.name("record", b"x"), key.name("object", b"x"));
    }

    #[test]
    fn a_key_is_written_for_its_owner_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("team.key");
        TeamKey::make(&path).unwrap();
        TeamKey::read(&path).unwrap();
        assert!(TeamKey::make(&path).is_err(), "never over another");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
            assert!(matches!(TeamKey::read(&path), Err(KeyError::Open { .. })));
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        }
        std::fs::write(&path, "no key").unwrap();
        assert!(matches!(TeamKey::read(&path), Err(KeyError::NoKey { .. })));
    }
}
