//! What a mechanism did, as a value: the one input of every accountant.

use crate::composition::Composition;
use crate::error::{check_noise_multiplier, check_sampling_rate};
use crate::{AccountantError, Certified, DeltaBound, EpsilonBound, certified};
use serde::{Deserialize, Serialize};

/// A differentially private event: what was done to the data, with every parameter that its cost depends on.
///
/// The names are those of Google's `dp_accounting`. Events are made by the constructors, which check their parameters,
/// or read from JSON, where the same checks apply:
///
/// ```json
/// {"type": "poisson-sampled-gaussian", "sampling_rate": 0.016, "noise_multiplier": 1.1, "steps": 188}
/// ```
///
/// Noise multipliers are standard deviations over the L2 sensitivity of one record under the adjacency that is claimed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", try_from = "Unchecked")]
pub enum DpEvent {
    /// Data were used without any protection: epsilon is infinite.
    NonPrivate,
    /// One Gaussian mechanism over the whole data set.
    #[non_exhaustive]
    Gaussian {
        /// Standard deviation of the noise over the L2 sensitivity.
        noise_multiplier: f64,
    },
    /// A run of DP-SGD: Gaussian mechanisms, each over a Poisson sample of the data.
    #[non_exhaustive]
    PoissonSampledGaussian {
        /// Probability with which each record takes part in a step, independently of all others and of other steps.
        sampling_rate: f64,
        /// Standard deviation of the noise over the L2 sensitivity.
        noise_multiplier: f64,
        /// Number of noisy sums that are taken.
        steps: u64,
        /// Records that one unit of privacy has at most, each with a coin of its own and each bounded on its own: 1 unless
        /// people are protected whose records are sampled one by one.
        #[serde(skip_serializing_if = "is_one")]
        records_per_unit: u32,
    },
    /// One event repeated, adaptively: each repetition may depend on the outputs of those before it.
    #[non_exhaustive]
    SelfComposed {
        /// A single repetition.
        event: Box<Self>,
        /// How often it is done in total.
        count: u64,
    },
    /// Several events on the same data, adaptively composed.
    #[non_exhaustive]
    Composed {
        /// In any order: the cost is that of the set.
        events: Vec<Self>,
    },
}

/// The JSON of an event before its numbers are checked.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
enum Unchecked {
    NonPrivate {},
    Gaussian {
        noise_multiplier: f64,
    },
    PoissonSampledGaussian {
        sampling_rate: f64,
        noise_multiplier: f64,
        steps: u64,
        #[serde(default = "one")]
        records_per_unit: u32,
    },
    SelfComposed {
        event: Box<DpEvent>,
        count: u64,
    },
    Composed {
        events: Vec<DpEvent>,
    },
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

impl TryFrom<Unchecked> for DpEvent {
    type Error = AccountantError;

    fn try_from(unchecked: Unchecked) -> Result<Self, AccountantError> {
        match unchecked {
            Unchecked::NonPrivate {} => Ok(Self::NonPrivate),
            Unchecked::Gaussian { noise_multiplier } => Self::gaussian(noise_multiplier),
            Unchecked::PoissonSampledGaussian {
                sampling_rate,
                noise_multiplier,
                steps,
                records_per_unit,
            } => Self::poisson_sampled_records(
                sampling_rate,
                noise_multiplier,
                steps,
                records_per_unit,
            ),
            Unchecked::SelfComposed { event, count } => Ok(Self::SelfComposed { event, count }),
            Unchecked::Composed { events } => Ok(Self::Composed { events }),
        }
    }
}

impl DpEvent {
    /// One Gaussian mechanism over the whole data set.
    ///
    /// # Errors
    /// The noise multiplier is negative or not finite.
    pub fn gaussian(noise_multiplier: f64) -> Result<Self, AccountantError> {
        check_noise_multiplier(noise_multiplier)?;
        Ok(Self::Gaussian { noise_multiplier })
    }

    /// A run of DP-SGD with Poisson sampling.
    ///
    /// # Errors
    /// The sampling rate is not from 0 to 1, or the noise multiplier is negative or not finite.
    pub fn poisson_sampled_gaussian(
        sampling_rate: f64,
        noise_multiplier: f64,
        steps: u64,
    ) -> Result<Self, AccountantError> {
        Self::poisson_sampled_records(sampling_rate, noise_multiplier, steps, 1)
    }

