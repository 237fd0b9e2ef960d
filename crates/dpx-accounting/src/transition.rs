//! Flat phases and the untyped statement, for the callers that have yet to move to events and claims. Goes with the last of
//! them.

use crate::{AccountantError, Adjacency, Certified, DpEvent, EpsilonBound};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Equal steps of a Poisson-sampled Gaussian; at a sampling rate of 1 plain Gaussians.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Standard deviation of the noise over the sensitivity.
    pub noise_multiplier: f64,
    /// Probability with which each record takes part in a step.
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

    /// The event.
    ///
    /// # Errors
    /// A number is out of range.
    pub fn event(&self) -> Result<DpEvent, AccountantError> {
        DpEvent::poisson_sampled_gaussian(self.sampling_rate, self.noise_multiplier, self.steps)
    }
}

impl TryFrom<&DpEvent> for Phase {
    type Error = AccountantError;

    fn try_from(event: &DpEvent) -> Result<Self, AccountantError> {
        match event {
            DpEvent::Gaussian { noise_multiplier } => Ok(Self::gaussian(*noise_multiplier)),
            DpEvent::PoissonSampledGaussian {
                sampling_rate,
                noise_multiplier,
                steps,
            } => Ok(Self {
                noise_multiplier: *noise_multiplier,
                sampling_rate: *sampling_rate,
                steps: *steps,
            }),
            DpEvent::SelfComposed { event, count } => {
                let one = Self::try_from(&**event)?;
                Ok(Self {
                    steps: one.steps.saturating_mul(*count),
                    ..one
                })
            }
            DpEvent::NonPrivate => Ok(Self::gaussian(0.0)),
            DpEvent::Composed { events } => Err(AccountantError::OutOfRange {
                name: "number of composed events",
                value: events.len() as f64,
                expected: "one phase",
            }),
        }
    }
}

fn event(phases: &[Phase]) -> Result<DpEvent, AccountantError> {
    let events = phases.iter().map(Phase::event);
    Ok(DpEvent::composed(events.collect::<Result<Vec<_>, _>>()?))
}

/// The certified epsilon of all phases.
///
/// # Errors
/// A number is out of range.
pub fn certified_upper(phases: &[Phase], delta: f64) -> Result<Certified, AccountantError> {
    event(phases)?.certified(delta)
}

/// What a privacy.json holds. An epsilon that no accountant could bound is the string `"inf"` there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrivacyStatement {
    /// What one record is.
    pub unit: String,
    /// Which data sets count as neighbors.
    pub adjacency: Adjacency,
    /// How records are sampled.
    pub sampling: String,
    /// Every mechanism of the budget, by name.
    pub mechanisms: Vec<NamedPhase>,
    /// The failure probability.
    pub delta: f64,
    /// The certified upper bound, with the figure of each accountant.
    pub epsilon: Certified,
    /// Epsilon for several records of one person.
    pub groups: Vec<GroupEpsilon>,
    /// Where noise and coins come from: `secure` or `seeded`.
    pub noise: String,
    /// What the guarantee does not cover.
    pub outside: Vec<String>,
}

/// One mechanism of a statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedPhase {
    /// The stage it belongs to.
    pub name: String,
    /// What it does.
    pub phase: Phase,
}

/// Epsilon for a number of records of one person.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GroupEpsilon {
    /// How many records.
    pub records: u32,
    /// The certified upper bound.
    pub epsilon: EpsilonBound,
}

/// What no guarantee of dpx covers.
const OUTSIDE: [&str; 4] = [
    "training loss, gradient norms and all telemetry: internal",
    "utility and similarity measured on real data: internal",
    "settings chosen by looking at the private data",
    "what the public base model already knew",
];

impl PrivacyStatement {
    /// The statement of a composition of mechanisms; noise that is `seeded` can be subtracted by anybody with the seed.
    ///
    /// # Errors
    /// A parameter is out of range.
    pub fn new(
        mechanisms: &[(&str, Phase)],
        delta: f64,
        adjacency: Adjacency,
        secure: bool,
    ) -> Result<Self, AccountantError> {
        let phases: Vec<Phase> = mechanisms.iter().map(|(_, phase)| *phase).collect();
        let groups = [2, 5]
            .into_iter()
            .map(|records| {
                Ok(GroupEpsilon {
                    records,
                    epsilon: event(&phases)?.group(delta, records)?.epsilon,
                })
            })
            .collect::<Result<_, AccountantError>>()?;
        Ok(Self {
            unit: "one example, one training sequence (texts are cut, never split)".to_owned(),
            adjacency,
            sampling: "Poisson: an independent secret coin per example and step".to_owned(),
            mechanisms: mechanisms
                .iter()
                .map(|(name, phase)| NamedPhase {
                    name: (*name).to_owned(),
                    phase: *phase,
                })
                .collect(),
            delta,
            epsilon: certified_upper(&phases, delta)?,
            groups,
            noise: if secure { "secure" } else { "seeded" }.to_owned(),
            outside: OUTSIDE.map(str::to_owned).to_vec(),
        })
    }

    /// The statement in words.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let found = &self.epsilon;
        let _ = writeln!(
            text,
            "Differential privacy with epsilon {:.4} at delta {:e} (certified upper bound by {}).",
            found.epsilon, self.delta, found.accountant
        );
        if self.noise != "secure" {
            text.push_str(
                "NOT FOR RELEASE: the noise is derived from the seed, and whoever has the seed can subtract it.\n",
            );
        }
        let _ = writeln!(text, "Unit: {}.\nAdjacency: {}.", self.unit, self.adjacency);
        let _ = writeln!(text, "Sampling: {}.", self.sampling);
        for NamedPhase { name, phase } in &self.mechanisms {
            let _ = writeln!(
                text,
                "Mechanism `{name}`: Gaussian, noise multiplier {:.6}, sampling rate {:.9}, {} steps.",
                phase.noise_multiplier, phase.sampling_rate, phase.steps
            );
        }
        let _ = writeln!(
            text,
            "By accountant: PRV {:.4} (certified {:.4} to {:.4}), connect-the-dots {:.4}, RDP {:.4}.",
            found.prv.estimate, found.prv.lower, found.prv.upper, found.connect_the_dots, found.rdp
        );
        if let Some(note) = found.note() {
            let _ = writeln!(text, "{note}");
        }
        for group in &self.groups {
            let _ = writeln!(
                text,
                "For {} examples of one person: epsilon {:.4}.",
                group.records, group.epsilon
            );
        }
        let _ = writeln!(text, "Noise: {}.\nNot covered:", self.noise);
        for item in &self.outside {
            let _ = writeln!(text, "- {item}");
        }
        text
    }
}
