//! One epsilon for several mechanisms, divided by shares of 1/sigma^2 of equivalent Gaussians.
//!
//! Gaussians compose by adding their 1/sigma^2, so that shares of that sum compose without loss where shares of epsilon
//! do not. A subsampled component stands for the plain Gaussian with the same epsilon at the same delta. One scale is
//! sought such that the certified upper bound of the composition of everything meets the target; its conservative end
//! is returned.

use super::calibration::{least, noise_multiplier};
use crate::{
    AccountantError, Certified, Phase, certified_upper, gaussian_epsilon, gaussian_noise_multiplier,
};

/// What a component does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// `steps` plain Gaussian mechanisms over the whole data set: noisy counts, full-batch descent. The noise's standard
    /// deviation is the noise multiplier times the sensitivity of one of them, which its user states.
    Gaussian {
        /// How many are run.
        steps: u64,
    },
    /// DP-SGD with Poisson sampling.
    Subsampled {
        /// Probability with which each record takes part in a step.
        sampling_rate: f64,
        /// Number of steps.
        steps: u64,
    },
}

/// One mechanism of a budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Component {
    /// Its share; shares need not sum to one.
    pub share: f64,
    /// What it does.
    pub kind: Kind,
}

/// A divided budget.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Each component as a phase, with its noise multiplier, in the order given.
    pub phases: Vec<Phase>,
    /// What all of them cost together.
    pub certified: Certified,
}

/// Divides `epsilon` at `delta` over `components`.
///
/// # Errors
/// A share or parameter is out of range, or the target cannot be met.
pub fn split(epsilon: f64, delta: f64, components: &[Component]) -> Result<Split, AccountantError> {
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
            kind:
                Kind::Subsampled {
                    sampling_rate,
                    steps,
                },
            ..
        },
    ] = components
    {
        let found = noise_multiplier(epsilon, delta, *sampling_rate, *steps)?;
        let phase = Phase {
            noise_multiplier: found.value,
            sampling_rate: *sampling_rate,
            steps: *steps,
        };
        return Ok(Split {
            phases: vec![phase],
            certified: found.certified,
        });
    }
    // The first subsampled component leads: from its noise multiplier follow its equivalent Gaussian, the scale, the rest.
    let leader = components
        .iter()
        .position(|component| matches!(component.kind, Kind::Subsampled { .. }));
    let whole = gaussian_noise_multiplier(epsilon, delta);
    let start = match leader.map(|index| components[index]) {
        None => whole,
        Some(component) => {
            let total: f64 = components.iter().map(|component| component.share).sum();
            let own = gaussian_epsilon(whole / (component.share / total).sqrt(), delta);
            equivalent_noise(component.kind, own.max(1e-6), delta)?
        }
    };
    let (_, (certified, phases)) = least(
        "noise multiplier",
        epsilon,
        start,
        (1e-6, 1e9),
        4e-5,
        |value| {
            let phases = phases_at(value, leader, delta, components)?;
            let certified = certified_upper(&phases, delta)?;
            Ok((certified.epsilon, (certified, phases)))
        },
    )?;
    Ok(Split { phases, certified })
}

/// All phases when the leader's noise multiplier (or, without one, that of the Gaussian of share one) is `value`.
fn phases_at(
    value: f64,
    leader: Option<usize>,
    delta: f64,
    components: &[Component],
) -> Result<Vec<Phase>, AccountantError> {
    let unit = match leader.map(|index| components[index]) {
        Some(Component {
            share,
            kind:
                Kind::Subsampled {
                    sampling_rate,
                    steps,
                },
        }) => {
            let phase = Phase {
                noise_multiplier: value,
                sampling_rate,
                steps,
            };
            let own = certified_upper(&[phase], delta)?.epsilon;
            gaussian_noise_multiplier(own, delta) * share.sqrt()
        }
        _ => value,
    };
    components
        .iter()
        .enumerate()
        .map(|(index, component)| {
            let equivalent = unit / component.share.sqrt();
            Ok(match component.kind {
                Kind::Gaussian { steps } => Phase {
                    noise_multiplier: equivalent * (steps as f64).sqrt(),
                    sampling_rate: 1.0,
                    steps,
                },
                Kind::Subsampled {
                    sampling_rate,
                    steps,
                } => Phase {
                    noise_multiplier: if Some(index) == leader {
                        value
                    } else {
                        let own = gaussian_epsilon(equivalent, delta).max(1e-6);
                        equivalent_noise(component.kind, own, delta)?
                    },
                    sampling_rate,
                    steps,
                },
            })
        })
        .collect()
}

fn equivalent_noise(kind: Kind, epsilon: f64, delta: f64) -> Result<f64, AccountantError> {
    match kind {
        Kind::Gaussian { steps } => {
            Ok(gaussian_noise_multiplier(epsilon, delta) * (steps as f64).sqrt())
        }
        Kind::Subsampled {
            sampling_rate,
            steps,
        } => Ok(noise_multiplier(epsilon, delta, sampling_rate, steps)?.value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAIN: Kind = Kind::Subsampled {
        sampling_rate: 0.016,
        steps: 188,
    };

    #[test]
    fn gaussians_divide_by_their_shares() {
        let components = [
            Component {
                share: 0.9,
                kind: Kind::Gaussian { steps: 100 },
            },
            Component {
                share: 0.1,
                kind: Kind::Gaussian { steps: 1 },
            },
        ];
        let split = split(3.0, 1e-5, &components).unwrap();
        let precision = |phase: &Phase| phase.steps as f64 / phase.noise_multiplier.powi(2);
        let (first, second) = (precision(&split.phases[0]), precision(&split.phases[1]));
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
                kind: TRAIN,
            },
            Component {
                share: 0.45,
                kind: Kind::Gaussian { steps: 60 },
            },
            Component {
                share: 0.05,
                kind: Kind::Gaussian { steps: 1 },
            },
        ];
        let first = split(3.0, 2.37e-5, &components).unwrap();
        assert_eq!(first, split(3.0, 2.37e-5, &components).unwrap());
        let cost = certified_upper(&first.phases, 2.37e-5).unwrap().epsilon;
        assert_eq!(cost, first.certified.epsilon);
        assert!(cost <= 3.0 && cost > 2.999, "{cost}");
        let alone = noise_multiplier(3.0, 2.37e-5, 0.016, 188).unwrap().value;
        assert!(first.phases[0].noise_multiplier > alone);
    }

    #[test]
    fn senseless_shares_are_refused() {
        let component = Component {
            share: 0.0,
            kind: TRAIN,
        };
        assert!(split(3.0, 1e-5, &[component]).is_err());
        assert!(split(3.0, 1e-5, &[]).is_err());
    }
}
