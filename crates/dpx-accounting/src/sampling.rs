//! Sampling rate and number of steps of DP-SGD: computed once, before calibration, for planner, calculator and trainer.

use crate::error::check_sampling_rate;
use crate::{AccountantError, Adjacency};
use serde::{Deserialize, Serialize};

/// floor(q 2^64) / 2^64: the rate that 64-bit coins meet exactly.
pub fn quantized_rate(sampling_rate: f64) -> f64 {
    const TWO_64: f64 = 18_446_744_073_709_551_616.0;
    (sampling_rate * TWO_64).floor() / TWO_64
}

/// How a run samples its data, as [`sampling_plan`] computes it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplingPlan {
    /// Number of records, canaries included. Public under zero-out adjacency; under add/remove nothing else here depends
    /// on it, and it must not be published.
    pub examples: u64,
    /// Probability with which each record takes part in a step, a multiple of 2^-64.
    pub sampling_rate: f64,
    /// How many noisy sums are taken.
    pub steps: u64,
    /// What the noisy sum of a step is divided by.
    pub expected_batch_size: f64,
    /// The adjacency that this way of sampling supports.
    pub adjacency: Adjacency,
}

/// Where sampling rate and number of steps come from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampling {
    /// From the public number of records.
    Epochs {
        /// Expected number of records in a step.
        batch_size: u64,
        /// Passes over the data, in expectation.
        epochs: f64,
    },
    /// Stated outright, whatever the number of records is.
    Stated {
        /// Probability with which each record takes part in a step.
        sampling_rate: f64,
        /// How many noisy sums are taken.
        steps: u64,
        /// What the noisy sum of a step is divided by; any public number.
        batch_size: u64,
    },
}

/// The sampling of a run over `examples` records and `canaries` more that are planted for an audit.
///
/// With N = examples + canaries and B = min(batch size, N):
///
/// - sampling rate = floor(B / N 2^64) / 2^64,
/// - steps = max(1, epochs N / B rounded to the nearest integer, halves up). The quotient is taken from N and B, not from
///   the rate: 16 of 600 over 3 epochs are 112.5 steps, hence 113, where 3 divided by the f64 nearest to 16/600 is a
///   little below 112.5.
/// - expected batch size = B, under zero-out adjacency, for which N is public.
///
/// A stated rate and number of steps are taken as they are, with add/remove adjacency.
///
/// # Errors
/// There is no record, or a number is out of range.
pub fn sampling_plan(
    examples: u64,
    canaries: u64,
    sampling: Sampling,
) -> Result<SamplingPlan, AccountantError> {
    let examples = examples.saturating_add(canaries);
    let at_least_one = |name, value: u64| {
        AccountantError::check(name, value as f64, value > 0, "a number of at least 1")
    };
    match sampling {
        Sampling::Epochs { batch_size, epochs } => {
            at_least_one("number of examples", examples)?;
            at_least_one("batch size", batch_size)?;
            AccountantError::check(
                "number of epochs",
                epochs,
                epochs > 0.0 && epochs < 1e9,
                "a number above 0 and below 1e9",
            )?;
            let batch = batch_size.min(examples) as f64;
            Ok(SamplingPlan {
                examples,
                sampling_rate: quantized_rate(batch / examples as f64),
                steps: (epochs * examples as f64 / batch).round().max(1.0) as u64,
                expected_batch_size: batch,
                adjacency: Adjacency::ZeroOut,
            })
        }
        Sampling::Stated {
            sampling_rate,
            steps,
            batch_size,
        } => {
            check_sampling_rate(sampling_rate)?;
            at_least_one("batch size", batch_size)?;
            Ok(SamplingPlan {
                examples,
                sampling_rate: quantized_rate(sampling_rate),
                steps,
                expected_batch_size: batch_size as f64,
                adjacency: Adjacency::AddRemove,
            })
        }
    }
}

/// N^-1.1: the delta to take where none is stated.
pub fn default_delta(records: u64) -> f64 {
    (records.max(2) as f64).powf(-1.1)
}

