//! The one opening of every private stage: what it will do to the data, with how much noise, refused or entered in the
//! ledger before the first look.
//!
//! [`plan`] is the only place that knows how many examples, which sampling rate, how many steps and how much noise a stage
//! has; `dpx privacy --plan`, the stages and their siblings in a divided budget call it. What a record claims is another
//! matter: that is what ran ([`PrivateStage::record`]).

mod spent;
mod unpriced;

use crate::fault::fault;
use crate::keyed_run::KeyedRun;
use crate::people;
use crate::public_inputs::public_inputs;
use dpx_accounting::budget::{self, Component};
use dpx_accounting::{
    Adjacency, DpEvent, EpsilonBound, SamplingPlan, check_delta_for, default_delta,
};
use dpx_ledger::{Ledger, RunEntry, now};
use dpx_schema::params::{BasePrecision, BudgetParams, Delta, Epsilon, NoiseMode};
use dpx_schema::{
    Input, Kind, NoiseSource, Population, PrivacyRecord, PrivateRun, PublicInputs, PublicSchema,
    SCHEMA_FILE, StageContext, StageError, Unit, UnitBounds,
};
use serde::Deserialize;
use serde_json::Value;
pub(crate) use spent::Spent;
use unpriced::{unfit, unpriced};

/// What a private stage will do, decided before anything runs.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct PrivatePlan {
    /// The declared number of units (records, or people) of the stage's data, canaries included.
    pub examples: u64,
    pub unit: Unit,
    /// What bounds a person's part, where people are protected.
    pub bounds: Option<UnitBounds>,
    /// Canaries that are planted for an audit, counted in `examples`.
    pub canaries: u64,
    /// The failure probability of the whole budget, below one over the largest number of examples in it.
    pub delta: f64,
    /// The adjacency under which all of it holds.
    pub adjacency: Adjacency,
    /// The epsilon that is asked for: the stage's own, or that of the budget it shares.
    pub target: Epsilon,
    /// How batches are drawn, where the stage trains by DP-SGD.
    pub sampling: Option<SamplingPlan>,
    pub spending: Spending,
}

/// How much of a budget a private stage uses.
#[derive(Debug, Clone, PartialEq)]
pub enum Spending {
    /// Epsilon 0: the private data are not looked at.
    Untouched,
    /// Epsilon infinite: no clipping, no noise.
    NotPrivate,
    /// The noise that meets the target.
    Noise {
        /// Standard deviation of the noise over the sensitivity.
        noise_multiplier: f64,
        /// What is planned: this stage and every other of the same budget, by name.
        planned: Vec<(String, DpEvent)>,
    },
}

impl PrivatePlan {
    /// The noise multiplier; 0 where no noise is drawn.
    pub const fn noise_multiplier(&self) -> f64 {
        match self.spending {
            Spending::Noise {
                noise_multiplier, ..
            } => noise_multiplier,
            Spending::Untouched | Spending::NotPrivate => 0.0,
        }
    }

    /// What the stage is planned to do; nothing where it does not look at the data.
    fn event(&self, stage: &str) -> Option<DpEvent> {
        match &self.spending {
            Spending::Untouched => None,
            Spending::NotPrivate => Some(DpEvent::NonPrivate),
            Spending::Noise { planned, .. } => planned
                .iter()
                .find(|(name, _)| name == stage)
                .map(|(_, event)| event.clone()),
        }
    }
}

/// What every private kind has among its parameters.
#[derive(Deserialize)]
struct Common {
    epsilon: Epsilon,
    #[serde(default)]
    delta: Delta,
    #[serde(default)]
    budget: Option<BudgetParams>,
}

