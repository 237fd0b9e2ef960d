//! A study and the ledger: what its runs say there, and whose records its data are.

use super::StudyError;
use dpx_data::Source;
use dpx_engine::cache::{ArtifactReader, Cache};
use dpx_engine::experiment::{Enforce, Experiment};
use dpx_engine::plan::{Instance, InstanceId, Plan, State, decide};
use dpx_engine::run::{View, pinned};
use dpx_ledger::{Ledger, Noted};
use dpx_schema::params::PreprocessParams;
use dpx_schema::{
    Digest, Kind, LedgerAccess, PRIVACY_FILE, PeopleBounds, Population, PrivacyRecord, Record,
    counted,
};
use dpx_stages::people;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What the runs of a study say in the ledger.
pub fn access(ledger: &Ledger, experiment: &Experiment, plan: &Plan) -> LedgerAccess {
    let privacy = &experiment.privacy;
    LedgerAccess {
        folder: ledger.folder().to_owned(),
        experiment: plan.experiment.clone(),
        selection: plan.selected(&privacy.selection).into_iter().collect(),
        limit: privacy.budget.filter(|_| privacy.enforce == Enforce::Train),
    }
}

/// The digest of the training texts in a `preprocess` artifact; nothing of another kind.
pub fn texts(record: &Record) -> Option<Digest> {
    if record.kind != Kind::Preprocess {
        return None;
    }
    let mut files = record.output.files.iter();
    let file = files.find(|file| file.path == people::TEXTS_FILE)?;
    Some(file.digest)
}

/// The `preprocess` instance that an instance reads.
pub fn data_of(plan: &Plan, instance: &Instance) -> Option<InstanceId> {
    let mut needs = instance.needs.iter().map(|need| need.instance);
    needs.find(|&need| plan.instances[need].kind == Kind::Preprocess)
}

/// The parameters of a `preprocess` instance, a name on the Hub led to its commit.
pub fn preprocess_params(instance: &Instance) -> Result<PreprocessParams, StudyError> {
    let params = pinned(instance.kind, &instance.params, &instance.sources);
    serde_json::from_value(params)
        .map_err(|error| StudyError::refused(format!("`{}`: {error}", instance.name)))
}

/// What to say where the examples of a data set are needed and cannot be counted.
pub fn not_counted(dataset: &str, stage: &str, error: &dyn std::fmt::Display) -> StudyError {
    StudyError::refused(format!(
        "the examples of `{dataset}` cannot be counted: {error}"
    ))
    .hint(format!("declare `examples` in `[stage.{stage}]`"))
}

/// The data of a `preprocess` instance, read from this machine or the Hub's cache.
pub(crate) fn dataset(preprocess: &Instance) -> Result<dpx_data::Dataset, StudyError> {
    let params: PreprocessParams = serde_json::from_value(preprocess.params.clone())
        .map_err(|error| StudyError::refused(format!("`{}`: {error}", preprocess.name)))?;
    dpx_data::load(&dpx_data::Request::from(&params))
        .map_err(|error| StudyError::refused(error.to_string()))
}

/// Whether the data lie on this machine.
pub fn is_local(params: &PreprocessParams) -> bool {
    !matches!(Source::parse(&params.dataset), Source::Hub(_))
}

