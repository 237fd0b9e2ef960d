//! Batch size from the noise-to-batch ratio (McKenna et al. 2025, "Scaling laws for differentially private language models").
//!
//! A step's averaged gradient carries noise of standard deviation sigma C / B. At a fixed number of passes a larger batch means fewer
//! steps, so that the ratio sigma / B always falls and alone would ask for one step over everything. What stops falling is the noise of
//! the mean over all steps, sigma / (B sqrt T): while the rate is small the noise multiplier stays near its floor and twice the batch
//! leaves 0.71 of it; near full batches sigma grows as sqrt(B), and nothing is won any more.
//!
//! The choice is no claim: whatever it is, the noise is calibrated afterwards by all accountants. It reads the public number of records
//! alone, so that it holds under zero-out adjacency, and no clock, so that it is the same on every machine.

use crate::calibration::noise_multiplier_rdp;
use crate::{AccountantError, DpEvent, Sampling, SamplingPlan, sampling_plan};
use serde::Serialize;

/// Steps below which a small model hardly learns to write.
pub const FEWEST_STEPS: u64 = 50;

/// A batch is large enough where twice as much would leave at least this share of the noise.
const NO_LONGER_FALLS: f64 = 0.95;

/// The noise-to-batch ratio: standard deviation of the noise in a step's averaged gradient, as a share of the bound on one record's.
pub fn noise_to_batch(noise_multiplier: f64, batch: f64) -> f64 {
    noise_multiplier / batch
}

/// The same of the mean over all steps: what a training of so many steps is left with.
pub fn noise_of_mean(noise_multiplier: f64, batch: f64, steps: u64) -> f64 {
    noise_to_batch(noise_multiplier, batch) / (steps.max(1) as f64).sqrt()
}

/// What a batch size is chosen from: public numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BatchQuestion {
    /// Public number of records, or of people where these are sampled, canaries included.
    pub examples: u64,
    /// Passes over them: the work that the training may do.
    pub epochs: f64,
    /// The budget of the training.
    pub epsilon: f64,
    /// Its failure probability.
    pub delta: f64,
}

/// Why a batch is not larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchBound {
    /// Twice as much would hardly lower the noise.
    Noise,
    /// There would be fewer than [`FEWEST_STEPS`] steps.
    Steps,
    /// There are no more records.
    Records,
}

/// A batch size, and what led to it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BatchChoice {
    /// A power of two.
    pub batch_size: u64,
    /// The steps that the passes allow.
    pub steps: u64,
    /// Share of the noise of the mean that is left with twice the batch; none where the batch is as large as it may be.
    pub doubling_leaves: Option<f64>,
    /// What stopped it.
    pub bound: BatchBound,
}

/// The smallest power of two from which twice the batch, at as many passes, would lower the noise of the mean gradient by less than a
/// twentieth; never so large that fewer than [`FEWEST_STEPS`] steps are left, where batches of one record leave as many.
///
/// Noise multipliers are those of the Rényi accountant: they differ from the certified ones by nearly the same factor at neighbouring
/// batch sizes, and cost a hundredth.
///
/// # Errors
/// A number is out of range, or the budget cannot be met.
pub fn choose_batch(question: &BatchQuestion) -> Result<BatchChoice, AccountantError> {
    let sampled = |exponent: u32| sampling(question, 1 << exponent);
    let fits = |exponent: u32| -> Result<bool, AccountantError> {
        Ok(1_u64 << exponent <= question.examples && sampled(exponent)?.steps >= FEWEST_STEPS)
    };
    sampled(0)?;
    let mut largest = 0;
    while largest < 62 && fits(largest + 1)? {
        largest += 1;
    }
    let falls = |exponent: u32| -> Result<f64, AccountantError> {
        Ok(noise(question, exponent + 1)? / noise(question, exponent)?)
    };
    // The share rises with the batch: the first that is large enough is found by halving.
    let (mut low, mut high) = (0, largest);
    let mut left = None;
    while low < high {
        let middle = u32::midpoint(low, high);
        let share = falls(middle)?;
        if share >= NO_LONGER_FALLS {
            high = middle;
            left = Some(share);
        } else {
            low = middle + 1;
        }
    }
    let batch_size = 1 << low;
    let bound = if low < largest {
        BatchBound::Noise
    } else if batch_size * 2 > question.examples {
        BatchBound::Records
    } else {
        BatchBound::Steps
    };
    Ok(BatchChoice {
        batch_size,
        steps: sampled(low)?.steps,
        doubling_leaves: left.filter(|_| bound == BatchBound::Noise),
        bound,
    })
}

fn sampling(question: &BatchQuestion, batch_size: u64) -> Result<SamplingPlan, AccountantError> {
    let epochs = question.epochs;
    sampling_plan(
        question.examples,
        0,
        Sampling::Epochs { batch_size, epochs },
    )
}

