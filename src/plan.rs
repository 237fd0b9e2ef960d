//! `dpx plan`: what would run, and why.

use super::experiment::{CacheArgs, ExperimentArgs, build};
use super::families::{self, Understood};
use super::model_memory;
use super::readings::Readings;
use super::state::StateArgs;
use super::{Error, ExitCode, output};
use dpx_engine::cache::Cache;
use dpx_engine::clock::duration;
use dpx_engine::experiment::Experiment;
use dpx_engine::plan::{
    Cause, Decision, InstanceId, Plan, Reason, State, Summary, causes, decide, summary, times,
};
use dpx_engine::run::View;
use dpx_report::spend::{self, Forecast};
use dpx_report::unit_sampling::of_plan;
use dpx_schema::Unit;
use dpx_stages::memory::Place;
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Longest list of names printed in full.
const MOST_NAMES: usize = 3;

/// Say what would run and why, without running anything.
///
/// Every instance is in one of three states: cached; will run, with the reason against the nearest earlier record of its
/// stage; or re-runs if an input changes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    experiment: ExperimentArgs,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    state: StateArgs,
    /// Plan as if this stage or instance were forced to run
    #[arg(long, value_name = "STAGE")]
    force: Vec<String>,
    /// Say what the settings amount to, and what others would: noise over batch, steps, sizes, rare labels; reads the data
    #[arg(long, conflicts_with = "json")]
    advice: bool,
    /// Print the plan as one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let experiment = args.experiment.load()?;
    let plan = build(
        &experiment,
        &Understood::new(Readings::new(&args.cache.cache)),
    )?;
    let cache = Cache::at(&args.cache.cache)?;
    let forced = forced(&plan, &args.force)?;
    let decisions = decide(&plan, &View::new(cache.clone()), &forced);
    if args.advice {
        let advice = dpx_report::plan_advice::advice(&experiment, &plan, &decisions)?;
        output::print_wrapped(advice.trim_end())?;
        return Ok(ExitCode::Done);
    }
    let place = model_memory::place((&experiment, &plan), &[], None);
    model_memory::refuse(&plan, &place, true, || Ok(waiting(&decisions)))?;
    families::uses(&plan, true, || Ok(families::all(&plan)))?;
    let causes = causes(&plan, &decisions);
    let summary = summary(&decisions);
    // Who the people are is found in the data: only a study with a budget is worth reading them for a plan.
    let spend = if experiment.privacy.budget.is_none() {
        None
    } else {
        let ledger = args
            .state
            .ledger(Some((&experiment, &args.experiment.file)))?;
        Some(spend::forecast(&ledger, &experiment, &plan, Some(&cache))?)
    };
    let text = if args.json {
        to_json(
            (&experiment, &plan),
            (&decisions, &causes),
            &summary,
            &model_memory::lines(&plan, &place, true),
            spend.as_ref(),
        )
    } else {
        let spend = spend.map_or_else(String::new, |spend| format!("\n{}", spend.text()));
        let people = match experiment.privacy.unit {
            Unit::Example => String::new(),
            Unit::User => of_plan(&plan, &decisions, &cache)?,
        };
        to_text(&plan, &decisions, &causes, &summary)
            + &chosen_text(&experiment)
            + &memory_text(&plan, &place)
            + &people
            + &spend
    };
    if args.json {
        output::print(text.trim_end())?;
    } else {
        output::print_wrapped(text.trim_end())?;
    }
    Ok(ExitCode::Done)
}

/// Numbers that the file leaves to dpx.
fn chosen_text(experiment: &Experiment) -> String {
    let mut text = String::new();
    for chosen in &experiment.chosen {
        let _ = write!(text, "\nChosen: {chosen} (docs/choosing.md)\n");
    }
    text
}

/// What training is going to take of memory, where that is much.
fn memory_text(plan: &Plan, place: &Place) -> String {
    let lines = model_memory::lines(plan, place, true);
    if lines.is_empty() {
        return String::new();
    }
    format!("\nMemory, estimated:\n  {}\n", lines.join("\n  "))
}

