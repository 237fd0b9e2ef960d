//! The rows that a release was chosen among: whoever has seen figures of several on real data has learned from all of them.

use super::sources::{AssembleError, Sources};
use dpx_engine::plan::InstanceId;
use dpx_ledger::Candidate;
use dpx_schema::{Kind, ReleaseLabel};
use std::collections::BTreeSet;

/// Every set of texts, or model without any, that was scored on real data: those that may be released, with the records of the
/// private instances behind them, and the names of the others.
pub(crate) fn candidates(
    sources: &Sources<'_>,
) -> Result<(Vec<Candidate>, Vec<String>), AssembleError> {
    let plan = sources.plan;
    let scored: BTreeSet<InstanceId> = (0..plan.instances.len())
        .filter(|&id| {
            let scores = matches!(
                plan.instances[id].kind,
                Kind::Score | Kind::Classify | Kind::Audit
            );
            scores && sources.record(id).is_some()
        })
        .flat_map(|id| plan.ancestors(id))
        .collect();
    let mut candidates = Vec::new();
    let mut unprotected = Vec::new();
    let written: BTreeSet<InstanceId> = (0..plan.instances.len())
        .filter(|&id| plan.instances[id].kind == Kind::Sample && sources.record(id).is_some())
        .flat_map(|id| plan.ancestors(id))
        .collect();
    for (id, instance) in plan.instances.iter().enumerate() {
        // A model without texts may have been audited, and may leave by itself.
        let is_row = match instance.kind {
            Kind::Sample => true,
            Kind::Train => !written.contains(&id),
            _ => false,
        };
        if !is_row || sources.record(id).is_none() {
            continue;
        }
        let mut behind = plan.ancestors(id);
        behind.insert(id);
        // An audit looks at the model, a classifier may be the teacher itself: their figures are the row's, too.
        let part_scored = behind
            .iter()
            .any(|other| plan.instances[*other].kind.spends() && scored.contains(other));
        if !scored.contains(&id) && !part_scored {
            continue;
        }
        match instance.flow {
            ReleaseLabel::Public => {}
            ReleaseLabel::Private | ReleaseLabel::Seeded => {
                unprotected.push(instance.name.to_string());
            }
            ReleaseLabel::Dp => {
                let mut records = Vec::new();
                for other in behind {
                    if plan.instances[other].kind.spends() {
                        records.extend(sources.privacy(other)?);
                    }
                }
                candidates.push(Candidate {
                    row: instance.name.to_string(),
                    earlier: None,
                    records,
                });
            }
        }
    }
    Ok((candidates, unprotected))
}