/// The noise of the mean gradient with batches of a power of two.
fn noise(question: &BatchQuestion, exponent: u32) -> Result<f64, AccountantError> {
    let plan = sampling(question, 1 << exponent)?;
    let event = |sigma| DpEvent::poisson_sampled_gaussian(plan.sampling_rate, sigma, plan.steps);
    let sigma = noise_multiplier_rdp(question.epsilon, question.delta, event)?;
    Ok(noise_of_mean(sigma, plan.expected_batch_size, plan.steps))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::noise_multiplier;
    use crate::default_delta;

    fn question(examples: u64, epochs: f64, epsilon: f64) -> BatchQuestion {
        BatchQuestion {
            examples,
            epochs,
            epsilon,
            delta: default_delta(examples),
        }
    }

    /// The noise of the mean with the noise multiplier that a run would have.
    fn certified(question: &BatchQuestion, batch: u64) -> f64 {
        let plan = sampling(question, batch).unwrap();
        let event =
            |sigma| DpEvent::poisson_sampled_gaussian(plan.sampling_rate, sigma, plan.steps);
        let sigma = noise_multiplier(question.epsilon, question.delta, event)
            .unwrap()
            .value;
        noise_of_mean(sigma, plan.expected_batch_size, plan.steps)
    }

    #[test]
    fn twice_the_batch_hardly_helps_and_half_of_it_would_cost() {
        for (examples, epochs, epsilon) in [(16_000, 40.0, 3.0), (100_000, 20.0, 1.0)] {
            let question = question(examples, epochs, epsilon);
            let found = choose_batch(&question).unwrap();
            assert_eq!(found.bound, BatchBound::Noise, "{found:?}");
            let [half, own, twice] = [found.batch_size / 2, found.batch_size, found.batch_size * 2]
                .map(|batch| certified(&question, batch));
            // With a little room, as the accountants differ.
            assert!(twice / own > 0.94, "{found:?} {}", twice / own);
            assert!(own / half < 0.96, "{found:?} {}", own / half);
            let left = found.doubling_leaves.unwrap();
            assert!((left - twice / own).abs() < 0.02, "{left}");
        }
    }

    /// The search by halving finds what looking at every batch does, whatever the numbers are.
    #[test]
    fn it_is_the_first_of_all_that_are_large_enough() {
        for examples in [300, 60_000] {
            for epochs in [3.0, 60.0] {
                for epsilon in [0.5, 8.0] {
                    let question = question(examples, epochs, epsilon);
                    let found = choose_batch(&question).unwrap();
                    let mut first = 0;
                    loop {
                        let next = 1 << (first + 1);
                        let steps = sampling(&question, next).unwrap().steps;
                        if next > examples || steps < FEWEST_STEPS {
                            break;
                        }
                        let falls =
                            noise(&question, first + 1).unwrap() / noise(&question, first).unwrap();
                        if falls >= NO_LONGER_FALLS {
                            break;
                        }
                        first += 1;
                    }
                    assert_eq!(found.batch_size, 1 << first, "{question:?}");
                    assert!(found.batch_size <= examples);
                    assert_eq!(
                        found.steps,
                        sampling(&question, found.batch_size).unwrap().steps
                    );
                }
            }
        }
    }

    #[test]
    fn steps_are_left_for_the_model_to_learn() {
        // 0.85 passes over the built-in comments, as the shipped study has them.
        let found = choose_batch(&question(7_730, 0.85, 3.0)).unwrap();
        assert_eq!(
            (found.batch_size, found.steps, found.bound),
            (128, 51, BatchBound::Steps)
        );
        let few = choose_batch(&question(10, 1.0, 3.0)).unwrap();
        assert_eq!((few.batch_size, few.steps), (1, 10));
        let one = choose_batch(&question(1, 100.0, 3.0)).unwrap();
        assert_eq!((one.batch_size, one.bound), (1, BatchBound::Records));
    }

    /// More passes never ask for a smaller batch, nor does a larger budget.
    #[test]
    fn it_grows_with_the_work_and_the_budget() {
        let size = |epochs, epsilon| {
            choose_batch(&question(16_000, epochs, epsilon))
                .unwrap()
                .batch_size
        };
        let by_work: Vec<u64> = [1.0, 3.0, 10.0].map(|epochs| size(epochs, 3.0)).into();
        assert!(by_work.is_sorted(), "{by_work:?}");
        let by_budget: Vec<u64> = [1.0, 3.0, 8.0, 16.0]
            .map(|epsilon| size(40.0, epsilon))
            .into();
        assert!(by_budget.is_sorted(), "{by_budget:?}");
        assert!(by_budget[0] < by_budget[3], "{by_budget:?}");
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(choose_batch(&question(0, 1.0, 3.0)).is_err());
        assert!(choose_batch(&question(100, 0.0, 3.0)).is_err());
        assert!(choose_batch(&question(100, f64::NAN, 3.0)).is_err());
        for epsilon in [0.0, f64::INFINITY, f64::NAN] {
            assert!(
                choose_batch(&question(100_000, 3.0, epsilon)).is_err(),
                "{epsilon}"
            );
        }
    }
}
