//! A cache that machines share through a store of objects.
//!
//! Everything lies there encrypted and under names that only the team's key can compute: neither content nor name tells whoever
//! runs the store whether it holds a text. Objects come first, the record last and only if there is none yet; of several writers
//! one wins, and who it was is told by the writer's number in the record. Whatever is read is checked: a record by its
//! signature, an object by the digest that the record names. What fails a check is a miss.

mod crypt;
mod file;
mod maintain;
mod store;
mod transfer;

#[cfg(test)]
mod tests;

pub use crypt::{KeyError, TeamKey};
pub use file::FileStore;
pub use maintain::{BadRecord, RemoteCheck, RemoteGarbage};
pub use store::{Created, Listed, Store, StoreError};

use super::store::is_inside;
use super::{Cache, CacheError, KeyLock};
use dpx_schema::{FileEntry, INTERNAL_FOLDER, Key, Record, ReleaseLabel};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Version of what lies in the store.
const VERSION: u32 = 1;

/// Times that a step is tried where the store does not answer.
const TRIES: u32 = 3;

/// A cache that machines share: encrypted, signed objects in a [`Store`].
#[derive(Debug, Clone)]
pub struct Remote {
    store: Arc<dyn Store>,
    key: TeamKey,
    /// Whether artifacts that hold private texts or figures are shared, too.
    private: bool,
    readonly: bool,
    /// Number of this process among all writers.
    writer: String,
    conditions: Arc<OnceLock<Result<(), String>>>,
    /// Keys whose objects failed a check: what stands there is not believed any more.
    doubted: Arc<Mutex<BTreeSet<Key>>>,
    /// Names of pieces that this process sent, or read and found right.
    sound: Arc<Mutex<BTreeSet<String>>>,
}

/// What came of sending an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// It was sent.
    New,
    /// It was there already, from this machine or another.
    Already,
    /// A record of it was there, but objects of it were missing or changed: they were sent again.
    Repaired,
    /// It holds private texts or figures, and nobody said that these are shared.
    Private,
    /// Nothing is written to this store from here.
    ReadOnly,
}

/// Why something could not be shared or fetched.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum RemoteError {
    /// The store did not answer, or refused.
    #[error("the remote cache {store}: {source}")]
    Store { store: String, source: StoreError },
    /// The store does what it was asked not to do.
    #[error("nothing is written to the remote cache {store}: {reason}")]
    NoConditions { store: String, reason: String },
    /// A record that nobody with the key wrote.
    #[error(
        "the record of `{key}` in the remote cache {store} has a bad signature: another key wrote it, or it was changed; `dpx cache verify --remote` finds such records, and with `--delete` removes those that this key wrote"
    )]
    BadSignature {
        store: String,
        /// Key of the record, short.
        key: String,
    },
    /// A record that this version of dpx cannot read.
    #[error(
        "the record of `{key}` in the remote cache {store} was written by another version of dpx ({found}): use one version for \
         all who share the cache, or another folder of the store for each"
    )]
    OtherVersion {
        store: String,
        /// Key of the record, short.
        key: String,
        found: String,
    },
    /// An object that is not what the record says.
    #[error(
        "`{file}` of {key} in the remote cache {store} {problem}; `dpx cache verify --remote` finds such objects, and \
         after `--delete` `dpx cache push` from a machine that has them sends them again"
    )]
    BadObject {
        store: String,
        /// Key of the record, short.
        key: String,
        file: String,
        problem: &'static str,
    },
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// A record as it lies in the store, inside its encryption.
#[derive(Debug, Serialize, Deserialize)]
struct Shared {
    version: u32,
    writer: String,
    record: Record,
}

/// What a record in the store turns out to be.
#[derive(Debug)]
enum Opened {
    Sound(Box<Shared>),
    /// Another version of dpx wrote it; which, in words.
    OtherVersion(String),
    /// Another key wrote it, or it was changed.
    BadSignature,
}

impl Remote {
    /// A shared cache over a store.
    ///
    /// # Errors
    /// When no number can be drawn for this writer.
    pub fn new(
        store: Arc<dyn Store>,
        key: TeamKey,
        private: bool,
        readonly: bool,
    ) -> Result<Self, KeyError> {
        Ok(Self {
            store,
            key,
            private,
            readonly,
            writer: crypt::random_name()?,
            conditions: Arc::default(),
            doubted: Arc::default(),
            sound: Arc::default(),
        })
    }

    /// The store's address, for messages.
    pub fn describe(&self) -> String {
        self.store.describe()
    }

    /// Whether a record may be sent at all.
    fn may_share(&self, record: &Record) -> bool {
        self.private || !is_private(record)
    }

    fn failed(&self, source: StoreError) -> RemoteError {
        RemoteError::Store {
            store: self.describe(),
            source,
        }
    }

    fn record_name(&self, key: &Key) -> String {
        format!("records/{}", self.key.name("record", key.as_bytes()))
    }

    fn used_name(&self, key: &Key) -> String {
        format!("used/{}", self.key.name("record", key.as_bytes()))
    }

