//! The ledger's secret: without it nobody can confirm a guessed record from a digest, nor seal an entry.

use crate::LedgerError;
use crate::chain::HEAD;
use crate::files::{at, read, write_whole};
use std::io;
use std::path::{Path, PathBuf};

pub(crate) const SECRET: &str = "secret";
const MAGIC: &str = "dpx-ledger-secret-1";
/// Digits of the checksum in the file.
const CHECK: usize = 16;

/// Keys that follow from the secret, one per purpose.
#[derive(Clone)]
pub(crate) struct Secret {
    chain: [u8; 32],
    head: [u8; 32],
    units: [u8; 32],
    artifacts: [u8; 32],
}

fn check(digits: &str) -> String {
    blake3::hash(digits.as_bytes()).to_hex()[..CHECK].to_owned()
}

impl Secret {
    fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self {
            chain: blake3::derive_key("dpx 2026 ledger chain v1", bytes),
            head: blake3::derive_key("dpx 2026 ledger head v1", bytes),
            units: blake3::derive_key("dpx 2026 ledger units v1", bytes),
            artifacts: blake3::derive_key("dpx 2026 ledger artifacts v1", bytes),
        }
    }

    /// Reads the secret of a folder; nothing where it has none.
    pub(crate) fn load(folder: &Path) -> Result<Option<Self>, LedgerError> {
        let path = folder.join(SECRET);
        let Some(bytes) = read(&path)? else {
            return Ok(None);
        };
        // A secret of this version that was cut lies beside a head.
        if bytes.len() == 32 && !folder.join(HEAD).exists() {
            return Err(LedgerError::Version {
                path: folder.to_owned(),
                what: "is of an earlier dpx, which kept a book per data set; move it away and enter what the cache knows with \
                       `dpx ledger adopt FILE`"
                    .to_owned(),
            });
        }
        parse(&bytes).map(Some).ok_or_else(|| damaged(path))
    }

    /// Draws a secret and writes it.
    pub(crate) fn create(folder: &Path) -> Result<Self, LedgerError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| {
            let error = io::Error::other(error.to_string());
            at("draw random numbers for", &folder.join(SECRET))(error)
        })?;
        let digits = blake3::Hash::from_bytes(bytes).to_hex();
        let text = format!("{MAGIC} {digits} {}\n", check(&digits));
        write_whole(folder, SECRET, text.as_bytes())?;
        Ok(Self::from_bytes(&bytes))
    }

    pub(crate) fn seal(&self, bytes: &[u8]) -> String {
        blake3::keyed_hash(&self.chain, bytes).to_hex().to_string()
    }

    pub(crate) fn seal_head(&self, bytes: &[u8]) -> String {
        blake3::keyed_hash(&self.head, bytes).to_hex().to_string()
    }

    /// The keyed digest of one record of the raw data.
    pub(crate) fn unit(&self, text: &str) -> u64 {
        let hash = blake3::keyed_hash(&self.units, text.as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        u64::from_le_bytes(first)
    }

    /// The name of a set of units, 32 digits.
    pub(crate) fn set(&self, bytes: &[u8]) -> String {
        blake3::keyed_hash(&self.units, bytes).to_hex()[..32].to_owned()
    }

    /// The name of a file of training texts, 32 digits.
    pub(crate) fn artifact(&self, digest: &[u8]) -> String {
        blake3::keyed_hash(&self.artifacts, digest).to_hex()[..32].to_owned()
    }
}

fn parse(bytes: &[u8]) -> Option<Secret> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let mut words = text.split(' ');
    let (magic, digits, sum) = (words.next()?, words.next()?, words.next()?);
    let sound = magic == MAGIC && words.next().is_none() && sum == check(digits);
    let parsed = blake3::Hash::from_hex(digits).ok()?;
    // Upper-case digits parse, too: what was written has none.
    (sound && parsed.to_hex().as_str() == digits).then(|| Secret::from_bytes(parsed.as_bytes()))
}

fn damaged(path: PathBuf) -> LedgerError {
    LedgerError::Damaged {
        path,
        line: None,
        reason: format!(
            "expected one line `{MAGIC} DIGITS CHECKSUM`; another secret would open another account for the same people"
        ),
    }
}
