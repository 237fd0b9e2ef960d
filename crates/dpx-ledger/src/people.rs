//! Whose records a data set holds: keyed digests of their raw content, before scrubbing and prompting.

use crate::LedgerError;
use crate::entry::{DataSet, Overlap};
use crate::files::{is_shared, make_folder, read, write_whole};
use crate::history::History;
use crate::secret::Secret;
use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use unicode_normalization::UnicodeNormalization;

/// Two data sets are one account when they share more than this share of the records of the smaller one. What is shared below
/// is told by `dpx ledger`.
pub(crate) const SHARE: f64 = 0.01;

/// Folder of the sets.
const UNITS: &str = "units";

/// The different records of a data set, and its people where it names them: eight bytes of a keyed digest each, sorted.
///
/// Nothing is left out, so that an overlap is exact, but for two records that agree by chance: once in 200,000 pairs of data
/// sets of ten million records, and then they are taken for one person, against the claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Units {
    records: Vec<u64>,
    people: Vec<u64>,
    /// The column that names the people.
    column: Option<String>,
}

/// What two data sets have in common.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub(crate) struct Shared {
    pub records: u64,
    /// People in both, where both name them.
    pub people: u64,
}

impl Units {
    /// The units of raw records. Only letters and digits count, in Unicode's compatibility form and without capitals: another
    /// file format, another way of quoting or of writing an accent is no other person.
    #[cfg(test)]
    pub(crate) fn of<'a>(secret: &Secret, records: impl Iterator<Item = &'a str>) -> Self {
        Self::of_people(secret, records, std::iter::empty())
    }

    /// Likewise, with the people whose records they are. People are known by the same name in whatever data set.
    pub(crate) fn of_people<'a>(
        secret: &Secret,
        records: impl Iterator<Item = &'a str>,
        people: impl Iterator<Item = u64>,
    ) -> Self {
        Self {
            records: sorted(Self::digests(secret, records)),
            // No text is a person's name: the prefix keeps the two apart.
            people: sorted(
                people
                    .map(|person| secret.unit(&format!("person {person:016x}")))
                    .collect(),
            ),
            column: None,
        }
    }

    /// The same, with the column that names the people.
    #[must_use]
    pub fn named_by(mut self, column: Option<&str>) -> Self {
        self.column = column.map(str::to_owned);
        self
    }

    fn digests<'a>(secret: &Secret, records: impl Iterator<Item = &'a str>) -> Vec<u64> {
        let mut normal = String::new();
        records
            .map(|record| {
                normal.clear();
                let letters = record.nfkc().filter(|letter| letter.is_alphanumeric());
                normal.extend(letters.flat_map(char::to_lowercase));
                if normal.is_empty() {
                    // Signs alone: they are all that there is.
                    normal.extend(record.nfkc().filter(|letter| !letter.is_whitespace()));
                }
                secret.unit(&normal)
            })
            .collect()
    }

    /// Number of different records.
    pub const fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many people there are; 0 where nobody is named.
    pub const fn people(&self) -> usize {
        self.people.len()
    }

    /// How many records and people are in both.
    fn shared(&self, other: &Self) -> Shared {
        Shared {
            records: in_both(&self.records, &other.records),
            people: in_both(&self.people, &other.people),
        }
    }

    /// Whether both are one account: enough records are in both, or enough people.
    fn joined(&self, other: &Self, shared: Shared) -> bool {
        joined(shared.records, self.len(), other.len())
            || joined(shared.people, self.people(), other.people())
    }

    fn bytes(&self) -> Vec<u8> {
        let all = self.records.iter().chain(&self.people);
        all.flat_map(|unit| unit.to_le_bytes()).collect()
    }
}

fn sorted(mut units: Vec<u64>) -> Vec<u64> {
    units.sort_unstable();
    units.dedup();
    units
}

fn in_both(left: &[u64], right: &[u64]) -> u64 {
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    let mut shared = 0;
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        match a.cmp(b) {
            Ordering::Less => drop(left.next()),
            Ordering::Greater => drop(right.next()),
            Ordering::Equal => {
                shared += 1;
                left.next();
                right.next();
            }
        }
    }
    shared
}

/// Whether two data sets are one account.
fn joined(shared: u64, one: usize, other: usize) -> bool {
    shared as f64 > SHARE * one.min(other) as f64
}

fn path(folder: &Path, id: &str) -> PathBuf {
    folder.join(UNITS).join(id)
}

/// Reads the units of a data set that the ledger knows.
fn load(folder: &Path, secret: &Secret, set: &DataSet) -> Result<Units, LedgerError> {
    let path = path(folder, &set.id);
    let damaged = |reason: &str| LedgerError::Damaged {
        path: path.clone(),
        line: None,
        reason: reason.to_owned(),
    };
    let bytes = read(&path)?
        .ok_or_else(|| damaged("it is missing, though the ledger names its data set"))?;
    if bytes.len() as u64 != (set.units + set.people) * 8 || secret.set(&bytes) != set.id {
        return Err(damaged("its content is not that of its data set"));
    }
    let units = bytes.chunks_exact(8).map(|chunk| {
        let mut unit = [0; 8];
        unit.copy_from_slice(chunk);
        u64::from_le_bytes(unit)
    });
    let mut records: Vec<u64> = units.collect();
    let people = records.split_off(set.units as usize);
    Ok(Units {
        records,
        people,
        column: None,
    })
}

