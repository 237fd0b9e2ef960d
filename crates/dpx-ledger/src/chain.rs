//! The ledger on disk: one sealed line per entry, each holding the seal of the one before, and a head that says how many there
//! are.
//!
//! An append is on the medium before the head names it, and the head before the caller goes on. Lines that the head names
//! must verify; what lies behind them is of an append that died, whose run never began: whole lines of it count all the same,
//! a torn rest is told, and cut off by the next append.

use crate::LedgerError;
use crate::entry::Entry;
use crate::files::{at, make_folder, options, read, sync_folder, write_whole};
use crate::secret::{SECRET, Secret};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub(crate) const LEDGER: &str = "ledger.jsonl";
pub(crate) const HEAD: &str = "head";
const LOCK: &str = "lock";
/// What the first line holds in place of a seal.
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const SEAL: &str = ",\"seal\":\"";
/// Bytes of the end of a line, from [`SEAL`] on.
const TAIL: usize = SEAL.len() + 64 + 2;
/// The version of lines and head.
const VERSION: u32 = 1;

/// A ledger's folder under its lock.
pub(crate) struct Chain {
    folder: PathBuf,
    secret: Secret,
    state: State,
    /// Held for the life of the chain.
    _lock: File,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    /// The entries, oldest first.
    pub(crate) entries: Vec<Entry>,
    /// Bytes behind the last whole line that are of an append that died.
    pub(crate) torn: usize,
    pub(crate) seals: Vec<String>,
    /// Bytes of the file that are sound.
    sound: usize,
    /// The last line has no end.
    unterminated: bool,
}

#[derive(Serialize)]
struct Unsealed<'a> {
    version: u32,
    line: usize,
    previous: &'a str,
    content: &'a Entry,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    version: u32,
    line: usize,
    previous: String,
    content: Entry,
    #[serde(rename = "seal")]
    _seal: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: u32,
    entries: usize,
    last: String,
}

fn damaged(path: PathBuf, line: Option<usize>, reason: impl Into<String>) -> LedgerError {
    LedgerError::Damaged {
        path,
        line,
        reason: reason.into(),
    }
}

impl Chain {
    /// Takes the ledger for writing; makes it where there is none.
    pub(crate) fn write(folder: &Path) -> Result<Self, LedgerError> {
        make_folder(folder, false)?;
        let lock = options(folder)
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join(LOCK))
            .and_then(|lock| lock.lock().map(|()| lock))
            .map_err(at("lock", folder))?;
        let secret = if let Some(secret) = open(folder)? {
            secret
        } else {
            // The head first: from here on its absence is damage.
            let head = Head {
                version: VERSION,
                entries: 0,
                last: GENESIS.to_owned(),
            };
            write_whole(folder, HEAD, head_line(None, &head)?.as_bytes())?;
            Secret::create(folder)?
        };
        let state = verify(folder, &secret)?;
        Ok(Self {
            folder: folder.to_owned(),
            secret,
            state,
            _lock: lock,
        })
    }

    /// Reads the ledger; nothing where there is none.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, LedgerError> {
        let path = folder.join(LOCK);
        let lock = match File::open(&path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Nobody ever wrote here; or a ledger was copied without its lock.
                return match open(folder)? {
                    None => Ok(None),
                    Some(_) => Err(damaged(
                        path,
                        None,
                        "it is missing beside a ledger; make it again with `touch` once nobody writes to the ledger",
                    )),
                };
            }
            Err(error) => return Err(at("open", &path)(error)),
        };
        lock.lock_shared().map_err(at("lock", &path))?;
        let Some(secret) = open(folder)? else {
            return Ok(None);
        };
        let state = verify(folder, &secret)?;
        Ok(Some(Self {
            folder: folder.to_owned(),
            secret,
            state,
            _lock: lock,
        }))
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) const fn secret(&self) -> &Secret {
        &self.secret
    }

    pub(crate) const fn state(&self) -> &State {
        &self.state
    }

    /// Appends entries; when it returns, they are on the medium.
    pub(crate) fn append(&mut self, entries: Vec<Entry>) -> Result<(), LedgerError> {
        if entries.is_empty() {
            return Ok(());
        }
        let path = self.folder.join(LEDGER);
        let mut text = String::new();
        if self.state.unterminated {
            text.push('\n');
        }
        let mut seals = Vec::new();
        let mut last = self
            .state
            .seals
            .last()
            .cloned()
            .unwrap_or_else(|| GENESIS.to_owned());
        for (number, entry) in (self.state.entries.len() + 1..).zip(&entries) {
            let unsealed = Unsealed {
                version: VERSION,
                line: number,
                previous: &last,
                content: entry,
            };
            let json = serde_json::to_string(&unsealed)
                .map_err(|error| at("write", &path)(error.into()))?;
            let open = json.strip_suffix('}').unwrap_or(&json);
            let seal = self.secret.seal(open.as_bytes());
            text.push_str(open);
            text.push_str(SEAL);
            text.push_str(&seal);
            text.push_str("\"}\n");
            last.clone_from(&seal);
            seals.push(seal);
        }
        let write = || {
            let mut file = options(&self.folder)
                .append(true)
                .create(true)
                .open(&path)?;
            if self.state.torn > 0 {
                file.set_len(self.state.sound as u64)?;
            }
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            sync_folder(&self.folder)
        };
        write().map_err(at("write", &path))?;
        self.state.sound += text.len();
        self.state.torn = 0;
        self.state.unterminated = false;
        self.state.entries.extend(entries);
        self.state.seals.extend(seals);
        let head = Head {
            version: VERSION,
            entries: self.state.entries.len(),
            last,
        };
        let line = head_line(Some(&self.secret), &head)?;
        write_whole(&self.folder, HEAD, line.as_bytes())
    }
}

