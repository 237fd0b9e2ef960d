//! Two ways to protect people who have several records, side by side: `dpx privacy --people`, and what `dpx plan` says of them.

use super::StudyError;
use super::account::{data_of, is_local, preprocess_params};
use dpx_accounting::{PeopleRun, PricedSampling, SamplingComparison, compare_sampling};
use dpx_engine::cache::{ArtifactReader, Cache};
use dpx_engine::plan::{Decision, Instance, InstanceId, Plan, State};
use dpx_schema::params::TrainParams;
use dpx_schema::{Kind, Population, PublicSchema, SCHEMA_FILE, UnitSampling};
use dpx_stages::Spending;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write;

/// What the noise does not tell.
pub const BEYOND_NOISE: &str = "The work of a step is reckoned as if everybody had the mean number of records; where few have most of them, sampling people does less. \
     Averages over a person's records are bounded less often than single ones, which speaks for `users` beyond the noise.\n";

/// The way that leaves less noise for its work.
pub fn cheaper(found: &SamplingComparison) -> UnitSampling {
    if found.users_are_cheaper() {
        UnitSampling::Users
    } else {
        UnitSampling::Examples
    }
}

/// Both ways, a line each, and which of them leaves less noise.
pub fn table(found: &SamplingComparison, examples_per_unit: u64) -> String {
    let mut text = String::from(
        "unit_sampling  per step on average         sampling rate  noise multiplier  noise of an averaged gradient\n",
    );
    let mut line = |name: UnitSampling, what: String, way: &PricedSampling| {
        let _ = writeln!(
            text,
            "{:13}  {what:26}  {:<13.9}  {:<16.6}  {:.6} of the bound",
            name.to_string(),
            way.sampling_rate,
            way.noise_multiplier,
            way.relative_noise,
        );
    };
    line(
        UnitSampling::Users,
        format!(
            "{} people, <= {examples_per_unit} each",
            round(found.users.batch)
        ),
        &found.users,
    );
    line(
        UnitSampling::Examples,
        format!("{} records", round(found.examples.batch)),
        &found.examples,
    );
    let ratio = found.users.relative_noise / found.examples.relative_noise;
    let _ = writeln!(
        text,
        "cheaper here: {}, with {:.2} times less noise for about the same work",
        cheaper(found),
        ratio.max(1.0 / ratio)
    );
    text
}

fn round(value: f64) -> String {
    format!("{value:.1}").trim_end_matches(".0").to_owned()
}

/// What `dpx plan` says of the stages of a study that train on people; nothing where none does.
///
/// # Errors
/// The data cannot be read, or the settings cannot be priced.
pub fn of_plan(plan: &Plan, decisions: &[Decision], cache: &Cache) -> Result<String, StudyError> {
    let mut populations: BTreeMap<InstanceId, Option<Population>> = BTreeMap::new();
    let mut found: Vec<(Vec<&str>, Question)> = Vec::new();
    for instance in plan.instances.iter().filter(|one| one.kind == Kind::Train) {
        let Some(need) = data_of(plan, instance) else {
            continue;
        };
        let population = match populations.entry(need) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => *new.insert(population(plan, need, decisions, cache)?),
        };
        let Some(question) = population.and_then(|population| question(instance, population))
        else {
            continue;
        };
        match found.iter_mut().find(|(_, known)| *known == question) {
            Some((names, _)) => names.push(instance.name.as_str()),
            None => found.push((vec![instance.name.as_str()], question)),
        }
    }
    let mut text = String::new();
    for (names, question) in found {
        let mut compared = compare_sampling(&question.run, question.epsilon, question.delta)?;
        // The way that the file chose has the noise that it runs with: calibrating it again ends a little beside that.
        match question.chosen {
            UnitSampling::Users => compared.users = question.planned,
            UnitSampling::Examples => compared.examples = question.planned,
        }
        let _ = write!(
            text,
            "\nSampling people or their records, for {} (epsilon {:.4} at delta {:e}, {} steps; {} records of {} people):\n{}",
            names.join(", "),
            question.epsilon,
            question.delta,
            question.run.steps,
            question.run.records,
            question.run.people,
            table(&compared, question.run.examples_per_unit)
        );
        if cheaper(&compared) != question.chosen {
            let _ = writeln!(
                text,
                "the file says `unit_sampling = \"{}\"`",
                question.chosen
            );
        }
    }
    if !text.is_empty() {
        text.push_str(BEYOND_NOISE);
    }
    Ok(text)
}

/// What is compared for a stage.
#[derive(Debug, PartialEq)]
struct Question {
    run: PeopleRun,
    epsilon: f64,
    delta: f64,
    chosen: UnitSampling,
    /// What the stage is going to do.
    planned: PricedSampling,
}

/// Nothing where a stage draws no noise, or records have several owners, so that there is no choice.
fn question(instance: &Instance, population: Population) -> Option<Question> {
    let people = population.people.filter(|people| !people.several_owners)?;
    let params: TrainParams = serde_json::from_value(instance.params.clone()).ok()?;
    let planned = dpx_stages::plan(instance.kind, &instance.stage, &instance.params, population);
    let planned = planned.ok()?;
    let Spending::Noise {
        planned: events, ..
    } = &planned.spending
    else {
        return None;
    };
    let (_, event) = events.iter().find(|(stage, _)| *stage == instance.stage)?;
    let records = population.records?;
    let sampling = planned.sampling?;
    let chosen = params.unit_sampling.unwrap_or_default();
    let of_users = TrainParams {
        unit_sampling: Some(UnitSampling::Users),
        ..params
    };
    let examples_per_unit = of_users.examples_per_unit(people.max_per_unit)?;
    let each = (records as f64 / population.units as f64).min(examples_per_unit as f64);
    let batch_size = match chosen {
        UnitSampling::Users => sampling.expected_batch_size,
        UnitSampling::Examples => (sampling.expected_batch_size / each).round().max(1.0),
    };
    Some(Question {
        run: PeopleRun {
            people: population.units,
            records,
            max_per_unit: people.max_per_unit,
            examples_per_unit,
            batch_size: batch_size as u64,
            steps: sampling.steps,
        },
        epsilon: event.epsilon(planned.delta).ok()?.value(),
        delta: planned.delta,
        chosen,
        planned: PricedSampling::of_event(event, sampling.expected_batch_size)?,
    })
}

/// How large the data of a `preprocess` instance are: as a finished one says, or as they are read; nothing where they would have
/// to be downloaded.
fn population(
    plan: &Plan,
    need: InstanceId,
    decisions: &[Decision],
    cache: &Cache,
) -> Result<Option<Population>, StudyError> {
    let decision = decisions.iter().find(|decision| decision.instance == need);
    if let Some(State::Cached { record, .. }) = decision.map(|decision| &decision.state) {
        let reader = ArtifactReader::new(cache.clone());
        let bytes = reader
            .read(record, SCHEMA_FILE)
            .map_err(StudyError::failed)?;
        let schema: Option<PublicSchema> =
            bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        return Ok(schema.map(|schema| schema.population()));
    }
    let params = preprocess_params(&plan.instances[need])?;
    if !is_local(&params) {
        return Ok(None);
    }
    let dataset = dpx_data::load(&dpx_data::Request::from(&params))
        .map_err(|error| StudyError::refused(error.to_string()))?;
    Ok(Some(dataset.population()))
}