/// Reads the units of every data set, so that damage to one is told before anything is said or built on the ledger.
pub(crate) fn check(folder: &Path, secret: &Secret, history: &History) -> Result<(), LedgerError> {
    history
        .data_sets()
        .iter()
        .try_for_each(|set| load(folder, secret, set).map(drop))
}

/// What these units share with every data set that the ledger knows.
fn overlaps(
    folder: &Path,
    secret: &Secret,
    history: &History,
    units: &Units,
) -> Result<Vec<Overlap>, LedgerError> {
    let mut overlaps = Vec::new();
    for other in history.data_sets() {
        let theirs = load(folder, secret, other)?;
        let shared = units.shared(&theirs);
        if shared != Shared::default() {
            overlaps.push(Overlap {
                with: other.id.clone(),
                shared: shared.records,
                shared_people: shared.people,
                joined: units.joined(&theirs, shared),
            });
        }
    }
    Ok(overlaps)
}

/// The data sets of the same people as these units.
pub(crate) fn same_people(
    folder: &Path,
    secret: &Secret,
    history: &History,
    units: &Units,
) -> Result<Vec<String>, LedgerError> {
    let overlaps = overlaps(folder, secret, history, units)?;
    let same = overlaps.into_iter().filter(|overlap| overlap.joined);
    Ok(same.map(|overlap| overlap.with).collect())
}

/// The data set of these units as the ledger has it, or as it is to be entered: compared with every other, its units on the
/// medium.
pub(crate) fn data_set(
    folder: &Path,
    secret: &Secret,
    history: &History,
    units: &Units,
    date: &str,
) -> Result<(DataSet, bool), LedgerError> {
    let bytes = units.bytes();
    let id = secret.set(&bytes);
    // What is known under this name has this content.
    if let Some(known) = history.data_sets().iter().find(|known| known.id == id) {
        return Ok((known.clone(), false));
    }
    let overlaps = overlaps(folder, secret, history, units)?;
    make_folder(&folder.join(UNITS), is_shared(folder))?;
    write_whole(&folder.join(UNITS), &id, &bytes)?;
    let set = DataSet {
        id,
        units: units.len() as u64,
        people: units.people() as u64,
        unit_column: units.column.clone(),
        date: date.to_owned(),
        overlaps,
    };
    Ok((set, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_do_not_count_and_repeated_records_count_once() {
        let folder = tempfile::tempdir().unwrap();
        let secret = Secret::create(folder.path()).unwrap();
        let of = |records: &[&str]| Units::of(&secret, records.iter().copied());
        let one = of(&["Good  day\r\n", "bad day", "bad day"]);
        assert_eq!(one.len(), 2);
        assert_eq!(one, of(&["bad day", "good day"]));
        assert_eq!(one, of(&["“Bad day!”", "\u{ff27}ood\u{200b} day"]));
        assert_eq!(of(&["caf\u{e9}"]), of(&["cafe\u{301}"]));
        assert_ne!(of(&[":)"]), of(&[":("]));
        let shared = one.shared(&of(&["good day", "other", "another"]));
        assert_eq!((shared.records, shared.people), (1, 0));
        let other = Secret::create(folder.path()).unwrap();
        assert_ne!(Units::of(&other, ["bad day", "good day"].into_iter()), one);
    }

    /// Other texts of the same people are the same people; a file that does not name them is known by its texts.
    #[test]
    fn people_are_known_by_their_names_too() {
        let folder = tempfile::tempdir().unwrap();
        let secret = Secret::create(folder.path()).unwrap();
        let of = |records: &[&str], people: &[u64]| {
            Units::of_people(&secret, records.iter().copied(), people.iter().copied())
        };
        let january = of(&["one", "two", "three"], &[7, 8, 7]);
        let february = of(&["four", "five"], &[8, 9]);
        let shared = january.shared(&february);
        assert_eq!((shared.records, shared.people), (0, 1));
        assert!(january.joined(&february, shared));
        let nameless = of(&["three", "six"], &[]);
        assert!(january.joined(&nameless, january.shared(&nameless)));
        let strangers = of(&["seven"], &[10]);
        assert!(!january.joined(&strangers, january.shared(&strangers)));
        // A text that reads like a number is nobody.
        assert_eq!(of(&["7"], &[]).shared(&of(&[], &[7])), Shared::default());
    }

    #[test]
    fn more_than_the_stated_share_of_the_smaller_joins() {
        assert!(!joined(0, 0, 100));
        assert!(!joined(1, 100, 1_000_000));
        assert!(joined(2, 100, 1_000_000));
        assert!(joined(1, 1, 1_000_000));
    }
}
