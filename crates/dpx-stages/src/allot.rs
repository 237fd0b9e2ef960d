//! What one private stage may spend: calibrated alone, or together with the other mechanisms of a divided budget.
//!
//! Every stage of a split computes the same division from the same resolved parameters, so that no stage has to wait for
//! another to know its noise.

use crate::ledger::{self, Entry};
use dpx_accounting::Adjacency;
use dpx_accounting::budget::{self, Component};
use dpx_accounting::statement::PrivacyStatement;
use dpx_accounting::{AccountantError, Phase};
use dpx_schema::params::{BudgetParams, Delta, Epsilon, TeacherParams, TrainParams};
use dpx_schema::{Kind, StageContext, StageError};

/// The noise of one stage, and everything that shares its budget.
#[derive(Debug, Clone, PartialEq)]
pub struct Allotment {
    /// What this stage does.
    pub own: Phase,
    /// All mechanisms of the budget by stage name, this one among them.
    pub all: Vec<(String, Phase)>,
    /// The failure probability of the whole.
    pub delta: f64,
}

/// What a stage asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    /// Name of the stage.
    pub(super) stage: &'a str,
    /// What it does.
    pub(super) kind: budget::Kind,
    /// Its own epsilon and delta, which are those of the whole where there is a split.
    pub(super) epsilon: Epsilon,
    pub(super) delta: Delta,
    /// Canaries that it adds to the examples.
    pub(super) canaries: u64,
    /// The division, if there is one.
    pub(super) budget: Option<&'a BudgetParams>,
}

/// The canaries of all mechanisms of a budget.
fn planted(budget: &BudgetParams) -> u64 {
    let components = budget.components.values();
    components
        .filter_map(|component| component.params["canaries"].as_u64())
        .sum()
}

/// What a private stage with these resolved parameters may spend; nothing where no noise is drawn. `examples` are those of the data set, without canaries.
///
/// # Errors
/// When the parameters do not fit, or the budget cannot be met.
pub fn mechanisms(
    kind: Kind,
    stage: &str,
    params: &serde_json::Value,
    examples: u64,
) -> Result<Option<Allotment>, StageError> {
    #[derive(serde::Deserialize)]
    struct Common {
        epsilon: Epsilon,
        #[serde(default)]
        delta: Delta,
        #[serde(default)]
        canaries: u64,
        #[serde(default)]
        budget: Option<BudgetParams>,
    }
    let common: Common = serde_json::from_value(params.clone()).map_err(|error| {
        StageError::new(format!("the parameters of `{stage}` do not fit: {error}"))
    })?;
    let request = Request {
        stage,
        kind: kind_of(kind, params, examples + common.canaries)?,
        epsilon: common.epsilon,
        delta: common.delta,
        canaries: common.canaries,
        budget: common.budget.as_ref(),
    };
    allot(&request, examples)
}

/// Sampling rate and number of steps of DP-SGD, both fixed before calibration.
pub(super) fn sampling(params: &TrainParams, examples: u64) -> (f64, u64) {
    if let (Some(rate), Some(steps)) = (params.sampling_rate, params.steps) {
        return (rate, steps);
    }
    let rate = (params.batch_size as f64 / examples.max(1) as f64).min(1.0);
    (rate, (params.epochs / rate).round().max(1.0) as u64)
}

