//! What a study would spend of its people: if any, each or all of its rows were released, on top of what was.

mod forecast;
mod others;

pub use forecast::Forecast;

use super::StudyError;
use super::account::{data_of, declared, is_local, not_counted, preprocess_params, texts};
use dpx_accounting::{Claim, EpsilonBound};
use dpx_engine::cache::{ArtifactReader, Cache};
use dpx_engine::experiment::{Enforce, Experiment};
use dpx_engine::plan::{Instance, InstanceId, Plan, State, decide};
use dpx_engine::run::View;
use dpx_ledger::{Book, Considered, Ledger, LedgerError, RunEntry, compose, now};
use dpx_schema::params::NoiseMode;
use dpx_schema::{
    Digest, Key, Kind, NoiseSource, PRIVACY_FILE, Population, PrivacyRecord, PublicSchema, Record,
    ReleaseLabel,
};
use dpx_stages::{Spending, people, plan as plan_stage};
use others::{Others, Told, charged};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// What is known of a `preprocess` instance's data.
struct Data {
    population: Population,
    book: Book,
}

struct Study<'a> {
    ledger: &'a Ledger,
    plan: &'a Plan,
    cache: Option<&'a Cache>,
    /// Rows that the file names for release.
    selection: Vec<String>,
    records: BTreeMap<InstanceId, Arc<Record>>,
    reader: Option<ArtifactReader>,
    data: BTreeMap<InstanceId, Data>,
    /// The first instance of each key that stages which are alike share.
    alike: BTreeMap<Key, InstanceId>,
}

/// Forecasts the cost of a study; with a cache, what is finished counts as what it did.
pub fn forecast(
    ledger: &Ledger,
    experiment: &Experiment,
    plan: &Plan,
    cache: Option<&Cache>,
) -> Result<Forecast, StudyError> {
    let mut study = Study {
        ledger,
        plan,
        cache,
        selection: plan
            .selected(&experiment.privacy.selection)
            .into_iter()
            .collect(),
        records: BTreeMap::new(),
        reader: cache.cloned().map(ArtifactReader::new),
        data: BTreeMap::new(),
        alike: BTreeMap::new(),
    };
    if let Some(cache) = cache {
        for decision in decide(plan, &View::new(cache.clone()), &BTreeSet::new()) {
            if let State::Cached { record, .. } = decision.state {
                study.records.insert(decision.instance, record);
            }
        }
    }
    let runs: BTreeMap<InstanceId, RunEntry> = (0..plan.instances.len())
        .filter(|&id| plan.instances[id].kind.spends())
        .map(|id| Ok(study.run(id)?.map(|run| (id, run))))
        .collect::<Result<Vec<_>, StudyError>>()?
        .into_iter()
        .flatten()
        .collect();
    let history = ledger.history()?;
    let entered: BTreeMap<&String, &RunEntry> = history
        .runs()
        .iter()
        .rev()
        .map(|entry| (&entry.run, entry))
        .collect();
    let runs = runs
        .into_iter()
        .map(|(id, mut run)| {
            // What was named when it began counts, not what the file names now.
            if study.records.contains_key(&id) {
                let entry = entered.get(&run.run);
                run.selection = entry.map_or_else(Vec::new, |entry| entry.selection.clone());
                run.adopted = entry.is_some_and(|entry| entry.adopted);
            }
            (id, run)
        })
        .collect();
    study.forecast(experiment, &runs)
}

