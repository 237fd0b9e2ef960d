//! `dpx plan --advice`: what the settings of an experiment amount to, and what others would, before anything is spent.

use super::StudyError;
use super::account::dataset;
use dpx_accounting::{FEWEST_STEPS, noise_of_mean, noise_to_batch};
use dpx_data::own_data::RARE;
use dpx_engine::clock::duration;
use dpx_engine::experiment::Experiment;
use dpx_engine::plan::{Decision, Instance, Plan};
use dpx_schema::{Kind, Population, Unit, counted, listed};
use dpx_stages::{Spending, plan as plan_stage};
use serde_json::Value;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Fewer synthetic texts teach a classifier less than they could.
const FEWEST_TEXTS: u64 = 2_000;

/// Tables of what other batches would cost for each training, then advice on the study; text for a terminal.
///
/// # Errors
/// The data cannot be read, or are so few that no delta is private.
pub fn advice(
    experiment: &Experiment,
    plan: &Plan,
    decisions: &[Decision],
) -> Result<String, StudyError> {
    let mut text = String::new();
    let mut data: BTreeMap<usize, (Population, Vec<String>)> = BTreeMap::new();
    let mut told = Vec::new();
    for (id, instance) in plan.instances.iter().enumerate() {
        if instance.kind != Kind::Train || told.contains(&&instance.params) {
            continue;
        }
        told.push(&instance.params);
        let mut needs = instance.needs.iter().map(|need| need.instance);
        let Some(need) = needs.find(|&need| plan.instances[need].kind == Kind::Preprocess) else {
            continue;
        };
        let population = match data.entry(need) {
            Entry::Occupied(known) => known.get().0,
            Entry::Vacant(place) => place.insert(counts(&plan.instances[need])?).0,
        };
        text.push_str(&of_training(instance, population, decisions[id].estimate));
    }
    let mut lines = Vec::new();
    for (need, (population, rare)) in &data {
        let name = &plan.instances[*need].name;
        lines.push(format!(
            "`{name}` has {}; delta is auto {}",
            sized(population, "training text"),
            dpx_accounting::DeltaBound::new(dpx_accounting::default_delta(population.units))?
        ));
        if !rare.is_empty() {
            lines.push(format!(
                "{} labels have fewer than {RARE} {} ({}): they are hardly learned under privacy, join them",
                rare.len(),
                match population.unit() {
                    Unit::Example => "training texts",
                    Unit::User => "people with training texts",
                },
                listed(rare, 5)
            ));
        }
    }
    lines.extend(general(experiment, plan));
    if !lines.is_empty() {
        let _ = writeln!(text, "Advice (docs/choosing.md says why):");
        for line in lines {
            let _ = writeln!(text, "  - {line}");
        }
    }
    Ok(text)
}

/// `1200 texts`, or `300 people with 1200 texts`.
fn sized(population: &Population, text: &str) -> String {
    let records = counted(population.records.unwrap_or(population.units), text);
    match population.unit() {
        Unit::Example => records,
        Unit::User => format!("{} with {records}", Unit::User.counted(population.units)),
    }
}

/// How large the training data are, and labels with few of them: exact counts, private.
fn counts(instance: &Instance) -> Result<(Population, Vec<String>), StudyError> {
    let found = dataset(instance)?;
    let mut by_label: BTreeMap<&str, usize> = found
        .labels
        .iter()
        .map(|label| (label.as_str(), 0))
        .collect();
    let mut seen = BTreeSet::new();
    for row in &found.train {
        // Where people are protected, each counts once.
        let new = row
            .owners
            .iter()
            .filter(|owner| seen.insert((&row.label, **owner)));
        let units = if found.people.is_some() {
            new.count()
        } else {
            1
        };
        *by_label.entry(&row.label).or_default() += units;
    }
    let rare = by_label.into_iter().filter(|(_, count)| *count < RARE);
    Ok((
        found.population(),
        rare.map(|(label, _)| label.to_owned()).collect(),
    ))
}

