//! One immutable description of a DP-SGD run: it feeds sampler, clipper, noise and accountants alike.

use crate::{AccountantError, Certified, Phase, certified_group, certified_upper};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which data sets count as neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Adjacency {
    /// One record's contribution is replaced by zero; the number of records is public.
    #[default]
    ZeroOut,
    /// One record is added or removed; sampling rate and number of steps were stated, not derived from the data.
    AddRemove,
}

impl fmt::Display for Adjacency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ZeroOut => "zero-out, data set size public",
            Self::AddRemove => "add/remove",
        })
    }
}

/// What a run of DP-SGD does. No second copy of any of these numbers exists.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Mechanism {
    fields: Fields,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    sampling_rate: f64,
    noise_multiplier: f64,
    max_grad_norm: f64,
    steps: u64,
    delta: f64,
    adjacency: Adjacency,
}

impl Mechanism {
    /// Checks the numbers; the sampling rate becomes floor(q 2^64) / 2^64, which coins meet exactly.
    ///
    /// # Errors
    /// A number is out of range.
    pub fn new(
        sampling_rate: f64,
        noise_multiplier: f64,
        max_grad_norm: f64,
        steps: u64,
        delta: f64,
        adjacency: Adjacency,
    ) -> Result<Self, AccountantError> {
        Fields {
            sampling_rate,
            noise_multiplier,
            max_grad_norm,
            steps,
            delta,
            adjacency,
        }
        .try_into()
    }

    /// Probability with which each record takes part in a step.
    pub const fn sampling_rate(&self) -> f64 {
        self.fields.sampling_rate
    }

    /// Standard deviation of the noise over the sensitivity.
    pub const fn noise_multiplier(&self) -> f64 {
        self.fields.noise_multiplier
    }

    /// Bound on the L2 norm of one record's contribution to a step's sum.
    pub const fn max_grad_norm(&self) -> f64 {
        self.fields.max_grad_norm
    }

    /// Number of steps.
    pub const fn steps(&self) -> u64 {
        self.fields.steps
    }

    /// The failure probability at which epsilon is stated.
    pub const fn delta(&self) -> f64 {
        self.fields.delta
    }

    /// Which data sets count as neighbours.
    pub const fn adjacency(&self) -> Adjacency {
        self.fields.adjacency
    }

    /// What the accountants need.
    pub const fn phase(&self) -> Phase {
        Phase {
            noise_multiplier: self.fields.noise_multiplier,
            sampling_rate: self.fields.sampling_rate,
            steps: self.fields.steps,
        }
    }

    /// The certified upper bound of epsilon at the mechanism's delta.
    ///
    /// # Errors
    /// None for a mechanism that was checked; the accountants' own.
    pub fn epsilon(&self) -> Result<Certified, AccountantError> {
        certified_upper(&[self.phase()], self.fields.delta)
    }

    /// Likewise for a group of `group` records of one person.
    ///
    /// # Errors
    /// As [`Mechanism::epsilon`].
    pub fn group_epsilon(&self, group: u32) -> Result<Certified, AccountantError> {
        certified_group(&[self.phase()], self.fields.delta, group)
    }
}

impl TryFrom<Fields> for Mechanism {
    type Error = AccountantError;

    fn try_from(mut fields: Fields) -> Result<Self, AccountantError> {
        let check = AccountantError::check;
        let Fields {
            sampling_rate,
            noise_multiplier,
            max_grad_norm,
            delta,
            ..
        } = fields;
        check(
            "sampling rate",
            sampling_rate,
            (0.0..=1.0).contains(&sampling_rate),
            "a number from 0 to 1",
        )?;
        check(
            "noise multiplier",
            noise_multiplier,
            noise_multiplier >= 0.0 && noise_multiplier.is_finite(),
            "a finite number of at least 0",
        )?;
        check(
            "max grad norm",
            max_grad_norm,
            max_grad_norm > 0.0 && max_grad_norm.is_finite(),
            "a finite number above 0",
        )?;
        check(
            "delta",
            delta,
            delta > 0.0 && delta < 1.0,
            "a number above 0 and below 1",
        )?;
        fields.sampling_rate = quantised_rate(sampling_rate);
        Ok(Self { fields })
    }
}

impl From<Mechanism> for Fields {
    fn from(mechanism: Mechanism) -> Self {
        mechanism.fields
    }
}

/// floor(q 2^64) / 2^64: the rate that 64-bit coins meet exactly.
pub fn quantised_rate(sampling_rate: f64) -> f64 {
    const TWO_64: f64 = 18_446_744_073_709_551_616.0;
    (sampling_rate * TWO_64).floor() / TWO_64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mechanism(sampling_rate: f64) -> Mechanism {
        Mechanism::new(sampling_rate, 1.0, 1.0, 100, 1e-5, Adjacency::ZeroOut).unwrap()
    }

    #[test]
    fn the_rate_is_what_coins_meet() {
        for rate in [0.016, 1.0 / 3.0, 1e-9, 1.0, 0.0] {
            let held = mechanism(rate).sampling_rate();
            assert!(held <= rate && rate - held < 2f64.powi(-64));
            let threshold = (held * 2f64.powi(64)) as u128;
            assert_eq!(threshold as f64 / 2f64.powi(64), held);
        }
    }

    #[test]
    fn every_field_counts() {
        let base = Mechanism::new(0.01, 1.0, 1.0, 100, 1e-5, Adjacency::ZeroOut).unwrap();
        let cost = |m: Mechanism| m.epsilon().unwrap().epsilon;
        let other = |q, s, t, d| Mechanism::new(q, s, 1.0, t, d, Adjacency::ZeroOut).unwrap();
        assert!(cost(other(0.02, 1.0, 100, 1e-5)) > cost(base));
        assert!(cost(other(0.01, 0.9, 100, 1e-5)) > cost(base));
        assert!(cost(other(0.01, 1.0, 101, 1e-5)) > cost(base));
        assert!(cost(other(0.01, 1.0, 100, 1e-6)) > cost(base));
        assert!(base.group_epsilon(2).unwrap().epsilon > cost(base));
    }

    #[test]
    fn nonsense_is_refused_also_from_a_file() {
        assert!(Mechanism::new(1.5, 1.0, 1.0, 1, 1e-5, Adjacency::ZeroOut).is_err());
        assert!(Mechanism::new(0.5, f64::NAN, 1.0, 1, 1e-5, Adjacency::ZeroOut).is_err());
        let text = serde_json::to_string(&mechanism(0.5)).unwrap();
        assert_eq!(
            serde_json::from_str::<Mechanism>(&text).unwrap(),
            mechanism(0.5)
        );
        let broken = text.replace("1e-5", "2.0").replace("0.00001", "2.0");
        assert!(serde_json::from_str::<Mechanism>(&broken).is_err());
    }
}
