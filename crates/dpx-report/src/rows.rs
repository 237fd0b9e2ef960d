//! Which instances make up which row of the study, and what each classifier learnt from.

use super::study::Role;
use dpx_engine::plan::{Instance, InstanceId, Plan, WHOLE_STUDY};
use dpx_schema::files::safe_name;
use dpx_schema::{InstanceName, Kind};
use serde_json::Value;
use std::collections::BTreeMap;

/// The axis whose values are repetitions of a row.
pub(crate) const REPLICATE: &str = "replicate";

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RowPlan {
    /// Values of the axes but replicates.
    pub axes: BTreeMap<String, Value>,
    /// Name: `epsilon=8`.
    pub name: String,
    /// Short name: `8`.
    pub label: String,
    /// Instances that belong to this row alone, in the plan's order.
    pub own: Vec<InstanceId>,
}

/// A value as people read it.
pub(crate) fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number
            .as_f64()
            .map_or_else(|| number.to_string(), |number| number.to_string()),
        other => other.to_string(),
    }
}

/// The rows of a plan, in the sweep's order, and the instances that several rows share.
pub(crate) fn rows(plan: &Plan) -> Vec<RowPlan> {
    let axes: Vec<_> = plan
        .axes
        .iter()
        .filter(|axis| axis.name != REPLICATE)
        .collect();
    let mut combinations = vec![BTreeMap::new()];
    for axis in &axes {
        combinations = combinations
            .into_iter()
            .flat_map(|combination| {
                axis.values.iter().map(move |value| {
                    let mut next: BTreeMap<String, Value> = combination.clone();
                    next.insert(axis.name.clone(), value.clone());
                    next
                })
            })
            .collect();
    }
    let mut rows: Vec<RowPlan> = combinations
        .into_iter()
        .map(|combination| {
            let of_axes = axes
                .iter()
                .map(|axis| (&*axis.name, &combination[&axis.name]));
            let row = InstanceName::row_of(of_axes);
            let label = match axes.as_slice() {
                [] => plan.experiment.clone(),
                [axis] => InstanceName::word(&combination[&axis.name]),
                _ => row.clone(),
            };
            RowPlan {
                name: if row.is_empty() {
                    WHOLE_STUDY.into()
                } else {
                    row
                },
                label,
                own: (0..plan.instances.len())
                    .filter(|&id| belongs(plan, id, &combination, axes.is_empty()))
                    .collect(),
                axes: combination,
            }
        })
        .collect();
    if !axes.is_empty() {
        rows.extend(shared_samples(plan));
    }
    rows.retain(|row| !row.own.is_empty());
    rows
}

/// The instances that write the texts of a row.
pub(crate) fn samples<'a>(
    plan: &'a Plan,
    row: &'a RowPlan,
) -> impl Iterator<Item = InstanceId> + 'a {
    let own = row.own.iter().copied();
    own.filter(|&id| plan.instances[id].kind == Kind::Sample)
}

/// What the files with the texts of a sample instance are called in `synthetic/`, without the ending: known before it runs.
pub(crate) fn sample_file(plan: &Plan, row: &RowPlan, id: InstanceId) -> String {
    let instance = &plan.instances[id];
    let several = samples(plan, row).any(|other| plan.instances[other].stage != instance.stage);
    let mut file = row.name.clone();
    if several && instance.stage != row.name {
        file = format!("{}-{file}", instance.stage);
    }
    if let Some(replicate) = replicate(instance) {
        file = format!("{file},replicate={replicate}");
    }
    safe_name(&file)
}

/// Whether an instance belongs to a combination of axes alone.
fn belongs(
    plan: &Plan,
    id: InstanceId,
    combination: &BTreeMap<String, Value>,
    single: bool,
) -> bool {
    let instance = &plan.instances[id];
    if single {
        return instance.kind == Kind::Sample
            || descends_from(plan, id, Kind::Sample)
            || instance.kind.spends()
            || instance.kind == Kind::Audit
            || matches!(role(plan, id), Some(Role::TeacherAlone));
    }
    let mut mentioned = false;
    for (name, value) in &instance.axes {
        if name != REPLICATE {
            mentioned = true;
            if combination.get(name) != Some(value) {
                return false;
            }
        }
    }
    mentioned
}

/// Samples outside the sweep, such as those of a base model: a row of their own, named after the stage.
fn shared_samples(plan: &Plan) -> Vec<RowPlan> {
    let outside = |id: InstanceId| plan.instances[id].axes.keys().all(|name| name == REPLICATE);
    let mut stages: Vec<&str> = Vec::new();
    for (id, instance) in plan.instances.iter().enumerate() {
        if instance.kind == Kind::Sample
            && outside(id)
            && !stages.contains(&instance.stage.as_str())
        {
            stages.push(&instance.stage);
        }
    }
    stages
        .into_iter()
        .map(|stage| RowPlan {
            axes: BTreeMap::new(),
            name: stage.to_owned(),
            label: stage.to_owned(),
            own: (0..plan.instances.len())
                .filter(|&id| {
                    outside(id)
                        && (plan.instances[id].stage == stage
                            || plan.instances[id]
                                .needs
                                .iter()
                                .any(|need| need.stage == stage))
                })
                .collect(),
        })
        .collect()
}

/// Whether an instance reads, directly or not, one of a kind.
pub(crate) fn descends_from(plan: &Plan, id: InstanceId, kind: Kind) -> bool {
    plan.ancestors(id)
        .into_iter()
        .any(|ancestor| plan.instances[ancestor].kind == kind)
}

/// What a classify instance learnt from; nothing for another kind.
pub(crate) fn role(plan: &Plan, id: InstanceId) -> Option<Role> {
    let instance = &plan.instances[id];
    if instance.kind != Kind::Classify {
        return None;
    }
    if instance.params["model"].as_str() == Some("teacher") {
        return Some(Role::TeacherAlone);
    }
    Some(match trained_on(plan, instance) {
        Some(sample) if has_teacher(plan, sample) => Role::WithTeacher,
        Some(_) => Role::OwnLabels,
        None => Role::Benchmark,
    })
}

/// The sample instance that a classifier learns from; nothing where it learns from the real texts.
fn trained_on(plan: &Plan, instance: &Instance) -> Option<InstanceId> {
    let named = instance.params["train_on"].as_str();
    instance
        .needs
        .iter()
        .filter(|need| named.is_none_or(|named| named == need.stage))
        .map(|need| need.instance)
        .find(|&need| plan.instances[need].kind == Kind::Sample)
}

/// Whether a teacher chooses or labels the texts of a sample instance.
pub(crate) fn has_teacher(plan: &Plan, sample: InstanceId) -> bool {
    let instance = &plan.instances[sample];
    instance.params["teacher"].as_str() != Some("none")
        && instance
            .needs
            .iter()
            .any(|need| plan.instances[need.instance].kind == Kind::Teacher)
}

/// The replicate of an instance as a word.
pub(crate) fn replicate(instance: &Instance) -> Option<String> {
    instance.axes.get(REPLICATE).map(InstanceName::word)
}