/// The secret of a ledger; nothing where there is no ledger yet. Anything in between is damage.
fn open(folder: &Path) -> Result<Option<Secret>, LedgerError> {
    let secret = Secret::load(folder)?;
    let head = folder.join(HEAD);
    let begun = read(&head)?;
    let chain = folder.join(LEDGER).exists();
    match (secret, begun) {
        (Some(secret), Some(_)) => Ok(Some(secret)),
        (Some(_), None) => Err(damaged(head, None, "it is missing beside the secret")),
        (None, None) if !chain => Ok(None),
        (None, None) => Err(damaged(head, None, "it is missing, and the secret too")),
        // A process that made the ledger died between the two, before anything was entered.
        (None, Some(bytes)) if !chain && is_first_head(&bytes) => Ok(None),
        (None, Some(_)) => Err(damaged(
            folder.join(SECRET),
            None,
            "it is missing; without it the entries cannot be verified, and the same people would get another account",
        )),
    }
}

fn head_line(secret: Option<&Secret>, head: &Head) -> Result<String, LedgerError> {
    let json =
        serde_json::to_string(head).map_err(|error| at("write", Path::new(HEAD))(error.into()))?;
    let seal = secret.map_or_else(
        || GENESIS.to_owned(),
        |secret| secret.seal_head(json.as_bytes()),
    );
    Ok(format!("{json} {seal}\n"))
}

fn is_first_head(bytes: &[u8]) -> bool {
    let head = Head {
        version: VERSION,
        entries: 0,
        last: GENESIS.to_owned(),
    };
    head_line(None, &head).is_ok_and(|line| line.as_bytes() == bytes)
}

fn parse_head(path: &Path, secret: &Secret, bytes: &[u8]) -> Result<Head, LedgerError> {
    if is_first_head(bytes) {
        return Ok(Head {
            version: VERSION,
            entries: 0,
            last: GENESIS.to_owned(),
        });
    }
    let wrong = |reason: &str| damaged(path.to_owned(), None, reason);
    let text = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.strip_suffix('\n'))
        .ok_or_else(|| wrong("it is not one line of text"))?;
    let (json, seal) = text
        .rsplit_once(' ')
        .ok_or_else(|| wrong("it has no seal"))?;
    if secret.seal_head(json.as_bytes()) != seal {
        return Err(wrong(
            "its seal does not verify: it, or the file `secret`, was changed",
        ));
    }
    let head: Head = serde_json::from_str(json).map_err(|error| wrong(&error.to_string()))?;
    later(path, head.version)?;
    Ok(head)
}

