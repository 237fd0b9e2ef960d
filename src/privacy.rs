//! `dpx privacy`: a calculator for DP-SGD: noise from epsilon, epsilon from noise, curves, groups.

use super::experiment::{CacheArgs, ExperimentArgs, build};
use super::readings::Readings;
use super::{Error, ExitCode, output};
use dpx_accounting::{
    AccountantError, Certified, DpEvent, EpsilonBound, PeopleRun, Sampling, SamplingPlan,
    calibration, compare_sampling, default_delta, sampling_plan,
};
use dpx_engine::cache::Cache;
use dpx_engine::experiment::Experiment;
use dpx_engine::plan::{Plan, Seen};
use dpx_report::{planned_budgets, spend, unit_sampling};
use serde_json::json;
use std::fmt::Write;
use std::path::Path;

/// Calculate what DP-SGD costs, or which noise a budget needs.
///
/// Give --epsilon for the noise multiplier, or --noise-multiplier for epsilon; the sampling either as --examples,
/// --batch-size and --epochs, or as --sampling-rate and --steps.
///
/// With --people, --records and --max-per-unit it compares the two ways to protect people who have several records: a coin for
/// each person, or a coin for each record with the person accounted as a group.
///
/// For example: dpx privacy --epsilon 3 --delta 1e-5 --examples 16000 --batch-size 256 --epochs 3
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("size").args(["examples", "people"]))]
pub(crate) struct Args {
    /// Target epsilon: prints the smallest noise multiplier that meets it.
    #[arg(
        long,
        conflicts_with = "noise_multiplier",
        required_unless_present_any = ["noise_multiplier", "plan"],
        allow_negative_numbers = true
    )]
    epsilon: Option<f64>,
    /// Standard deviation of the noise over the clipping bound: prints epsilon.
    #[arg(long)]
    noise_multiplier: Option<f64>,
    /// Failure probability; N^-1.1 where --examples is given and this is not.
    #[arg(long)]
    delta: Option<f64>,
    /// Number of records, public.
    #[arg(long, requires = "batch_size", conflicts_with_all = ["sampling_rate", "steps"])]
    examples: Option<u64>,
    /// Expected number of records, or of people, in a step.
    #[arg(long, requires = "size")]
    batch_size: Option<u64>,
    /// Passes over the data, or over the people, in expectation.
    #[arg(long, requires = "size")]
    epochs: Option<f64>,
    /// Number of people, public: what sampling them and sampling their records cost is compared.
    #[arg(
        long,
        value_name = "N",
        requires_all = ["batch_size", "epochs", "records", "max_per_unit", "epsilon"],
        conflicts_with_all = ["sampling_rate", "steps", "group", "curve"]
    )]
    people: Option<u64>,
    /// Number of records of all people together.
    #[arg(long, value_name = "N", requires = "people")]
    records: Option<u64>,
    /// Most records of one person.
    #[arg(long, value_name = "K", requires = "people", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    max_per_unit: Option<u64>,
    /// Most records of a person in a step, where people are sampled [default: 4]
    #[arg(long, value_name = "M", requires = "people", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    examples_per_unit: Option<u64>,
    /// Probability with which each record takes part in a step.
    #[arg(long, requires = "steps")]
    sampling_rate: Option<f64>,
    /// Number of steps.
    #[arg(long, requires = "sampling_rate")]
    steps: Option<u64>,
    /// Also give epsilon for this many records of one person.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    group: Option<u32>,
    /// Print epsilon over steps and delta over epsilon as CSV.
    #[arg(long, conflicts_with_all = ["json", "group"])]
    curve: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Print what each row of an experiment file would cost: mechanisms, shares, noise multipliers, certified epsilon.
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "epsilon", "noise_multiplier", "delta", "examples", "people", "sampling_rate", "steps", "group", "curve",
    ])]
    plan: Option<std::path::PathBuf>,
    /// Override a key of the experiment file.
    #[arg(long, value_name = "KEY=VALUE", requires = "plan")]
    set: Vec<String>,
    #[command(flatten)]
    state: super::state::StateArgs,
    #[command(flatten)]
    cache: CacheArgs,
}

