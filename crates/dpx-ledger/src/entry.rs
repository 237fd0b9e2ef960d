//! What stands in a ledger.

use dpx_accounting::{Adjacency, Claim, ClaimError, ClaimPart, DpEvent, EpsilonBound};
use dpx_schema::privacy::run_part;
use dpx_schema::{NoiseSource, Unit};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Entry {
    /// The people of a data set.
    DataSet(DataSet),
    /// A file of training texts was made from the records of a data set.
    Artifact {
        /// Keyed digest of the file's content.
        artifact: String,
        /// The data set.
        people: String,
    },
    /// A private run began.
    Run(RunEntry),
    /// A release is about to become visible.
    Release(ReleaseEntry),
}

/// The records of a data set, known by keyed digests of their raw content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataSet {
    /// Keyed digest of the set, 32 digits; the name of its file in `units/`.
    pub id: String,
    /// Different records in it: equal ones count once.
    pub units: u64,
    /// Number of people, where the data set names them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub people: u64,
    /// The column that names them, where people are protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_column: Option<String>,
    /// When it was first seen, RFC 3339.
    pub date: String,
    /// Data sets before it with which it shares records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overlaps: Vec<Overlap>,
}

/// What a data set shares with one that the ledger knew before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Overlap {
    /// Identity of the other data set.
    pub with: String,
    pub shared: u64,
    /// Number of people in both, where both name them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shared_people: u64,
    /// Whether the two are one account from then on: more than [`SHARE`](crate::SHARE) of the smaller one is shared, records or
    /// people.
    pub joined: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Whom a run protects: records, or the people that one column tells apart. Guarantees of different ones do not compose.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Protected {
    pub unit: Unit,
    /// The column that tells people apart, where it is known.
    pub column: Option<String>,
}

impl fmt::Display for Protected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            None => formatter.write_str(self.unit.name()),
            Some(column) => write!(formatter, "{} by `{column}`", self.unit.name()),
        }
    }
}

/// A private run, entered before its first step: what it spends counts from then on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct RunEntry {
    /// Random identity of the run: a resumed run keeps it, a run started anew has another.
    pub run: String,
    /// Key of the stage instance, hexadecimal.
    pub key: String,
    pub experiment: String,
    /// The instance's name, such as `train@epsilon=8`.
    pub instance: String,
    /// When it began, RFC 3339; of an adopted one when it ended.
    pub date: String,
    /// The data sets that it reads.
    #[serde(default)]
    pub people: Vec<String>,
    /// What it is going to do to the data, also if it never finishes.
    pub event: DpEvent,
    pub unit: Unit,
    /// The column by which it tells people apart, where it protects people: those of another column are other people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_column: Option<String>,
    /// Which data sets count as neighbors.
    pub adjacency: Adjacency,
    pub noise: NoiseSource,
    /// The delta that it was calibrated for.
    pub delta: f64,
    /// Its own epsilon at that delta.
    #[serde(default = "infinite")]
    pub epsilon: EpsilonBound,
    /// Rows that were named for release (`[privacy] selection`) when it began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selection: Vec<String>,
    /// Entered afterwards, from what the cache knew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
}

const fn infinite() -> EpsilonBound {
    EpsilonBound::INFINITE
}

impl RunEntry {
    /// Whether the run has a guarantee of its own: it drew noise that nobody can draw again.
    pub fn is_covered(&self) -> bool {
        !self.event.is_non_private() && self.noise == NoiseSource::Secure
    }

    /// The run as a part of a claim.
    pub fn part(&self) -> ClaimPart {
        run_part(
            &self.instance,
            &self.run,
            &self.event,
            self.adjacency,
            self.unit,
        )
    }

    /// Whom it protects, as far as guarantees of the same compose.
    pub fn protected(&self) -> Protected {
        Protected {
            unit: self.unit,
            column: self.unit_column.clone(),
        }
    }

    /// The claim of this run alone, at its own delta.
    pub(crate) fn claim(&self) -> Result<Claim, ClaimError> {
        Claim::compose(&[self.part()], self.delta, self.adjacency, self.unit.name())
    }

