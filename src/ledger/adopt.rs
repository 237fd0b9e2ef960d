//! `dpx ledger adopt`: private runs that the cache remembers and the ledger does not.

use super::super::studies::Loaded;
use super::super::{Error, ExitCode, output};
use super::AdoptArgs;
use crate::experiment::ExperimentArgs;
use dpx_accounting::{Adjacency, DpEvent, EpsilonBound};
use dpx_engine::cache::ArtifactReader;
use dpx_ledger::{Ledger, RunEntry};
use dpx_report::account;
use dpx_schema::{Digest, Kind, NoiseSource, PRIVACY_FILE, PrivacyRecord, Record, Unit, counted};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub(super) fn run(args: &AdoptArgs) -> Result<ExitCode, Error> {
    for file in &args.files {
        let arguments = ExperimentArgs {
            file: file.clone(),
            set: args.set.clone(),
        };
        let loaded = Loaded::new(&arguments, &args.cache.cache)?;
        let ledger = args.state.ledger(Some((&loaded.experiment, file)))?;
        let adopted = adopt(&ledger, &loaded)?;
        output::print(&format!(
            "{}: {} entered, {} there already",
            file.display(),
            counted(adopted.entered as u64, "run"),
            adopted.known
        ))?;
    }
    Ok(ExitCode::Done)
}

#[derive(Default)]
struct Adopted {
    entered: usize,
    known: usize,
}

fn adopt(ledger: &Ledger, loaded: &Loaded) -> Result<Adopted, Error> {
    let mut texts: BTreeMap<Digest, Digest> = BTreeMap::new();
    for (instance, known) in loaded.plan.instances.iter().zip(&loaded.known) {
        let Some(record) = known.record.as_deref() else {
            continue;
        };
        if instance.kind != Kind::Preprocess {
            continue;
        }
        let Some(digest) = account::texts(record) else {
            continue;
        };
        if ledger.people(&digest)?.is_empty() {
            account::tell(ledger, instance, &digest)?;
        }
        texts.insert(record.output.digest(), digest);
    }
    // Also runs that the file no longer asks for: what was spent does not depend on what is asked for now.
    let records = loaded.cache.records()?;
    let reader = ArtifactReader::new(loaded.cache.clone());
    let mut adopted = Adopted::default();
    for record in records {
        if !record.kind.spends() {
            continue;
        }
        let read: BTreeSet<Digest> = record
            .inputs
            .values()
            .filter_map(|input| texts.get(input).copied())
            .collect();
        for texts in read {
            enter(ledger, &reader, &record, &texts, &mut adopted)?;
        }
    }
    Ok(adopted)
}

fn enter(
    ledger: &Ledger,
    reader: &ArtifactReader,
    record: &Record,
    texts: &Digest,
    adopted: &mut Adopted,
) -> Result<(), Error> {
    let unreadable = |reason: String| {
        Error::failed(format!(
            "the privacy record of `{}` cannot be read: {reason}; `dpx run` makes it again",
            record.instance
        ))
    };
    let bytes = reader
        .read(record, PRIVACY_FILE)
        .map_err(unreadable)?
        .ok_or_else(|| unreadable("it is missing".to_owned()))?;
    let privacy = PrivacyRecord::from_bytes(&bytes, Path::new(PRIVACY_FILE))
        .map_err(|error| unreadable(error.to_string()))?;
    let key = record.key.to_string();
    // Without guarantee; a record of such a run has no identity, so that its key stands in.
    let mut entry = RunEntry {
        run: key[..32].to_owned(),
        key,
        experiment: record.experiment.clone(),
        instance: record.instance.to_string(),
        date: record.finished_at.clone(),
        people: Vec::new(),
        event: DpEvent::NonPrivate,
        unit: Unit::default(),
        unit_column: None,
        adjacency: Adjacency::default(),
        noise: NoiseSource::Secure,
        delta: 0.5,
        epsilon: EpsilonBound::INFINITE,
        selection: Vec::new(),
        adopted: true,
    };
    match privacy {
        PrivacyRecord::Public { .. } | PrivacyRecord::Untouched(_) => return Ok(()),
        PrivacyRecord::NotPrivate => {
            let history = ledger.history()?;
            let mut runs = history.runs().iter();
            if runs.any(|run| run.key == entry.key && !run.is_covered()) {
                adopted.known += 1;
                return Ok(());
            }
        }
        PrivacyRecord::Private(run) => {
            entry.run = run.run;
            entry.instance = run.instance.to_string();
            entry.event = run.event;
            entry.unit = run.unit;
            entry.adjacency = run.adjacency;
            entry.noise = run.noise;
            entry.delta = run.delta;
        }
    }
    if ledger.enter_run(texts, entry, None)? {
        adopted.entered += 1;
    } else {
        adopted.known += 1;
    }
    Ok(())
}
