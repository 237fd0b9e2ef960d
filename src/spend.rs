//! What a study would spend of its people: if any, each or all of its rows were released, on top of what was.

use super::Error;
use super::account::{data_of, declared, is_local, not_counted, preprocess_params, texts};
use dpx_accounting::{Claim, EpsilonBound};
use dpx_engine::cache::{ArtifactReader, Cache};
use dpx_engine::experiment::{Enforce, Experiment};
use dpx_engine::plan::{Instance, InstanceId, Plan, State, decide};
use dpx_engine::run::View;
use dpx_ledger::{Book, Ledger, LedgerError, RunEntry, compose, now};
use dpx_schema::params::NoiseMode;
use dpx_schema::{
    Budget, Digest, Flow, Key, Kind, NoiseSource, PRIVACY_FILE, Population, PrivacyRecord,
    PublicSchema, Record, counted,
};
use dpx_stages::{Spending, people, plan as plan_stage};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

/// What a study would spend of the people behind its data.
pub(crate) struct Forecast {
    budget: Option<Budget>,
    enforce: Enforce,
    delta: f64,
    releases: usize,
    /// Everything that was released before.
    released: Option<Claim>,
    /// The same with each row.
    rows: Vec<(String, Option<Claim>)>,
    /// The same with one row that is chosen when all were scored; nothing where there is no such choice.
    chosen: Option<Claim>,
    /// The same with all rows.
    all: Option<Claim>,
    /// Everything that was run and everything that is planned, where runs are held to the budget.
    run: Option<Claim>,
    /// Instances that are planned without noise.
    bare: Vec<String>,
}

/// What is known of a `preprocess` instance's data.
struct Data {
    population: Population,
    book: Book,
}

struct Study<'a> {
    ledger: &'a Ledger,
    plan: &'a Plan,
    records: BTreeMap<InstanceId, Arc<Record>>,
    reader: Option<ArtifactReader>,
    data: BTreeMap<InstanceId, Data>,
    /// The first instance of each key that stages which are alike share.
    alike: BTreeMap<Key, InstanceId>,
}

