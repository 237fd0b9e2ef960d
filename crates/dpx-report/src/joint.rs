//! What several mechanisms spend together, composed by the accountants.

use super::study::{GuaranteeKind, Joint, MechanismView, Row};
use dpx_accounting::statement::NamedPhase;
use dpx_accounting::{Phase, certified_upper};
use std::collections::BTreeMap;

/// The phases of all mechanisms behind a row, each stage once: a statement lists every mechanism of its budget. Nothing
/// where one does not say what it did.
fn phases(mechanisms: &[MechanismView]) -> Option<Vec<Phase>> {
    let mut found: BTreeMap<String, Phase> = BTreeMap::new();
    for mechanism in mechanisms {
        let listed: Vec<NamedPhase> =
            serde_json::from_value(mechanism.raw["mechanisms"].clone()).unwrap_or_default();
        if listed.is_empty() {
            let phase = Phase {
                noise_multiplier: mechanism.noise_multiplier?,
                sampling_rate: mechanism.sampling_rate.unwrap_or(1.0),
                steps: mechanism.steps.unwrap_or(1),
            };
            found.insert(mechanism.instance.clone(), phase);
        }
        for (at, one) in listed.into_iter().enumerate() {
            // A stage may have several phases under one name.
            found.insert(format!("{}#{at}", one.name), one.phase);
        }
    }
    Some(found.into_values().collect())
}

/// The certified epsilon of one row: its only mechanism's; the whole budget's, where every statement is of the same one;
/// else the composition of all of them at the largest delta; else, where one does not say what it did, the sum, which
/// always holds.
pub(crate) fn of_row(mechanisms: &[MechanismView]) -> Option<f64> {
    if let [one] = mechanisms {
        return one.epsilon;
    }
    let first = mechanisms.first()?;
    let listed = &first.raw["mechanisms"];
    if listed
        .as_array()
        .is_some_and(|all| all.len() >= mechanisms.len())
        && mechanisms
            .iter()
            .all(|other| other.raw["mechanisms"] == *listed)
    {
        return mechanisms
            .iter()
            .filter_map(|one| one.epsilon)
            .reduce(f64::max);
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