/// Most records of a person in a step where nothing is said.
const EXAMPLES_PER_UNIT: u64 = 4;

/// Everything that was asked for, in one place.
struct Question {
    sampling: SamplingPlan,
    delta: f64,
}

impl Question {
    fn event(&self, noise_multiplier: f64, steps: u64) -> Result<DpEvent, AccountantError> {
        DpEvent::poisson_sampled_gaussian(self.sampling.sampling_rate, noise_multiplier, steps)
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    if let Some(file) = &args.plan {
        return run_plan(args, file);
    }
    if let Some(people) = args.people {
        return run_people(args, people);
    }
    let question = question(args)?;
    let noise_multiplier = match (args.noise_multiplier, args.epsilon) {
        (Some(noise_multiplier), _) => {
            if !(noise_multiplier >= 0.0 && noise_multiplier.is_finite()) {
                return Err(Error::usage(format!(
                    "`--noise-multiplier` is {noise_multiplier}, expected a finite number of at least 0"
                )));
            }
            noise_multiplier
        }
        (None, Some(epsilon)) => {
            let event = |sigma| question.event(sigma, question.sampling.steps);
            calibration::noise_multiplier(epsilon, question.delta, event)?.value
        }
        (None, None) => return Err(Error::usage("give `--epsilon` or `--noise-multiplier`")),
    };
    if args.curve {
        output::print(curve(&question, noise_multiplier)?.trim_end())?;
        return Ok(ExitCode::Done);
    }
    let event = question.event(noise_multiplier, question.sampling.steps)?;
    let certified = event.certified(question.delta)?;
    let group = match args.group {
        Some(size) => Some((size, event.group(question.delta, size)?)),
        None => None,
    };
    let text = if args.json {
        as_json(&question, noise_multiplier, &certified, group.as_ref())
    } else {
        as_text(&question, noise_multiplier, &certified, group.as_ref())
    };
    output::print(text.trim_end())?;
    Ok(ExitCode::Done)
}

/// What the rows of an experiment file would cost.
fn run_plan(args: &Args, file: &Path) -> Result<ExitCode, Error> {
    let experiment = ExperimentArgs {
        file: file.to_owned(),
        set: args.set.clone(),
    };
    let loaded = experiment.load()?;
    let study = build(&loaded, &Seen)?;
    let budgets = planned_budgets::budgets(&study)?;
    let ledger = args.state.ledger(Some((&loaded, file)))?;
    let spend = match ran(&loaded, &args.cache.cache)? {
        Some((plan, cache)) => spend::forecast(&ledger, &loaded, &plan, Some(&cache))?,
        None => spend::forecast(&ledger, &loaded, &study, None)?,
    };
    let text = if args.json {
        planned_budgets::to_json(&budgets, &spend)
    } else {
        format!("{}\n{}", planned_budgets::to_text(&budgets), spend.text())
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
    let plan = dpx_engine::plan::build(experiment, &Readings::new(cache)).ok();
    plan.map(|plan| Ok((plan, Cache::at(cache)?))).transpose()
}

/// Two ways to protect people who have several records, side by side.
fn run_people(args: &Args, people: u64) -> Result<ExitCode, Error> {
    let missing = || {
        Error::usage(
            "`--people` needs `--records`, `--max-per-unit`, `--batch-size`, `--epochs` and `--epsilon`",
        )
    };
    let (batch_size, epochs) = (
        args.batch_size.ok_or_else(missing)?,
        args.epochs.ok_or_else(missing)?,
    );
    let epsilon = args.epsilon.ok_or_else(missing)?;
    let records = args.records.ok_or_else(missing)?;
    let max_per_unit = args.max_per_unit.ok_or_else(missing)?;
    if records < people || records > people.saturating_mul(max_per_unit) {
        return Err(Error::usage(format!(
            "`--records` is {records}: {people} people with 1 to {max_per_unit} each have {people} to {}",
            people.saturating_mul(max_per_unit)
        )));
    }
    let run = PeopleRun {
        people,
        records,
        max_per_unit,
        examples_per_unit: args
            .examples_per_unit
            .unwrap_or(EXAMPLES_PER_UNIT)
            .min(max_per_unit),
        batch_size,
        steps: PeopleRun::steps_of(people, batch_size, epochs)?,
    };
    let delta = args.delta.unwrap_or_else(|| default_delta(people));
    warn_of_delta(delta, people, "people");
    let found = compare_sampling(&run, epsilon, delta)?;
    let text = if args.json {
        json!({"run": run, "epsilon": epsilon, "delta": delta, "users": found.users, "examples": found.examples, "cheaper": unit_sampling::cheaper(&found)})
            .to_string()
    } else {
        format!(
            "{people} people with {records} records, at most {max_per_unit} of each; epsilon {epsilon} for a person at delta {delta:e}, {} steps\n{}{}",
            run.steps,
            unit_sampling::table(&found, run.examples_per_unit),
            unit_sampling::BEYOND_NOISE
        )
    };
    output::print(text.trim_end())?;
    Ok(ExitCode::Done)
}

fn question(args: &Args) -> Result<Question, Error> {
    let range = |name: &str, value: f64, holds: bool, expected: &str| {
        if holds {
            Ok(value)
        } else {
            Err(Error::usage(format!(
                "`--{name}` is {value}, expected {expected}"
            )))
        }
    };
    let sampling = match (
        args.examples,
        args.batch_size,
        args.sampling_rate,
        args.steps,
    ) {
        (Some(examples), Some(batch_size), None, None) => {
            let epochs = args
                .epochs
                .ok_or_else(|| Error::usage("`--examples` needs `--epochs`"))?;
            range(
                "epochs",
                epochs,
                epochs > 0.0 && epochs < 1e9,
                "a number above 0",
            )?;
            if batch_size == 0 || batch_size > examples {
                return Err(Error::usage(format!(
                    "`--batch-size` is {batch_size}, expected 1 to the number of examples, {examples}"
                )));
            }
            sampling_plan(examples, 0, Sampling::Epochs { batch_size, epochs })?
        }
        (None, None, Some(rate), Some(steps)) => {
            range(
                "sampling-rate",
                rate,
                (0.0..=1.0).contains(&rate),
                "a number from 0 to 1",
            )?;
            let stated = Sampling::Stated {
                sampling_rate: rate,
                steps,
                batch_size: 1,
            };
            sampling_plan(0, 0, stated)?
        }
        _ => {
            return Err(Error::usage(
                "the sampling is not stated: expected `--examples`, `--batch-size` and `--epochs`, or `--sampling-rate` and `--steps`",
            ));
        }
    };
    if let Some(epsilon) = args.epsilon {
        range(
            "epsilon",
            epsilon,
            epsilon > 0.0 && epsilon.is_finite(),
            "a finite number above 0",
        )?;
    }
    let delta = match (args.delta, args.examples) {
        (Some(delta), _) => delta,
        (None, Some(examples)) => default_delta(examples),
        (None, None) => {
            return Err(Error::usage("`--delta` is missing")
                .hint("take less than one over the number of records, such as N^-1.1"));
        }
    };
    range(
        "delta",
        delta,
        delta > 0.0 && delta < 1.0,
        "a number above 0 and below 1",
    )?;
    if let Some(examples) = args.examples {
        warn_of_delta(delta, examples, "records");
    }
    Ok(Question { sampling, delta })
}

/// Says so where a delta promises nothing to one of so many.
fn warn_of_delta(delta: f64, units: u64, what: &str) {
    if delta >= 1.0 / units as f64 {
        output::note(&format!(
            "warning: delta {delta} is not below 1/{units}: a mechanism that publishes everything of one of {units} {what} meets it"
        ));
    }
}

fn as_text(
    question: &Question,
    noise_multiplier: f64,
    certified: &Certified,
    group: Option<&(u32, Certified)>,
) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<20}{value}");
    };
    line("noise multiplier", format!("{noise_multiplier:.6}"));
    line(
        "sampling rate",
        format!("{:.9}", question.sampling.sampling_rate),
    );
    line("steps", question.sampling.steps.to_string());
    line("delta", format!("{:e}", question.delta));
    line("adjacency", question.sampling.adjacency.to_string());
    line(
        "epsilon",
        format!(
            "{} (certified upper bound, {})",
            up(certified.epsilon),
            certified.accountant
        ),
    );
    line(
        "  PRV",
        format!(
            "bounds {:.6} to {}",
            down(certified.prv.lower),
            up(certified.prv.upper)
        ),
    );
    line("  connect-the-dots", up(certified.connect_the_dots));
    line("  RDP", up(certified.rdp));
    if let Some(note) = certified.note() {
        line("", note);
    }
    if let Some((size, group)) = group {
        line(
            "group epsilon",
            format!(
                "{} for {size} records of one person ({})",
                up(group.epsilon),
                group.accountant
            ),
        );
    }
    text
}

