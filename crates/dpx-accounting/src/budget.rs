//! One epsilon for several mechanisms, divided by shares of 1/sigma^2 of equivalent Gaussians.
//!
//! Gaussians compose by adding their 1/sigma^2, so that shares of that sum compose without loss where shares of epsilon
//! do not. A subsampled component stands for the plain Gaussian with the same epsilon at the same delta. One scale is
//! sought such that the certified upper bound of the composition of everything meets the target; its conservative end
//! is returned.

use super::calibration::{least, noise_multiplier};
use crate::{AccountantError, Certified, DpEvent, gaussian_epsilon, gaussian_noise_multiplier};

/// A mechanism whose noise multiplier is still to be found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MechanismSpec {
    /// `count` plain Gaussian mechanisms over the whole data set: noisy counts, full-batch descent. The noise's standard
    /// deviation is the noise multiplier times the sensitivity of one of them, which its user states.
    Gaussian {
        /// Number of mechanisms, all with the same noise multiplier.
        count: u64,
    },
    /// DP-SGD with Poisson sampling.
    PoissonSampledGaussian {
        /// Probability with which each record takes part in a step.
        sampling_rate: f64,
        /// Number of noisy sums that are taken.
        steps: u64,
        /// Records that one unit of privacy has at most, each sampled on its own; 1 where units themselves are sampled.
        records_per_unit: u32,
    },
}

impl MechanismSpec {
    /// The event of this mechanism with a noise multiplier.
    ///
    /// # Errors
    /// A number is out of range.
    pub fn event(&self, noise_multiplier: f64) -> Result<DpEvent, AccountantError> {
        match *self {
            Self::Gaussian { count } => {
                Ok(DpEvent::gaussian(noise_multiplier)?.self_composed(count))
            }
            Self::PoissonSampledGaussian {
                sampling_rate,
                steps,
                records_per_unit,
            } => DpEvent::poisson_sampled_records(
                sampling_rate,
                noise_multiplier,
                steps,
                records_per_unit,
            ),
        }
    }
}

/// One mechanism of a divided budget, and how much of the budget it gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Component {
    /// Its share of the sum of 1/sigma^2, relative to the shares of the others: above 0, and they need not sum to one.
    pub share: f64,
    /// Everything about it but its noise multiplier, which [`split`] finds.
    pub mechanism: MechanismSpec,
}

/// What [`split`] found: the noise of each component with which all of them together cost no more than the target.
#[derive(Debug, Clone, PartialEq)]
pub struct CalibratedBudget {
    /// The noise multiplier of each component, in the order given.
    pub noise_multipliers: Vec<f64>,
    /// Each component as an event, in the order given.
    pub events: Vec<DpEvent>,
    /// What all of them cost together: at most the target.
    pub certified: Certified,
}

/// Divides `epsilon` at `delta` over `components`.
///
/// # Errors
/// A share or parameter is out of range, or the target cannot be met.
pub fn split(
    epsilon: f64,
    delta: f64,
    components: &[Component],
) -> Result<CalibratedBudget, AccountantError> {
    for component in components {
        AccountantError::check(
            "share",
            component.share,
            component.share > 0.0 && component.share.is_finite(),
            "a finite number above 0",
        )?;
    }
    AccountantError::check(
        "number of components",
        components.len() as f64,
        !components.is_empty(),
        "at least 1",
    )?;
    if let [
        Component {
            mechanism: mechanism @ MechanismSpec::PoissonSampledGaussian { .. },
            ..
        },
    ] = components
    {
        let found = noise_multiplier(epsilon, delta, |sigma| mechanism.event(sigma))?;
        return Ok(CalibratedBudget {
            noise_multipliers: vec![found.value],
            events: vec![mechanism.event(found.value)?],
            certified: found.certified,
        });
    }
    // The first subsampled component leads: from its noise multiplier follow its equivalent Gaussian, the scale, the rest.
    let leader = components.iter().position(|component| {
        matches!(
            component.mechanism,
            MechanismSpec::PoissonSampledGaussian { .. }
        )
    });
    let start = match leader.map(|index| components[index]) {
        None => gaussian_noise_multiplier(epsilon, delta),
        Some(component) => {
            let total: f64 = components.iter().map(|component| component.share).sum();
            let own = share_of(epsilon, delta, component.share / total);
            equivalent_noise(component.mechanism, own, delta)?
        }
    };
    let (_, (certified, noise_multipliers, events)) = least(
        "noise multiplier",
        epsilon,
        start,
        (1e-6, 1e9),
        4e-5,
        |value| {
            let sigmas = noise_at(value, leader, delta, components)?;
            let events: Vec<DpEvent> = components
                .iter()
                .zip(&sigmas)
                .map(|(component, sigma)| component.mechanism.event(*sigma))
                .collect::<Result<_, _>>()?;
            let certified = DpEvent::composed(events.iter().cloned()).certified(delta)?;
            Ok((certified.epsilon.value(), (certified, sigmas, events)))
        },
    )?;
    Ok(CalibratedBudget {
        noise_multipliers,
        events,
        certified,
    })
}

