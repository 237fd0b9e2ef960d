//! Rows of a study, and models alone, that were scored on real data and that its file no longer asks for: narrowing a sweep to
//! its best row does not undo the choice.

use super::StudyError;
use super::account::texts;
use dpx_engine::cache::{Ancestry, ArtifactReader, Cache};
use dpx_ledger::{Candidate, Ledger};
use dpx_schema::{Digest, Kind, PRIVACY_FILE, PrivacyRecord, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What the cache knows of an experiment and the people behind its data.
pub struct Scored {
    /// Rows under a guarantee, with the records of what ran behind them.
    pub covered: Vec<Candidate>,
    /// Names of rows without one.
    pub unprotected: Vec<String>,
    /// Every private run whose result is there, scored or not.
    pub held: BTreeSet<String>,
}

/// Who the people are behind the data of a study that ran: the data sets that share any of them.
pub fn people_of(
    ledger: &Ledger,
    texts: impl IntoIterator<Item = Digest>,
) -> Result<BTreeSet<String>, StudyError> {
    let mut people = BTreeSet::new();
    for texts in texts {
        people.extend(ledger.people(&texts)?);
    }
    let book = ledger.history()?.book(&people);
    Ok(book.data_sets.into_iter().map(|set| set.id).collect())
}

/// Looks for everything of an experiment and these people that was scored: texts, and what was scored by itself, such as an audited
/// model without texts.
pub fn scored(
    ledger: &Ledger,
    cache: &Cache,
    experiment: &str,
    people: &BTreeSet<String>,
) -> Result<Scored, StudyError> {
    let records = cache.records()?;
    let made = Ancestry::of(&records);
    let reader = ArtifactReader::new(cache.clone());
    let (mut covered, mut unprotected) = (Vec::new(), Vec::new());
    for (digest, found) in rows(experiment, &records, &made) {
        let row = found.instance.to_string();
        let mut private = Vec::new();
        let mut is_covered = true;
        let mut behind: BTreeMap<Digest, &Record> = made.behind(found).into_iter().collect();
        behind.insert(digest, found);
        let behind: Vec<&Record> = behind.into_values().collect();
        let mut is_theirs = false;
        for texts in behind.iter().filter_map(|record| texts(record)) {
            is_theirs |= ledger.people(&texts)?.iter().any(|id| people.contains(id));
        }
        if !is_theirs {
            continue;
        }
        for record in behind {
            if !record.kind.spends() {
                continue;
            }
            let read = reader
                .read(record, PRIVACY_FILE)
                .map_err(StudyError::failed)?;
            let read = read.map(|bytes| PrivacyRecord::from_bytes(&bytes, Path::new(PRIVACY_FILE)));
            let Some(Ok(read)) = read else {
                return Err(StudyError::failed(format!(
                    "the privacy record of `{}`, which was scored, cannot be read: `dpx cache verify` sets it aside, and the next run \
                     makes it again",
                    record.instance
                )));
            };
            is_covered &= !matches!(read, PrivacyRecord::NotPrivate)
                && read
                    .private()
                    .is_none_or(|run| run.noise == dpx_schema::NoiseSource::Secure);
            private.push(read);
        }
        if !is_covered {
            unprotected.push(row);
        } else if private.iter().any(|record| record.private().is_some()) {
            covered.push(Candidate {
                row,
                earlier: None,
                records: private,
            });
        }
    }
    unprotected.sort();
    unprotected.dedup();
    Ok(Scored {
        covered,
        unprotected,
        held: held(&reader, &records),
    })
}

/// What was scored and may be released: texts that were, or whose parts were; and whatever looked at private texts and was scored
/// without texts of its own, such as an audited model.
fn rows<'a>(
    experiment: &str,
    records: &'a [Record],
    made: &Ancestry<'a>,
) -> BTreeMap<Digest, &'a Record> {
    let of_study = || records.iter().filter(|one| one.experiment == experiment);
    let scored: BTreeMap<Digest, &Record> = of_study()
        .filter(|one| matches!(one.kind, Kind::Score | Kind::Classify | Kind::Audit))
        .flat_map(|one| made.behind(one))
        .collect();
    let parts = |behind: Vec<(Digest, &Record)>| {
        let mut parts = behind.iter().filter(|(_, part)| part.kind.spends());
        parts.any(|(digest, _)| scored.contains_key(digest))
    };
    let texts = of_study().filter(|one| one.kind == Kind::Sample);
    let texts = texts.filter(|one| parts(made.behind(one)));
    let mut rows: BTreeMap<Digest, &Record> = texts
        .map(|one| (one.output.digest(), one))
        .chain(scored.iter().map(|(digest, one)| (*digest, *one)))
        .filter(|(_, one)| one.kind == Kind::Sample)
        .collect();
    let written: BTreeSet<Digest> = rows
        .values()
        .flat_map(|row| made.behind(row))
        .map(|(digest, _)| digest)
        .collect();
    let alone = scored
        .iter()
        .filter(|(digest, one)| one.kind.spends() && !written.contains(*digest));
    rows.extend(alone.map(|(digest, one)| (*digest, *one)));
    rows
}

/// The private runs whose results the cache holds; of those without noise, which have no name, the keys.
fn held(reader: &ArtifactReader, records: &[Record]) -> BTreeSet<String> {
    let spent = records.iter().filter(|record| record.kind.spends());
    spent
        .filter_map(|record| {
            // What cannot be read counts as lost, and is charged.
            let bytes = reader.read(record, PRIVACY_FILE).ok().flatten()?;
            let read = PrivacyRecord::from_bytes(&bytes, Path::new(PRIVACY_FILE)).ok()?;
            Some(match read.private() {
                Some(run) => run.run.clone(),
                None => record.key.to_string(),
            })
        })
        .collect()
}
