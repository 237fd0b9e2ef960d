//! `dpx check`: every mistake of an experiment file.

use super::experiment::{CacheArgs, ExperimentArgs};
use super::families::{self, LocalModels};
use super::model_memory;
use super::readings::Readings;
use super::{Error, ExitCode, output};
use dpx_data::Source;
use dpx_data::own_data::{self, Problem, told};
use dpx_engine::cache::Cache;
use dpx_engine::experiment::{self, Loaded, Severity};
use dpx_engine::plan::{self, Instance, InstanceId, Plan, decide};
use dpx_engine::run::View;
use dpx_report::account::{is_local, preprocess_params};
use dpx_schema::Kind;
use dpx_schema::params::PreprocessParams;
use dpx_stages::plan as plan_stage;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

/// Check an experiment file: every mistake at once, nothing runs, no network.
///
/// Models in folders are refused where dpx cannot compute their `config.json`, and where training that is not cached does not fit
/// into memory; those on the Hub by `dpx plan`, before any weights are downloaded.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    experiment: ExperimentArgs,
    #[command(flatten)]
    cache: CacheArgs,
    /// Look at the data as well: columns, labels, lengths, and everything that is wrong with them
    #[arg(long)]
    data: bool,
    /// Print the diagnostics as one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let mut loaded = experiment::load(&args.experiment.file, &args.experiment.set);
    let built = loaded
        .experiment
        .as_ref()
        .map(|experiment| plan::build(experiment, &LocalModels));
    let (mut memory, mut fits, mut uses) = (Vec::new(), Ok(()), Ok(()));
    match built {
        Some(Ok(plan)) => {
            uses = families::uses(&plan, false, || Ok(families::all(&plan)));
            if let Some(experiment) = &loaded.experiment {
                let place = model_memory::place((experiment, &plan), &[], None);
                fits = model_memory::refuse(&plan, &place, false, || {
                    Ok(waiting(experiment, &plan, &args.cache.cache))
                });
                memory = model_memory::lines(&plan, &place, false);
            }
        }
        Some(Err(diagnostics)) => {
            loaded.diagnostics.extend(diagnostics);
            loaded.experiment = None;
        }
        None => {}
    }
    let data = match (&loaded.experiment, args.data) {
        (Some(experiment), true) => of_data(experiment)?,
        _ => Vec::new(),
    };
    if args.json {
        output::print(&to_json(&loaded, &data))?;
    } else if !loaded.diagnostics.is_empty() {
        output::note(&experiment::render(&loaded.diagnostics, &loaded.files));
    }
    let Some(experiment) = &loaded.experiment else {
        return Ok(ExitCode::Usage);
    };
    fits?;
    uses?;
    for (stage, problems) in data
        .iter()
        .filter(|(_, problems)| !args.json && !problems.is_empty())
    {
        output::note(&format!("data of `{stage}`:\n{}", told(problems)));
    }
    let wrong = data
        .iter()
        .flat_map(|(_, problems)| problems)
        .any(|problem| problem.severity == own_data::Severity::Error);
    if wrong {
        return Ok(ExitCode::Usage);
    }
    if !args.json {
        let rows: usize = experiment
            .axes
            .iter()
            .map(|axis| axis.nodes.len())
            .product();
        let plural = |count: usize, word: &str| match count {
            1 => format!("1 {word}"),
            _ => format!("{count} {word}s"),
        };
        output::print(&format!(
            "{}: {}, {} of the sweep",
            args.experiment.file.display(),
            plural(experiment.stages.len(), "stage"),
            plural(rows, "row"),
        ))?;
        for chosen in &experiment.chosen {
            output::print(&format!("chosen: {chosen}"))?;
        }
        for line in memory {
            output::print(&format!("memory, estimated: {line}"))?;
        }
    }
    Ok(ExitCode::Done)
}

