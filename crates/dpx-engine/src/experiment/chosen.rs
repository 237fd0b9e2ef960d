//! `batch_size = "auto"` of `train`: the number in its place, before anything is checked, planned or keyed.
//!
//! From here on the stage holds a number, so that plan, key, record, the experiment file in the results and the report hold it, too. The
//! choice ([`dpx_accounting::choose_batch`]) reads the declared number of examples, the budget and the passes: public numbers of the
//! file alone, no data and no clock, so that one file leads to one key on every machine.
//!
//! One number stands for all rows of a stage, as its results differ in what the sweep names and in nothing else; the row with the least
//! epsilon, which has the most noise, decides.

use super::checked::{Combination, Experiment, Stage, combinations};
use super::diagnostic::{Code, Diagnostic};
use super::files::Origin;
use super::kinds::KindTable;
use super::node::{Node, Value};
use dpx_accounting::budget::share_of;
use dpx_accounting::{BatchBound, BatchChoice, BatchQuestion, choose_batch, default_delta};
use dpx_schema::params::{Delta, TrainParams};
use dpx_schema::{Kind, Unit, UnitSampling};
use std::fmt;

/// The word that asks for a choice.
const AUTO: &str = "auto";
/// The key that can have it.
const KEY: &str = "batch_size";

/// A batch size that dpx chose.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// The stage that asked.
    pub stage: String,
    /// Where `"auto"` stands.
    pub origin: Origin,
    /// The least epsilon of the stage's rows.
    pub epsilon: f64,
    /// The stage's share of the budget, where that is divided.
    pub part: Option<f64>,
    /// What it was chosen from; of a divided budget with the epsilon of the stage's share.
    pub question: BatchQuestion,
    /// The number, and why it is not another.
    pub choice: BatchChoice,
}

impl fmt::Display for Chosen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BatchQuestion {
            examples, epochs, ..
        } = self.question;
        let BatchChoice {
            batch_size, steps, ..
        } = self.choice;
        write!(
            formatter,
            "`{KEY} = \"{AUTO}\"` of `{}` is {batch_size}: {steps} steps in {epochs} passes over {examples}, at epsilon {}{}; ",
            self.stage,
            self.epsilon,
            self.part.map_or_else(String::new, |part| format!(
                " ({:.0} % of the budget)",
                100.0 * part
            ))
        )?;
        match (self.choice.bound, self.choice.doubling_leaves) {
            (BatchBound::Steps, _) => write!(
                formatter,
                "twice as much would leave fewer than {} steps",
                dpx_accounting::FEWEST_STEPS
            ),
            (BatchBound::Noise, Some(left)) => write!(
                formatter,
                "twice as much would leave {:.0} % of the noise in the mean gradient",
                100.0 * left
            ),
            (BatchBound::Noise | BatchBound::Records, _) => {
                formatter.write_str("there is no more to draw from")
            }
        }
    }
}

/// What is said of a number that cannot be chosen, where the file asks for that.
pub(super) fn never_auto(kind: Kind, key: &str, node: &Node) -> Option<Diagnostic> {
    if kind != Kind::Train
        || !matches!(key, "steps" | "epochs" | "sampling_rate")
        || node.as_str() != Some(AUTO)
    {
        return None;
    }
    let why = match key {
        "epochs" => {
            "it is the work that the training may do: a time on one machine would be another number on the next"
        }
        "steps" => {
            "without `sampling_rate` the steps follow from `epochs` and `batch_size`; with it nothing may follow from the number of texts, which is not public then"
        }
        _ => {
            "a stated rate is what makes the number of texts private, so that nothing may follow from that number"
        }
    };
    Some(
        Diagnostic::at(
            Code::WrongType,
            node.origin,
            format!("`{key}` cannot be \"{AUTO}\": {why}"),
        )
        .help(format!(
            "state `epochs` and write `{KEY} = \"{AUTO}\"`; `dpx plan --advice` tells how many epochs an hour fits"
        )),
    )
}