    /// Sends an artifact of this machine's cache.
    ///
    /// # Errors
    /// When the store fails, does not heed conditions, or an object of this machine is damaged.
    pub fn push(&self, cache: &Cache, record: &Record) -> Result<Pushed, RemoteError> {
        if self.readonly {
            return Ok(Pushed::ReadOnly);
        }
        if !self.may_share(record) {
            return Ok(Pushed::Private);
        }
        self.check_conditions()?;
        let name = self.record_name(&record.key);
        let standing = self.read_record(&name, &record.key)?;
        if let Some(standing) = &standing
            && !self.is_doubted(&record.key)
            && self.is_complete(&standing.record)?
        {
            self.touch(&record.key);
            return Ok(Pushed::Already);
        }
        self.send_objects(cache, record)?;
        if let Some(standing) = &standing {
            if same_files(&standing.record, record) {
                self.believe(&record.key);
                self.touch(&record.key);
                return Ok(Pushed::Repaired);
            }
            // It names objects that nobody can fetch, and that this machine does not have.
            let now = self.read_record(&name, &record.key)?;
            if now.is_some_and(|now| now.writer == standing.writer) {
                self.patiently(|| self.store.delete(&name))?;
            }
        }
        let shared = Shared {
            version: VERSION,
            writer: self.writer.clone(),
            record: record.clone(),
        };
        let plain = serde_json::to_vec(&shared).map_err(CacheError::from)?;
        let sealed = self.key.seal(&name, &plain).map_err(|error| {
            self.failed(StoreError::Refused {
                what: error.to_string(),
            })
        })?;
        // Before the record: it also says whose record it is.
        self.touch(&record.key);
        let pushed = self.create_record(&name, &record.key, &sealed)?;
        self.believe(&record.key);
        Ok(match (pushed, standing) {
            (Pushed::New, Some(_)) => Pushed::Repaired,
            (pushed, _) => pushed,
        })
    }

    fn is_doubted(&self, key: &Key) -> bool {
        let doubted = self.doubted.lock();
        doubted
            .unwrap_or_else(PoisonError::into_inner)
            .contains(key)
    }

