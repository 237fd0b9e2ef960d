//! Calibration: the inverse of the accountants. Every answer is the conservative end of the search, verified by the
//! accountants that state the cost afterwards.

use super::fault::fault;
use crate::{AccountantError, Certified, Phase, certified_upper, epsilon_rdp};

/// Relative width to which a parameter is sought.
const TOLERANCE: f64 = 4e-5;
/// Most questions to the accountants in one search.
const MOST_QUESTIONS: usize = 120;

/// An answer and what it costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibrated<T> {
    /// The parameter sought.
    pub value: T,
    /// Its certified cost: at most the target.
    pub certified: Certified,
}

/// The smallest noise multiplier, to 1e-4, whose certified epsilon at `delta` is at most `epsilon`.
///
/// # Errors
/// A parameter is out of range, or no noise multiplier up to 1e9 meets the target.
pub fn noise_multiplier(
    epsilon: f64,
    delta: f64,
    sampling_rate: f64,
    steps: u64,
) -> Result<Calibrated<f64>, AccountantError> {
    check(epsilon, delta)?;
    let phases = |noise_multiplier| {
        [Phase {
            noise_multiplier,
            sampling_rate,
            steps,
        }]
    };
    if certified_upper(&phases(1e-200), delta)?.epsilon == 0.0 {
        // Nothing is sampled or no step is made.
        let certified = certified_upper(&phases(0.0), delta)?;
        return Ok(Calibrated {
            value: 0.0,
            certified,
        });
    }
    // The Rényi accountant is quick and never too low: it gives the first safe end.
    let rough = least(
        "noise multiplier",
        epsilon,
        1.0,
        (1e-6, 1e9),
        1e-2,
        |sigma| epsilon_rdp(&phases(sigma), delta).map(|epsilon| (epsilon, ())),
    )
    .map_or(1.0, |(sigma, ())| sigma);
    let (value, certified) = least(
        "noise multiplier",
        epsilon,
        rough,
        (1e-6, 1e9),
        TOLERANCE,
        |sigma| {
            let certified = certified_upper(&phases(sigma), delta)?;
            let lower = fault!(CalibratedToLower).then_some(certified.prv.lower);
            Ok((lower.unwrap_or(certified.epsilon), certified))
        },
    )?;
    Ok(Calibrated { value, certified })
}

/// The largest sampling rate, to 1e-4, whose certified epsilon at `delta` is at most `epsilon`.
///
/// # Errors
/// A parameter is out of range, or no rate of at least 1e-12 meets the target.
pub fn sampling_rate(
    epsilon: f64,
    delta: f64,
    noise_multiplier: f64,
    steps: u64,
) -> Result<Calibrated<f64>, AccountantError> {
    check(epsilon, delta)?;
    let cost = |sampling_rate: f64| {
        let phase = Phase {
            noise_multiplier,
            sampling_rate,
            steps,
        };
        certified_upper(&[phase], delta)
    };
    let whole = cost(1.0)?;
    if whole.epsilon <= epsilon {
        return Ok(Calibrated {
            value: 1.0,
            certified: whole,
        });
    }
    let (inverse, certified) = least(
        "sampling rate",
        epsilon,
        100.0,
        (1.0, 1e12),
        TOLERANCE,
        |inverse| cost(1.0 / inverse).map(|certified| (certified.epsilon, certified)),
    )?;
    Ok(Calibrated {
        value: 1.0 / inverse,
        certified,
    })
}

/// The largest number of steps whose certified epsilon at `delta` is at most `epsilon`.
///
/// # Errors
/// A parameter is out of range, or not even one step meets the target.
pub fn steps(
    epsilon: f64,
    delta: f64,
    noise_multiplier: f64,
    sampling_rate: f64,
) -> Result<Calibrated<u64>, AccountantError> {
    const MOST: u64 = 100_000_000;
    check(epsilon, delta)?;
    let cost = |steps: u64| {
        let phase = Phase {
            noise_multiplier,
            sampling_rate,
            steps,
        };
        certified_upper(&[phase], delta)
    };
    let mut best = (0, cost(0)?);
    let mut over = 1;
    loop {
        let certified = cost(over)?;
        if certified.epsilon > epsilon {
            break;
        }
        best = (over, certified);
        if over >= MOST {
            return Err(AccountantError::Unreachable {
                sought: "number of steps",
                epsilon,
                reason: format!("{MOST} steps still cost {}", certified.epsilon),
            });
        }
        over *= 2;
    }
    if best.0 == 0 {
        return Err(AccountantError::Unreachable {
            sought: "number of steps",
            epsilon,
            reason: "one step costs more; raise the noise multiplier".to_owned(),
        });
    }
    while over - best.0 > 1 {
        let middle = best.0 + (over - best.0) / 2;
        let certified = cost(middle)?;
        if certified.epsilon <= epsilon {
            best = (middle, certified);
        } else {
            over = middle;
        }
    }
    Ok(Calibrated {
        value: best.0,
        certified: best.1,
    })
}

fn check(epsilon: f64, delta: f64) -> Result<(), AccountantError> {
    AccountantError::check(
        "epsilon",
        epsilon,
        epsilon > 0.0 && epsilon.is_finite(),
        "a finite number above 0",
    )?;
    AccountantError::check(
        "delta",
        delta,
        delta > 0.0 && delta < 1.0,
        "a number above 0 and below 1",
    )
}