/// Calibrates for `examples` real examples; nothing where the budget is infinite or zero and so no noise is drawn.
///
/// The canaries of any mechanism of the budget belong to the declared data of all, so that all compute one division.
pub(super) fn allot(request: &Request<'_>, examples: u64) -> Result<Option<Allotment>, StageError> {
    let examples = examples + request.budget.map_or(request.canaries, planted);
    let delta = request.delta.resolve(examples);
    let Epsilon::Finite(epsilon) = request.epsilon else {
        return Ok(None);
    };
    if epsilon == 0.0 {
        return Ok(None);
    }
    let (names, components): (Vec<String>, Vec<Component>) = match request.budget {
        None => (
            vec![request.stage.to_owned()],
            vec![Component {
                share: 1.0,
                kind: request.kind,
            }],
        ),
        Some(budget) => {
            let mut names = Vec::new();
            let mut components = Vec::new();
            for (name, component) in &budget.components {
                names.push(name.clone());
                components.push(Component {
                    share: component.share,
                    kind: kind_of(component.kind, &component.params, examples)?,
                });
            }
            (names, components)
        }
    };
    let own = names
        .iter()
        .position(|name| name == request.stage)
        .ok_or_else(|| {
            StageError::new(format!("`{}` is no part of its own budget", request.stage))
        })?;
    let split = budget::split(epsilon, delta, &components).map_err(|error| {
        StageError::new(format!(
            "epsilon {epsilon} at delta {delta:e} cannot be met: {error}; raise `epsilon`, or take fewer steps"
        ))
    })?;
    let all: Vec<(String, Phase)> = names.into_iter().zip(split.phases).collect();
    Ok(Some(Allotment {
        own: all[own].1,
        all,
        delta,
    }))
}

fn kind_of(
    kind: Kind,
    params: &serde_json::Value,
    examples: u64,
) -> Result<budget::Kind, StageError> {
    let unfit = |error: serde_json::Error| {
        StageError::new(format!(
            "the parameters of a divided budget do not fit: {error}"
        ))
    };
    Ok(match kind {
        Kind::Train => {
            let params: TrainParams = serde_json::from_value(params.clone()).map_err(unfit)?;
            let (sampling_rate, steps) = sampling(&params, examples);
            budget::Kind::Subsampled {
                sampling_rate,
                steps,
            }
        }
        Kind::Teacher => {
            let params: TeacherParams = serde_json::from_value(params.clone()).map_err(unfit)?;
            budget::Kind::Gaussian {
                steps: params.steps,
            }
        }
        Kind::Counts => budget::Kind::Gaussian { steps: 1 },
        _ => {
            return Err(StageError::new(format!(
                "a stage of kind `{kind}` spends no budget"
            )));
        }
    })
}

impl Allotment {
    /// The statement of the whole budget.
    pub(super) fn statement(
        &self,
        adjacency: Adjacency,
        secure: bool,
    ) -> Result<PrivacyStatement, AccountantError> {
        let named: Vec<(&str, Phase)> = self
            .all
            .iter()
            .map(|(name, phase)| (name.as_str(), *phase))
            .collect();
        PrivacyStatement::new(&named, self.delta, adjacency, secure)
    }
}