/// For a lower bound: six digits, rounded down.
fn down(value: f64) -> f64 {
    (value * 1e6).floor() / 1e6
}

/// Six digits, rounded up.
fn up(value: EpsilonBound) -> String {
    format!("{value:.6}")
}

/// JSON has no infinity: it is written as the string `"inf"`.
fn number(value: f64) -> serde_json::Value {
    if value.is_finite() {
        json!(value)
    } else {
        json!("inf")
    }
}

fn as_json(
    question: &Question,
    noise_multiplier: f64,
    certified: &Certified,
    group: Option<&(u32, Certified)>,
) -> String {
    let mut object = json!({
        "noise_multiplier": noise_multiplier,
        "sampling_rate": question.sampling.sampling_rate,
        "steps": question.sampling.steps,
        "delta": question.delta,
        "adjacency": question.sampling.adjacency,
        "rdp": certified.rdp,
        "prv": {
            "lower": number(certified.prv.lower),
            "estimate": number(certified.prv.estimate),
            "upper": certified.prv.upper,
        },
        "connect_the_dots": certified.connect_the_dots,
        "epsilon": certified.epsilon,
        "accountant": certified.accountant,
    });
    if let Some((size, group)) = group {
        object["group"] = json!({
            "records": size,
            "epsilon": group.epsilon,
            "accountant": group.accountant,
        });
    }
    object.to_string()
}

/// Two tables in one: `curve` says which, `x` is steps or epsilon, `y` epsilon or delta.
fn curve(question: &Question, noise_multiplier: f64) -> Result<String, Error> {
    const POINTS: u64 = 20;
    let mut csv = String::from("curve,x,y\n");
    let mut before = 0;
    let all = question.sampling.steps;
    for point in 1..=POINTS.min(all) {
        let steps = (all * point).div_ceil(POINTS.min(all));
        if steps == before {
            continue;
        }
        before = steps;
        let epsilon = question
            .event(noise_multiplier, steps)?
            .epsilon(question.delta)?;
        let _ = writeln!(csv, "epsilon_over_steps,{steps},{}", epsilon.value());
    }
    let event = question.event(noise_multiplier, all)?;
    let whole = event.epsilon(question.delta)?.value();
    if whole.is_finite() {
        for point in 0..=POINTS {
            let epsilon = 2.0 * whole * point as f64 / POINTS as f64;
            let delta = event.delta(epsilon)?.value();
            let _ = writeln!(csv, "delta_over_epsilon,{epsilon},{delta}");
        }
    }
    Ok(csv)
}