    /// Whether another entry is of the same run.
    pub(crate) fn is_same_run(&self, other: &Self) -> bool {
        self.run == other.run && self.key == other.key && alike(&self.event, &other.event)
    }
}

/// Relative difference of two numbers that are the same but for the last digits.
const ROUNDING: f64 = 1e-12;

/// Whether two events are the same but for rounding: what is planned as one Gaussian mechanism may be drawn in shares that add
/// up to it.
pub fn alike(one: &DpEvent, other: &DpEvent) -> bool {
    let close = |a: f64, b: f64| (a - b).abs() <= ROUNDING * a.abs().max(b.abs());
    match (one, other) {
        (DpEvent::NonPrivate, DpEvent::NonPrivate) => true,
        (
            DpEvent::Gaussian {
                noise_multiplier: a,
                ..
            },
            DpEvent::Gaussian {
                noise_multiplier: b,
                ..
            },
        ) => close(*a, *b),
        (
            DpEvent::PoissonSampledGaussian {
                sampling_rate: a_rate,
                noise_multiplier: a,
                steps: a_steps,
                records_per_unit: a_records,
                ..
            },
            DpEvent::PoissonSampledGaussian {
                sampling_rate: b_rate,
                noise_multiplier: b,
                steps: b_steps,
                records_per_unit: b_records,
                ..
            },
        ) => a_rate == b_rate && a_steps == b_steps && a_records == b_records && close(*a, *b),
        (
            DpEvent::SelfComposed {
                event: a,
                count: a_count,
                ..
            },
            DpEvent::SelfComposed {
                event: b,
                count: b_count,
                ..
            },
        ) if a_count == b_count => alike(a, b),
        (
            DpEvent::SelfComposed {
                event, count: 1, ..
            },
            other,
        )
        | (
            other,
            DpEvent::SelfComposed {
                event, count: 1, ..
            },
        ) => alike(event, other),
        (DpEvent::Composed { events: a, .. }, DpEvent::Composed { events: b, .. }) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_alike_but_for_rounding() {
        let gaussian = |sigma: f64| DpEvent::gaussian(sigma).unwrap();
        let sampled = |rate, steps| DpEvent::poisson_sampled_gaussian(rate, 1.0, steps).unwrap();
        let rounded = gaussian(3.0 * (1.0 + 1e-15));
        assert_ne!(rounded, gaussian(3.0));
        assert!(alike(&rounded, &gaussian(3.0)));
        assert!(alike(&gaussian(2.0).self_composed(1), &gaussian(2.0)));
        assert!(alike(&sampled(0.1, 5), &sampled(0.1, 5)));
        for (a, b) in [
            (gaussian(2.0), gaussian(2.000_001)),
            (gaussian(2.0).self_composed(2), gaussian(2.0)),
            (
                gaussian(2.0).self_composed(2),
                gaussian(2.0).self_composed(3),
            ),
            (sampled(0.1, 5), sampled(0.1, 6)),
            (sampled(0.1, 5), sampled(0.2, 5)),
            (sampled(0.1, 5), DpEvent::NonPrivate),
            (
                sampled(0.1, 5),
                DpEvent::poisson_sampled_records(0.1, 1.0, 5, 4).unwrap(),
            ),
            (DpEvent::composed([gaussian(2.0)]), DpEvent::composed([])),
        ] {
            assert!(!alike(&a, &b), "{a:?} {b:?}");
            assert!(!alike(&b, &a), "{b:?} {a:?}");
        }
    }
}

/// A release, entered before its folder becomes visible.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct ReleaseEntry {
    /// Random identity, 32 digits.
    pub id: String,
    pub experiment: String,
    /// When it was entered, RFC 3339.
    pub date: String,
    /// Names of the `sample` instances that were released, or of a model's instance.
    pub rows: Vec<String>,
    /// Name of the folder, without its parents.
    pub folder: String,
    /// Digest of what was released.
    pub content: String,
    /// Identities of the data sets behind it.
    pub people: Vec<String>,
    /// Identities of all runs that its guarantee composes: those behind the rows, and those that the rows were chosen among.
    pub runs: Vec<String>,
    pub delta: f64,
    /// Epsilon of these runs at that delta.
    pub epsilon: EpsilonBound,
}
