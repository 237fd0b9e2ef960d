//! What was done: phases of equal steps, checked and merged.

use super::{AccountantError, pair::Pair};
use serde::{Deserialize, Serialize};

/// A number of steps of the Poisson-subsampled Gaussian mechanism with equal parameters.
///
/// A sampling rate of 1 is the plain Gaussian mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Standard deviation of the noise over the sensitivity.
    pub noise_multiplier: f64,
    /// Probability with which each record takes part in a step, independently.
    pub sampling_rate: f64,
    /// Number of steps.
    pub steps: u64,
}

impl Phase {
    /// A single plain Gaussian mechanism.
    pub const fn gaussian(noise_multiplier: f64) -> Self {
        Self {
            noise_multiplier,
            sampling_rate: 1.0,
            steps: 1,
        }
    }

    fn check(&self) -> Result<(), AccountantError> {
        AccountantError::check(
            "noise multiplier",
            self.noise_multiplier,
            self.noise_multiplier >= 0.0,
            "a number of at least 0",
        )?;
        AccountantError::check(
            "sampling rate",
            self.sampling_rate,
            (0.0..=1.0).contains(&self.sampling_rate),
            "a number from 0 to 1",
        )
    }

    const fn is_free(&self) -> bool {
        self.steps == 0 || self.sampling_rate == 0.0 || self.noise_multiplier.is_infinite()
    }
}

/// A pair of distributions and how often it is composed.
#[derive(Debug, Clone)]
pub(super) struct Repeated {
    pub(super) pair: Pair,
    pub(super) steps: f64,
}

/// Phases after checking, merging and dropping what costs nothing.
#[derive(Debug, Clone)]
pub(super) enum Composition {
    /// Nothing is spent.
    Free,
    /// There is no guarantee.
    Unbounded,
    /// A composition of pairs; equal phases are merged, and all plain Gaussians are one.
    Pairs {
        repeated: Vec<Repeated>,
        phases: Vec<Phase>,
    },
}

impl Composition {
    /// Checks `phases` for groups of `group` records and merges them.
    pub(super) fn new(phases: &[Phase], group: u32) -> Result<Self, AccountantError> {
        for phase in phases {
            phase.check()?;
        }
        let mut merged: Vec<Phase> = Vec::new();
        let mut precision = 0.0;
        for phase in phases.iter().filter(|phase| !phase.is_free()) {
            if phase.noise_multiplier < 1e-100 {
                return Ok(Self::Unbounded);
            }
            if phase.sampling_rate == 1.0 {
                precision += phase.steps as f64 / phase.noise_multiplier.powi(2);
            } else if let Some(same) = merged.iter_mut().find(|other| {
                other.noise_multiplier == phase.noise_multiplier
                    && other.sampling_rate == phase.sampling_rate
            }) {
                same.steps = same.steps.saturating_add(phase.steps);
            } else {
                merged.push(*phase);
            }
        }
        merged.sort_by(|a, b| {
            (a.noise_multiplier, a.sampling_rate)
                .partial_cmp(&(b.noise_multiplier, b.sampling_rate))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        if precision > 0.0 {
            // T Gaussians compose to one Gaussian whose 1/sigma^2 is their sum; the factor keeps rounding on the safe side.
            let noise_multiplier = (1.0 / precision).sqrt() * (1.0 - 1e-14);
            merged.push(Phase::gaussian(noise_multiplier));
        }
        if merged.is_empty() {
            return Ok(Self::Free);
        }
        let repeated = merged
            .iter()
            .map(|phase| Repeated {
                pair: Pair::new(phase.noise_multiplier, phase.sampling_rate, group),
                steps: phase.steps as f64,
            })
            .collect();
        Ok(Self::Pairs {
            repeated,
            phases: merged,
        })
    }
}

/// The failure probability must be a number; 0 and 1 are legal edges.
pub(super) fn check_delta(delta: f64) -> Result<(), AccountantError> {
    AccountantError::check(
        "delta",
        delta,
        (0.0..=1.0).contains(&delta),
        "a number from 0 to 1",
    )
}