/// Noise over batch for half, once, twice and four times the batch, at the same number of passes.
fn of_training(instance: &Instance, population: Population, estimate: Option<f64>) -> String {
    let Some(epsilon) = instance.params["epsilon"]
        .as_f64()
        .filter(|epsilon| *epsilon > 0.0)
    else {
        return String::new();
    };
    let Some(own) = instance.params["batch_size"].as_u64() else {
        return String::new();
    };
    let mut text = format!(
        "{}: epsilon {epsilon}, {}",
        instance.name,
        sized(&population, "text")
    );
    match estimate {
        Some(seconds) => {
            let _ = writeln!(
                text,
                ", {} as an earlier record took{}",
                duration(seconds),
                hour(&instance.params, seconds)
            );
        }
        None => text.push_str(", time not known: no record of the same work\n"),
    }
    let _ = writeln!(
        text,
        "  {:>6}  {:>6}  {:>16}  {:>11}  {:>12}",
        "batch", "steps", "noise multiplier", "noise/batch", "of all steps"
    );
    for batch in [own / 2, own, own * 2, own * 4] {
        if batch == 0 {
            continue;
        }
        let mut params = instance.params.clone();
        params["batch_size"] = Value::from(batch);
        let planned = match plan_stage(instance.kind, &instance.stage, &params, population) {
            Ok(planned) => planned,
            // Other batches may ask for what there is not; the file's own has to be had.
            Err(error) if batch == own => return format!("{text}  cannot run: {error}\n\n"),
            Err(_) => continue,
        };
        let (
            Some(sampling),
            Spending::Noise {
                noise_multiplier, ..
            },
        ) = (&planned.sampling, &planned.spending)
        else {
            continue;
        };
        // More than there is to sample: people, or records.
        if batch > sampling.examples {
            continue;
        }
        let note = match (batch == own, sampling.steps < FEWEST_STEPS) {
            (true, true) => {
                format!("  as written; fewer than {FEWEST_STEPS} steps: more epochs help")
            }
            (true, false) => "  as written".to_owned(),
            (false, true) => format!("  fewer than {FEWEST_STEPS} steps: with more epochs"),
            (false, false) => String::new(),
        };
        let _ = writeln!(
            text,
            "  {batch:>6}  {:>6}  {noise_multiplier:>16.3}  {:>11.5}  {:>12.6}{note}",
            sampling.steps,
            noise_to_batch(*noise_multiplier, sampling.expected_batch_size),
            noise_of_mean(
                *noise_multiplier,
                sampling.expected_batch_size,
                sampling.steps
            )
        );
    }
    text.push_str("  The less noise for its batch the better (McKenna et al. 2025); each line reads as many texts and takes about as long.\n");
    text.push_str("  `batch_size = \"auto\"` takes the batch from which twice as much would lower the noise of the mean over all steps by less than a twentieth.\n\n");
    text
}

/// The passes that an hour fits, by the time that some took: work is stated in passes, since a time is another number on each machine.
fn hour(params: &Value, seconds: f64) -> String {
    let epochs = params["epochs"].as_f64();
    match epochs.filter(|_| params["sampling_rate"].is_null() && seconds >= 1.0) {
        Some(epochs) => {
            let fits = epochs * 3600.0 / seconds;
            format!(
                "; an hour fits `epochs = {}`",
                (fits * 100.0).floor() / 100.0
            )
        }
        None => String::new(),
    }
}

/// What the file lacks, whatever its data.
fn general(experiment: &Experiment, plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    let epsilons: Vec<Value> = experiment
        .axes
        .iter()
        .find(|axis| axis.name == "epsilon")
        .map(dpx_engine::experiment::SweepAxis::values)
        .unwrap_or_default();
    if !epsilons.is_empty() {
        if !epsilons.iter().any(|value| value.as_f64() == Some(0.0)) {
            lines.push("add 0 to `sweep.epsilon`: what the base model does for nothing is what privacy has to be better than".to_owned());
        }
        if !epsilons.iter().any(|value| value == "inf") {
            lines.push("add \"inf\" to `sweep.epsilon`: the most that the model can do".to_owned());
        }
    }
    if !experiment.axes.iter().any(|axis| axis.name == "replicate") {
        lines.push("one run of each row: `sweep.replicate = [1, 2, 3]` gives error bars, and verdicts of `dpx compare`, at three times the cost".to_owned());
    }
    if experiment.privacy.selection.is_empty() && epsilons.len() > 1 {
        lines.push("name the row that you will release in `[privacy] selection`: choosing it after its figures are seen costs privacy".to_owned());
    }
    let few = plan.instances.iter().find(|one| {
        one.kind == Kind::Sample
            && one.params["count"]
                .as_u64()
                .is_some_and(|count| count < FEWEST_TEXTS)
    });
    if let Some(few) = few {
        lines.push(format!(
            "`{}` writes {} texts: more cost time, and no privacy",
            few.stage, few.params["count"]
        ));
    }
    lines.push("`dpx rehearse FILE` runs the same study on public texts first".to_owned());
    lines
}
