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
        /// Number of steps.
        steps: u64,
    },
    /// One event repeated, adaptively.
    #[non_exhaustive]
    SelfComposed {
        /// What is repeated.
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
    },
    SelfComposed {
        event: Box<DpEvent>,
        count: u64,
    },
    Composed {
        events: Vec<DpEvent>,
    },
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
            } => Self::poisson_sampled_gaussian(sampling_rate, noise_multiplier, steps),
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
        check_sampling_rate(sampling_rate)?;
        check_noise_multiplier(noise_multiplier)?;
        Ok(Self::PoissonSampledGaussian {
            sampling_rate,
            noise_multiplier,
            steps,
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

    /// The certified upper bound of epsilon at `delta` for a person with `records` records.
    ///
    /// The records are sampled independently, as Poisson sampling does, and each is clipped on its own. The bound is that
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
