//! `dpx privacy --plan`: what each row of an experiment file would cost, computed as the stages do.

use super::account::{declared, is_local, not_counted};
use super::experiment::{CacheArgs, ExperimentArgs, build};
use super::spend::{self, Forecast};
use super::state::StateArgs;
use super::{Error, ExitCode, output};

use dpx_accounting::{Claim, ClaimPart, DpEvent};
use dpx_engine::cache::Cache;
use dpx_engine::experiment::Experiment;
use dpx_engine::plan::{Instance, InstanceId, LocalSources, Plan, Seen};
use dpx_schema::params::PreprocessParams;
use dpx_schema::privacy::describe;
use dpx_schema::{Kind, Population};
use dpx_stages::{Spending, plan};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

/// One budget: the mechanisms that share it, at the axes that all its instances have in common.
struct Budget {
    /// Everything that it is calibrated from.
    identity: String,
    axes: BTreeMap<String, Value>,
    epsilon: Value,
    /// Share by stage.
    shares: BTreeMap<String, f64>,
    population: Population,
    spent: Option<Spent>,
}

/// What a budget is spent on.
struct Spent {
    planned: Vec<(String, DpEvent)>,
    claim: Claim,
}

pub(super) fn run(
    file: &Path,
    set: &[String],
    (state, cache): (&StateArgs, &CacheArgs),
    as_json: bool,
) -> Result<ExitCode, Error> {
    let experiment = ExperimentArgs {
        file: file.to_owned(),
        set: set.to_vec(),
    };
    let loaded = experiment.load()?;
    let study = build(&loaded, &Seen)?;
    let budgets = budgets(&study)?;
    let ledger = state.ledger(Some((&loaded, file)))?;
    let ran = ran(&loaded, &cache.cache)?;
    let spend = match &ran {
        Some((plan, cache)) => spend::forecast(&ledger, &loaded, plan, Some(cache))?,
        None => spend::forecast(&ledger, &loaded, &study, None)?,
    };
    let text = if as_json {
        to_json(&budgets, &spend)
    } else {
        format!("{}\n{}", to_text(&budgets), spend.text())
    };
    output::print(text.trim_end())?;
    Ok(ExitCode::Done)
}

/// The plan as its runs know it, with the cache that holds their results; nothing where there is no cache, or where a model or a
/// corpus of the study cannot be told from here: a price is computed without them.
fn ran(experiment: &Experiment, cache: &Path) -> Result<Option<(Plan, Cache)>, Error> {
    if !cache.exists() {
        return Ok(None);
    }
    let plan = dpx_engine::plan::build(experiment, &LocalSources::new(cache)).ok();
    plan.map(|plan| Ok((plan, Cache::at(cache)?))).transpose()
}

fn budgets(study: &Plan) -> Result<Vec<Budget>, Error> {
    let mut counted = BTreeMap::new();
    let mut budgets: Vec<Budget> = Vec::new();
    for instance in &study.instances {
        if !instance.kind.spends() {
            continue;
        }
        let population = population(study, instance, &mut counted)?;
        let shared = &instance.params["budget"];
        let identity = if shared.is_object() {
            format!("{shared} {population:?}")
        } else {
            format!("{} {} {population:?}", instance.stage, instance.params)
        };
        if let Some(known) = budgets.iter_mut().find(|known| known.identity == identity) {
            known
                .axes
                .retain(|name, value| instance.axes.get(name) == Some(value));
            continue;
        }
        let shares = shared["components"].as_object().map_or_else(
            || BTreeMap::from([(instance.stage.clone(), 1.0)]),
            |components| {
                let share = |one: &Value| one["share"].as_f64().unwrap_or_default();
                components
                    .iter()
                    .map(|(name, one)| (name.clone(), share(one)))
                    .collect()
            },
        );
        budgets.push(Budget {
            identity,
            axes: instance.axes.clone(),
            epsilon: instance.params["epsilon"].clone(),
            shares,
            population,
            spent: spent(instance, population)?,
        });
    }
    Ok(budgets)
}

fn spent(instance: &Instance, population: Population) -> Result<Option<Spent>, Error> {
    let found = plan(instance.kind, &instance.stage, &instance.params, population)
        .map_err(|error| Error::usage(format!("`{}`: {error}", instance.name)))?;
    let Spending::Noise { planned, .. } = found.spending else {
        return Ok(None);
    };
    let parts: Vec<ClaimPart> = planned
        .iter()
        .map(|(stage, event)| ClaimPart {
            instance: stage.clone(),
            event: event.clone(),
            adjacency: found.adjacency,
            unit: found.unit.name().to_owned(),
        })
        .collect();
    let claim = Claim::compose(&parts, found.delta, found.adjacency, found.unit.name())?;
    Ok(Some(Spent { planned, claim }))
}

