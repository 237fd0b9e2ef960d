//! What each row of an experiment file would cost, computed as the stages do: `dpx privacy --plan`.

use super::StudyError;
use super::account::{declared, is_local, not_counted};
use super::spend::Forecast;
use dpx_accounting::{Claim, ClaimPart, DpEvent};
use dpx_engine::plan::{Instance, InstanceId, Plan};
use dpx_schema::params::PreprocessParams;
use dpx_schema::privacy::describe;
use dpx_schema::{Kind, Population};
use dpx_stages::{Spending, plan};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// One budget: the mechanisms that share it, at the axes that all its instances have in common.
pub struct Budget {
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

/// The budgets of a plan, in the order in which its stages first spend them.
///
/// # Errors
/// The data of a stage cannot be counted, or its settings cannot be priced.
pub fn budgets(study: &Plan) -> Result<Vec<Budget>, StudyError> {
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

fn spent(instance: &Instance, population: Population) -> Result<Option<Spent>, StudyError> {
    let found = plan(instance.kind, &instance.stage, &instance.params, population)
        .map_err(|error| StudyError::refused(format!("`{}`: {error}", instance.name)))?;
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
) -> Result<Population, StudyError> {
    let need = instance
        .needs
        .iter()
        .map(|need| need.instance)
        .find(|&need| plan.instances[need].kind == Kind::Preprocess)
        .ok_or_else(|| StudyError::refused(format!("`{}` reads no data", instance.name)))?;
    if let Some(&population) = counted.get(&need) {
        return Ok(population);
    }
    let preprocess = &plan.instances[need];
    let params: PreprocessParams = serde_json::from_value(preprocess.params.clone())
        .map_err(|error| StudyError::refused(format!("`{}`: {error}", preprocess.name)))?;
    let found =
        count(&params).map_err(|error| not_counted(&params.dataset, &preprocess.stage, &error))?;
    counted.insert(need, found);
    Ok(found)
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

/// The budgets with their claims and what each stage takes of them, for a terminal.
pub fn to_text(budgets: &[Budget]) -> String {
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

/// The same for programs, with what the rows would spend of the people behind the data.
pub fn to_json(budgets: &[Budget], spend: &Forecast) -> String {
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