/// The instances that are not cached, as far as can be told without network: all, where it cannot.
fn waiting(experiment: &experiment::Experiment, plan: &Plan, cache: &Path) -> BTreeSet<InstanceId> {
    let mut waiting: BTreeSet<InstanceId> = (0..plan.instances.len()).collect();
    let keyed = plan::build(experiment, &Readings::offline(cache));
    if let (Ok(keyed), Ok(cache)) = (keyed, Cache::at(cache)) {
        let decisions = decide(&keyed, &View::new(cache), &BTreeSet::new());
        let still = super::plan::waiting(&decisions);
        let cached: BTreeSet<_> = (0..keyed.instances.len())
            .filter(|id| !still.contains(id))
            .map(|id| &keyed.instances[id].name)
            .collect();
        waiting.retain(|id| !cached.contains(&plan.instances[*id].name));
    }
    waiting
}

/// What is wrong with the data of each `preprocess` instance that lie on this machine.
fn of_data(experiment: &experiment::Experiment) -> Result<Vec<(String, Vec<Problem>)>, Error> {
    let plan = super::experiment::build(experiment, &LocalModels)?;
    let mut found = Vec::new();
    for instance in plan
        .instances
        .iter()
        .filter(|one| one.kind == Kind::Preprocess)
    {
        let params = preprocess_params(instance)?;
        let mut problems = Vec::new();
        // Several columns of labels, one label for all, and files that are written in an unusual way are
        // looked at by reading them.
        let usual =
            params.quoting.is_none() && params.escape.is_none() && params.delimiter.is_none();
        let plain = params.labels.attributes().is_empty()
            && (params.label_column.is_empty() || params.labels.labels().len() != 1)
            && usual;
        if plain && matches!(Source::parse(&params.dataset), Source::Path(_)) {
            let look = own_data::look(
                &params.dataset,
                own_data::Asked {
                    text: Some(&params.text_column),
                    messages: params.messages.as_deref(),
                    label: Some(&params.label_column),
                    unit: params.unit_column.as_deref(),
                    by_key: true,
                },
                &params.roles,
            )?;
            problems = look.problems;
        }
        // What the stages themselves would say, of labels that are not declared for instance.
        if is_local(&params) {
            let told = refusals(&plan, instance, &params);
            problems.splice(0..0, told);
        }
        found.push((instance.name.to_string(), problems));
    }
    Ok(found)
}

/// Why `preprocess` would refuse its data, or a private stage what came of them; and what of their labels is to be looked at.
fn refusals(plan: &Plan, instance: &Instance, params: &PreprocessParams) -> Vec<Problem> {
    let dataset = match dpx_data::load(&dpx_data::Request::from(params)) {
        Ok(dataset) => dataset,
        Err(error) => return vec![Problem::error(error.to_string())],
    };
    let population = dataset.population();
    let mut told: BTreeSet<String> = params
        .check_examples(population)
        .err()
        .into_iter()
        .collect();
    for private in &plan.instances {
        let mut reads = private
            .needs
            .iter()
            .map(|need| &plan.instances[need.instance].name);
        if private.kind.spends()
            && reads.any(|name| *name == instance.name)
            && let Err(error) =
                plan_stage(private.kind, &private.stage, &private.params, population)
        {
            told.insert(format!("{}: {error}", private.stage));
        }
    }
    let mut problems: Vec<Problem> = told.into_iter().map(Problem::error).collect();
    if let Some(count) = dataset.findings.labels_by.get("index") {
        problems.push(Problem::warning(format!(
            "{count} labels are numbers, understood as places in `labels`, counted from 0"
        )));
    }
    problems
}

/// The diagnostics as `dpx check --json` prints them.
fn to_json(loaded: &Loaded, data: &[(String, Vec<Problem>)]) -> String {
    let errors = loaded
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .count();
    let diagnostics: Vec<_> = loaded
        .diagnostics
        .iter()
        .map(|diagnostic| diagnostic.to_json(&loaded.files))
        .collect();
    json!({
        "version": 1,
        "errors": errors,
        "warnings": loaded.diagnostics.len() - errors,
        "diagnostics": diagnostics,
        "data": data
            .iter()
            .map(|(stage, problems)| {
                let problems = problems.iter().map(|problem| {
                    let severity = match problem.severity {
                        own_data::Severity::Error => "error",
                        own_data::Severity::Warning => "warning",
                    };
                    json!({"severity": severity, "text": problem.text})
                });
                json!({"stage": stage, "problems": problems.collect::<Vec<_>>()})
            })
            .collect::<Vec<_>>(),
    })
    .to_string()
}