/// Refuses a delta of 1/N or more: a mechanism that publishes one of N records at random, whole, would meet it.
///
/// # Errors
/// `delta` is not above 0 and below 1 / `records`.
pub fn check_delta_for(delta: f64, records: u64) -> Result<(), AccountantError> {
    crate::error::check_open_delta(delta)?;
    AccountantError::check(
        "delta",
        delta,
        delta * (records as f64) < 1.0,
        "less than one over the number of records",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(examples: u64, batch_size: u64, epochs: f64) -> SamplingPlan {
        sampling_plan(examples, 0, Sampling::Epochs { batch_size, epochs }).unwrap()
    }

    #[test]
    fn calculator_and_trainer_once_differed_here() {
        let plan = epochs(600, 16, 3.0);
        assert_eq!(plan.steps, 113);
        assert_eq!(plan.sampling_rate, 16.0 / 600.0);
        // Why: a quotient of the rounded rate falls short of the half.
        assert!(3.0 / plan.sampling_rate < 112.5);
    }

    #[test]
    fn canaries_are_records() {
        let sampling = Sampling::Epochs {
            batch_size: 1000,
            epochs: 10.0,
        };
        let plan = sampling_plan(16_000, 2_000, sampling).unwrap();
        assert_eq!((plan.examples, plan.steps), (18_000, 180));
        assert_eq!(plan, sampling_plan(18_000, 0, sampling).unwrap());
    }

    /// For any data set, batch and number of passes: the nearest whole number of steps, halves up.
    #[test]
    fn steps_are_the_nearest_integer() {
        for examples in [
            1_u64,
            7,
            75,
            600,
            1000,
            4800,
            9663,
            16_000,
            123_457,
            1 << 40,
        ] {
            for batch in [1_u64, 3, 16, 64, 75, 256, 1000] {
                for passes in [1_u64, 2, 3, 10] {
                    let plan = epochs(examples, batch, passes as f64);
                    let batch = batch.min(examples);
                    let nearest = (2 * passes * examples + batch) / (2 * batch);
                    assert_eq!(plan.steps, nearest.max(1), "{examples} {batch} {passes}");
                    assert_eq!(plan.expected_batch_size, batch as f64);
                    let exact = batch as f64 / examples as f64;
                    assert!(plan.sampling_rate <= exact);
                    assert!(exact - plan.sampling_rate < 2f64.powi(-64));
                }
            }
        }
    }

    #[test]
    fn a_stated_rate_depends_on_no_record() {
        let sampling = Sampling::Stated {
            sampling_rate: 0.01,
            steps: 7,
            batch_size: 64,
        };
        let (some, none) = (
            sampling_plan(500, 3, sampling).unwrap(),
            sampling_plan(0, 0, sampling).unwrap(),
        );
        assert_eq!(some.adjacency, Adjacency::AddRemove);
        assert_eq!(
            SamplingPlan {
                examples: 0,
                ..some
            },
            none
        );
    }

    #[test]
    fn nonsense_is_refused() {
        let plan = |examples, batch_size, epochs| {
            sampling_plan(examples, 0, Sampling::Epochs { batch_size, epochs })
        };
        assert!(plan(0, 1, 1.0).is_err());
        assert!(plan(10, 0, 1.0).is_err());
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(plan(10, 1, bad).is_err());
        }
        let stated = |sampling_rate| Sampling::Stated {
            sampling_rate,
            steps: 1,
            batch_size: 1,
        };
        assert!(sampling_plan(10, 0, stated(1.5)).is_err());
        assert!(sampling_plan(10, 0, stated(f64::NAN)).is_err());
    }

    #[test]
    fn a_delta_of_one_over_n_is_refused() {
        assert!(check_delta_for(1e-3, 1000).is_err());
        assert!(check_delta_for(0.9, 1000).is_err());
        assert!(check_delta_for(0.0, 1000).is_err());
        assert!(check_delta_for(f64::NAN, 1000).is_err());
        for records in [2, 10, 1000, 1_000_000] {
            assert!(check_delta_for(default_delta(records), records).is_ok());
        }
        assert!(default_delta(0) < 1.0);
    }
}