/// About the epsilon that a mechanism with a share of a budget, as part of one, may cost by itself: that of a Gaussian with this share
/// of 1/sigma^2. [`split`] begins its search there.
pub fn share_of(epsilon: f64, delta: f64, part: f64) -> f64 {
    let whole = gaussian_noise_multiplier(epsilon, delta);
    gaussian_epsilon(whole / part.sqrt(), delta).max(1e-6)
}

/// All noise multipliers when the leader's (or, without one, that of the Gaussian of share one) is `value`.
fn noise_at(
    value: f64,
    leader: Option<usize>,
    delta: f64,
    components: &[Component],
) -> Result<Vec<f64>, AccountantError> {
    let unit = match leader.map(|index| components[index]) {
        Some(Component { share, mechanism }) => {
            let own = mechanism.event(value)?.epsilon(delta)?;
            gaussian_noise_multiplier(own.value(), delta) * share.sqrt()
        }
        None => value,
    };
    components
        .iter()
        .enumerate()
        .map(|(index, component)| {
            let equivalent = unit / component.share.sqrt();
            match component.mechanism {
                MechanismSpec::Gaussian { count } => Ok(equivalent * (count as f64).sqrt()),
                MechanismSpec::PoissonSampledGaussian { .. } if Some(index) == leader => Ok(value),
                mechanism @ MechanismSpec::PoissonSampledGaussian { .. } => {
                    let own = gaussian_epsilon(equivalent, delta).max(1e-6);
                    equivalent_noise(mechanism, own, delta)
                }
            }
        })
        .collect()
}

fn equivalent_noise(
    mechanism: MechanismSpec,
    epsilon: f64,
    delta: f64,
) -> Result<f64, AccountantError> {
    match mechanism {
        MechanismSpec::Gaussian { count } => {
            Ok(gaussian_noise_multiplier(epsilon, delta) * (count as f64).sqrt())
        }
        MechanismSpec::PoissonSampledGaussian { .. } => {
            Ok(noise_multiplier(epsilon, delta, |sigma| mechanism.event(sigma))?.value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAIN: MechanismSpec = MechanismSpec::PoissonSampledGaussian {
        sampling_rate: 0.016,
        steps: 188,
        records_per_unit: 1,
    };

    #[test]
    fn gaussians_divide_by_their_shares() {
        let components = [
            Component {
                share: 0.9,
                mechanism: MechanismSpec::Gaussian { count: 100 },
            },
            Component {
                share: 0.1,
                mechanism: MechanismSpec::Gaussian { count: 1 },
            },
        ];
        let split = split(3.0, 1e-5, &components).unwrap();
        let precision = |steps: f64, sigma: f64| steps / sigma.powi(2);
        let first = precision(100.0, split.noise_multipliers[0]);
        let second = precision(1.0, split.noise_multipliers[1]);
        assert!((first / second - 9.0).abs() < 1e-9);
        let whole = gaussian_noise_multiplier(3.0, 1e-5);
        assert!(((first + second) * whole * whole - 1.0).abs() < 2e-4);
        assert!(split.certified.epsilon <= 3.0);
    }

    #[test]
    fn the_whole_meets_the_target_closely_and_again_the_same() {
        let components = [
            Component {
                share: 0.5,
                mechanism: TRAIN,
            },
            Component {
                share: 0.45,
                mechanism: MechanismSpec::Gaussian { count: 60 },
            },
            Component {
                share: 0.05,
                mechanism: MechanismSpec::Gaussian { count: 1 },
            },
        ];
        let first = split(3.0, 2.37e-5, &components).unwrap();
        assert_eq!(first, split(3.0, 2.37e-5, &components).unwrap());
        let whole = DpEvent::composed(first.events.clone());
        let cost = whole.epsilon(2.37e-5).unwrap();
        assert_eq!(cost, first.certified.epsilon);
        assert!(cost <= 3.0 && cost > 2.999, "{cost:.6}");
        let alone = noise_multiplier(3.0, 2.37e-5, |sigma| TRAIN.event(sigma))
            .unwrap()
            .value;
        assert!(first.noise_multipliers[0] > alone);
    }

    #[test]
    fn senseless_shares_are_refused() {
        let component = Component {
            share: 0.0,
            mechanism: TRAIN,
        };
        assert!(split(3.0, 1e-5, &[component]).is_err());
        assert!(split(3.0, 1e-5, &[]).is_err());
    }
}