fn later(path: &Path, version: u32) -> Result<(), LedgerError> {
    if version == VERSION {
        return Ok(());
    }
    Err(LedgerError::Version {
        path: path.to_owned(),
        what: format!(
            "is of version {version}, this dpx knows version {VERSION}: use the dpx that wrote it"
        ),
    })
}

/// Reads every line, and holds them against the head.
fn verify(folder: &Path, secret: &Secret) -> Result<State, LedgerError> {
    let head_path = folder.join(HEAD);
    let path = folder.join(LEDGER);
    let head =
        read(&head_path)?.ok_or_else(|| damaged(head_path.clone(), None, "it is missing"))?;
    let head = parse_head(&head_path, secret, &head)?;
    let bytes = read(&path)?;
    if bytes.is_none() && head.entries > 0 {
        let reason = format!("it is missing, and held {} entries", head.entries);
        return Err(damaged(path, None, reason));
    }
    let bytes = bytes.unwrap_or_default();
    let mut state = State::default();
    let mut last = GENESIS.to_owned();
    while state.sound < bytes.len() {
        let rest = &bytes[state.sound..];
        let end = rest.iter().position(|&byte| byte == b'\n');
        let line = &rest[..end.unwrap_or(rest.len())];
        let number = state.entries.len() + 1;
        match parse(secret, line, number, &last) {
            Ok((entry, seal)) => {
                state.entries.push(entry);
                last.clone_from(&seal);
                state.seals.push(seal);
                state.unterminated = end.is_none();
                state.sound += line.len() + usize::from(end.is_some());
            }
            Err(Wrong::Version(version)) => later(&path, version)?,
            Err(Wrong::Reason(reason)) if number <= head.entries => {
                return Err(damaged(path, Some(number), reason));
            }
            // Never acknowledged: the append died, and what it was to enter never began.
            Err(Wrong::Reason(_)) => {
                state.torn = rest.len();
                break;
            }
        }
        if number == head.entries && last != head.last {
            return Err(damaged(
                head_path,
                None,
                format!("it names another line {number} than `{LEDGER}` holds"),
            ));
        }
    }
    if state.entries.len() < head.entries {
        let reason = format!(
            "it has {} whole lines, `{HEAD}` names {}: its end was cut off",
            state.entries.len(),
            head.entries
        );
        return Err(damaged(path, Some(state.entries.len() + 1), reason));
    }
    Ok(state)
}

enum Wrong {
    Reason(String),
    Version(u32),
}

fn parse(
    secret: &Secret,
    line: &[u8],
    number: usize,
    previous: &str,
) -> Result<(Entry, String), Wrong> {
    let wrong = |reason: &str| Wrong::Reason(reason.to_owned());
    let cut = line
        .len()
        .checked_sub(TAIL)
        .ok_or_else(|| wrong("it is too short to be an entry"))?;
    let (open, tail) = line.split_at(cut);
    let seal = std::str::from_utf8(tail)
        .ok()
        .and_then(|tail| tail.strip_prefix(SEAL)?.strip_suffix("\"}"))
        .ok_or_else(|| wrong("it does not end in a seal"))?;
    if secret.seal(open) != seal {
        return Err(wrong(
            "its seal does not verify: the line, or the file `secret`, was changed",
        ));
    }
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let unreadable = |error: serde_json::Error| Wrong::Reason(error.to_string());
    let version: Version = serde_json::from_slice(line).map_err(unreadable)?;
    if version.version != VERSION {
        return Err(Wrong::Version(version.version));
    }
    let sealed: Sealed = serde_json::from_slice(line).map_err(unreadable)?;
    if sealed.line != number || sealed.previous != previous {
        return Err(Wrong::Reason(format!(
            "it is line {} of the ledger, and does not follow the one before it: lines were removed or reordered",
            sealed.line
        )));
    }
    debug_assert_eq!(sealed.version, VERSION);
    Ok((sealed.content, seal.to_owned()))
}