/// Forecasts the cost of a study; with a cache, what is finished counts as what it did.
pub(crate) fn forecast(
    ledger: &Ledger,
    experiment: &Experiment,
    plan: &Plan,
    cache: Option<&Cache>,
) -> Result<Forecast, Error> {
    let mut study = Study {
        ledger,
        plan,
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
        .collect::<Result<Vec<_>, Error>>()?
        .into_iter()
        .flatten()
        .collect();
    study.forecast(experiment, &runs)
}

impl Study<'_> {
    /// What an instance did, or is planned to do; nothing where it does not look at the data.
    fn run(&mut self, id: InstanceId) -> Result<Option<RunEntry>, Error> {
        let instance = &self.plan.instances[id];
        let population = self.data(id)?.population;
        let plan = plan_stage(instance.kind, &instance.stage, &instance.params, population)
            .map_err(|error| Error::usage(format!("`{}`: {error}", instance.name)))?;
        let event = match &plan.spending {
            Spending::Untouched => return Ok(None),
            Spending::NotPrivate => dpx_accounting::DpEvent::NonPrivate,
            Spending::Noise { planned, .. } => planned
                .iter()
                .find(|(stage, _)| *stage == instance.stage)
                .map(|(_, event)| event.clone())
                .ok_or_else(|| Error::failed(format!("`{}` has no plan", instance.name)))?,
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
            selection: Vec::new(),
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
    fn privacy(&self, id: InstanceId) -> Result<Option<PrivacyRecord>, Error> {
        let (Some(record), Some(reader)) = (self.records.get(&id), &self.reader) else {
            return Ok(None);
        };
        let unreadable = |reason: String| {
            let name = &self.plan.instances[id].name;
            Error::failed(format!(
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
    fn data(&mut self, id: InstanceId) -> Result<&Data, Error> {
        let instance = &self.plan.instances[id];
        let need = data_of(self.plan, instance)
            .ok_or_else(|| Error::usage(format!("`{}` reads no data", instance.name)))?;
        if !self.data.contains_key(&need) {
            let data = self.read(need)?;
            self.data.insert(need, data);
        }
        Ok(&self.data[&need])
    }

    fn read(&self, need: InstanceId) -> Result<Data, Error> {
        let preprocess = &self.plan.instances[need];
        let params = preprocess_params(preprocess)?;
        if let Some(texts) = self.records.get(&need).and_then(|record| texts(record)) {
            let people = self.ledger.people(&texts)?;
            if let (false, Some(population)) = (people.is_empty(), self.population(need)?) {
                let book = self.ledger.history()?.book(&people);
                return Ok(Data { population, book });
            }
        }
        let source = people::source(&params).map_err(|error| Error::usage(error.to_string()))?;
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
    fn population(&self, need: InstanceId) -> Result<Option<Population>, Error> {
        let (Some(record), Some(reader)) = (self.records.get(&need), &self.reader) else {
            return Ok(None);
        };
        let bytes = reader
            .read(record, dpx_schema::SCHEMA_FILE)
            .map_err(Error::failed)?;
        let schema: Option<PublicSchema> =
            bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(schema.map(|schema| schema.population()))
    }

    fn forecast(
        &self,
        experiment: &Experiment,
        planned: &BTreeMap<InstanceId, RunEntry>,
    ) -> Result<Forecast, Error> {
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
        let mut rows = Vec::new();
        let mut all: Vec<&RunEntry> = Vec::new();
        let mut scored: Vec<&RunEntry> = Vec::new();
        let (mut candidates, will_be_scored) = (0, scored_by(self.plan));
        for (id, instance) in self.plan.instances.iter().enumerate() {
            if instance.kind != Kind::Sample || instance.flow != Flow::Dp {
                continue;
            }
            let behind: Vec<&RunEntry> = behind(self.plan, id)
                .iter()
                .filter_map(|other| planned.get(other))
                .collect();
            rows.push((instance.name.to_string(), with(&behind)?));
            if will_be_scored(id) {
                candidates += 1;
                scored.extend(&behind);
            }
            all.extend(behind);
        }
        let declared = !experiment.privacy.selection.is_empty();
        let chosen = if candidates > 1 && !declared {
            with(&scored)?
        } else {
            None
        };
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
            all: with(&all)?,
            rows,
            run: match experiment.privacy.enforce {
                Enforce::Train => compose(runs().chain(planned.values()), delta)?,
                Enforce::Release => None,
            },
            bare: bare.map(|(_, run)| run.instance.clone()).collect(),
        })
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

impl Forecast {
    fn exceeds(&self, claim: Option<&Claim>) -> bool {
        match (self.budget, claim) {
            (Some(budget), Some(claim)) => claim.epsilon().value() > budget.epsilon,
            _ => false,
        }
    }

    /// Refuses a study whose runs are held to a budget that they would exceed, before anything is spent.
    pub(crate) fn refuse_runs(&self) -> Result<(), Error> {
        let (Some(budget), Enforce::Train) = (self.budget, self.enforce) else {
            return Ok(());
        };
        let refuse = |what: String| {
            Err(Error::usage(format!(
                "the budget of these people is ({}, {:e})-DP (`[privacy] budget` with `enforce = \"train\"`), {what}; nothing was run",
                budget.epsilon, budget.delta
            ))
            .hint("plan fewer or noisier runs, or raise the budget; `dpx plan` shows what each row would spend"))
        };
        if let Some(bare) = self.bare.first() {
            return refuse(format!("and `{bare}` has no guarantee at all"));
        }
        match &self.run {
            Some(claim) if self.exceeds(Some(claim)) => refuse(format!(
                "and everything that was run of them would cost {claim:#.4} with this study"
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// The row that costs most.
    fn dearest(&self) -> Option<&Claim> {
        let claims = self.rows.iter().filter_map(|(_, claim)| claim.as_ref());
        claims.max_by(|a, b| a.epsilon().value().total_cmp(&b.epsilon().value()))
    }

    pub(crate) fn text(&self) -> String {
        let mut text = match self.budget {
            Some(budget) => format!(
                "Spent of the same people if rows were released; the budget is ({}, {:e})-DP:\n",
                budget.epsilon, budget.delta
            ),
            None => format!(
                "Spent of the same people if rows were released, at delta {:e}:\n",
                self.delta
            ),
        };
        let any = format!("any one of {}", counted(self.rows.len() as u64, "row"));
        const CHOSEN: &str = "any one, chosen by its scores";
        let width = self
            .rows
            .iter()
            .map(|(name, _)| name.chars().count())
            .chain([any.len(), self.chosen.as_ref().map_or(0, |_| CHOSEN.len())])
            .max()
            .unwrap_or(0);
        let mut line = |name: &str, claim: Option<&Claim>, note: &str| {
            let cost = claim.map_or_else(|| "nothing".to_owned(), |claim| format!("{claim:#.4}"));
            let over = if self.exceeds(claim) {
                "  exceeds the budget"
            } else {
                ""
            };
            let _ = writeln!(text, "  {name:width$}  {cost}{note}{over}");
        };
        let releases = format!("  ({})", counted(self.releases as u64, "release"));
        line("released before", self.released.as_ref(), &releases);
        if self.rows.is_empty() {
            text.push_str("  no row of this study can be released under a guarantee\n");
            return text;
        }
        for (name, claim) in &self.rows {
            line(name, claim.as_ref(), "");
        }
        line(&any, self.dearest(), "  at most");
        if let Some(chosen) = &self.chosen {
            line(CHOSEN, Some(chosen), "");
        }
        line("all rows", self.all.as_ref(), "");
        if let Some(run) = &self.run {
            line("everything run", Some(run), "");
        }
        if self.chosen.is_some() {
            text.push_str(
                "A row by itself costs what its line says where it is named in `[privacy] selection` before anything is trained;\n\
                 whoever has seen the scores of several has learned from all of them.\n",
            );
        }
        text
    }

    pub(crate) fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|(name, claim)| {
                json!({"row": name, "claim": claim, "exceeds": self.exceeds(claim.as_ref())})
            })
            .collect();
        json!({
            "budget": self.budget,
            "delta": self.delta,
            "releases": self.releases,
            "released": self.released,
            "rows": rows,
            "any": self.dearest(),
            "chosen": self.chosen,
            "all": self.all,
            "exceeds": self.exceeds(self.all.as_ref()),
            "run": self.run,
        })
    }
}