/// How large the data set is that an instance reads.
fn population(
    plan: &Plan,
    instance: &Instance,
    counted: &mut BTreeMap<InstanceId, Population>,
) -> Result<Population, Error> {
    let need = instance
        .needs
        .iter()
        .map(|need| need.instance)
        .find(|&need| plan.instances[need].kind == Kind::Preprocess)
        .ok_or_else(|| Error::usage(format!("`{}` reads no data", instance.name)))?;
    if let Some(&population) = counted.get(&need) {
        return Ok(population);
    }
    let preprocess = &plan.instances[need];
    let params: PreprocessParams = serde_json::from_value(preprocess.params.clone())
        .map_err(|error| Error::usage(format!("`{}`: {error}", preprocess.name)))?;
    let found =
        count(&params).map_err(|error| not_counted(&params.dataset, &preprocess.stage, &error))?;
    counted.insert(need, found);
    Ok(found)
}

/// The data of a `preprocess` instance, read from this machine or the Hub's cache.
pub(super) fn dataset(preprocess: &Instance) -> Result<dpx_data::Dataset, Error> {
    let params: PreprocessParams = serde_json::from_value(preprocess.params.clone())
        .map_err(|error| Error::usage(format!("`{}`: {error}", preprocess.name)))?;
    dpx_data::load(&dpx_data::Request::from(&params))
        .map_err(|error| Error::usage(error.to_string()))
}

/// Counts what is on this machine; what stands on the Hub counts as declared, and is read only where nothing is declared.
fn count(params: &PreprocessParams) -> Result<Population, dpx_data::DataError> {
    let declared = declared(params);
    if let (false, Some(declared)) = (is_local(params), declared) {
        return Ok(declared);
    }
    let found = dpx_data::load(&dpx_data::Request::from(params));
    match (found, declared) {
        (Ok(dataset), _) => Ok(dataset.population()),
        (Err(_), Some(declared)) => Ok(declared),
        (Err(error), None) => Err(error),
    }
}

/// `120 people with at most 16 records each`.
fn size(population: Population) -> String {
    match population.people {
        None => format!("{} examples", population.units),
        Some(people) => format!(
            "{} with at most {} records each",
            population.unit().counted(population.units),
            people.max_per_unit
        ),
    }
}

fn name(budget: &Budget) -> String {
    let axes: Vec<String> = budget
        .axes
        .iter()
        .map(|(name, value)| {
            let text = value.as_str().map(str::to_owned);
            format!("{name}={}", text.unwrap_or_else(|| value.to_string()))
        })
        .collect();
    if axes.is_empty() {
        "every row".to_owned()
    } else {
        axes.join(",")
    }
}

fn to_text(budgets: &[Budget]) -> String {
    let mut text = String::new();
    let mut groups = BTreeSet::new();
    for budget in budgets {
        let stages: Vec<&str> = budget.shares.keys().map(String::as_str).collect();
        let stages = stages.join(", ");
        let Some(spent) = &budget.spent else {
            let what = if budget.epsilon.as_f64() == Some(0.0) {
                "nothing is learned from the data"
            } else {
                "no guarantee"
            };
            let _ = writeln!(text, "{}: {what} ({stages})", name(budget));
            continue;
        };
        groups.insert(stages);
        let _ = writeln!(
            text,
            "{}: {:#.4} (certified upper bound, {}), {}",
            name(budget),
            spent.claim,
            spent.claim.certified().accountant,
            size(budget.population)
        );
        let total: f64 = budget.shares.values().sum();
        let width = spent.planned.iter().map(|(stage, _)| stage.len()).max();
        for (stage, event) in &spent.planned {
            let _ = writeln!(
                text,
                "  {stage:width$}  share {:.4}  {}",
                budget.shares.get(stage).copied().unwrap_or_default() / total,
                describe(event),
                width = width.unwrap_or_default(),
            );
        }
    }
    if budgets.is_empty() {
        text.push_str("no stage reads private data under a budget\n");
    }
    if groups.len() > 1 {
        text.push_str(
            "Stages outside one `[privacy] split` have budgets of their own: a row that uses several costs more than each.\n",
        );
    }
    text
}

fn to_json(budgets: &[Budget], spend: &Forecast) -> String {
    let rows: Vec<Value> = budgets
        .iter()
        .map(|budget| {
            let mechanisms = |spent: &Spent| -> Vec<Value> {
                spent
                    .planned
                    .iter()
                    .map(|(stage, event)| {
                        json!({
                            "stage": stage,
                            "share": budget.shares.get(stage),
                            "event": event,
                        })
                    })
                    .collect()
            };
            json!({
                "axes": budget.axes,
                "epsilon": budget.epsilon,
                "examples": budget.population.units,
                "unit": budget.population.unit(),
                "max_per_unit": budget.population.people.map(|people| people.max_per_unit),
                "stages": budget.shares.keys().collect::<Vec<_>>(),
                "mechanisms": budget.spent.as_ref().map(mechanisms),
                "delta": budget.spent.as_ref().map(|spent| spent.claim.delta()),
                "epsilon_certified": budget.spent.as_ref().map(|spent| spent.claim.epsilon()),
                "accountant": budget.spent.as_ref().map(|spent| json!(spent.claim.certified().accountant)),
            })
        })
        .collect();
    json!({"version": 1, "rows": rows, "people": spend.json()}).to_string()
}
