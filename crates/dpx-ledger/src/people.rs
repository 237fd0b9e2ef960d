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
pub const SHARE: f64 = 0.01;

/// Folder of the sets.
const UNITS: &str = "units";

/// The different records of a data set: eight bytes of a keyed digest each, sorted.
///
/// Nothing is left out, so that an overlap is exact, but for two records that agree by chance: once in 200,000 pairs of data
/// sets of ten million records, and then they are taken for one person, against the claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Units(Vec<u64>);

impl Units {
    /// The units of raw records. Only letters and digits count, in Unicode's compatibility form and without capitals: another
    /// file format, another way of quoting or of writing an accent is no other person.
    pub(crate) fn of<'a>(secret: &Secret, records: impl Iterator<Item = &'a str>) -> Self {
        let mut normal = String::new();
        let mut units: Vec<u64> = records
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
            .collect();
        units.sort_unstable();
        units.dedup();
        Self(units)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many are in both.
    pub fn shared(&self, other: &Self) -> usize {
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
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

    fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|unit| unit.to_le_bytes()).collect()
    }
}

/// Whether two data sets are one account.
fn joined(shared: usize, one: usize, other: usize) -> bool {
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
    if bytes.len() as u64 != set.units * 8 || secret.set(&bytes) != set.id {
        return Err(damaged("its content is not that of its data set"));
    }
    let units = bytes.chunks_exact(8).map(|chunk| {
        let mut unit = [0; 8];
        unit.copy_from_slice(chunk);
        u64::from_le_bytes(unit)
    });
    Ok(Units(units.collect()))
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
        if shared > 0 {
            overlaps.push(Overlap {
                with: other.id.clone(),
                shared: shared as u64,
                joined: joined(shared, units.len(), theirs.len()),
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
        assert_eq!(one.shared(&of(&["good day", "other", "another"])), 1);
        let other = Secret::create(folder.path()).unwrap();
        assert_ne!(Units::of(&other, ["bad day", "good day"].into_iter()), one);
    }

    #[test]
    fn more_than_the_stated_share_of_the_smaller_joins() {
        assert!(!joined(0, 0, 100));
        assert!(!joined(1, 100, 1_000_000));
        assert!(joined(2, 100, 1_000_000));
        assert!(joined(1, 1, 1_000_000));
    }
}