/// The least x, to `tolerance`, whose cost is at most `target`, for a cost that falls with x; with what came with it.
///
/// Interpolation of ln(cost) over ln(x) inside a bracket, nudged so that both ends close in, with bisection whenever
/// that is slow. The end returned was itself asked for and met the target.
pub(crate) fn least<T>(
    sought: &'static str,
    target: f64,
    start: f64,
    range: (f64, f64),
    tolerance: f64,
    mut cost: impl FnMut(f64) -> Result<(f64, T), AccountantError>,
) -> Result<(f64, T), AccountantError> {
    let (low_end, high_end) = (range.0.ln(), range.1.ln());
    let mut over: Option<(f64, f64)> = None;
    let mut under: Option<(f64, f64, T)> = None;
    let mut x = start.ln();
    let mut step = 0.1;
    for question in 0..MOST_QUESTIONS {
        let (epsilon, extra) = cost(x.exp())?;
        let safe = epsilon <= target;
        if safe {
            under = Some((x, epsilon, extra));
        } else {
            over = Some((x, epsilon));
        }
        x = match (&over, &under) {
            (Some((low, low_cost)), Some((high, high_cost, _))) => {
                if high - low <= tolerance {
                    break;
                }
                let share = (low_cost / target).ln() / (low_cost / high_cost).ln();
                let usable = share.is_finite() && question % 4 != 3;
                let between = if usable {
                    low + share * (high - low)
                } else {
                    0.5 * (low + high)
                };
                // Aim a little beyond the root as seen from the end that moved last, so that the other moves next.
                let nudge = if safe { -0.3 } else { 0.3 } * tolerance;
                let least_gain = 0.05 * tolerance;
                (between + nudge).clamp(low + least_gain, high - least_gain)
            }
            (Some((low, _)), None) => {
                step *= 2.0;
                low + step
            }
            (None, Some((high, _, _))) => {
                step *= 2.0;
                high - step
            }
            (None, None) => x,
        };
        if over.is_none() && x < low_end {
            break;
        }
        if under.is_none() && x > high_end {
            break;
        }
    }
    let found = under.map(|(x, _, extra)| (x.exp(), extra));
    found.ok_or_else(|| AccountantError::Unreachable {
        sought,
        epsilon: target,
        reason: format!("at {} it still costs more", range.1),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use crate::fault::{self, Fault};
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    /// The certified upper bound at the answer is at most the target, and with 1e-4 less noise it is above.
    fn is_tight(target: f64, delta: f64, sampling_rate: f64, steps: u64) -> bool {
        let cost = |noise_multiplier| {
            let phase = Phase {
                noise_multiplier,
                sampling_rate,
                steps,
            };
            certified_upper(&[phase], delta).unwrap()
        };
        let found = noise_multiplier(target, delta, sampling_rate, steps).unwrap();
        let less = cost(found.value * (1.0 - 1e-4)).epsilon;
        let tight = found.certified.epsilon <= target && target < less;
        if !tight {
            eprintln!("{target} {delta} {sampling_rate} {steps}: {found:?}, a little less {less}");
        }
        tight && cost(found.value) == found.certified
    }

    pub(crate) fn answers_are_tight() -> bool {
        [
            (0.05, 1e-5, 0.016, 188),
            (3.0, 2.37e-5, 0.016, 188),
            (8.0, 1e-6, 0.064, 500),
            (100.0, 1e-5, 0.1, 100),
            (1000.0, 1e-5, 0.5, 50),
        ]
        .into_iter()
        .all(|(target, delta, rate, steps)| is_tight(target, delta, rate, steps))
    }

    #[test]
    fn the_answer_meets_the_target_and_a_little_less_does_not() {
        assert!(answers_are_tight());
        assert!(!fault::with(Fault::CalibratedToLower, answers_are_tight));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 6, rng_seed: RngSeed::Fixed(34), failure_persistence: None, ..ProptestConfig::default() })]

        /// Targets from 0.05 to 1,000.
        #[test]
        fn any_answer_is_tight(
            target in (-3.0..6.9f64).prop_map(f64::exp),
            delta in (-16.0..-9.0f64).prop_map(f64::exp),
            rate in (-7.0..-0.7f64).prop_map(f64::exp),
            steps in 10u64..2000,
        ) {
            prop_assert!(is_tight(target, delta, rate, steps));
        }
    }

    #[test]
    fn steps_and_rates_are_the_largest() {
        let found = steps(3.0, 1e-5, 1.0, 0.02).unwrap();
        let cost = |steps, sampling_rate| {
            let phase = Phase {
                noise_multiplier: 1.0,
                sampling_rate,
                steps,
            };
            certified_upper(&[phase], 1e-5).unwrap().epsilon
        };
        assert!(cost(found.value, 0.02) <= 3.0 && cost(found.value + 1, 0.02) > 3.0);
        let rate = sampling_rate(3.0, 1e-5, 1.0, 500).unwrap().value;
        assert!(cost(500, rate) <= 3.0 && cost(500, rate * (1.0 + 1e-4)) > 3.0);
    }

    #[test]
    fn impossible_targets_are_told() {
        assert!(noise_multiplier(0.0, 1e-5, 0.1, 10).is_err());
        assert!(noise_multiplier(f64::NAN, 1e-5, 0.1, 10).is_err());
        assert!(noise_multiplier(1.0, 0.0, 0.1, 10).is_err());
        assert!(steps(0.1, 1e-5, 0.3, 0.5).is_err());
        assert_eq!(noise_multiplier(1.0, 1e-5, 0.1, 0).unwrap().value, 0.0);
    }
}