    fn believe(&self, key: &Key) {
        let doubted = self.doubted.lock();
        doubted.unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Writes a record unless there is one, and finds out who wrote the one that stands: the answer to a write may be lost.
    fn create_record(&self, name: &str, key: &Key, sealed: &[u8]) -> Result<Pushed, RemoteError> {
        let mut last = None;
        for _ in 0..TRIES {
            match self.store.create(name, sealed) {
                Ok(Created::New) => return Ok(Pushed::New),
                Ok(Created::Exists) => last = None,
                Err(error) => last = Some(error),
            }
            match self.read_record(name, key) {
                Ok(Some(standing)) if standing.writer == self.writer => return Ok(Pushed::New),
                Ok(Some(_)) => return Ok(Pushed::Already),
                // It was said to exist and does not, or the store is not sure: once more.
                Ok(None) => {}
                Err(
                    error @ (RemoteError::BadSignature { .. } | RemoteError::OtherVersion { .. }),
                ) => return Err(error),
                Err(error) => {
                    if last.is_none() {
                        return Err(error);
                    }
                }
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        Err(self.failed(last.unwrap_or_else(|| StoreError::Refused {
            what: "it says that the record exists, and does not show it".to_owned(),
        })))
    }

    /// Fetches what a key stands for, and commits it to this machine's cache; nothing where the store has none.
    ///
    /// # Errors
    /// When the store fails, or what it has fails a check: then it is a miss.
    pub fn pull(&self, cache: &Cache, lock: &KeyLock) -> Result<Option<Record>, RemoteError> {
        let key = lock.key();
        let Some(shared) = self.read_record(&self.record_name(&key), &key)? else {
            return Ok(None);
        };
        let staged = cache.new_attempt(&key)?;
        let output = staged.join("output");
        let fetched = self.fetch_objects(cache, &shared.record, &output);
        if let Err(RemoteError::BadObject { .. }) = &fetched {
            let doubted = self.doubted.lock();
            doubted.unwrap_or_else(PoisonError::into_inner).insert(key);
            let sound = self.sound.lock();
            sound.unwrap_or_else(PoisonError::into_inner).clear();
        }
        let committed = fetched.and_then(|()| Ok(cache.commit(lock, &shared.record, &output)?));
        let swept = cache.sweep(lock, false);
        committed?;
        swept?;
        if !self.readonly {
            self.touch(&key);
        }
        Ok(Some(shared.record))
    }

    /// Whether the store has a sound record of a key.
    ///
    /// # Errors
    /// When the store fails, or the record has a bad signature.
    pub fn has(&self, key: &Key) -> Result<bool, RemoteError> {
        Ok(self.read_record(&self.record_name(key), key)?.is_some())
    }

    fn read_record(&self, name: &str, key: &Key) -> Result<Option<Shared>, RemoteError> {
        let sealed = self.patiently(|| self.store.get(name))?;
        let Some(sealed) = sealed else {
            return Ok(None);
        };
        match self.open_record(name, &sealed) {
            Opened::Sound(shared) if shared.record.key == *key => Ok(Some(*shared)),
            Opened::OtherVersion(found) => Err(RemoteError::OtherVersion {
                store: self.describe(),
                key: key.short(),
                found,
            }),
            Opened::Sound(_) | Opened::BadSignature => Err(RemoteError::BadSignature {
                store: self.describe(),
                key: key.short(),
            }),
        }
    }

    fn open_record(&self, name: &str, sealed: &[u8]) -> Opened {
        let plain = match self.key.open(name, sealed) {
            crypt::Unsealed::Plain(plain) => plain,
            crypt::Unsealed::OtherFormat(format) => return Opened::OtherVersion(format),
            crypt::Unsealed::BadSignature => return Opened::BadSignature,
        };
        let shared: Shared = match serde_json::from_slice(&plain) {
            Ok(shared) => shared,
            // The key wrote it, so that it is not damage.
            Err(error) => return Opened::OtherVersion(other_version(&plain, &error)),
        };
        let record = &shared.record;
        if shared.version != VERSION || record.version != Record::VERSION {
            return Opened::OtherVersion(format!(
                "version {} of the remote cache, {} of its records: expected {VERSION} and {}",
                shared.version,
                record.version,
                Record::VERSION
            ));
        }
        let mut files = record.output.files.iter();
        if files.all(|file| is_inside(&file.path)) {
            Opened::Sound(Box::new(shared))
        } else {
            Opened::BadSignature
        }
    }

    /// Says that a record was used: the oldest go first where room is made. That it fails is no loss.
    fn touch(&self, key: &Key) {
        let mark = self.mark(&self.record_name(key));
        drop(self.store.put(&self.used_name(key), mark.as_bytes()));
    }

    /// What only this key can write beside a record: a record that cannot be opened is this key's where it stands there.
    fn mark(&self, record_name: &str) -> String {
        self.key.name("used", record_name.as_bytes())
    }

    /// Asks again where the store does not answer.
    fn patiently<T>(&self, ask: impl Fn() -> Result<T, StoreError>) -> Result<T, RemoteError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match ask() {
                Err(error) if error.may_pass() && tries < TRIES => {
                    std::thread::sleep(std::time::Duration::from_millis(200 << tries));
                }
                other => return other.map_err(|error| self.failed(error)),
            }
        }
    }

    /// Finds out whether the store heeds "only if there is none yet": it is asked to make one name twice.
    fn check_conditions(&self) -> Result<(), RemoteError> {
        let found = self.conditions.get_or_init(|| {
            let name = format!("probe/{}", crypt::random_name().map_err(|error| error.to_string())?);
            let told = |error: StoreError| error.to_string();
            let first = self.store.create(&name, b"first").map_err(told)?;
            let second = self.store.create(&name, b"second").map_err(told)?;
            let standing = self.store.get(&name).map_err(told)?;
            drop(self.store.delete(&name));
            match (first, second, standing.as_deref()) {
                (Created::New, Created::Exists, Some(b"first")) => Ok(()),
                _ => Err("it overwrites an object although it is asked to write it only if there is none (If-None-Match), so that \
                          writers could replace each other's results: reading goes on; set `readonly = true` in `[cache]`, or use \
                          another store"
                    .to_owned()),
            }
        });
        found.clone().map_err(|reason| RemoteError::NoConditions {
            store: self.describe(),
            reason,
        })
    }
}

fn same_files(one: &Record, other: &Record) -> bool {
    let digests = |record: &Record| -> BTreeSet<_> {
        let files = record.output.files.iter();
        files.map(|file| (file.path.clone(), file.digest)).collect()
    };
    digests(one) == digests(other)
}

/// The versions that a record which this dpx cannot read names, or why it cannot.
fn other_version(plain: &[u8], error: &serde_json::Error) -> String {
    let value: serde_json::Value = serde_json::from_slice(plain).unwrap_or_default();
    let version = |value: Option<&serde_json::Value>| value.and_then(serde_json::Value::as_u64);
    let record = value.get("record");
    let written_by = record
        .and_then(|record| record.get("dpx_version"))
        .and_then(serde_json::Value::as_str)
        .map_or_else(String::new, |by| format!("dpx {by}, "));
    match (
        version(value.get("version")),
        version(record.and_then(|record| record.get("version"))),
    ) {
        (Some(own), Some(record)) => {
            format!("{written_by}version {own} of the remote cache, {record} of its records")
        }
        _ => format!("{written_by}it cannot be read: {error}"),
    }
}

/// Whether an artifact, or a file of it, may reveal private texts.
fn is_private(record: &Record) -> bool {
    let internal = format!("{INTERNAL_FOLDER}/");
    let holds_internal = |file: &FileEntry| file.path.starts_with(&internal);
    matches!(record.flow, ReleaseLabel::Private | ReleaseLabel::Seeded)
        || record.output.files.iter().any(holds_internal)
}
