//! An event as the accountants see it: flat, checked, merged, in one order whatever the order it was told in.

use super::{AccountantError, DpEvent, MAX_GROUP, dominating_pair::DominatingPair};
use crate::error::{check_noise_multiplier, check_sampling_rate};

/// A number of steps of the Poisson-subsampled Gaussian with equal parameters; a sampling rate of 1 is the plain Gaussian.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct EqualSteps {
    pub(super) noise_multiplier: f64,
    pub(super) sampling_rate: f64,
    pub(super) steps: u64,
    /// Records of one unit, each sampled on its own; 1 where all of them are in every step, which the noise multiplier tells.
    pub(super) records: u32,
}

impl EqualSteps {
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        (self.noise_multiplier.total_cmp(&other.noise_multiplier))
            .then(self.sampling_rate.total_cmp(&other.sampling_rate))
            .then(self.records.cmp(&other.records))
    }
}

/// A pair of distributions and how often it is composed.
#[derive(Debug, Clone)]
pub(super) struct RepeatedPair {
    pub(super) pair: DominatingPair,
    pub(super) steps: f64,
}

/// An event after checking, merging and dropping what costs nothing.
#[derive(Debug, Clone)]
pub(super) enum Composition {
    /// Nothing is spent.
    Free,
    /// There is no guarantee.
    Unbounded,
    /// A composition of pairs; equal steps are merged, and all plain Gaussians are one.
    Pairs {
        repeated: Vec<RepeatedPair>,
        parts: Vec<EqualSteps>,
    },
}

impl EqualSteps {
    /// The same with all records of `group` units in every step: what the Rényi accountant knows of a group. It is never too
    /// small.
    pub(super) fn at_once(&self, group: u32) -> Self {
        let records = f64::from(group) * f64::from(self.records);
        if records == 1.0 {
            return *self;
        }
        Self {
            noise_multiplier: self.noise_multiplier / records,
            sampling_rate: 1.0,
            steps: self.steps,
            records: 1,
        }
    }
}

impl Composition {
    /// Checks an event for groups of `group` units and flattens it.
    pub(super) fn new(event: &DpEvent, group: u32) -> Result<Self, AccountantError> {
        let Some(mut parts) = flatten(event, group)? else {
            return Ok(Self::Unbounded);
        };
        parts.sort_by(EqualSteps::order);
        let Some(parts) = merge(parts) else {
            return Ok(Self::Unbounded);
        };
        if parts.is_empty() {
            return Ok(Self::Free);
        }
        let (mut sampled, plain): (Vec<EqualSteps>, Vec<EqualSteps>) =
            parts.into_iter().partition(|part| part.sampling_rate < 1.0);
        if !plain.is_empty() {
            // T Gaussians compose to one Gaussian whose 1/sigma^2 is their sum; the factor keeps rounding on the safe side.
            let precision: f64 = plain
                .iter()
                .map(|part| part.steps as f64 / part.noise_multiplier.powi(2))
                .sum();
            let rounding = f64::max(1e-14, plain.len() as f64 * f64::EPSILON);
            let noise_multiplier = ((1.0 / precision).sqrt() * (1.0 - rounding)).min(MOST_NOISE);
            if noise_multiplier < LEAST_NOISE {
                return Ok(Self::Unbounded);
            }
            sampled.push(EqualSteps {
                noise_multiplier,
                sampling_rate: 1.0,
                steps: 1,
                records: 1,
            });
        }
        let repeated = sampled
            .iter()
            .map(|part| RepeatedPair {
                pair: DominatingPair::new(
                    part.noise_multiplier,
                    part.sampling_rate,
                    group * part.records,
                ),
                steps: part.steps as f64,
            })
            .collect();
        Ok(Self::Pairs {
            repeated,
            parts: sampled,
        })
    }
}

/// Noise below this protects nothing that f64 can tell.
const LEAST_NOISE: f64 = 1e-100;

/// Noise above this is taken for as much, which is on the safe side and keeps its square a number.
const MOST_NOISE: f64 = 1e100;