/// Plans a private stage over a data set of so many real examples, or people.
///
/// Every stage of a divided budget computes the same division from the same resolved parameters, each mechanism with the
/// number of examples that its own stage has, so that no stage has to wait for another to know its noise.
///
/// # Errors
/// The parameters do not fit, delta is not below one over the number of examples, mechanisms of one budget hold under
/// different adjacencies, or the budget cannot be met.
pub fn plan(
    kind: Kind,
    stage: &str,
    params: &Value,
    population: impl Into<Population>,
) -> Result<PrivatePlan, StageError> {
    let population = population.into();
    let common: Common = serde_json::from_value(params.clone()).map_err(unfit(stage))?;
    let own = unpriced(kind, stage, params, population)?;
    let mut members = Vec::new();
    match &common.budget {
        None => members.push((stage.to_owned(), 1.0, own)),
        Some(shared) => {
            for (name, component) in &shared.components {
                let mut params = component.params.clone();
                if fault!(SiblingCanariesForgotten) && name != stage {
                    params["canaries"] = 0.into();
                }
                let one = unpriced(component.kind, name, &params, population)?;
                members.push((name.clone(), component.share, one));
            }
        }
    }
    let at = members
        .iter()
        .position(|(name, ..)| name == stage)
        .ok_or_else(|| StageError::new(format!("`{stage}` is not part of its own budget")))?;
    let (target, asked_delta) = common
        .budget
        .as_ref()
        .map_or((common.epsilon, common.delta), |shared| {
            (shared.epsilon, shared.delta)
        });
    let adjacency = members[at].2.adjacency;
    let mixed = members.iter().find(|(.., one)| one.adjacency != adjacency);
    if let Some((other, _, one)) = mixed.filter(|_| !fault!(MixedAdjacency)) {
        return Err(StageError::new(format!(
            "`{stage}` and `{other}` share one budget, but `{stage}` holds under {adjacency} adjacency and `{other}` under \
             {}: a claim has one adjacency; leave out `sampling_rate` and `steps`, or the other mechanism",
            one.adjacency
        )));
    }
    let largest = members
        .iter()
        .map(|(.., one)| one.examples)
        .max()
        .unwrap_or(population.units);
    let delta = match asked_delta {
        Delta::Auto => default_delta(largest),
        Delta::Value(delta) => delta,
    };
    let spending = match target {
        Epsilon::Infinite => Spending::NotPrivate,
        Epsilon::Finite(0.0) => Spending::Untouched,
        Epsilon::Finite(epsilon) => {
            let largest = if fault!(DeltaCheckedInTrainAlone) && kind != Kind::Train {
                1
            } else {
                largest
            };
            check_delta_for(delta, largest).map_err(|_| {
                let whom = match population.unit() {
                    Unit::Example => "one record",
                    Unit::User => "everything of one person",
                };
                StageError::new(format!(
                    "`delta` of `{stage}` is {delta:e}, not below 1 / {largest}: a mechanism that publishes {whom} whole would meet \
                     it; take a smaller one, or `auto`"
                ))
            })?;
            let components: Vec<Component> = members
                .iter()
                .map(|(_, share, one)| Component {
                    share: *share,
                    mechanism: one.mechanism,
                })
                .collect();
            let priced = budget::split(epsilon, delta, &components).map_err(|error| {
                StageError::new(format!(
                    "epsilon {epsilon} at delta {delta:e} cannot be met by `{stage}`: {error}; raise `epsilon`, or take fewer \
                     steps"
                ))
            })?;
            Spending::Noise {
                noise_multiplier: priced.noise_multipliers[at],
                planned: members
                    .iter()
                    .map(|(name, ..)| name.clone())
                    .zip(priced.events)
                    .collect(),
            }
        }
    };
    let (.., own) = members.swap_remove(at);
    Ok(PrivatePlan {
        examples: own.examples,
        unit: population.unit(),
        bounds: own.bounds,
        canaries: own.canaries,
        delta,
        adjacency,
        target,
        sampling: own.sampling,
        spending,
    })
}

