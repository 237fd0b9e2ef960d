//! What releasing rows together costs: the claim of every private run behind them, each once, replicates included.

use super::fault::fault;
use super::study::{GuaranteeKind, Joint, Row};
use dpx_schema::Guarantee;

/// What releasing every row with a guarantee would cost. Nothing where no row has one.
pub(crate) fn joint(rows: &[Row]) -> Option<Joint> {
    of_rows(&releasable(rows))
}

/// The rows that could be released at a cost.
pub(crate) fn releasable(rows: &[Row]) -> Vec<&Row> {
    rows.iter()
        .filter(|row| row.guarantee.kind == GuaranteeKind::Dp && row.guarantee.epsilon.is_some())
        .collect()
}

/// What releasing these rows would cost. Runs are counted, not figures: a replicate that no score was made of costs as much
/// as one with.
pub(crate) fn of_rows(rows: &[&Row]) -> Option<Joint> {
    let delta = rows.iter().find_map(|row| row.guarantee.delta)?;
    let records = rows.iter().flat_map(|row| {
        let all = row.guarantee.records.len();
        let counted = if fault!(ScoredReplicatesAlone) && row.replicates > 0 {
            all * row.replicates_finished as usize / row.replicates as usize
        } else {
            all
        };
        row.guarantee.records.iter().take(counted)
    });
    let guarantee = Guarantee::at(records, delta.value()).ok()?;
    let claim = guarantee.claim()?;
    Some(Joint {
        epsilon: claim.epsilon(),
        delta: claim.delta(),
        rows: rows.iter().map(|row| row.name.clone()).collect(),
        method: format!(
            "composed by the accountants, certified by {}",
            claim.certified().accountant
        ),
    })
}
