//! What may leave the organisation: synthetic texts of rows under a guarantee, or the model of one, and what the guarantee of all
//! of it is.
//!
//! Only artifacts labelled `public` or `dp` are taken; a row without a guarantee, or with noise from the seed, is refused
//! without exception. Nothing computed from a private text outside a mechanism goes in: no digest, key, score, path or time.

mod card;
pub(crate) mod checksums;
mod internal;
mod model;
mod model_card;
mod officer;
mod publish;
mod statement;
mod terms;
mod words;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

pub(crate) use card::card;
pub(crate) use internal::INTERNAL_FORMAT;
pub use internal::write_internal;
pub use model::Wanted;
pub(crate) use officer::page;
pub use publish::Publication;
pub use statement::{
    Author, CHECKSUMS_FILE, Disclosure, Export, ExportForm, Format, Group, License, Model, Prior,
    Run, STATEMENT_FILE, Selection, Statement, Texts,
};
pub(crate) use statement::{CARD_FILE, GROUPS, OFFICER_FILE};

use super::candidates::candidates;
use super::guarantee::study_delta;
use super::sources::{AssembleError, Sources};
use dpx_engine::plan::{InstanceId, Plan};
use dpx_ledger::{PreparedRelease, ReleaseRequest};
use dpx_schema::{Guarantee, Kind, PrivacyRecord, PublicInputs, ReleaseLabel, listed};
use publish::{About, TextFile};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Why there is no release.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// A row that must not be released: its name, and why.
    #[error("`{0}` cannot be released: {1}")]
    Refused(String, &'static str),
    /// No row fits, or one is not finished.
    #[error("{0}")]
    Missing(String),
    /// A record or text cannot be read.
    #[error(transparent)]
    Unreadable(#[from] AssembleError),
    /// The release could not be written.
    #[error("the release could not be written: {0}")]
    Io(#[from] std::io::Error),
}

/// Rows to be released together, and their joint guarantee.
#[derive(Debug)]
pub struct Release {
    texts: Vec<TextFile>,
    about: About,
    /// The records of the private instances behind them, each with its kind.
    pub(crate) records: Vec<(Kind, PrivacyRecord)>,
    /// The private data sets behind each of these runs, by their names in the claim: numbers from 1.
    data_sets: BTreeMap<String, u64>,
    /// The study's.
    delta: f64,
    canaries: BTreeMap<String, u64>,
    public_inputs: PublicInputs,
    /// Of a model alone the license of the public model behind it.
    license: Option<License>,
    /// Of a model alone the `sample` instances that write with it.
    made: BTreeSet<String>,
}

/// What ran behind what leaves.
struct Behind {
    records: Vec<(Kind, PrivacyRecord)>,
    data_sets: BTreeMap<String, u64>,
    /// The name of its run in the claim, by instance.
    runs: BTreeMap<InstanceId, String>,
    canaries: BTreeMap<String, u64>,
    delta: f64,
}

impl Release {
    /// Gathers the sample instances that `wanted` names (`epsilon=3`, or a whole instance name), with the models behind
    /// them where asked for; without names all that may leave.
    ///
    /// # Errors
    /// A named row may not leave, does not exist, or is not finished.
    pub fn gather(
        sources: &Sources<'_>,
        wanted: &[String],
        with_models: bool,
    ) -> Result<Self, ReleaseError> {
        let plan = sources.plan;
        // Also of rows that stay: the release says among which ones was chosen.
        public_names(plan, Kind::Sample)?;
        let samples =
            (0..plan.instances.len()).filter(|&id| plan.instances[id].kind == Kind::Sample);
        let mut chosen = Vec::new();
        let mut behind: BTreeSet<InstanceId> = BTreeSet::new();
        let mut found = BTreeSet::new();
        for id in samples {
            let instance = &plan.instances[id];
            let named: Vec<&String> = wanted
                .iter()
                .filter(|name| plan.is_in_row(id, name))
                .collect();
            if named.is_empty() && !wanted.is_empty() {
                continue;
            }
            found.extend(named.iter().map(|name| (*name).clone()));
            match instance.flow {
                ReleaseLabel::Public | ReleaseLabel::Dp => {}
                _ if wanted.is_empty() => continue,
                flow => refuse(&instance.name, flow)?,
            }
            if sources.record(id).is_none() {
                return Err(unfinished(&instance.name));
            }
            chosen.push(id);
            behind.extend(plan.ancestors(id));
        }
        if let Some(name) = wanted.iter().find(|name| !found.contains(*name)) {
            return Err(ReleaseError::Missing(format!(
                "no `sample` instance is `{name}`: this study has {}",
                rows_with(plan, Kind::Sample)
            )));
        }
        if chosen.is_empty() {
            return Err(ReleaseError::Missing(
                "no row of this study may be released".into(),
            ));
        }
        let found = Behind::read(sources, &behind)?;
        let texts = publish::texts(sources, &chosen, &found.runs)?;
        let mut about = publish::about(sources, &behind)?;
        if with_models {
            about.models = publish::models(sources, &chosen, &found.runs)?;
        }
        Ok(Self::of(found, texts, about))
    }

    /// Gathers one model without texts, which is a release of what was trained behind it.
    ///
    /// # Errors
    /// It may not leave, does not exist, is not finished, or has no adapter where one is asked for.
    pub fn of_model(sources: &Sources<'_>, wanted: &Wanted) -> Result<Self, ReleaseError> {
        let plan = sources.plan;
        let id = wanted.find(plan)?;
        for kind in [Kind::Sample, plan.instances[id].kind] {
            public_names(plan, kind)?;
        }
        let instance = &plan.instances[id];
        refuse(&instance.name, instance.flow)?;
        if sources.record(id).is_none() {
            return Err(unfinished(&instance.name));
        }
        let mut behind = plan.ancestors(id);
        behind.insert(id);
        let found = Behind::read(sources, &behind)?;
        let (model, export, stated) =
            model::alone(sources, id, wanted.form, &found.runs, |instance| {
                publish::file_name(instance, true)
            })?;
        let mut about = publish::about(sources, &behind)?;
        about.models = vec![model];
        about.export = Some(export);
        let samples = plan.instances.iter().enumerate();
        let made = samples
            .filter(|(_, sample)| sample.kind == Kind::Sample)
            .filter(|(sample, _)| plan.ancestors(*sample).contains(&id))
            .map(|(_, sample)| sample.name.to_string());
        Ok(Self {
            license: Some(model::license(&stated)),
            made: made.collect(),
            ..Self::of(found, Vec::new(), about)
        })
    }

    fn of(behind: Behind, texts: Vec<TextFile>, about: About) -> Self {
        let records = behind.records.iter().map(|(_, record)| record);
        Self {
            public_inputs: PublicInputs::of(records),
            texts,
            about,
            records: behind.records,
            data_sets: behind.data_sets,
            delta: behind.delta,
            canaries: behind.canaries,
            license: None,
            made: BTreeSet::new(),
        }
    }

    /// Of a model alone the license of the public model behind it, as far as that states one.
    pub const fn license(&self) -> Option<&License> {
        self.license.as_ref()
    }

    /// The `train` instances behind the texts that planted canaries, with how many: the guarantee holds, but texts of random
    /// letters were learnt beside the real ones.
    pub fn canaries(&self) -> &BTreeMap<String, u64> {
        &self.canaries
    }

    /// What is to be said of the public inputs behind the texts.
    pub const fn public_inputs(&self) -> &PublicInputs {
        &self.public_inputs
    }

    /// The claim of all rows together; nothing where no row touched private data.
    #[cfg(test)]
    pub(crate) fn claim(&self) -> Option<dpx_accounting::Claim> {
        let records = self.records.iter().map(|(_, record)| record);
        let guarantee = Guarantee::at(records, self.delta).expect("composed when it was gathered");
        guarantee.claim().cloned()
    }

    /// How many rows of the study are released with their texts.
    pub fn rows(&self) -> usize {
        self.texts.len()
    }

    /// What the ledger has to know of the release.
    ///
    /// # Errors
    /// A record cannot be read.
    pub fn ledger_request(&self, sources: &Sources<'_>) -> Result<ReleaseRequest, ReleaseError> {
        let (candidates, unprotected) = candidates(sources)?;
        Ok(ReleaseRequest {
            experiment: sources.plan.experiment.clone(),
            rows: if self.about.export.is_some() {
                let models = self.about.models.iter();
                models.map(|model| model.told.instance.clone()).collect()
            } else {
                publish::instances(&self.texts)
            },
            made: self.made.clone(),
            records: self
                .records
                .iter()
                .map(|(_, record)| record.clone())
                .collect(),
            candidates,
            unprotected,
            held: None,
            delta: self.delta,
            budget: None,
        })
    }
}

impl Behind {
    fn read(sources: &Sources<'_>, behind: &BTreeSet<InstanceId>) -> Result<Self, ReleaseError> {
        let plan = sources.plan;
        let mut canaries = BTreeMap::new();
        let mut records = Vec::new();
        let mut runs: BTreeMap<InstanceId, String> = BTreeMap::new();
        let mut data_sets = DataSets::default();
        for &id in behind {
            let instance = &plan.instances[id];
            if !instance.kind.spends() && instance.kind != Kind::Pretrain {
                continue;
            }
            let record = sources
                .privacy(id)?
                .ok_or_else(|| unfinished(&instance.name))?;
            if let Some(run) = record.private() {
                let name = run.part().instance;
                data_sets.add(plan, id, &name);
                runs.insert(id, name);
                if run.canaries > 0 {
                    canaries.insert(instance.name.to_string(), run.canaries);
                }
            }
            records.push((instance.kind, record));
        }
        let delta = study_delta(sources)?.unwrap_or(0.5);
        let guarantee = Guarantee::at(records.iter().map(|(_, record)| record), delta)
            .map_err(|error| ReleaseError::Missing(format!("nothing can be claimed: {error}")))?;
        match guarantee {
            Guarantee::NoPrivateData | Guarantee::Private(_) => {}
            Guarantee::Seeded(_) | Guarantee::None => {
                return Err(ReleaseError::Missing(
                    "what ran behind this has no guarantee that holds against whoever has the seed"
                        .into(),
                ));
            }
        }
        Ok(Self {
            records,
            data_sets: data_sets.of_run,
            runs,
            canaries,
            delta,
        })
    }
}

/// The rows that have an instance of a kind, by the names that release and export take.
fn rows_with(plan: &Plan, kind: Kind) -> String {
    let rows = super::rows::rows(plan);
    let has = |name: &str| {
        let mut instances = 0..plan.instances.len();
        instances.any(|id| plan.instances[id].kind == kind && plan.is_in_row(id, name))
    };
    let names: Vec<String> = rows
        .into_iter()
        .map(|row| row.name)
        .filter(|name| has(name))
        .collect();
    if names.is_empty() {
        return "none".to_owned();
    }
    listed(&names, MOST_NAMES)
}

/// Rows that are named where one does not exist.
const MOST_NAMES: usize = 12;

/// Why seeded rows never leave, in whatever form.
const SEEDED: &str = "its noise is derived from the seed, and whoever has the seed can subtract it; run it with `noise = \"secure\"`";

impl ReleaseError {
    /// Whether what was refused may be written for internal use, marked as such: all that has no guarantee but what looks as if it
    /// had one.
    pub fn may_stay(&self) -> bool {
        matches!(self, Self::Refused(_, reason) if *reason != SEEDED)
    }
}

/// Refuses what is not covered.
fn refuse(instance: &str, flow: ReleaseLabel) -> Result<(), ReleaseError> {
    let reason = match flow {
        ReleaseLabel::Public | ReleaseLabel::Dp => return Ok(()),
        ReleaseLabel::Seeded => SEEDED,
        ReleaseLabel::Private => "it depends on private texts without a guarantee",
    };
    Err(ReleaseError::Refused(instance.to_owned(), reason))
}

/// Refuses names of rows that tell of the publisher.
fn public_names(plan: &Plan, kind: Kind) -> Result<(), ReleaseError> {
    for instance in plan.instances.iter().filter(|one| one.kind == kind) {
        if let Some(value) = instance.axes.values().find_map(telling) {
            return Err(ReleaseError::Missing(format!(
                "`{}` bears the name `{value}`, which says something of the publisher and would stand in the release: names of \
                 rows are public. Let the axis hold plain words, numbers or relative paths, and `dpx run` again",
                instance.name
            )));
        }
    }
    Ok(())
}

impl From<&PreparedRelease> for Disclosure {
    fn from(prepared: &PreparedRelease) -> Self {
        let selection = match prepared.selection().clone() {
            dpx_ledger::Selection::None { unprotected } => Selection::None { unprotected },
            dpx_ledger::Selection::Declared { rows } => Selection::Declared { rows },
            dpx_ledger::Selection::Undeclared {
                candidates,
                claim,
                unprotected,
            } => Selection::Undeclared {
                candidates,
                claim,
                unprotected,
            },
        };
        // Names of folders are words of the user's own: they stay in the ledger.
        let prior = prepared.prior().iter().map(|prior| Prior {
            date: day(&prior.date).to_owned(),
            study: prior.experiment.clone(),
            rows: prior.rows.clone(),
            claim: prior.claim.clone(),
        });
        Self {
            delta: prepared.delta(),
            date: day(prepared.date()).to_owned(),
            selection,
            prior: prior.collect(),
            rebuilt_ledger: prepared.rebuilt(),
            total: prepared.joint().cloned(),
        }
    }
}

/// The value of an axis where it would tell who the publisher is or how their machine is laid out.
fn telling(value: &serde_json::Value) -> Option<&str> {
    let text = value.as_str()?;
    let is_public = text.starts_with("builtin:") || text.starts_with("hf:");
    let is_path = Path::new(text).is_absolute()
        || text.starts_with('~')
        || text.contains('\\')
        || text.split('/').any(|part| part == "..");
    (!is_public && (is_path || text.contains('@'))).then_some(text)
}

/// Numbers for the private data sets behind runs, in the order of the plan.
#[derive(Debug, Default)]
struct DataSets {
    known: Vec<BTreeSet<InstanceId>>,
    of_run: BTreeMap<String, u64>,
}

impl DataSets {
    fn add(&mut self, plan: &Plan, id: InstanceId, run: &str) {
        let read: BTreeSet<InstanceId> = plan
            .ancestors(id)
            .into_iter()
            .filter(|&other| plan.instances[other].kind == Kind::Preprocess)
            .collect();
        let at = self.known.iter().position(|known| *known == read);
        let at = at.unwrap_or_else(|| {
            self.known.push(read);
            self.known.len() - 1
        });
        self.of_run.insert(run.to_owned(), at as u64 + 1);
    }
}

/// The day of a time in RFC 3339.
fn day(time: &str) -> &str {
    time.split_once('T').map_or(time, |(day, _)| day)
}

fn unfinished(instance: &str) -> ReleaseError {
    ReleaseError::Missing(format!("`{instance}` is not finished: `dpx run` it first"))
}

/// The name of a model, corpus or vocabulary as far as it is public: a path says more about the publisher than about it.
pub(crate) fn public_name(name: &str) -> String {
    if name.starts_with("builtin:") || name.starts_with("hf:") || name == "rules" {
        name.to_owned()
    } else {
        "files of the publisher's own".to_owned()
    }
}