    /// A run of DP-SGD with Poisson sampling of records, of which one unit of privacy (a person) has at most
    /// `records_per_unit`.
    ///
    /// Every record is sampled by a coin of its own and clipped on its own, so that a step is the mixture of Gaussians of a
    /// group (Ganesh 2024); it is accounted as that, not as a multiple of one record's cost.
    ///
    /// # Errors
    /// The sampling rate is not from 0 to 1, the noise multiplier is negative or not finite, or `records_per_unit` is 0.
    pub fn poisson_sampled_records(
        sampling_rate: f64,
        noise_multiplier: f64,
        steps: u64,
        records_per_unit: u32,
    ) -> Result<Self, AccountantError> {
        check_sampling_rate(sampling_rate)?;
        check_noise_multiplier(noise_multiplier)?;
        AccountantError::check(
            "records per unit",
            f64::from(records_per_unit),
            records_per_unit > 0,
            "a number of at least 1",
        )?;
        Ok(Self::PoissonSampledGaussian {
            sampling_rate,
            noise_multiplier,
            steps,
            records_per_unit,
        })
    }

    /// This event `count` times in total.
    #[must_use]
    pub fn self_composed(self, count: u64) -> Self {
        Self::SelfComposed {
            event: Box::new(self),
            count,
        }
    }

    /// All of `events` on the same data; none of them costs nothing.
    pub fn composed(events: impl IntoIterator<Item = Self>) -> Self {
        Self::Composed {
            events: events.into_iter().collect(),
        }
    }

    /// The certified upper bound of epsilon at `delta`, with the figure of every accountant.
    ///
    /// It holds for adding and for removing one record, and so for replacing a record by a null one.
    ///
    /// # Errors
    /// `delta` is not a number from 0 to 1.
    pub fn certified(&self, delta: f64) -> Result<Certified, AccountantError> {
        certified::certify(self, delta, 1)
    }

    /// The certified upper bound of epsilon at `delta` alone.
    ///
    /// # Errors
    /// As [`DpEvent::certified`].
    pub fn epsilon(&self, delta: f64) -> Result<EpsilonBound, AccountantError> {
        Ok(self.certified(delta)?.epsilon)
    }

    /// The certified upper bound of delta at `epsilon`.
    ///
    /// # Errors
    /// `epsilon` is negative or not a number.
    pub fn delta(&self, epsilon: f64) -> Result<DeltaBound, AccountantError> {
        certified::certify_delta(self, epsilon)
    }

    /// The certified upper bound of epsilon at `delta` for `records` units of privacy together, such as the records of one
    /// person where a unit is one record.
    ///
    /// The units are sampled independently, as Poisson sampling does, and each is clipped on its own. The bound is that
    /// of the mixture of Gaussians that such a group amounts to (Ganesh 2024), not a multiple of epsilon.
    ///
    /// # Errors
    /// `delta` is not a number from 0 to 1, or `records` is not from 1 to [`MAX_GROUP`](crate::MAX_GROUP).
    pub fn group(&self, delta: f64, records: u32) -> Result<Certified, AccountantError> {
        AccountantError::check(
            "number of records",
            f64::from(records),
            (1..=certified::MAX_GROUP).contains(&records),
            "a number from 1 to 10000",
        )?;
        certified::certify(self, delta, records)
    }

    /// The most records of one unit that any part of it samples one by one; 1 where units themselves are sampled.
    pub fn records_per_unit(&self) -> u32 {
        match self {
            Self::NonPrivate | Self::Gaussian { .. } => 1,
            Self::PoissonSampledGaussian {
                records_per_unit, ..
            } => *records_per_unit,
            Self::SelfComposed { event, .. } => event.records_per_unit(),
            Self::Composed { events } => {
                let of_each = events.iter().map(Self::records_per_unit);
                of_each.max().unwrap_or(1)
            }
        }
    }

