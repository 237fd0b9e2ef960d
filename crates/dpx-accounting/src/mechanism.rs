//! One immutable description of a DP-SGD run: it feeds sampler, clipper, noise and accountants alike.

use crate::error::{check_noise_multiplier, check_open_delta, check_sampling_rate};
use crate::sampling::quantized_rate;
use crate::{AccountantError, Certified, DpEvent};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which data sets count as neighbors.
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
    #[serde(default = "one", skip_serializing_if = "is_one")]
    records_per_unit: u32,
}

const fn one() -> u32 {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
const fn is_one(records: &u32) -> bool {
    *records == 1
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
            records_per_unit: 1,
        }
        .try_into()
    }

    /// The same for people of whom each has at most so many records, where records are sampled one by one.
    ///
    /// # Errors
    /// The number is 0.
    pub fn of_records(mut self, records_per_unit: u32) -> Result<Self, AccountantError> {
        self.fields.records_per_unit = records_per_unit;
        self.fields.try_into()
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

    /// How often the sampled mechanism runs.
    pub const fn steps(&self) -> u64 {
        self.fields.steps
    }

    /// The failure probability at which epsilon is stated.
    pub const fn delta(&self) -> f64 {
        self.fields.delta
    }

    /// Which data sets count as neighbors.
    pub const fn adjacency(&self) -> Adjacency {
        self.fields.adjacency
    }

    /// Records that one unit of privacy has at most, each sampled and bounded on its own; 1 where units are sampled.
    pub const fn records_per_unit(&self) -> u32 {
        self.fields.records_per_unit
    }

    /// What a run of all steps does.
    pub const fn event(&self) -> DpEvent {
        self.event_of(self.fields.steps)
    }

    /// What the first `steps` steps do: the cost of a run that is under way, or of a single step.
    pub const fn event_of(&self, steps: u64) -> DpEvent {
        DpEvent::PoissonSampledGaussian {
            sampling_rate: self.fields.sampling_rate,
            noise_multiplier: self.fields.noise_multiplier,
            steps,
            records_per_unit: self.fields.records_per_unit,
        }
    }

    /// The certified upper bound of epsilon at the mechanism's delta.
    ///
    /// # Errors
    /// None for a mechanism that was checked; the accountants' own.
    pub fn certified(&self) -> Result<Certified, AccountantError> {
        self.event().certified(self.fields.delta)
    }
}

impl TryFrom<Fields> for Mechanism {
    type Error = AccountantError;

    fn try_from(mut fields: Fields) -> Result<Self, AccountantError> {
        let norm = fields.max_grad_norm;
        check_sampling_rate(fields.sampling_rate)?;
        check_noise_multiplier(fields.noise_multiplier)?;
        check_open_delta(fields.delta)?;
        AccountantError::check(
            "max grad norm",
            norm,
            norm > 0.0 && norm.is_finite(),
            "a finite number above 0",
        )?;
        AccountantError::check(
            "records per unit",
            f64::from(fields.records_per_unit),
            fields.records_per_unit > 0,
            "a number of at least 1",
        )?;
        fields.sampling_rate = quantized_rate(fields.sampling_rate);
        Ok(Self { fields })
    }
}

impl From<Mechanism> for Fields {
    fn from(mechanism: Mechanism) -> Self {
        mechanism.fields
    }
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
            // A 64-bit coin is below a whole number, and that number over 2^64 is the rate itself.
            let threshold = held * 2f64.powi(64);
            assert_eq!(threshold, threshold.floor());
        }
    }

    #[test]
    fn every_field_counts() {
        let base = Mechanism::new(0.01, 1.0, 1.0, 100, 1e-5, Adjacency::ZeroOut).unwrap();
        let cost = |m: Mechanism| m.certified().unwrap().epsilon;
        let other = |q, s, t, d| Mechanism::new(q, s, 1.0, t, d, Adjacency::ZeroOut).unwrap();
        assert!(cost(other(0.02, 1.0, 100, 1e-5)) > cost(base));
        assert!(cost(other(0.01, 0.9, 100, 1e-5)) > cost(base));
        assert!(cost(other(0.01, 1.0, 101, 1e-5)) > cost(base));
        assert!(cost(other(0.01, 1.0, 100, 1e-6)) > cost(base));
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
