//! Rows of a study that were scored on real data and that its file no longer asks for: narrowing a sweep to its best row does
//! not undo the choice.

use super::Error;
use super::account::texts;
use super::studies::Loaded;
use dpx_engine::cache::ArtifactReader;
use dpx_ledger::{Candidate, Ledger};
use dpx_schema::{Digest, Kind, PRIVACY_FILE, PrivacyRecord, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What the cache knows of an experiment and the people behind its data: rows under a guarantee with the records of what ran
/// behind them, and the names of rows without one.
pub(crate) fn scored(
    ledger: &Ledger,
    loaded: &Loaded,
) -> Result<(Vec<Candidate>, Vec<String>), Error> {
    let (cache, experiment) = (&loaded.cache, &loaded.plan.experiment);
    let records = cache.records()?;
    let mut people = BTreeSet::new();
    for known in &loaded.known {
        let texts = known.record.as_deref().and_then(texts);
        if let Some(texts) = texts {
            people.extend(ledger.people(&texts)?);
        }
    }
    let book = ledger.history()?.book(&people);
    let people: BTreeSet<&String> = book.data_sets.iter().map(|set| &set.id).collect();
    let made: BTreeMap<Digest, &Record> = records
        .iter()
        .map(|record| (record.output.digest(), record))
        .collect();
    let reader = ArtifactReader::new(cache.clone());
    let mut samples: BTreeMap<Digest, &Record> = BTreeMap::new();
    for scored in records.iter().filter(|record| {
        record.experiment == *experiment
            && matches!(record.kind, Kind::Score | Kind::Classify | Kind::Audit)
    }) {
        for (digest, record) in behind(&made, scored) {
            if record.kind == Kind::Sample {
                samples.insert(digest, record);
            }
        }
    }
    let (mut candidates, mut unprotected) = (Vec::new(), Vec::new());
    for sample in samples.values() {
        let row = sample.instance.to_string();
        let mut private = Vec::new();
        let mut is_covered = true;
        let behind: Vec<&Record> = behind(&made, sample).into_values().collect();
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
            let read = reader.read(record, PRIVACY_FILE).map_err(Error::failed)?;
            let read = read.map(|bytes| PrivacyRecord::from_bytes(&bytes, Path::new(PRIVACY_FILE)));
            let Some(Ok(read)) = read else {
                return Err(Error::failed(format!(
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
            candidates.push(Candidate {
                row,
                records: private,
            });
        }
    }
    unprotected.sort();
    unprotected.dedup();
    Ok((candidates, unprotected))
}

/// Every record behind one, as far as the cache has them.
fn behind<'a>(
    made: &BTreeMap<Digest, &'a Record>,
    record: &Record,
) -> BTreeMap<Digest, &'a Record> {
    let mut found = BTreeMap::new();
    let mut open: Vec<Digest> = record.inputs.values().copied().collect();
    let mut seen: BTreeSet<Digest> = BTreeSet::new();
    while let Some(digest) = open.pop() {
        let Some(record) = made.get(&digest).filter(|_| seen.insert(digest)) else {
            continue;
        };
        open.extend(record.inputs.values().copied());
        found.insert(digest, *record);
    }
    found
}