    /// Whether no epsilon is finite for this event, at any delta below 1.
    pub fn is_non_private(&self) -> bool {
        matches!(Composition::new(self, 1), Ok(Composition::Unbounded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> DpEvent {
        DpEvent::poisson_sampled_gaussian(0.016, 1.1, 188).unwrap()
    }

    #[test]
    fn json_is_stable_and_read_back() {
        let event = DpEvent::composed([
            run(),
            DpEvent::gaussian(12.0).unwrap().self_composed(3),
            DpEvent::NonPrivate,
        ]);
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"type":"composed","events":["#,
                r#"{"type":"poisson-sampled-gaussian","sampling_rate":0.016,"noise_multiplier":1.1,"steps":188},"#,
                r#"{"type":"self-composed","event":{"type":"gaussian","noise_multiplier":12.0},"count":3},"#,
                r#"{"type":"non-private"}]}"#
            )
        );
        assert_eq!(serde_json::from_str::<DpEvent>(&json).unwrap(), event);
    }

    #[test]
    fn nonsense_is_refused_also_from_a_file() {
        for bad in [f64::NAN, -1.0, f64::INFINITY] {
            assert!(DpEvent::gaussian(bad).is_err());
            assert!(DpEvent::poisson_sampled_gaussian(0.5, bad, 1).is_err());
        }
        for bad in [f64::NAN, -0.1, 1.1] {
            assert!(DpEvent::poisson_sampled_gaussian(bad, 1.0, 1).is_err());
        }
        for bad in [
            r#"{"type":"gaussian","noise_multiplier":-1.0}"#,
            r#"{"type":"gaussian","noise_multiplier":1.0,"sigma":9.0}"#,
            r#"{"type":"non-private","noise_multiplier":1.0}"#,
            r#"{"type":"laplace","scale":1.0}"#,
            r#"{"type":"gaussian"}"#,
            r#"{"type":"poisson-sampled-gaussian","sampling_rate":0.5,"noise_multiplier":1.0,"steps":1,"records_per_unit":0}"#,
            r#"{"noise_multiplier":1.0}"#,
            r#"{"type":"poisson-sampled-gaussian","sampling_rate":1.5,"noise_multiplier":1.0,"steps":1}"#,
            r#"{"type":"poisson-sampled-gaussian","sampling_rate":0.5,"noise_multiplier":1.0,"steps":-1}"#,
            r#"{"type":"self-composed","count":2,"event":{"type":"gaussian","noise_multiplier":-1.0}}"#,
            r#"{"type":"composed","events":[{"type":"gaussian","noise_multiplier":-1.0}]}"#,
        ] {
            assert!(serde_json::from_str::<DpEvent>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn records_of_one_unit_cost_what_a_group_costs() {
        let unit = DpEvent::poisson_sampled_records(0.016, 1.1, 188, 5).unwrap();
        assert_eq!(unit.certified(1e-5).unwrap(), run().group(1e-5, 5).unwrap());
        // Two people of three records each are six records.
        let three = DpEvent::poisson_sampled_records(0.016, 1.1, 188, 3).unwrap();
        assert_eq!(three.group(1e-5, 2).unwrap(), run().group(1e-5, 6).unwrap());
        let json = serde_json::to_string(&three).unwrap();
        assert!(json.contains(r#""records_per_unit":3"#), "{json}");
        assert_eq!(serde_json::from_str::<DpEvent>(&json).unwrap(), three);
        assert_ne!(three, run());
        assert_eq!((three.records_per_unit(), run().records_per_unit()), (3, 1));
        // Counts beside it bound what a person adds as a whole: they cost what they cost alone.
        let beside = DpEvent::composed([three.clone(), DpEvent::gaussian(30.0).unwrap()]);
        let cost = |event: &DpEvent| event.epsilon(1e-5).unwrap().value();
        assert_eq!(beside.records_per_unit(), 3);
        assert!(cost(&beside) > cost(&three));
        assert!(cost(&beside) < cost(&three) + cost(&DpEvent::gaussian(30.0).unwrap()));
        // Whoever is in every batch with everything moves the sum by all of it.
        let all = DpEvent::poisson_sampled_records(1.0, 6.0, 10, 3).unwrap();
        let plain = DpEvent::gaussian(2.0).unwrap().self_composed(10);
        assert!((cost(&all) - cost(&plain)).abs() < 1e-9);
        // Beyond the largest group the bound goes on to rise.
        let many = |records| DpEvent::poisson_sampled_records(0.3, 5e4, 5, records).unwrap();
        assert!(cost(&many(20_000)) >= cost(&many(10_000)));
        assert!(cost(&many(20_000)).is_finite());
    }

    #[test]
    fn repetition_is_composition() {
        let twice = run().self_composed(2);
        let both = DpEvent::composed([run(), run()]);
        let longer = DpEvent::poisson_sampled_gaussian(0.016, 1.1, 376).unwrap();
        let cost = |event: &DpEvent| event.certified(1e-5).unwrap();
        assert_eq!(cost(&twice), cost(&both));
        assert_eq!(cost(&twice), cost(&longer));
        assert_eq!(cost(&run().self_composed(0)).epsilon, 0.0);
    }

    #[test]
    fn without_noise_there_is_no_guarantee() {
        let silent = DpEvent::poisson_sampled_gaussian(0.1, 0.0, 1).unwrap();
        for event in [
            DpEvent::NonPrivate,
            silent,
            DpEvent::composed([run(), DpEvent::NonPrivate]),
            // More repetitions than can be counted.
            run().self_composed(u64::MAX).self_composed(u64::MAX),
        ] {
            assert!(event.is_non_private());
            assert_eq!(event.epsilon(1e-5).unwrap(), f64::INFINITY);
            assert_eq!(event.delta(3.0).unwrap(), 1.0);
        }
        assert!(!run().is_non_private());
        assert!(!DpEvent::NonPrivate.self_composed(0).is_non_private());
    }
}