/// Everything in an event that costs something; none if it has no guarantee.
fn flatten(event: &DpEvent, group: u32) -> Result<Option<Vec<EqualSteps>>, AccountantError> {
    let mut parts = Vec::new();
    let mut unbounded = false;
    // What is still to be looked at, and how often it happens; none for more often than can be counted.
    let mut open = vec![(event, Some(1_u64))];
    while let Some((event, times)) = open.pop() {
        if times == Some(0) {
            continue;
        }
        let mut leaf = |noise_multiplier: f64, sampling_rate: f64, steps: u64, records: u32| {
            check_noise_multiplier(noise_multiplier)?;
            check_sampling_rate(sampling_rate)?;
            if sampling_rate == 0.0 || steps == 0 {
                return Ok(());
            }
            let all = times.and_then(|times| times.checked_mul(steps));
            // A unit whose records are all in every step moves the sum by as many bounds. Of groups beyond what mixtures are
            // computed for that is taken to be so: never too small.
            let at_once = sampling_rate == 1.0
                || u64::from(group) * u64::from(records) > u64::from(MAX_GROUP);
            let (noise_multiplier, sampling_rate, records) = if records > 1 && at_once {
                (noise_multiplier / f64::from(records), 1.0, 1)
            } else {
                (noise_multiplier, sampling_rate, records)
            };
            match all {
                Some(steps) if noise_multiplier >= LEAST_NOISE => parts.push(EqualSteps {
                    noise_multiplier: noise_multiplier.min(MOST_NOISE),
                    sampling_rate,
                    steps,
                    records,
                }),
                _ => unbounded = true,
            }
            Ok(())
        };
        match event {
            DpEvent::NonPrivate => unbounded = true,
            DpEvent::Gaussian { noise_multiplier } => leaf(*noise_multiplier, 1.0, 1, 1)?,
            DpEvent::PoissonSampledGaussian {
                sampling_rate,
                noise_multiplier,
                steps,
                records_per_unit,
            } => leaf(*noise_multiplier, *sampling_rate, *steps, *records_per_unit)?,
            DpEvent::SelfComposed { event, count } => {
                let all = if *count == 0 {
                    Some(0)
                } else {
                    times.and_then(|times| times.checked_mul(*count))
                };
                open.push((event, all));
            }
            DpEvent::Composed { events } => {
                open.extend(events.iter().map(|event| (event, times)));
            }
        }
    }
    Ok((!unbounded).then_some(parts))
}

/// Equal neighbors as one; none for more steps than can be counted.
fn merge(sorted: Vec<EqualSteps>) -> Option<Vec<EqualSteps>> {
    let mut merged: Vec<EqualSteps> = Vec::with_capacity(sorted.len());
    for part in sorted {
        match merged.last_mut() {
            Some(last) if last.order(&part).is_eq() => {
                last.steps = last.steps.checked_add(part.steps)?;
            }
            _ => merged.push(part),
        }
    }
    Some(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(event: &DpEvent) -> Vec<EqualSteps> {
        match Composition::new(event, 1).unwrap() {
            Composition::Pairs { parts, .. } => parts,
            _ => Vec::new(),
        }
    }

    #[test]
    fn nesting_order_and_grouping_do_not_matter() {
        let run = |sigma, steps| DpEvent::poisson_sampled_gaussian(0.1, sigma, steps).unwrap();
        let noisy = |sigma| DpEvent::gaussian(sigma).unwrap();
        let flat =
            DpEvent::composed([run(1.0, 6), run(2.0, 5), noisy(3.0), noisy(0.7), noisy(5.0)]);
        let nested = DpEvent::composed([
            DpEvent::composed([noisy(5.0), noisy(0.7)]),
            run(2.0, 5),
            DpEvent::composed([run(1.0, 2).self_composed(3)]),
            noisy(3.0),
            run(9.0, 0),
            DpEvent::NonPrivate.self_composed(0),
        ]);
        assert_eq!(parts(&flat), parts(&nested));
        assert_eq!(parts(&flat).len(), 3);
        let sampled_always = DpEvent::poisson_sampled_gaussian(1.0, 3.0, 4).unwrap();
        assert_eq!(parts(&sampled_always), parts(&noisy(3.0).self_composed(4)));
    }
}