/// The instances that may have to run.
pub(crate) fn waiting(decisions: &[Decision]) -> BTreeSet<InstanceId> {
    let waiting = decisions.iter().filter(|one| !one.state.is_cached());
    waiting.map(|one| one.instance).collect()
}

fn forced(plan: &Plan, names: &[String]) -> Result<BTreeSet<InstanceId>, Error> {
    let mut forced = BTreeSet::new();
    for name in names {
        let found = plan.matching(name);
        if found.is_empty() {
            let known: BTreeSet<&str> = plan
                .instances
                .iter()
                .flat_map(|instance| [instance.stage.as_str(), instance.name.as_str()])
                .collect();
            let error = Error::usage(format!("there is no stage or instance `{name}`"));
            return Err(match dpx_engine::experiment::did_you_mean(name, known) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error,
            });
        }
        forced.extend(found);
    }
    Ok(forced)
}

fn to_text(plan: &Plan, decisions: &[Decision], causes: &[Cause], summary: &Summary) -> String {
    let mut text = String::new();
    let width = plan
        .instances
        .iter()
        .map(|instance| instance.name.chars().count())
        .max()
        .unwrap_or(0);
    for decision in decisions {
        let instance = &plan.instances[decision.instance];
        let (state, note) = match &decision.state {
            State::Cached { record, .. } => ("cached", took(record.wall_seconds)),
            State::Run { reasons } => {
                let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                ("run", reasons.join("; "))
            }
            State::OnlyIf { changed } => (
                "only if",
                format!("re-runs if the output of {} changes", names(plan, changed)),
            ),
        };
        let _ = writeln!(text, "{:width$}  {state:7}  {note}", instance.name);
    }
    if !causes.is_empty() {
        let _ = writeln!(text, "\nWhy:");
    }
    let new: Vec<String> = causes
        .iter()
        .filter(|cause| cause.reason == Reason::New)
        .map(|cause| match cause.instances.len() {
            1 => format!("`{}`", cause.stage),
            count => format!("`{}` ({count})", cause.stage),
        })
        .collect();
    if !new.is_empty() {
        let _ = writeln!(text, "  never ran before: {}", new.join(", "));
    }
    for cause in causes.iter().filter(|cause| cause.reason != Reason::New) {
        let reason = match &cause.reason {
            Reason::NewRow { .. } => "new rows of the sweep".to_owned(),
            reason => reason.to_string(),
        };
        let _ = write!(
            text,
            "  `{}`: {reason}\n      {}",
            cause.stage,
            names(plan, &cause.instances)
        );
        let _ = writeln!(
            text,
            "{}",
            dependents(cause.instances.len(), cause.dragged.len())
        );
    }
    text.push_str(&stage_times(plan, decisions));
    let _ = writeln!(
        text,
        "\n{}: {} cached, {} to run, {} to re-run if an input changes{}",
        plan.experiment,
        summary.cached,
        summary.run,
        summary.only_if,
        estimate(summary)
    );
    text
}

/// The instances that depend on those just named.
fn dependents(named: usize, count: usize) -> String {
    let on = if named == 1 { "it" } else { "them" };
    match count {
        0 => String::new(),
        1 => format!(", and 1 instance that depends on {on}"),
        count => format!(", and {count} instances that depend on {on}"),
    }
}

/// What each stage is going to take, where earlier records of this cache tell of one.
fn stage_times(plan: &Plan, decisions: &[Decision]) -> String {
    let times = times(plan, decisions);
    if times.iter().all(|time| time.known == 0) {
        return String::new();
    }
    let width = times.iter().map(|time| time.stage.chars().count()).max();
    let width = width.unwrap_or(0);
    let mut text =
        "\nTime by stage, as earlier records of the same model, sizes and data took:\n".to_owned();
    for time in times {
        let mut told = if time.known == 0 {
            "no record of the same model, sizes and data".to_owned()
        } else {
            let each = time.seconds / time.known as f64;
            let total = duration(time.seconds);
            match time.known {
                1 => total,
                known => format!("{total}  ({known} of {} each)", duration(each)),
            }
        };
        if time.known > 0 && time.known < time.waiting {
            let _ = write!(told, ", and {} that never ran", time.waiting - time.known);
        }
        let _ = writeln!(text, "  {:width$}  {told}", time.stage);
    }
    text
}