/// Refuses where the cache holds private runs that the ledger does not know, on data of its people or on data of which it cannot
/// tell whose they are: it was lost, or another one was used, and what it knows is not all that was spent.
pub fn knows_all(ledger: &Ledger, cache: &Cache) -> Result<(), StudyError> {
    let records = cache.records()?;
    let data: BTreeMap<Digest, Digest> = records
        .iter()
        .filter(|record| record.kind == Kind::Preprocess)
        .filter_map(|record| Some((record.output.digest(), texts(record)?)))
        .collect();
    let history = ledger.history()?;
    let known: BTreeSet<&str> = history.runs().iter().map(|run| run.run.as_str()).collect();
    let reader = ArtifactReader::new(cache.clone());
    let (mut unknown, mut foreign) = (Vec::new(), Vec::new());
    for record in records.iter().filter(|record| record.kind.spends()) {
        // What cannot be read is told where it is used.
        let privacy = reader.read(record, PRIVACY_FILE).ok().flatten();
        let privacy = privacy
            .and_then(|bytes| PrivacyRecord::from_bytes(&bytes, Path::new(PRIVACY_FILE)).ok());
        let Some(PrivacyRecord::Private(run)) = privacy else {
            continue;
        };
        if known.contains(run.run.as_str()) {
            continue;
        }
        let name = format!("`{}` of {}", record.instance, record.experiment);
        let mut is_theirs = false;
        for texts in record.inputs.values().filter_map(|input| data.get(input)) {
            is_theirs |= !ledger.people(texts)?.is_empty();
        }
        if is_theirs {
            unknown.push(name);
        } else {
            foreign.push(name);
        }
    }
    let Some(first) = unknown.first() else {
        // Of one that knows nothing at all, the release says which entry it misses.
        if history.entries() == 0 {
            return Ok(());
        }
        return knows_foreign(ledger, &foreign);
    };
    Err(StudyError::refused(format!(
        "the cache holds {} on data of people that the ledger `{}` knows, and the ledger knows nothing of {} ({first}): a joint \
         guarantee would leave that out",
        counted(unknown.len() as u64, "private run"),
        ledger.folder().display(),
        if unknown.len() == 1 { "it" } else { "them" },
    ))
    .hint(
        "enter them with `dpx ledger adopt FILE` for the experiment files that they belong to, or name the ledger that knows them \
         with `--ledger DIR`",
    ))
}

/// Refuses where another ledger was told whose data private runs of the cache read: they may be the same people's in another
/// order, with a record more or less, and this ledger has never seen them.
fn knows_foreign(ledger: &Ledger, foreign: &[String]) -> Result<(), StudyError> {
    let Some(first) = foreign.first() else {
        return Ok(());
    };
    Err(StudyError::refused(format!(
        "the cache holds {} that another ledger knows and `{}` does not ({first}): on whose data is not known here, and if they are \
         of the same people, a joint guarantee would leave that out",
        counted(foreign.len() as u64, "private run"),
        ledger.folder().display(),
    ))
    .hint(
        "enter them with `dpx ledger adopt FILE` for the experiment files that they belong to, or name the ledger that knows them \
         with `--ledger DIR`; studies of other people with a ledger of their own need a cache of their own, too (`--cache DIR`)",
    ))
}

/// What the file declares of the size of its data; nothing where it declares nothing.
pub fn declared(params: &PreprocessParams) -> Option<Population> {
    Some(Population {
        units: params.examples?,
        records: params.unit_column.is_none().then_some(params.examples?),
        people: params.max_per_unit().map(|max_per_unit| PeopleBounds {
            max_per_unit,
            several_owners: false,
        }),
    })
}

/// Reads the raw data of a finished `preprocess` instance again and tells the ledger whose records they are.
pub fn tell(ledger: &Ledger, instance: &Instance, texts: &Digest) -> Result<Noted, StudyError> {
    people::tell(ledger, &preprocess_params(instance)?, texts).map_err(|error| {
        StudyError::failed(format!(
            "the ledger `{}` does not know whose records the data of `{}` are, and they cannot be read again: {error}",
            ledger.folder().display(),
            instance.name
        ))
        .hint("put the data set back where the experiment file names it, or name the ledger that knows it with `--ledger DIR`")
    })
}

/// Tells the ledger whose records the data are that private stages are about to read, where `preprocess` is cached and ran
/// under another ledger.
pub fn tell_people(ledger: &Ledger, plan: &Plan, cache: &Cache) -> Result<(), StudyError> {
    let decisions = decide(plan, &View::new(cache.clone()), &BTreeSet::new());
    let mut told = BTreeSet::new();
    for decision in &decisions {
        let instance = &plan.instances[decision.instance];
        if !instance.kind.spends() || decision.state.is_cached() {
            continue;
        }
        let Some(data) = data_of(plan, instance).filter(|&data| told.insert(data)) else {
            continue;
        };
        if let State::Cached { record, .. } = &decisions[data].state
            && let Some(texts) = texts(record)
            && ledger.people(&texts)?.is_empty()
        {
            tell(ledger, &plan.instances[data], &texts)?;
        }
    }
    Ok(())
}
