//! What several mechanisms spend together, composed by the accountants.

use super::study::{GuaranteeKind, Joint, MechanismView, Row};
use crate::dp::accountant::{Phase, certified_upper};

/// The phases of mechanisms; nothing where one of them does not say what it did.
fn phases(mechanisms: &[MechanismView]) -> Option<Vec<Phase>> {
    mechanisms
        .iter()
        .map(|mechanism| {
            Some(Phase {
                noise_multiplier: mechanism.noise_multiplier?,
                sampling_rate: mechanism.sampling_rate.unwrap_or(1.0),
                steps: mechanism.steps.unwrap_or(1),
            })
        })
        .collect()
}

/// The certified epsilon of one row: its only mechanism's; else the composition of all of them at the largest delta; else,
/// where one does not say what it did, the sum, which always holds.
pub(crate) fn of_row(mechanisms: &[MechanismView]) -> Option<f64> {
    if let [one] = mechanisms {
        return one.epsilon;
    }
    let delta = mechanisms
        .iter()
        .filter_map(|mechanism| mechanism.delta)
        .reduce(f64::max)?;
    phases(mechanisms)
        .and_then(|phases| certified_upper(&phases, delta).ok())
        .map(|found| found.epsilon)
        .or_else(|| mechanisms.iter().map(|mechanism| mechanism.epsilon).sum())
}

/// What releasing every row with a guarantee would spend, all finished replicates included. Nothing where no row has one.
pub(crate) fn joint(rows: &[Row]) -> Option<Joint> {
    let held = releasable(rows);
    of_rows(&held)
}

/// The rows that could be released.
pub(crate) fn releasable(rows: &[Row]) -> Vec<&Row> {
    rows.iter()
        .filter(|row| row.guarantee.kind == GuaranteeKind::Holds && row.guarantee.epsilon.is_some())
        .collect()
}

/// What releasing these rows would spend.
pub(crate) fn of_rows(rows: &[&Row]) -> Option<Joint> {
    if rows.is_empty() {
        return None;
    }
    let times = |row: &Row| row.replicates_finished.max(1);
    let delta = rows
        .iter()
        .filter_map(|row| row.guarantee.delta)
        .reduce(f64::max)?;
    let names = rows.iter().map(|row| row.name.clone()).collect();
    let mut all = Vec::new();
    let known = rows.iter().all(|row| {
        phases(&row.guarantee.mechanisms).is_some_and(|phases| {
            for _ in 0..times(row) {
                all.extend_from_slice(&phases);
            }
            true
        })
    });
    let composed = known.then(|| certified_upper(&all, delta).ok()).flatten();
    Some(match composed {
        Some(found) if found.epsilon.is_finite() => Joint {
            epsilon: found.epsilon,
            delta,
            rows: names,
            method: format!(
                "composed by the accountants, certified by {}",
                found.accountant
            ),
        },
        _ => Joint {
            epsilon: rows
                .iter()
                .filter_map(|row| Some(row.guarantee.epsilon? * times(row) as f64))
                .sum(),
            delta: rows
                .iter()
                .filter_map(|row| Some(row.guarantee.delta? * times(row) as f64))
                .sum(),
            rows: names,
            method: "basic composition: epsilons and deltas add up; never too small".into(),
        },
    })
}
