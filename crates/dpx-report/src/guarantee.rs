//! What a row promises: from the mechanisms behind its samples.

use super::assemble::Sources;
use super::rows::{self, RowPlan, ancestors, replicate};
use super::study::{Guarantee, GuaranteeKind, MechanismView};
use super::{joint, privacy};
use dpx_engine::plan::InstanceId;
use dpx_schema::{Flow, Kind};
use serde_json::Value;

/// What the row promises: the mechanisms behind its samples, or behind its own private stages where it has no sample.
pub(super) fn guarantee(sources: &Sources<'_>, row: &RowPlan) -> Guarantee {
    let plan = sources.plan;
    let mut behind = std::collections::BTreeSet::new();
    let first = row
        .own
        .iter()
        .filter_map(|&id| replicate(&plan.instances[id]))
        .min();
    for &id in &row.own {
        let instance = &plan.instances[id];
        // One replicate: a second one is released only at a further cost, which the joint epsilon tells.
        if replicate(instance).is_some() && replicate(instance) != first {
            continue;
        }
        if instance.kind == Kind::Sample
            || matches!(instance.kind, Kind::Train | Kind::Teacher | Kind::Counts)
        {
            behind.insert(id);
            behind.extend(ancestors(plan, id));
        }
    }
    let private: Vec<InstanceId> = behind
        .into_iter()
        .filter(|&id| {
            matches!(
                plan.instances[id].kind,
                Kind::Train | Kind::Teacher | Kind::Counts
            )
        })
        .collect();
    let target = row.axes.get("epsilon").map(rows::word).or_else(|| {
        private
            .iter()
            .find_map(|&id| target(&plan.instances[id].params))
    });
    let mechanisms: Vec<MechanismView> = private
        .iter()
        .filter_map(|&id| {
            let privacy: Value = sources.json(id, "privacy.json")?;
            let statement = sources
                .file(id, "statement.txt")
                .and_then(|bytes| String::from_utf8(bytes).ok());
            Some(privacy::mechanism(
                sources.name(id),
                plan.instances[id].kind.name(),
                &privacy,
                statement,
            ))
        })
        .collect();
    let flow = private
        .iter()
        .filter_map(|&id| sources.record(id))
        .map(|record| record.flow)
        .fold(Flow::Public, Flow::join);
    let kind = if target.as_deref() == Some("inf") {
        GuaranteeKind::None
    } else if target.as_deref() == Some("0") || private.is_empty() {
        GuaranteeKind::Untouched
    } else if mechanisms.len() < private.len() {
        GuaranteeKind::Unknown
    } else {
        match flow {
            Flow::Dp | Flow::Public => GuaranteeKind::Holds,
            Flow::Seeded => GuaranteeKind::Seeded,
            Flow::Private => GuaranteeKind::None,
        }
    };
    let epsilon = match (kind, mechanisms.as_slice()) {
        (GuaranteeKind::Untouched, _) => Some(0.0),
        (GuaranteeKind::Holds | GuaranteeKind::Seeded, []) => None,
        (GuaranteeKind::Holds | GuaranteeKind::Seeded, mechanisms) => joint::of_row(mechanisms),
        _ => None,
    };
    Guarantee {
        kind,
        target,
        epsilon,
        delta: mechanisms
            .iter()
            .filter_map(|mechanism| mechanism.delta)
            .reduce(f64::max),
        mechanisms,
    }
}

fn target(params: &Value) -> Option<String> {
    ["/budget/epsilon", "/epsilon"]
        .iter()
        .find_map(|path| params.pointer(path).filter(|value| !value.is_null()))
        .map(rows::word)
}
