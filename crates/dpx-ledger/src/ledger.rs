//! The ledger as stages and verbs use it.

use crate::chain::Chain;
use crate::entry::{Entry, RunEntry};
use crate::files::at;
use crate::history::{Book, History};
use crate::joint::compose;
use crate::people::{Units, check, data_set, same_people};
use crate::release::{PreparedRelease, ReleaseRequest};
use crate::{DataSet, LedgerError};
use dpx_schema::{Budget, Digest, Unit};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A ledger's folder. Every call takes the folder's lock for itself.
#[derive(Debug, Clone)]
pub struct Ledger {
    folder: PathBuf,
}

/// What came of telling the ledger whose records a data set holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Noted {
    /// The data set as the ledger knows it from now on.
    pub data_set: DataSet,
    /// Whether its records were not there yet.
    pub is_new: bool,
    /// Bytes of an append that died, cut off now.
    pub torn: usize,
}

/// How far a ledger had come at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Which ledger: a digest under its secret.
    pub ledger: String,
    /// How many entries its chain had.
    pub entries: u64,
    /// Seal of the last of them, which covers all before it.
    pub last: String,
}

/// Now, RFC 3339. A clock beyond the calendar gives its end.
pub fn now() -> String {
    let now = Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::MAX);
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A random identity, 32 digits.
pub(crate) fn random() -> Result<String, LedgerError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        at("draw random numbers for", Path::new("the entry"))(io::Error::other(error.to_string()))
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

impl Ledger {
    /// The ledger in a folder, which need not exist yet.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Where its files lie; it need not exist.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Everything that it says; nothing where nothing was ever entered.
    ///
    /// # Errors
    /// It cannot be read, or does not verify.
    pub fn history(&self) -> Result<History, LedgerError> {
        let Some(chain) = Chain::read(&self.folder)? else {
            return Ok(History::default());
        };
        let history = History::new(&chain.state().entries, chain.state().torn);
        check(&self.folder, chain.secret(), &history)?;
        Ok(history)
    }

    /// How far the ledger has come; nothing where nothing was ever entered.
    ///
    /// # Errors
    /// It cannot be read, or does not verify.
    pub fn standing(&self) -> Result<Option<Standing>, LedgerError> {
        let Some(chain) = Chain::read(&self.folder)? else {
            return Ok(None);
        };
        Ok(chain.state().seals.last().map(|last| Standing {
            ledger: chain.secret().artifact(b"this ledger"),
            entries: chain.state().seals.len() as u64,
            last: last.clone(),
        }))
    }

    /// Compares the ledger with how far it had come when it was seen before: an older copy that was put back has forgotten
    /// what was run and released since.
    ///
    /// # Errors
    /// It is older than that, or another one that began as the same; or it cannot be read, or does not verify.
    pub fn continues(&self, seen: &Standing) -> Result<(), LedgerError> {
        let Some(chain) = Chain::read(&self.folder)? else {
            return Ok(());
        };
        // Another ledger is compared by what the cache knows of its runs.
        if chain.secret().artifact(b"this ledger") != seen.ledger {
            return Ok(());
        }
        let at = usize::try_from(seen.entries).unwrap_or(usize::MAX);
        let then = at.checked_sub(1).and_then(|at| chain.state().seals.get(at));
        if then == Some(&seen.last) {
            return Ok(());
        }
        Err(LedgerError::Older {
            folder: self.folder.clone(),
            entries: chain.state().seals.len() as u64,
            seen: seen.entries,
        })
    }