fn names(plan: &Plan, ids: &[InstanceId]) -> String {
    let mut list: Vec<String> = ids
        .iter()
        .take(MOST_NAMES)
        .map(|id| format!("`{}`", plan.instances[*id].name))
        .collect();
    if ids.len() > MOST_NAMES {
        list.push(format!("{} more", ids.len() - MOST_NAMES));
    }
    list.join(", ")
}

fn took(seconds: f64) -> String {
    format!("took {}", duration(seconds))
}

/// `; about 3m 20s`, from what earlier instances of the same stages took.
fn estimate(summary: &Summary) -> String {
    let waiting = summary.run + summary.only_if;
    if waiting == 0 || summary.unknown == waiting {
        return String::new();
    }
    let mut text = format!(
        "; at most about {} one after the other",
        duration(summary.seconds)
    );
    if summary.unknown > 0 {
        let _ = write!(text, ", and {} that never ran before", summary.unknown);
    }
    text
}

fn to_json(
    (experiment, plan): (&Experiment, &Plan),
    (decisions, causes): (&[Decision], &[Cause]),
    summary: &Summary,
    memory: &[String],
    spend: Option<&Forecast>,
) -> String {
    let name = |id: &InstanceId| plan.instances[*id].name.as_str();
    let instances: Vec<_> = decisions
        .iter()
        .map(|decision| {
            let instance = &plan.instances[decision.instance];
            let (state, reasons, changed) = match &decision.state {
                State::Cached { .. } => ("cached", Vec::new(), Vec::new()),
                State::Run { reasons } => ("run", reasons.clone(), Vec::new()),
                State::OnlyIf { changed } => {
                    ("only-if", Vec::new(), changed.iter().map(name).collect())
                }
            };
            json!({
                "name": instance.name,
                "stage": instance.stage,
                "kind": instance.kind,
                "axes": instance.axes,
                "needs": instance.needs.iter().map(|need| name(&need.instance)).collect::<Vec<_>>(),
                "flow": instance.flow,
                "params": instance.params,
                "state": state,
                "key": decision.key,
                "reasons": reasons,
                "changed": changed,
                "earlier_seconds": decision.estimate,
            })
        })
        .collect();
    let causes: Vec<_> = causes
        .iter()
        .map(|cause| {
            json!({
                "stage": cause.stage,
                "reason": cause.reason,
                "text": cause.reason.to_string(),
                "instances": cause.instances.iter().map(name).collect::<Vec<_>>(),
                "dragged": cause.dragged.iter().map(name).collect::<Vec<_>>(),
            })
        })
        .collect();
    let stages: Vec<_> = times(plan, decisions)
        .iter()
        .map(|time| {
            json!({
                "stage": time.stage,
                "waiting": time.waiting,
                "known": time.known,
                "seconds": time.seconds,
            })
        })
        .collect();
    json!({
        "version": 1,
        "experiment": plan.experiment,
        "instances": instances,
        "causes": causes,
        "times": stages,
        "chosen": experiment.chosen.iter().map(|chosen| json!({
            "stage": chosen.stage,
            "key": "batch_size",
            "value": chosen.choice.batch_size,
            "steps": chosen.choice.steps,
            "bound": chosen.choice.bound,
            "doubling_leaves": chosen.choice.doubling_leaves,
            "epsilon": chosen.epsilon,
            "part": chosen.part,
            "question": chosen.question,
        })).collect::<Vec<_>>(),
        "memory": memory,
        "people": spend.map(Forecast::json),
        "summary": {
            "cached": summary.cached,
            "run": summary.run,
            "only_if": summary.only_if,
            "seconds": summary.seconds,
            "never_ran": summary.unknown,
        },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::dependents;

    #[test]
    fn what_depends_on_several_depends_on_them() {
        assert_eq!(dependents(3, 0), "");
        assert_eq!(dependents(1, 1), ", and 1 instance that depends on it");
        assert_eq!(dependents(3, 9), ", and 9 instances that depend on them");
    }
}
