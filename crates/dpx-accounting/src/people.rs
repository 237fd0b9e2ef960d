//! Two ways to train on people who have several records, priced for one budget (Charles et al. 2024, "Fine-tuning large language
//! models with user-level differential privacy").

use crate::batch::noise_to_batch;
use crate::calibration::noise_multiplier;
use crate::sampling::quantized_rate;
use crate::{AccountantError, DpEvent, Sampling, sampling_plan};
use serde::Serialize;

/// A run of DP-SGD over people.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PeopleRun {
    /// People whose records are trained on.
    pub people: u64,
    /// Records of all these people together.
    pub records: u64,
    /// Most records of one person: the size of the group that a person is where records are sampled.
    pub max_per_unit: u64,
    /// Most records of a person in a step, where people are sampled.
    pub examples_per_unit: u64,
    /// Expected number of people in a step, where people are sampled.
    pub batch_size: u64,
    /// How many noisy sums are taken, either way.
    pub steps: u64,
}

impl PeopleRun {
    /// The steps of so many passes over the people.
    ///
    /// # Errors
    /// There is nobody, or a number is out of range.
    pub fn steps_of(people: u64, batch_size: u64, epochs: f64) -> Result<u64, AccountantError> {
        Ok(sampling_plan(people, 0, Sampling::Epochs { batch_size, epochs })?.steps)
    }

    /// Records that a step computes on average when people are sampled: of each as many as they have on average, at most
    /// `examples_per_unit`. A step that samples records is given as many, so that both do the same work.
    pub fn records_of_step(&self) -> f64 {
        let each = self.records as f64 / self.people.max(1) as f64;
        let batch = self.batch_size.min(self.people) as f64;
        (batch * each.min(self.examples_per_unit as f64)).clamp(1.0, self.records.max(1) as f64)
    }
}

/// One way, with the noise that the budget asks for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PricedSampling {
    /// Probability with which each person, or each record, takes part in a step.
    pub sampling_rate: f64,
    /// People, or records, of a step on average: what the noisy sum is divided by.
    pub batch: f64,
    /// Standard deviation of the noise over the bound.
    pub noise_multiplier: f64,
    /// Standard deviation of the noise in the averaged gradient of a step, as a share of the bound: what is left to compare.
    pub relative_noise: f64,
    /// What is done to one person.
    pub event: DpEvent,
}

impl PricedSampling {
    /// What a run does that is planned already, over so many people or records in a step on average; nothing where its event is
    /// no DP-SGD.
    pub fn of_event(event: &DpEvent, batch: f64) -> Option<Self> {
        let DpEvent::PoissonSampledGaussian {
            sampling_rate,
            noise_multiplier,
            ..
        } = *event
        else {
            return None;
        };
        Some(Self {
            sampling_rate,
            batch,
            noise_multiplier,
            relative_noise: noise_to_batch(noise_multiplier, batch),
            event: event.clone(),
        })
    }
}

/// Sampling people and sampling records, each with the noise that the same budget asks for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SamplingComparison {
    /// A coin for each person; at most `examples_per_unit` of their records take part.
    pub users: PricedSampling,
    /// A coin for each record; a person is the group of `max_per_unit` records.
    pub examples: PricedSampling,
}

impl SamplingComparison {
    /// Whether sampling people leaves less noise.
    pub fn users_are_cheaper(&self) -> bool {
        self.users.relative_noise <= self.examples.relative_noise
    }
}

/// The noise that either way needs to promise (epsilon, delta) to every person, over as many steps of as many records.
///
/// The noise is what differs for certain. It is not all: an average over the records of a person is bounded less often than
/// each of them, and whoever has few records counts as much as whoever has many where people are sampled.
///
/// # Errors
/// A number is out of range, or the budget cannot be met.
pub fn compare_sampling(
    run: &PeopleRun,
    epsilon: f64,
    delta: f64,
) -> Result<SamplingComparison, AccountantError> {
    for (name, value) in [
        ("number of people", run.people),
        ("number of records", run.records),
        ("max per unit", run.max_per_unit),
        ("examples per unit", run.examples_per_unit),
        ("batch size", run.batch_size),
        ("number of steps", run.steps),
    ] {
        AccountantError::check(name, value as f64, value > 0, "a number of at least 1")?;
    }
    let most = u32::try_from(run.max_per_unit).unwrap_or(u32::MAX);
    let priced = |batch: f64, all: u64, records: u32| {
        let sampling_rate = quantized_rate(batch / all as f64);
        let event =
            |sigma| DpEvent::poisson_sampled_records(sampling_rate, sigma, run.steps, records);
        let noise_multiplier = noise_multiplier(epsilon, delta, event)?.value;
        Ok::<_, AccountantError>(PricedSampling {
            sampling_rate,
            batch,
            noise_multiplier,
            relative_noise: noise_to_batch(noise_multiplier, batch),
            event: event(noise_multiplier)?,
        })
    };
    Ok(SamplingComparison {
        users: priced(run.batch_size.min(run.people) as f64, run.people, 1)?,
        examples: priced(run.records_of_step(), run.records, most)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: PeopleRun = PeopleRun {
        people: 2000,
        records: 16_000,
        max_per_unit: 16,
        examples_per_unit: 4,
        batch_size: 100,
        steps: 200,
    };

    #[test]
    fn both_ways_meet_the_budget_and_do_the_same_work() {
        let found = compare_sampling(&RUN, 4.0, 1e-5).unwrap();
        assert_eq!(RUN.records_of_step(), 400.0);
        assert_eq!(found.users.sampling_rate, quantized_rate(0.05));
        assert_eq!(found.examples.sampling_rate, quantized_rate(0.025));
        for way in [&found.users, &found.examples] {
            let epsilon = way.event.epsilon(1e-5).unwrap().value();
            assert!(epsilon <= 4.0 && epsilon > 3.99, "{epsilon}");
        }
        // The lemma of groups would ask for far less of one record: a sixteenth of epsilon, at a far smaller delta.
        let split = DpEvent::poisson_sampled_gaussian(
            found.examples.sampling_rate,
            found.examples.noise_multiplier,
            RUN.steps,
        );
        let one = 4.0_f64 / 16.0;
        let delta = 1e-5 / (16.0 * (15.0 * one).exp());
        assert!(split.unwrap().epsilon(delta).unwrap().value() > one);
    }

    /// Whoever has one record alone is a record: both ways are one.
    #[test]
    fn with_one_record_each_both_ways_are_one() {
        let run = PeopleRun {
            records: 2000,
            max_per_unit: 1,
            examples_per_unit: 1,
            ..RUN
        };
        let found = compare_sampling(&run, 4.0, 1e-5).unwrap();
        assert_eq!(found.users, found.examples);
        assert!(found.users_are_cheaper());
    }

    #[test]
    fn steps_follow_the_passes_over_people() {
        assert_eq!(PeopleRun::steps_of(2000, 100, 10.0).unwrap(), 200);
        assert!(PeopleRun::steps_of(0, 100, 10.0).is_err());
        let nobody = PeopleRun { people: 0, ..RUN };
        assert!(compare_sampling(&nobody, 4.0, 1e-5).is_err());
    }
}