/// Enters a run of one sitting in the ledger of its data set, before its first look at the data. Without an allotment the
/// run has no guarantee, and its entry says so.
pub(super) fn enter(
    context: &StageContext<'_>,
    data_digest: &str,
    allotment: Option<&Allotment>,
    delta: f64,
) -> Result<(), StageError> {
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).map_err(|error| {
        StageError::new(format!(
            "the operating system gave no random numbers: {error}"
        ))
    })?;
    let run = format!("{:032x}", u128::from_le_bytes(random));
    let entry = Entry {
        run,
        key: context.key.clone(),
        instance: context.instance.clone(),
        phases: allotment
            .map(|allotment| vec![allotment.own])
            .unwrap_or_default(),
        delta,
    };
    ledger::enter(&context.ledger, data_digest, &entry)
        .map(|_| ())
        .map_err(|error| StageError::new(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpx_accounting::Mechanism;
    use dpx_schema::params::BudgetComponent;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn train(value: serde_json::Value) -> TrainParams {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn no_step_is_lost_to_rounding() {
        for (examples, batch, epochs, steps) in [
            (16000, 256, 3.0, 188),
            (4800, 64, 3.0, 225),
            (100, 1000, 2.0, 2),
        ] {
            let params =
                train(json!({"model": "m", "epsilon": 3, "batch_size": batch, "epochs": epochs}));
            assert_eq!(sampling(&params, examples).1, steps);
        }
        let stated = train(json!({"model": "m", "epsilon": 3, "sampling_rate": 0.01, "steps": 7}));
        assert_eq!(sampling(&stated, 5), (0.01, 7));
    }

    /// For any data set, batch and number of passes: the steps are the nearest whole number, and those that are accounted
    /// for are those that the mechanism runs, at the rate that its coins meet.
    #[test]
    fn the_steps_that_run_are_the_steps_that_are_accounted_for() {
        for examples in [1_u64, 7, 75, 1000, 4800, 9663, 16_000, 123_457] {
            for batch in [1_u64, 3, 64, 75, 256, 1000] {
                for epochs in [1_u64, 2, 3, 10] {
                    let params = train(
                        json!({"model": "m", "epsilon": 3, "batch_size": batch, "epochs": epochs}),
                    );
                    let (rate, steps) = sampling(&params, examples);
                    let batch = batch.min(examples);
                    let nearest = (2 * epochs * examples + batch) / (2 * batch);
                    let half = (2 * epochs * examples).is_multiple_of(batch);
                    assert!(
                        steps == nearest.max(1) || half && steps + 1 == nearest,
                        "{examples} examples, {batch} a batch, {epochs} epochs: {steps}"
                    );
                    let mechanism =
                        Mechanism::new(rate, 1.0, 1.0, steps, 1e-6, Adjacency::ZeroOut).unwrap();
                    let phase = mechanism.phase();
                    assert_eq!(phase.steps, mechanism.steps());
                    assert_eq!(phase.sampling_rate, mechanism.sampling_rate());
                    assert!(
                        mechanism.sampling_rate() <= rate
                            && rate - mechanism.sampling_rate() < 1e-15
                    );
                }
            }
        }
    }

    #[test]
    fn all_stages_of_a_split_compute_one_division_that_meets_the_target() {
        let component = |share, kind, params| BudgetComponent {
            share,
            kind,
            params,
        };
        let budget = BudgetParams {
            epsilon: Epsilon::Finite(3.0),
            delta: Delta::Auto,
            components: BTreeMap::from([
                (
                    "train".to_owned(),
                    component(
                        0.5,
                        Kind::Train,
                        json!({"model": "m", "epsilon": 3, "batch_size": 1000, "epochs": 10, "canaries": 2000}),
                    ),
                ),
                (
                    "teacher".to_owned(),
                    component(0.45, Kind::Teacher, json!({"epsilon": 3, "steps": 60})),
                ),
                (
                    "counts".to_owned(),
                    component(0.05, Kind::Counts, json!({"epsilon": 3})),
                ),
            ]),
        };
        let allotted = |stage, kind| {
            let request = Request {
                stage,
                kind,
                epsilon: budget.epsilon,
                delta: budget.delta,
                canaries: 0,
                budget: Some(&budget),
            };
            allot(&request, 16000).unwrap().unwrap()
        };
        let teacher = allotted("teacher", budget::Kind::Gaussian { steps: 60 });
        let counts = allotted("counts", budget::Kind::Gaussian { steps: 1 });
        assert_eq!(teacher.all, counts.all);
        assert_eq!(teacher.own.steps, 60);
        // Canaries of one mechanism count for all: 18,000 examples.
        let train = teacher
            .all
            .iter()
            .find(|(name, _)| name == "train")
            .unwrap();
        assert_eq!(train.1.steps, 180);
        assert_eq!(teacher.delta, Delta::Auto.resolve(18_000));
        let whole = teacher
            .statement(Adjacency::ZeroOut, true)
            .unwrap()
            .epsilon
            .epsilon;
        assert!(whole <= 3.0 && whole > 2.99, "{whole}");
        // Shares are of 1/sigma^2: nine times the share is a third of the noise.
        let per_run = |phase: Phase| phase.noise_multiplier / (phase.steps as f64).sqrt();
        assert!((per_run(counts.own) / per_run(teacher.own) - 3.0).abs() < 1e-6);
    }

    #[test]
    fn without_a_finite_budget_nothing_is_allotted() {
        for epsilon in [Epsilon::Infinite, Epsilon::Finite(0.0)] {
            let kind = budget::Kind::Gaussian { steps: 1 };
            let request = Request {
                stage: "counts",
                kind,
                epsilon,
                delta: Delta::Auto,
                canaries: 0,
                budget: None,
            };
            assert_eq!(allot(&request, 100).unwrap(), None);
        }
    }
}