impl Study<'_> {
    /// What an instance did, or is planned to do; nothing where it does not look at the data.
    fn run(&mut self, id: InstanceId) -> Result<Option<RunEntry>, StudyError> {
        let instance = &self.plan.instances[id];
        let population = self.data(id)?.population;
        let plan = plan_stage(instance.kind, &instance.stage, &instance.params, population)
            .map_err(|error| StudyError::refused(format!("`{}`: {error}", instance.name)))?;
        let event = match &plan.spending {
            Spending::Untouched => return Ok(None),
            Spending::NotPrivate => dpx_accounting::DpEvent::NonPrivate,
            Spending::Noise { planned, .. } => planned
                .iter()
                .find(|(stage, _)| *stage == instance.stage)
                .map(|(_, event)| event.clone())
                .ok_or_else(|| StudyError::failed(format!("`{}` has no plan", instance.name)))?,
        };
        let seeded = serde_json::to_value(NoiseMode::Seeded)
            .is_ok_and(|word| instance.params["noise"] == word);
        // A run that is yet to come is known by its key, with the instances that it reads in the place of what they make: stages
        // that are alike are one run.
        let inputs = instance.needs.iter().map(|need| {
            let name = self.plan.instances[need.instance].name.as_str();
            (need.stage.clone(), Digest::of(name.as_bytes()))
        });
        let key = instance.key(&inputs.collect());
        let first = *self.alike.entry(key).or_insert(id);
        let mut run = RunEntry {
            run: format!("planned {first}"),
            key: String::new(),
            experiment: self.plan.experiment.clone(),
            instance: self.plan.instances[first].name.to_string(),
            date: now(),
            people: Vec::new(),
            event,
            unit: plan.unit,
            unit_column: self.unit_column(instance),
            adjacency: plan.adjacency,
            noise: if seeded {
                NoiseSource::Seeded
            } else {
                NoiseSource::Secure
            },
            delta: plan.delta,
            epsilon: EpsilonBound::INFINITE,
            selection: self.selection.clone(),
            adopted: false,
        };
        if let Some(PrivacyRecord::Private(done)) = self.privacy(id)? {
            run.run = done.run;
            run.instance = done.instance.to_string();
            run.event = done.event;
            run.unit = done.unit;
            run.adjacency = done.adjacency;
            run.delta = done.delta;
        }
        Ok(Some(run))
    }

    /// The privacy record of a finished instance.
    fn privacy(&self, id: InstanceId) -> Result<Option<PrivacyRecord>, StudyError> {
        let (Some(record), Some(reader)) = (self.records.get(&id), &self.reader) else {
            return Ok(None);
        };
        let unreadable = |reason: String| {
            let name = &self.plan.instances[id].name;
            StudyError::failed(format!(
                "the privacy record of `{name}` cannot be read: {reason}"
            ))
        };
        let Some(bytes) = reader.read(record, PRIVACY_FILE).map_err(unreadable)? else {
            return Ok(None);
        };
        PrivacyRecord::from_bytes(&bytes, Path::new(PRIVACY_FILE))
            .map(Some)
            .map_err(|error| unreadable(error.to_string()))
    }

    /// The data that an instance reads: read once.
    fn data(&mut self, id: InstanceId) -> Result<&Data, StudyError> {
        let instance = &self.plan.instances[id];
        let need = data_of(self.plan, instance)
            .ok_or_else(|| StudyError::refused(format!("`{}` reads no data", instance.name)))?;
        if !self.data.contains_key(&need) {
            let data = self.read(need)?;
            self.data.insert(need, data);
        }
        Ok(&self.data[&need])
    }

    fn read(&self, need: InstanceId) -> Result<Data, StudyError> {
        let preprocess = &self.plan.instances[need];
        let params = preprocess_params(preprocess)?;
        if let Some(texts) = self.records.get(&need).and_then(|record| texts(record)) {
            let people = self.ledger.people(&texts)?;
            if let (false, Some(population)) = (people.is_empty(), self.population(need)?) {
                let book = self.ledger.history()?.book(&people);
                return Ok(Data { population, book });
            }
        }
        let source =
            people::source(&params).map_err(|error| StudyError::refused(error.to_string()))?;
        if let (false, Some(population)) = (is_local(&params), declared(&params)) {
            // Not to be downloaded for a forecast: known by its name alone, the rest of which `release` finds out.
            let book = self.ledger.book_of(std::iter::empty(), &source)?;
            return Ok(Data { population, book });
        }
        let dataset = dpx_data::load(&dpx_data::Request::from(&params))
            .map_err(|error| not_counted(&params.dataset, &preprocess.stage, &error))?;
        Ok(Data {
            population: dataset.population(),
            book: self.ledger.book_of_people(
                people::texts_of(&dataset),
                people::owners_of(&dataset),
                &source,
            )?,
        })
    }

    /// The column that tells people apart in the data that an instance reads.
    fn unit_column(&self, instance: &Instance) -> Option<String> {
        let mut needs = instance.needs.iter();
        needs.find_map(|need| {
            let data = &self.plan.instances[need.instance];
            let column = data.params["unit_column"].as_str()?;
            (data.kind == Kind::Preprocess).then(|| column.to_owned())
        })
    }

    /// How large the data set is that a finished `preprocess` instance found.
    fn population(&self, need: InstanceId) -> Result<Option<Population>, StudyError> {
        let (Some(record), Some(reader)) = (self.records.get(&need), &self.reader) else {
            return Ok(None);
        };
        let bytes = reader
            .read(record, dpx_schema::SCHEMA_FILE)
            .map_err(StudyError::failed)?;
        let schema: Option<PublicSchema> =
            bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(schema.map(|schema| schema.population()))
    }

    fn forecast(
        &self,
        experiment: &Experiment,
        planned: &BTreeMap<InstanceId, RunEntry>,
    ) -> Result<Forecast, StudyError> {
        let budget = experiment.privacy.budget;
        let before: Vec<&RunEntry> = self
            .data
            .values()
            .flat_map(|data| data.book.released_runs())
            .collect();
        let delta = budget.map_or_else(
            || {
                let all = before.iter().copied().chain(planned.values());
                all.map(|run| run.delta).fold(1.0, f64::min)
            },
            |budget| budget.delta,
        );
        let delta = if delta < 1.0 { delta } else { 0.5 };
        if let (Some(budget), Some(records)) = (
            budget,
            self.data.values().map(|data| data.population.units).max(),
        ) && budget.delta * records as f64 >= 1.0
        {
            return Err(LedgerError::BudgetDelta { budget, records }.into());
        }
        let with = |more: &[&RunEntry]| compose(before.iter().chain(more).copied(), delta);
        let others = self.others(planned)?;
        let beside = others.candidates();
        let named_before = |rows: &[String], own: &[&RunEntry]| {
            // As if these rows had been named before anything of the study ran; what ran beside it said what it said.
            let named = own.iter().map(|run| RunEntry {
                selection: rows.to_vec(),
                adopted: false,
                ..(*run).clone()
            });
            let named: Vec<RunEntry> = named.collect();
            let named: Vec<&RunEntry> = named.iter().collect();
            with(&charged(rows, &named, &beside).0)
        };
        let mut candidates = beside.clone();
        let mut rows = Vec::new();
        let mut behind_rows: Vec<(String, Vec<&RunEntry>)> = Vec::new();
        let will_be_scored = scored_by(self.plan);
        for (id, instance) in self.plan.instances.iter().enumerate() {
            if instance.kind != Kind::Sample || instance.flow != ReleaseLabel::Dp {
                continue;
            }
            let name = instance.name.to_string();
            let behind: Vec<&RunEntry> = self
                .plan
                .ancestors(id)
                .iter()
                .filter_map(|other| planned.get(other))
                .collect();
            let claim = named_before(std::slice::from_ref(&name), &behind)?;
            rows.push((name.clone(), claim));
            if will_be_scored(id) {
                candidates.push(Considered {
                    row: name.clone(),
                    earlier: None,
                    runs: behind.clone(),
                });
            }
            behind_rows.push((name, behind));
        }
        let names: Vec<String> = rows.iter().map(|(name, _)| name.clone()).collect();
        let all: Vec<&RunEntry> = behind_rows
            .iter()
            .flat_map(|(_, runs)| runs.iter().copied())
            .collect();
        // A file that names rows releases these together, another one of its rows.
        let releases: Vec<Vec<String>> = if self.selection.is_empty() {
            names.iter().map(|name| vec![name.clone()]).collect()
        } else {
            vec![self.selection.clone()]
        };
        let mut chosen: Option<Claim> = None;
        let mut known: BTreeSet<BTreeSet<&String>> = BTreeSet::new();
        for release in releases {
            let own = behind_rows
                .iter()
                .filter(|(name, _)| release.contains(name));
            let own: Vec<&RunEntry> = own.flat_map(|(_, runs)| runs.iter().copied()).collect();
            let (runs, is_choice) = charged(&release, &own, &candidates);
            if is_choice && known.insert(runs.iter().map(|run| &run.run).collect()) {
                let claim = with(&runs)?;
                let cost =
                    |claim: &Option<Claim>| claim.as_ref().map(|claim| claim.epsilon().value());
                if cost(&claim) > cost(&chosen) {
                    chosen = claim;
                }
            }
        }
        let runs = || self.data.values().flat_map(|data| &data.book.runs);
        let bare = planned
            .iter()
            .filter(|(id, run)| !run.is_covered() && !self.records.contains_key(id));
        Ok(Forecast {
            budget,
            enforce: experiment.privacy.enforce,
            delta,
            releases: self
                .data
                .values()
                .map(|data| data.book.releases.len())
                .sum(),
            released: with(&[])?,
            chosen,
            all: named_before(&names, &all)?,
            others: Told::new(others, with)?,
            rows,
            run: match experiment.privacy.enforce {
                Enforce::Train => compose(runs().chain(planned.values()), delta)?,
                Enforce::Release => None,
            },
            bare: bare.map(|(_, run)| run.instance.clone()).collect(),
        })
    }
}

impl Study<'_> {
    /// What rows were compared with beside one another; nothing where no cache tells what is there.
    fn others(&self, planned: &BTreeMap<InstanceId, RunEntry>) -> Result<Others, StudyError> {
        let Some(cache) = self.cache else {
            return Ok(Others::default());
        };
        let sets = self.data.values().flat_map(|data| &data.book.data_sets);
        let people: BTreeSet<String> = sets.map(|set| set.id.clone()).collect();
        let planned: Vec<&RunEntry> = planned.values().collect();
        Others::find(self.ledger, cache, (self.plan, &people), &planned)
    }
}

/// Tells whether texts, or what wrote them, are going to be scored on real data.
fn scored_by(plan: &Plan) -> impl Fn(InstanceId) -> bool {
    let scored: BTreeSet<InstanceId> = plan
        .instances
        .iter()
        .enumerate()
        .filter(|(_, instance)| matches!(instance.kind, Kind::Score | Kind::Classify | Kind::Audit))
        .flat_map(|(id, _)| plan.ancestors(id))
        .collect();
    move |id| {
        let part =
            |other: &InstanceId| plan.instances[*other].kind.spends() && scored.contains(other);
        scored.contains(&id) || plan.ancestors(id).iter().any(part)
    }
}