    /// Keyed digests of raw records, before scrubbing and prompting, in any order.
    ///
    /// # Errors
    /// The ledger cannot be read or made, or does not verify.
    pub fn units<'a>(&self, records: impl Iterator<Item = &'a str>) -> Result<Units, LedgerError> {
        self.units_of_people(records, std::iter::empty())
    }

    /// Likewise, with the people whose records they are, as numbers that are the same in every data set.
    ///
    /// # Errors
    /// The ledger cannot be read or made, or does not verify.
    pub fn units_of_people<'a>(
        &self,
        records: impl Iterator<Item = &'a str>,
        people: impl Iterator<Item = u64>,
    ) -> Result<Units, LedgerError> {
        let secret = Chain::write(&self.folder)?.secret().clone();
        Ok(Units::of_people(&secret, records, people))
    }

    /// Tells the ledger whose records a file of training texts holds: `texts` is the digest of that file, `units` what it was
    /// made from, `source` what is the same whichever columns of it are read.
    ///
    /// # Errors
    /// The ledger cannot be read or written, or does not verify.
    pub fn note_people(
        &self,
        texts: &Digest,
        units: &Units,
        source: &str,
    ) -> Result<Noted, LedgerError> {
        let mut chain = Chain::write(&self.folder)?;
        let history = History::new(&chain.state().entries, chain.state().torn);
        let (set, is_new) = data_set(&self.folder, chain.secret(), &history, units, &now())?;
        let mut entries = Vec::new();
        if is_new {
            entries.push(Entry::DataSet(set.clone()));
        }
        for made in [texts.as_bytes(), source.as_bytes()] {
            let artifact = chain.secret().artifact(made);
            if !history.of_artifact(&artifact).contains(&set.id) {
                entries.push(Entry::Artifact {
                    artifact,
                    people: set.id.clone(),
                });
            }
        }
        let torn = chain.state().torn;
        chain.append(entries)?;
        Ok(Noted {
            data_set: set,
            is_new,
            torn,
        })
    }

    /// The book of the people behind raw records of a source, without entering anything; empty where the ledger knows none of
    /// them.
    ///
    /// # Errors
    /// The ledger cannot be read, or does not verify.
    pub fn book_of<'a>(
        &self,
        records: impl Iterator<Item = &'a str>,
        source: &str,
    ) -> Result<Book, LedgerError> {
        self.book_of_people(records, std::iter::empty(), source)
    }

    /// Likewise, with the people whose records they are.
    ///
    /// # Errors
    /// The ledger cannot be read, or does not verify.
    pub fn book_of_people<'a>(
        &self,
        records: impl Iterator<Item = &'a str>,
        people: impl Iterator<Item = u64>,
        source: &str,
    ) -> Result<Book, LedgerError> {
        let Some(chain) = Chain::read(&self.folder)? else {
            return Ok(History::default().book([]));
        };
        let history = History::new(&chain.state().entries, 0);
        let units = Units::of_people(chain.secret(), records, people);
        let mut same = same_people(&self.folder, chain.secret(), &history, &units)?;
        same.extend(history.of_artifact(&chain.secret().artifact(source.as_bytes())));
        Ok(history.book(&same))
    }

    /// The data sets that a file of training texts was made from, by the file's digest; none where nobody told.
    ///
    /// # Errors
    /// The ledger cannot be read, or does not verify.
    pub fn people(&self, texts: &Digest) -> Result<BTreeSet<String>, LedgerError> {
        let Some(chain) = Chain::read(&self.folder)? else {
            return Ok(BTreeSet::new());
        };
        let history = History::new(&chain.state().entries, 0);
        Ok(history.of_artifact(&chain.secret().artifact(texts.as_bytes())))
    }

    /// Enters a run before its first look at the data; true if it was not there yet. The same key, run and event are one
    /// entry, however often a run is resumed. When it returns, the entry is on the medium.
    ///
    /// The caller leaves `people` and `epsilon` empty: the ledger fills in whose records `texts` holds, and what the run costs
    /// at its own delta. With a `limit`, everything that was ever run of these people must stay within it.
    ///
    /// # Errors
    /// Nobody told whose records the texts are, the limit would be exceeded, or the ledger cannot be read or written.
    pub fn enter_run(
        &self,
        texts: &Digest,
        mut run: RunEntry,
        limit: Option<&Budget>,
    ) -> Result<bool, LedgerError> {
        let mut chain = Chain::write(&self.folder)?;
        let history = History::new(&chain.state().entries, 0);
        if history.runs().iter().any(|known| known.is_same_run(&run)) {
            return Ok(false);
        }
        let people = history.of_artifact(&chain.secret().artifact(texts.as_bytes()));
        if people.is_empty() {
            return Err(LedgerError::UnknownPeople {
                folder: self.folder.clone(),
                instance: run.instance,
            });
        }
        if run.unit == Unit::User {
            let mut sets = history.data_sets().iter();
            let column = sets.find(|set| people.contains(&set.id) && set.unit_column.is_some());
            run.unit_column = column.and_then(|set| set.unit_column.clone());
        }
        if let Some(limit) = limit {
            within(limit, &history.book(&people).runs, &run)?;
        }
        run.people = people.into_iter().collect();
        run.epsilon = run.claim()?.epsilon();
        chain.append(vec![Entry::Run(run)])?;
        Ok(true)
    }

    /// Prepares a release: finds the entry of every run behind it, everything that was released of the same people before,
    /// what the choice among its candidates costs, and whether the budget bears it. The ledger stays locked meanwhile.
    ///
    /// # Errors
    /// A run has no entry or another one, a record has no guarantee, the budget would be exceeded, or the ledger cannot be
    /// read or does not verify.
    pub fn prepare_release(
        &self,
        request: &ReleaseRequest,
    ) -> Result<PreparedRelease, LedgerError> {
        PreparedRelease::new(Chain::write(&self.folder)?, request)
    }
}

/// Refuses a run that would exceed what may be run.
fn within(limit: &Budget, before: &[RunEntry], run: &RunEntry) -> Result<(), LedgerError> {
    let refuse = |together: String| -> Result<(), LedgerError> {
        let before = compose(before, limit.delta)?;
        Err(LedgerError::RunOverBudget {
            budget: *limit,
            instance: run.instance.clone(),
            before: before.map_or_else(|| "nothing".to_owned(), |claim| format!("{claim:#.4}")),
            together,
        })
    };
    if !run.is_covered() {
        return refuse(
            "without any guarantee, since it has no noise, or noise that follows from the seed"
                .to_owned(),
        );
    }
    match compose(before.iter().chain([run]), limit.delta)? {
        Some(together) if together.epsilon().value() > limit.epsilon => {
            refuse(format!("{together:#.4}"))
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod tests;
