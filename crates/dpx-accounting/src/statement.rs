//! The guarantee as a value and as text: what is claimed, for whom, by which accountant, and what lies outside.

use super::mechanism::Adjacency;
use crate::{AccountantError, Certified, Phase, certified_group, certified_upper};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// What a privacy.json holds. An epsilon that no accountant could bound is the string `"inf"` there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrivacyStatement {
    /// What one record is.
    pub unit: String,
    /// Which data sets count as neighbours.
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
    #[serde(with = "crate::written")]
    pub epsilon: f64,
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
                certified_group(&phases, delta, records).map(|found| GroupEpsilon {
                    records,
                    epsilon: found.epsilon,
                })
            })
            .collect::<Result<_, _>>()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_says_everything_and_survives_json() {
        let phase = Phase {
            noise_multiplier: 1.0,
            sampling_rate: 0.016,
            steps: 188,
        };
        let statement =
            PrivacyStatement::new(&[("train", phase)], 1e-5, Adjacency::ZeroOut, false).unwrap();
        let text = statement.to_text();
        for part in [
            "epsilon 1.44",
            "zero-out",
            "Poisson",
            "`train`",
            "RDP",
            "2 examples",
            "NOT FOR RELEASE",
            "Not covered",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let json = serde_json::to_string(&statement).unwrap();
        assert_eq!(
            serde_json::from_str::<PrivacyStatement>(&json).unwrap(),
            statement
        );
    }

    #[test]
    fn what_no_accountant_bounds_is_written_as_a_word() {
        let mut statement = PrivacyStatement::new(
            &[("train", Phase::gaussian(1.0))],
            1e-5,
            Adjacency::ZeroOut,
            true,
        )
        .unwrap();
        assert!(!statement.to_text().contains("certifies no bound"));
        statement.epsilon.prv.estimate = f64::INFINITY;
        statement.epsilon.prv.upper = f64::INFINITY;
        assert!(statement.to_text().contains("certifies no bound"));
        statement.groups[0].epsilon = f64::INFINITY;
        let json = serde_json::to_string(&statement).unwrap();
        assert!(json.contains(r#""estimate":"inf""#) && !json.contains("null"));
        let read: PrivacyStatement = serde_json::from_str(&json).unwrap();
        assert_eq!(read, statement);
        let foreign = json.replace(r#""inf""#, r#""much""#);
        let error = serde_json::from_str::<PrivacyStatement>(&foreign).unwrap_err();
        assert!(error.to_string().contains("\"much\""), "{error}");
    }
}