/// A private stage that has been opened: its data, its plan, its identity.
pub(crate) struct PrivateStage<'a> {
    context: &'a StageContext<'a>,
    pub(crate) input: &'a Input,
    pub(crate) schema: PublicSchema,
    pub(crate) plan: PrivatePlan,
    noise: NoiseMode,
    public_inputs: PublicInputs,
}

/// How a mechanism was run, beside its event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    /// Bound on what one unit adds to a sum; on what one record adds where records of people are sampled.
    pub(crate) max_grad_norm: f64,
    /// Share by which rounding may exceed it.
    pub(crate) rounding_allowance: f64,
    pub(crate) max_length: Option<u64>,
    pub(crate) clipping: Option<dpx_schema::params::Clipping>,
    /// How the frozen weights were rounded, where adapters are trained.
    pub(crate) base_precision: BasePrecision,
}

impl<'a> PrivateStage<'a> {
    /// Reads the public schema of the data and plans the stage. Nothing private is looked at.
    pub(crate) fn open(
        context: &'a StageContext<'a>,
        noise: NoiseMode,
    ) -> Result<Self, StageError> {
        let input = context.require(Kind::Preprocess)?;
        let schema = PublicSchema::load(input.path.join(SCHEMA_FILE))?;
        let plan = plan(
            context.kind,
            context.stage(),
            &context.params,
            schema.population(),
        )?;
        Ok(Self {
            context,
            input,
            schema,
            plan,
            noise,
            public_inputs: public_inputs(context)?,
        })
    }

    /// Begins a run of one sitting: opens its identity and its key, and enters it in the ledger; once, however often the
    /// instance is attempted.
    pub(crate) fn begin(&self) -> Result<KeyedRun, StageError> {
        let context = self.context;
        let bound = serde_json::json!({
            "key": context.key,
            "instance": context.instance,
            "seed": context.seed,
            "params": context.params,
            "data": self.input.digest,
            "event": self.plan.event(context.stage()),
            "version": env!("CARGO_PKG_VERSION"),
            "kind_version": context.kind.version(),
            "device": context.device.class(),
        });
        let mut hasher = blake3::Hasher::new_derive_key("dpx 2026 run of one sitting v1");
        hasher.update(bound.to_string().as_bytes());
        // Without noise there is nothing to keep secret.
        let secure = self.noise == NoiseMode::Secure && self.plan.noise_multiplier() > 0.0;
        let run = KeyedRun::open(context, hasher.finalize().into(), secure)?;
        self.enter(&run.id)?;
        Ok(run)
    }

    /// Enters the run in the ledger of its data, before the first look at them.
    pub(crate) fn enter(&self, run: &str) -> Result<(), StageError> {
        let Some(event) = self.plan.event(self.context.stage()) else {
            return Ok(());
        };
        let access = &self.context.ledger;
        let entry = RunEntry {
            run: run.to_owned(),
            key: self.context.key.clone(),
            experiment: access.experiment.clone(),
            instance: self.context.instance.to_string(),
            date: now(),
            // The ledger fills in these, and the column of people.
            people: Vec::new(),
            epsilon: EpsilonBound::INFINITE,
            event,
            unit: self.plan.unit,
            unit_column: None,
            adjacency: self.plan.adjacency,
            noise: self.noise_source(),
            delta: self.plan.delta,
            selection: access.selection.clone(),
            adopted: false,
        };
        let texts = people::texts(&self.input.path)?;
        Ledger::at(&access.folder).enter_run(&texts, entry, access.limit.as_ref())?;
        Ok(())
    }

    const fn noise_source(&self) -> NoiseSource {
        match self.noise {
            NoiseMode::Secure => NoiseSource::Secure,
            NoiseMode::Seeded => NoiseSource::Seeded,
        }
    }

