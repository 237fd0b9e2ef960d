//! Calibration: the inverse of the accountants. Every answer is the conservative end of the search, verified by the
//! accountants that state the cost afterwards.

use super::fault::fault;
use crate::error::check_open_delta;
use crate::{AccountantError, Certified, DpEvent, epsilon_rdp};

/// Relative width to which a parameter is sought.
const TOLERANCE: f64 = 4e-5;
/// Largest number of questions to the accountants in one search.
const MAX_QUESTIONS: usize = 120;

/// An answer and what it costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibrated<T> {
    /// The noise multiplier, sampling rate or number of steps that was sought.
    pub value: T,
    /// Its certified cost: at most the target.
    pub certified: Certified,
}

/// The smallest noise multiplier, to 1e-4, at which the event that `event` makes of it costs at most `epsilon` at `delta`.
///
/// The cost must fall as the noise multiplier grows.
///
/// # Errors
/// A parameter is out of range, or no noise multiplier up to 1e9 meets the target.
pub fn noise_multiplier(
    epsilon: f64,
    delta: f64,
    event: impl Fn(f64) -> Result<DpEvent, AccountantError>,
) -> Result<Calibrated<f64>, AccountantError> {
    check(epsilon, delta)?;
    let silent = event(0.0)?.certified(delta)?;
    if silent.epsilon <= epsilon {
        // Nothing is sampled or no step is made.
        return Ok(Calibrated {
            value: 0.0,
            certified: silent,
        });
    }
    // The Rényi accountant is quick and never too low: it gives the first safe end.
    let rough = rough(epsilon, delta, 1e-2, &event).unwrap_or(1.0);
    let (value, certified) = least(
        "noise multiplier",
        epsilon,
        rough,
        (1e-6, 1e9),
        TOLERANCE,
        |sigma| {
            let certified = event(sigma)?.certified(delta)?;
            let lower = fault!(CalibratedToLower).then_some(certified.prv.lower);
            Ok((lower.unwrap_or(certified.epsilon.value()), certified))
        },
    )?;
    Ok(Calibrated { value, certified })
}

/// The least noise multiplier, to a thousandth, at which the Rényi accountant bounds the cost by `epsilon` at `delta`: quick, safe, and
/// some percent above that of [`noise_multiplier`], which a run has.
///
/// # Errors
/// A parameter is out of range, or no noise multiplier up to 1e9 meets the target.
pub(crate) fn noise_multiplier_rdp(
    epsilon: f64,
    delta: f64,
    event: impl Fn(f64) -> Result<DpEvent, AccountantError>,
) -> Result<f64, AccountantError> {
    check(epsilon, delta)?;
    rough(epsilon, delta, 1e-3, &event)
}

fn rough(
    epsilon: f64,
    delta: f64,
    tolerance: f64,
    event: impl Fn(f64) -> Result<DpEvent, AccountantError>,
) -> Result<f64, AccountantError> {
    least(
        "noise multiplier",
        epsilon,
        1.0,
        (1e-6, 1e9),
        tolerance,
        |sigma| epsilon_rdp(&event(sigma)?, delta).map(|epsilon| (epsilon.value(), ())),
    )
    .map(|(sigma, ())| sigma)
}

/// The largest sampling rate, to 1e-4, at which the event that `event` makes of it costs at most `epsilon` at `delta`.
///
/// # Errors
/// A parameter is out of range, or no rate of at least 1e-12 meets the target.
pub fn sampling_rate(
    epsilon: f64,
    delta: f64,
    event: impl Fn(f64) -> Result<DpEvent, AccountantError>,
) -> Result<Calibrated<f64>, AccountantError> {
    check(epsilon, delta)?;
    let whole = event(1.0)?.certified(delta)?;
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
        |inverse| {
            let certified = event(1.0 / inverse)?.certified(delta)?;
            Ok((certified.epsilon.value(), certified))
        },
    )?;
    Ok(Calibrated {
        value: 1.0 / inverse,
        certified,
    })
}

/// The largest number of steps at which the event that `event` makes of it costs at most `epsilon` at `delta`.
///
/// # Errors
/// A parameter is out of range, not even one step meets the target, or a hundred million still do.
pub fn steps(
    epsilon: f64,
    delta: f64,
    event: impl Fn(u64) -> Result<DpEvent, AccountantError>,
) -> Result<Calibrated<u64>, AccountantError> {
    const MAX_STEPS: u64 = 100_000_000;
    check(epsilon, delta)?;
    let cost = |steps: u64| event(steps)?.certified(delta);
    let mut best = (0, cost(0)?);
    let mut over = 1;
    loop {
        let certified = cost(over)?;
        if certified.epsilon > epsilon {
            break;
        }
        best = (over, certified);
        if over >= MAX_STEPS {
            return Err(AccountantError::Unreachable {
                sought: "number of steps",
                epsilon,
                reason: format!("{MAX_STEPS} steps still cost {:.6}", certified.epsilon),
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
    check_open_delta(delta)
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
    for question in 0..MAX_QUESTIONS {
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
    use super::*;
    use crate::fault::{self, Fault};
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    /// The certified upper bound at the answer is at most the target, and with 1e-4 less noise it is above.
    fn is_tight(target: f64, delta: f64, sampling_rate: f64, steps: u64) -> bool {
        let event = |sigma| DpEvent::poisson_sampled_gaussian(sampling_rate, sigma, steps);
        let cost = |sigma| event(sigma).unwrap().certified(delta).unwrap();
        let found = noise_multiplier(target, delta, event).unwrap();
        let less = cost(found.value * (1.0 - 1e-4)).epsilon;
        let tight = found.certified.epsilon <= target && less > target;
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
        let event = |steps, rate| DpEvent::poisson_sampled_gaussian(rate, 1.0, steps);
        let cost = |steps, rate| event(steps, rate).unwrap().epsilon(1e-5).unwrap();
        let found = steps(3.0, 1e-5, |steps| event(steps, 0.02)).unwrap();
        assert!(cost(found.value, 0.02) <= 3.0 && cost(found.value + 1, 0.02) > 3.0);
        let rate = sampling_rate(3.0, 1e-5, |rate| event(500, rate))
            .unwrap()
            .value;
        assert!(cost(500, rate) <= 3.0 && cost(500, rate * (1.0 + 1e-4)) > 3.0);
    }

    #[test]
    fn impossible_targets_are_told() {
        let event = |sigma| DpEvent::poisson_sampled_gaussian(0.1, sigma, 10);
        assert!(noise_multiplier(0.0, 1e-5, event).is_err());
        assert!(noise_multiplier(f64::NAN, 1e-5, event).is_err());
        assert!(noise_multiplier(1.0, 0.0, event).is_err());
        let few = |steps| DpEvent::poisson_sampled_gaussian(0.5, 0.3, steps);
        assert!(steps(0.1, 1e-5, few).is_err());
        let none = |sigma| DpEvent::poisson_sampled_gaussian(0.1, sigma, 0);
        assert_eq!(noise_multiplier(1.0, 1e-5, none).unwrap().value, 0.0);
        let beside = |sigma| Ok(DpEvent::composed([event(sigma)?, DpEvent::gaussian(1.0)?]));
        assert!(matches!(
            noise_multiplier(1.0, 1e-5, beside),
            Err(AccountantError::Unreachable { .. })
        ));
    }
}
