//! Records and runs in words.

use super::{NoiseSource, PrivacyRecord, PrivateRun, PublicInputs};
use crate::Unit;
use dpx_accounting::{Claim, ClaimError, DpEvent};
use std::fmt::Write as _;

/// What no guarantee of dpx covers.
pub const NOT_COVERED: [&str; 4] = [
    "training loss, gradient norms and all other telemetry",
    "utility and fidelity measured on real data",
    "settings chosen by looking at the private data",
    "what the base model and other public inputs already knew",
];

impl PrivacyRecord {
    /// The record in words, for `statement.txt`.
    ///
    /// # Errors
    /// A number is out of range.
    pub fn statement(&self) -> Result<String, ClaimError> {
        let with = |mut text: String, inputs: &PublicInputs| {
            for sentence in inputs.sentences() {
                text.push_str(&sentence);
                text.push('\n');
            }
            text
        };
        Ok(match self {
            Self::Public { source, inputs } => {
                with(format!("Made from public data alone: {source}.\n"), inputs)
            }
            Self::Untouched(inputs) => {
                with(format!("{}\n", inputs.of_untouched()), inputs)
            }
            Self::NotPrivate => {
                "No guarantee: made from the private data without clipping and noise. NOT FOR RELEASE.\n".to_owned()
            }
            Self::Private(run) => run.statement(&run.claim()?)?,
        })
    }
}

impl PrivateRun {
    /// What is to be said of the public inputs behind it.
    pub fn public_inputs(&self) -> PublicInputs {
        PublicInputs {
            declared_overlap: self.declared_overlap.clone(),
            provenance: self.provenance.clone(),
        }
    }

    /// The run in words, with a claim of it alone at whatever delta, and what is to be said of the public inputs behind it.
    ///
    /// # Errors
    /// A number is out of range.
    pub fn statement(&self, claim: &Claim) -> Result<String, ClaimError> {
        let certified = claim.certified();
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{claim:.4} of `{}` alone (certified upper bound by {}).",
            self.instance, certified.accountant
        );
        if self.noise == NoiseSource::Seeded {
            text.push_str(
                "NOT FOR RELEASE: the noise follows from the seed, and whoever has the seed can subtract it.\n",
            );
        }
        if !self.shared_with.is_empty() {
            let _ = writeln!(
                text,
                "Part of a budget of epsilon {} shared with {}; their costs come on top of the epsilon above.",
                self.target_epsilon,
                self.shared_with.join(", ")
            );
        }
        let _ = writeln!(text, "Unit: {}.", self.unit_meaning());
        let _ = writeln!(text, "Adjacency: {}.", self.adjacency);
        let _ = writeln!(text, "Executed: {}.", describe(&self.event));
        let _ = writeln!(
            text,
            "{}: {}{}.",
            match self.unit {
                Unit::Example => "Examples",
                Unit::User => "People",
            },
            self.examples,
            if self.canaries > 0 {
                format!(", {} of them canaries planted for an audit", self.canaries)
            } else {
                String::new()
            }
        );
        let _ = writeln!(
            text,
            "By accountant: PRV {:.4} to {:.4}, connect-the-dots {:.4}, RDP {:.4}.",
            certified.prv.lower, certified.prv.upper, certified.connect_the_dots, certified.rdp
        );
        for count in [2, 5] {
            let whom = match self.unit {
                Unit::Example => "records of one person",
                Unit::User => "people together",
            };
            let _ = writeln!(
                text,
                "For {count} {whom}: epsilon {:.4}.",
                claim.group(count)?.epsilon
            );
        }
        if let Some(rounded) = self.base_precision.rounded() {
            let _ = writeln!(
                text,
                "Frozen weights: {rounded}, before training; the adapter was trained against them, and texts are sampled from them."
            );
        }
        for sentence in self.public_inputs().sentences() {
            let _ = writeln!(text, "{sentence}");
        }
        text.push_str("Not covered:\n");
        for item in NOT_COVERED {
            let _ = writeln!(text, "- {item}");
        }
        Ok(text)
    }
}

/// An event in words, with its parameters.
pub fn describe(event: &DpEvent) -> String {
    match event {
        DpEvent::NonPrivate => "use without protection".to_owned(),
        DpEvent::Gaussian {
            noise_multiplier, ..
        } => format!("Gaussian mechanism, noise multiplier {noise_multiplier:.6}"),
        DpEvent::PoissonSampledGaussian {
            sampling_rate,
            noise_multiplier,
            steps,
            records_per_unit,
            ..
        } => {
            let of_unit = match records_per_unit {
                1 => String::new(),
                records => format!(" of each of at most {records} records of a person"),
            };
            format!(
                "{steps} Poisson-sampled Gaussian steps, noise multiplier {noise_multiplier:.6}, sampling rate {sampling_rate:.9}{of_unit}"
            )
        }
        DpEvent::SelfComposed {
            event, count: 1, ..
        } => describe(event),
        DpEvent::SelfComposed { event, count, .. } => format!("{count} times: {}", describe(event)),
        DpEvent::Composed { events, .. } => {
            events.iter().map(describe).collect::<Vec<_>>().join("; ")
        }
    }
}
