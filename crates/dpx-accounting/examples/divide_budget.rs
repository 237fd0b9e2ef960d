//! One budget for three mechanisms, and the claim of what they did.
#![expect(clippy::print_stdout, reason = "an example prints its figures")]

use dpx_accounting::budget::{self, Component, MechanismSpec};
use dpx_accounting::{Adjacency, Claim, ClaimError, ClaimPart};

pub(crate) fn main() -> Result<(), ClaimError> {
    let (epsilon, delta) = (3.0, 2.37e-5);
    let names = ["train", "teacher", "counts"];
    let components = [
        Component {
            share: 0.5,
            mechanism: MechanismSpec::PoissonSampledGaussian {
                sampling_rate: 0.016,
                steps: 188,
                records_per_unit: 1,
            },
        },
        Component {
            share: 0.45,
            mechanism: MechanismSpec::Gaussian { count: 60 },
        },
        Component {
            share: 0.05,
            mechanism: MechanismSpec::Gaussian { count: 1 },
        },
    ];
    let budget = budget::split(epsilon, delta, &components)?;
    for (name, sigma) in names.iter().zip(&budget.noise_multipliers) {
        println!("{name:<8} noise multiplier {sigma:.4}");
    }

    // What is claimed is composed from what ran, each instance once.
    let parts: Vec<ClaimPart> = names
        .iter()
        .zip(budget.events)
        .map(|(name, event)| ClaimPart {
            instance: (*name).to_owned(),
            event,
            adjacency: Adjacency::ZeroOut,
            unit: "example".to_owned(),
        })
        .collect();
    let claim = Claim::compose(&parts, delta, Adjacency::ZeroOut, "example")?;
    println!(
        "{claim} for one {}, {} adjacency",
        claim.unit(),
        claim.adjacency()
    );
    claim.recheck()
}