    /// The record of what ran. `executed` is what the code that drew the noise reports; none where nothing was looked at.
    pub(crate) fn record(
        &self,
        run: &str,
        executed: Option<DpEvent>,
        machine: Machine,
    ) -> PrivacyRecord {
        let planned = match &self.plan.spending {
            Spending::Untouched => return self.untouched(),
            Spending::NotPrivate => return PrivacyRecord::NotPrivate,
            Spending::Noise { planned, .. } => planned,
        };
        // A mechanism that does not say what it did has no guarantee.
        let event = executed.unwrap_or(DpEvent::NonPrivate);
        let stage = self.context.stage();
        PrivacyRecord::Private(PrivateRun {
            version: PrivateRun::VERSION,
            instance: self.context.instance.clone(),
            run: run.to_owned(),
            event,
            adjacency: self.plan.adjacency,
            unit: self.plan.unit,
            delta: self.plan.delta,
            bounds: self.plan.bounds,
            examples: self.plan.examples,
            canaries: self.plan.canaries,
            noise: self.noise_source(),
            max_grad_norm: machine.max_grad_norm,
            rounding_allowance: machine.rounding_allowance,
            max_length: machine.max_length,
            clipping: machine.clipping,
            base_precision: machine.base_precision,
            expected_batch_size: self
                .plan
                .sampling
                .map(|sampling| sampling.expected_batch_size as u64),
            target_epsilon: self.plan.target.value(),
            shared_with: planned
                .iter()
                .map(|(name, _)| name.clone())
                .filter(|name| name != stage)
                .collect(),
            declared_overlap: self.public_inputs.declared_overlap.clone(),
            provenance: self.public_inputs.provenance.clone(),
        })
    }

    /// The record of a stage that did not look at the data.
    pub(crate) fn untouched(&self) -> PrivacyRecord {
        PrivacyRecord::Untouched(self.public_inputs.clone())
    }
}