/// Puts a number in the place of each `"auto"`.
pub(super) fn choose(experiment: &mut Experiment, diagnostics: &mut Vec<Diagnostic>) {
    let endless = |diagnostic: &Diagnostic| diagnostic.code == Code::TooManyInstances;
    if diagnostics.iter().any(endless) {
        return;
    }
    for at in 0..experiment.stages.len() {
        let stage = &experiment.stages[at];
        let Some(node) = stage.fields.get(KEY).filter(|_| stage.kind == Kind::Train) else {
            continue;
        };
        if let Some(axis) = node.axis() {
            let axis = experiment.axes.iter().find(|one| one.name == axis);
            let values = axis.map_or(&[][..], |axis| &axis.nodes);
            if let Some(value) = values.iter().find(|value| value.as_str() == Some(AUTO)) {
                diagnostics.push(
                    Diagnostic::at(
                        Code::Conflict,
                        value.origin,
                        format!(
                            "\"{AUTO}\" cannot be a value of an axis: rows are named by numbers"
                        ),
                    )
                    .context(node.origin, format!("used as `{KEY}` here"))
                    .help(format!(
                        "write `{KEY} = \"{AUTO}\"` in the stage, or numbers here"
                    )),
                );
            }
            continue;
        }
        if node.as_str() != Some(AUTO) {
            continue;
        }
        let origin = node.origin;
        match chosen(experiment, stage, origin) {
            Ok(None) => {}
            Ok(Some(chosen)) => {
                let size = i128::from(chosen.choice.batch_size);
                let entries = &mut experiment.stages[at].fields.entries;
                for entry in entries.iter_mut().filter(|entry| entry.key == KEY) {
                    entry.node.value = Value::Integer(size);
                }
                experiment.chosen.push(chosen);
            }
            Err(diagnostic) => diagnostics.push(*diagnostic),
        }
    }
}

/// The choice for a stage; nothing where a value that it depends on is wrong, of which others speak.
fn chosen(
    experiment: &Experiment,
    stage: &Stage,
    origin: Origin,
) -> Result<Option<Chosen>, Box<Diagnostic>> {
    let Some(rows) = rows(experiment, stage, origin)? else {
        return Ok(None);
    };
    // Rows without noise take the number of those that have some.
    let epsilons = rows.iter().map(|(question, _)| question.epsilon);
    let noisy = epsilons.filter(|epsilon| epsilon.is_finite() && *epsilon > 0.0);
    let Some(epsilon) = noisy.min_by(f64::total_cmp) else {
        let node = stage.fields.get("epsilon");
        return Err(Box::new(
            refused(
                Code::Conflict,
                origin,
                format!(
                    "which follows from the noise, and no row of `{}` has any",
                    stage.name
                ),
            )
            .context(
                node.map_or(stage.origin, |node| node.origin),
                "without noise",
            )
            .help(
                "write a number: without privacy many small steps are better than few large ones",
            ),
        ));
    };
    let part = part_of_budget(experiment, stage);
    let mut found: Option<(Chosen, Combination)> = None;
    for (question, at) in rows {
        let question = BatchQuestion {
            epsilon: match part {
                Some(part) => share_of(epsilon, question.delta, part),
                None => epsilon,
            },
            ..question
        };
        let choice = choose_batch(&question)
            .map_err(|error| Box::new(refused(Code::Conflict, origin, format!("but {error}"))))?;
        let Some((known, first)) = &found else {
            let chosen = Chosen {
                stage: stage.name.clone(),
                origin,
                epsilon,
                part,
                question,
                choice,
            };
            found = Some((chosen, at));
            continue;
        };
        if known.choice.batch_size != choice.batch_size {
            return Err(Box::new(
                refused(
                    Code::Conflict,
                    origin,
                    format!(
                        "one number for all rows, but they ask for different ones: {} where {}, {} where {}",
                        known.choice.batch_size,
                        named(experiment, first),
                        choice.batch_size,
                        named(experiment, &at)
                    ),
                )
                .help(format!("write `{KEY}` as a number, or as an axis of the sweep")),
            ));
        }
    }
    Ok(found.map(|(chosen, _)| chosen))
}

fn refused(code: Code, origin: Origin, why: impl fmt::Display) -> Diagnostic {
    Diagnostic::at(code, origin, format!("`{KEY}` is \"{AUTO}\", {why}"))
}

/// What each row asks, rows that ask the same once, with its own epsilon.
fn rows(
    experiment: &Experiment,
    stage: &Stage,
    origin: Origin,
) -> Result<Option<Vec<(BatchQuestion, Combination)>>, Box<Diagnostic>> {
    let mut needs = stage
        .needs
        .iter()
        .filter_map(|(name, _)| experiment.stages.iter().find(|other| other.name == *name));
    let Some(data) = needs.find(|other| other.kind == Kind::Preprocess) else {
        return Ok(None);
    };
    let mut axes = stage.mentions(&experiment.axes);
    axes.extend(data.mentions(&experiment.axes));
    let mut rows: Vec<(BatchQuestion, Combination)> = Vec::new();
    for at in combinations(&experiment.axes, &axes) {
        let Some((params, examples)) = asked(experiment, stage, data, &at) else {
            return Ok(None);
        };
        let place = |key: &str| {
            let node = stage.node(key, &experiment.axes, &at);
            node.map_or(origin, |node| node.origin)
        };
        if params.sampling_rate.is_some() {
            return Err(Box::new(
                refused(
                    Code::Conflict,
                    origin,
                    "which follows from the number of training texts; beside a stated `sampling_rate` that number is not public",
                )
                .context(place("sampling_rate"), "stated here")
                .help(format!(
                    "leave `{KEY}` out, or state `epochs` instead of `sampling_rate` and `steps`"
                )),
            ));
        }
        if experiment.privacy.unit == Unit::User
            && params.unit_sampling == Some(UnitSampling::Examples)
        {
            return Err(Box::new(
                refused(
                    Code::Conflict,
                    origin,
                    "which follows from a declared number; how many records people have is not declared",
                )
                .context(place("unit_sampling"), "samples records")
                .help(format!(
                    "write `{KEY}` as a number, or sample people: `unit_sampling = \"users\"`"
                )),
            ));
        }
        let Some(examples) = examples else {
            return Err(Box::new(undeclared(experiment, data, origin)));
        };
        let examples = examples.saturating_add(params.canaries);
        let question = BatchQuestion {
            examples,
            epochs: params.epochs,
            epsilon: params.epsilon.value(),
            delta: match params.delta {
                Delta::Auto => default_delta(examples),
                Delta::Value(delta) => delta,
            },
        };
        if !rows.iter().any(|(other, _)| *other == question) {
            rows.push((question, at));
        }
    }
    Ok(Some(rows))
}

fn undeclared(experiment: &Experiment, data: &Stage, origin: Origin) -> Diagnostic {
    let what = match experiment.privacy.unit {
        Unit::Example => "training texts",
        Unit::User => "people",
    };
    refused(
        Code::MissingKey,
        origin,
        format!(
            "which follows from the number of {what}, and `{}` does not declare it",
            data.name
        ),
    )
    .context(data.origin, "lacks `examples`")
    .help(format!(
        "add `examples = N` to `[stage.{}]`: public from then on, and checked against the data; `dpx privacy --plan FILE` tells N once `{KEY}` is a number",
        data.name
    ))
}

/// The parameters of one row, and the examples that its data declare; nothing where they do not fit.
fn asked(
    experiment: &Experiment,
    stage: &Stage,
    data: &Stage,
    at: &Combination,
) -> Option<(TrainParams, Option<u64>)> {
    let (mut params, _) = experiment.written(stage, at);
    params[KEY] = 1.into();
    let params = serde_json::from_value(params).ok()?;
    let (of_data, performance) = experiment.written(data, at);
    let (of_data, _) = KindTable::of(data.kind)
        .normalize(of_data, performance)
        .ok()?;
    Some((params, of_data["examples"].as_u64()))
}

/// The share of the budget that the stage has, where it is divided.
fn part_of_budget(experiment: &Experiment, stage: &Stage) -> Option<f64> {
    let split = &experiment.privacy.split;
    let total: f64 = split.values().sum();
    let part = split.get(&stage.name)? / total;
    (part > 0.0 && part < 1.0).then_some(part)
}

/// `epochs=2, n=100`.
fn named(experiment: &Experiment, at: &Combination) -> String {
    let axes = experiment.axes.iter();
    let values = axes.filter_map(|axis| {
        let node = axis.nodes.get(*at.get(&axis.name)?)?;
        Some(format!("{}={}", axis.name, node.to_json()))
    });
    values.collect::<Vec<_>>().join(", ")
}