/// Writes the record and the same in words.
pub(crate) fn save(context: &StageContext<'_>, record: &PrivacyRecord) -> Result<(), StageError> {
    record.save(&context.output)?;
    Ok(std::fs::write(
        context.output_path("statement.txt"),
        record.statement()?,
    )?)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use dpx_schema::params::BudgetComponent;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn shared(components: Vec<(&str, f64, Kind, Value)>) -> Value {
        let components: BTreeMap<String, BudgetComponent> = components
            .into_iter()
            .map(|(name, share, kind, params)| {
                let component = BudgetComponent {
                    share,
                    kind,
                    params,
                };
                (name.to_owned(), component)
            })
            .collect();
        serde_json::to_value(BudgetParams {
            epsilon: Epsilon::Finite(3.0),
            delta: Delta::Auto,
            components,
        })
        .unwrap()
    }

    fn train() -> Value {
        json!({"model": "m", "epsilon": 3, "batch_size": 1000, "epochs": 10, "canaries": 2000})
    }

    fn teacher() -> Value {
        json!({"epsilon": 3, "steps": 60})
    }

    fn planned(plan: &PrivatePlan) -> Vec<(String, DpEvent)> {
        match &plan.spending {
            Spending::Noise { planned, .. } => planned.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn steps_and_rate_are_those_of_the_sampling_plan() {
        let params = json!({"model": "m", "epsilon": 3, "batch_size": 16, "epochs": 3});
        let found = plan(Kind::Train, "train", &params, 600).unwrap();
        let sampling = found.sampling.unwrap();
        assert_eq!((sampling.steps, found.examples), (113, 600));
        let event = &planned(&found)[0].1;
        let expected = DpEvent::poisson_sampled_gaussian(
            sampling.sampling_rate,
            found.noise_multiplier(),
            sampling.steps,
        );
        assert_eq!(*event, expected.unwrap());
    }

    /// Rule 46: canaries of one stage once changed the number of examples that its siblings reckoned with, but not its own.
    #[test]
    fn every_stage_of_a_budget_plans_the_same_division() {
        one_division();
    }

    pub(crate) fn one_division() {
        let budget = shared(vec![
            ("counts", 0.05, Kind::Counts, json!({"epsilon": 3})),
            ("teacher", 0.45, Kind::Teacher, teacher()),
            ("train", 0.5, Kind::Train, train()),
        ]);
        let with = |mut params: Value| {
            params["budget"] = budget.clone();
            params
        };
        let of_train = plan(Kind::Train, "train", &with(train()), 16_000).unwrap();
        let of_teacher = plan(Kind::Teacher, "teacher", &with(teacher()), 16_000).unwrap();
        let of_counts = plan(Kind::Counts, "counts", &with(json!({"epsilon": 3})), 16_000).unwrap();
        assert_eq!(planned(&of_train), planned(&of_teacher));
        assert_eq!(planned(&of_train), planned(&of_counts));
        assert_eq!(of_train.delta, of_counts.delta);
        assert_eq!(of_train.delta, default_delta(18_000));
        assert_eq!((of_train.examples, of_teacher.examples), (18_000, 16_000));
        let sampling = of_train.sampling.unwrap();
        let (_, event) = &planned(&of_counts)[2];
        let run = DpEvent::poisson_sampled_gaussian(
            sampling.sampling_rate,
            of_train.noise_multiplier(),
            sampling.steps,
        );
        assert_eq!(*event, run.unwrap());
        let all = DpEvent::composed(planned(&of_train).into_iter().map(|(_, event)| event));
        let epsilon = all.epsilon(of_train.delta).unwrap().value();
        assert!(epsilon <= 3.0 && epsilon > 2.99, "{epsilon}");
    }

    /// Rule 57: every private kind with a delta at which a record could be published whole.
    #[test]
    fn a_delta_that_protects_nobody_is_refused_for_every_kind() {
        large_deltas_are_refused();
    }

    pub(crate) fn large_deltas_are_refused() {
        for (kind, params) in [
            (Kind::Train, json!({"model": "m", "epsilon": 3})),
            (Kind::Teacher, json!({"epsilon": 3})),
            (Kind::Counts, json!({"epsilon": 3})),
            (Kind::Select, json!({"epsilon": 3})),
        ] {
            for delta in [0.001, 0.01, 0.9] {
                let mut params = params.clone();
                params["delta"] = json!(delta);
                let error = plan(kind, "stage", &params, 1000).unwrap_err().to_string();
                assert!(
                    error.contains("not below 1 / 1000"),
                    "{kind} {delta}: {error}"
                );
            }
            let mut params = params.clone();
            params["delta"] = json!(0.000_9);
            assert!(plan(kind, "stage", &params, 1000).is_ok(), "{kind}");
        }
    }

    /// Rule 58.
    #[test]
    fn one_budget_has_one_adjacency() {
        one_adjacency();
    }

    pub(crate) fn one_adjacency() {
        let stated =
            json!({"model": "m", "epsilon": 3, "sampling_rate": 0.01, "steps": 10, "delta": 1e-6});
        let budget = shared(vec![
            ("teacher", 0.5, Kind::Teacher, teacher()),
            ("train", 0.5, Kind::Train, stated.clone()),
        ]);
        for (kind, stage, mut params) in [
            (Kind::Train, "train", stated),
            (Kind::Teacher, "teacher", teacher()),
        ] {
            params["budget"] = budget.clone();
            let error = plan(kind, stage, &params, 16_000).unwrap_err().to_string();
            assert!(error.contains("adjacency"), "{error}");
        }
    }

    fn people(units: u64, records: u64, max_per_unit: u64) -> Population {
        Population {
            units,
            records: Some(records),
            people: Some(dpx_schema::PeopleBounds {
                max_per_unit,
                several_owners: false,
            }),
        }
    }

    /// N, q, steps and delta count people, whatever the number of their records.
    #[test]
    fn everything_counts_people() {
        let params = json!({"model": "m", "epsilon": 3, "batch_size": 16, "epochs": 3});
        for (kind, params) in [
            (Kind::Train, params),
            (Kind::Counts, json!({"epsilon": 3})),
            (Kind::Teacher, json!({"epsilon": 3})),
            (Kind::Select, json!({"epsilon": 3})),
        ] {
            let of_people = plan(kind, "stage", &params, people(600, 7000, 16)).unwrap();
            let of_records = plan(kind, "stage", &params, 600).unwrap();
            assert_eq!(of_people.unit, Unit::User);
            assert_eq!(of_people.delta, of_records.delta);
            assert_eq!(of_people.sampling, of_records.sampling);
            assert_eq!(of_people.spending, of_records.spending);
            assert_eq!(of_people.examples, 600);
            let bounds = of_people.bounds.unwrap();
            assert_eq!(bounds.max_per_unit, 16);
            assert_eq!(
                bounds.records, None,
                "how many there are is nobody's business"
            );
            let mut large = params.clone();
            large["delta"] = json!(1.0 / 6000.0);
            assert!(plan(kind, "stage", &large, people(600, 7000, 16)).is_ok());
            large["delta"] = json!(1.0 / 600.0);
            let error = plan(kind, "stage", &large, people(600, 7000, 16)).unwrap_err();
            assert!(error.to_string().contains("one person"), "{error}");
        }
    }

    /// Records that are sampled one by one cost a person what a group of them does: exactly, not so many times one.
    #[test]
    fn records_of_people_are_priced_as_groups() {
        let params = json!({"model": "m", "epsilon": 3, "batch_size": 64, "epochs": 3, "unit_sampling": "examples", "canaries": 5});
        let found = plan(Kind::Train, "train", &params, people(600, 2000, 8)).unwrap();
        let sampling = found.sampling.unwrap();
        assert_eq!((found.examples, found.canaries), (605, 5));
        assert_eq!(sampling.examples, 2000 + 5 * 8);
        assert_eq!(found.delta, default_delta(605));
        let event = &planned(&found)[0].1;
        let alone = DpEvent::poisson_sampled_gaussian(
            sampling.sampling_rate,
            found.noise_multiplier(),
            sampling.steps,
        );
        let group = alone.unwrap().group(found.delta, 8).unwrap();
        assert_eq!(event.certified(found.delta).unwrap(), group);
        assert!(group.epsilon <= 3.0 && group.epsilon > 2.9);
        assert_eq!(found.bounds.unwrap().records, Some(2000));
        let unknown = Population {
            records: None,
            ..people(600, 0, 8)
        };
        let error = plan(Kind::Train, "train", &params, unknown).unwrap_err();
        assert!(error.to_string().contains("not known"), "{error}");
    }

    #[test]
    fn shared_records_are_sampled_one_by_one_under_zero_out_alone() {
        let mut shared = people(600, 2000, 8);
        if let Some(people) = &mut shared.people {
            people.several_owners = true;
        }
        let mut params = json!({"model": "m", "epsilon": 3, "batch_size": 64});
        let error = plan(Kind::Train, "train", &params, shared).unwrap_err();
        assert!(error.to_string().contains("unit_sampling"), "{error}");
        params["unit_sampling"] = json!("examples");
        assert!(plan(Kind::Train, "train", &params, shared).is_ok());
        for (key, value) in [
            ("sampling_rate", json!(0.01)),
            ("steps", json!(10)),
            ("delta", json!(1e-6)),
        ] {
            params[key] = value;
        }
        let error = plan(Kind::Train, "train", &params, shared).unwrap_err();
        assert!(error.to_string().contains("adding or removing"), "{error}");
    }

    #[test]
    fn epsilon_zero_and_infinite_draw_no_noise() {
        for (epsilon, spending) in [
            (json!(0), Spending::Untouched),
            (json!("inf"), Spending::NotPrivate),
        ] {
            let params = json!({"model": "m", "epsilon": epsilon, "delta": 0.5});
            let found = plan(Kind::Train, "train", &params, 100).unwrap();
            assert_eq!(found.spending, spending);
            assert_eq!(found.noise_multiplier(), 0.0);
        }
    }
}
