//! Cached, will run and why, or runs only if: a pure function of the plan and of what the cache holds.

use super::decision::{Decision, Reason, State};
use super::{CacheView, Found, Instance, InstanceId, Plan, Recipe};
use dpx_schema::Kind;
use dpx_schema::{Digest, Record};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Decides what happens to every instance, in the plan's order.
///
/// `forced` instances run even where a record is there; a runner takes an instance out of the set once it ran. Called
/// again after an artifact appeared, the decisions of its users become certain: the state `OnlyIf` turns into `Cached`
/// where the artifact came out as before (early cut-off).
pub fn decide(plan: &Plan, view: &dyn CacheView, forced: &BTreeSet<InstanceId>) -> Vec<Decision> {
    let mut history = History::new(view);
    let mut decisions: Vec<Decision> = Vec::with_capacity(plan.instances.len());
    for (id, instance) in plan.instances.iter().enumerate() {
        let mut inputs = BTreeMap::new();
        let mut unknown = Vec::new();
        for need in &instance.needs {
            match &decisions[need.instance].state {
                State::Cached { output, .. } => {
                    inputs.insert(need.stage.clone(), *output);
                }
                State::Run { .. } | State::OnlyIf { .. } => unknown.push(need.instance),
            }
        }
        let force = forced.contains(&id);
        let decision = if unknown.is_empty() {
            certain(id, instance, inputs, force, view, &mut history)
        } else {
            uncertain(id, plan, inputs, unknown, force, &mut history)
        };
        decisions.push(decision);
    }
    decisions
}

/// The decision where every input is known.
fn certain(
    id: InstanceId,
    instance: &Instance,
    inputs: BTreeMap<String, Digest>,
    force: bool,
    view: &dyn CacheView,
    history: &mut History<'_>,
) -> Decision {
    let key = instance.key(&inputs);
    let (nearest, state) = match view.lookup(&key) {
        Found::Record(record) if force => (
            Some(record),
            State::Run {
                reasons: vec![Reason::Forced],
            },
        ),
        Found::Record(record) => {
            let output = record.output.digest();
            (Some(Arc::clone(&record)), State::Cached { record, output })
        }
        Found::Damaged { record, what } => (
            record,
            State::Run {
                reasons: vec![Reason::Damaged { what }],
            },
        ),
        Found::Nothing => {
            let nearest = history.nearest(instance, &inputs);
            let reasons = reasons(instance, &inputs, &[], nearest.as_deref());
            (nearest, State::Run { reasons })
        }
    };
    Decision {
        instance: id,
        state,
        inputs,
        key: Some(key),
        nearest,
    }
}

/// The decision where some inputs are still to be made.
fn uncertain(
    id: InstanceId,
    plan: &Plan,
    inputs: BTreeMap<String, Digest>,
    unknown: Vec<InstanceId>,
    force: bool,
    history: &mut History<'_>,
) -> Decision {
    let instance = &plan.instances[id];
    let nearest = history.nearest(instance, &inputs);
    let state = if force {
        State::Run {
            reasons: vec![Reason::Forced],
        }
    } else if history.agrees(instance, &inputs) {
        State::OnlyIf { changed: unknown }
    } else {
        let names: Vec<&str> = instance
            .needs
            .iter()
            .filter(|need| unknown.contains(&need.instance))
            .map(|need| need.stage.as_str())
            .collect();
        State::Run {
            reasons: reasons(instance, &inputs, &names, nearest.as_deref()),
        }
    };
    Decision {
        instance: id,
        state,
        inputs,
        key: None,
        nearest,
    }
}

/// Earlier records by kind, read once per decision round.
struct History<'a> {
    view: &'a dyn CacheView,
    by_kind: BTreeMap<Kind, Vec<Arc<Record>>>,
}

impl<'a> History<'a> {
    const fn new(view: &'a dyn CacheView) -> Self {
        Self {
            view,
            by_kind: BTreeMap::new(),
        }
    }

    fn of(&mut self, kind: Kind) -> &[Arc<Record>] {
        self.by_kind
            .entry(kind)
            .or_insert_with(|| self.view.history(kind))
    }

    /// Whether a record agrees in everything that is known: recipe, names of the inputs, content of the known inputs.
    fn agrees(&mut self, instance: &Instance, inputs: &BTreeMap<String, Digest>) -> bool {
        let recipe = instance.recipe();
        self.of(instance.kind).iter().any(|record| {
            Recipe::of(record) == recipe
                && record.inputs.len() == instance.needs.len()
                && instance.needs.iter().all(|need| {
                    record
                        .inputs
                        .get(&need.stage)
                        .is_some_and(|old| inputs.get(&need.stage).is_none_or(|new| new == old))
                })
        })
    }

    /// The record to compare with: of the same stage and the same values of the axes, else of the same stage; of the same
    /// experiment before others; with the fewest differences; the newest.
    fn nearest(
        &mut self,
        instance: &Instance,
        inputs: &BTreeMap<String, Digest>,
    ) -> Option<Arc<Record>> {
        self.of(instance.kind)
            .iter()
            .filter(|record| record.stage == instance.stage)
            .min_by_key(|record| {
                (
                    record.axes != instance.axes,
                    differences(instance, inputs, &[], record).len(),
                )
            })
            .map(Arc::clone)
    }
}

/// Why an instance without a usable record runs.
fn reasons(
    instance: &Instance,
    inputs: &BTreeMap<String, Digest>,
    unknown: &[&str],
    nearest: Option<&Record>,
) -> Vec<Reason> {
    match nearest {
        None => vec![Reason::New],
        Some(record) if record.axes != instance.axes => vec![Reason::NewRow {
            axes: instance.axes.clone(),
        }],
        Some(record) => differences(instance, inputs, unknown, record),
    }
}

/// Everything in which an instance differs from a record. Inputs whose content is not known yet count as equal, unless the
/// record lacks them.
fn differences(
    instance: &Instance,
    inputs: &BTreeMap<String, Digest>,
    unknown: &[&str],
    record: &Record,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if record.kind_version != instance.kind.version() {
        reasons.push(Reason::CodeVersion {
            old: record.kind_version,
            new: instance.kind.version(),
        });
    }
    parameters(
        "",
        Some(&record.params),
        Some(&instance.key_params),
        &mut reasons,
    );
    let names: BTreeSet<&String> = record
        .sources
        .keys()
        .chain(instance.sources.keys())
        .collect();
    for name in names {
        let (old, new) = (record.sources.get(name), instance.sources.get(name));
        if old != new {
            reasons.push(Reason::Source {
                name: name.clone(),
                old: old.cloned(),
                new: new.cloned(),
            });
        }
    }
    if record.seed != instance.seed {
        reasons.push(Reason::Seed {
            old: record.seed,
            new: instance.seed,
        });
    }
    for need in &instance.needs {
        let (old, new) = (record.inputs.get(&need.stage), inputs.get(&need.stage));
        if new.is_some() && old != new {
            reasons.push(Reason::Input {
                name: need.stage.clone(),
                old: old.copied(),
                new: new.copied(),
            });
        } else if old.is_none() && unknown.contains(&need.stage.as_str()) {
            reasons.push(Reason::NewInput {
                name: need.stage.clone(),
            });
        }
    }
    for (name, old) in &record.inputs {
        if !instance.needs.iter().any(|need| need.stage == *name) {
            reasons.push(Reason::Input {
                name: name.clone(),
                old: Some(*old),
                new: None,
            });
        }
    }
    reasons
}

/// Collects the parameters that differ, tables key by key.
fn parameters(name: &str, old: Option<&Value>, new: Option<&Value>, reasons: &mut Vec<Reason>) {
    if old == new {
        return;
    }
    if let (Some(Value::Object(old)), Some(Value::Object(new))) = (old, new) {
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys {
            let path = if name.is_empty() {
                key.clone()
            } else {
                format!("{name}.{key}")
            };
            parameters(&path, old.get(key), new.get(key), reasons);
        }
        return;
    }
    reasons.push(Reason::Parameter {
        name: name.to_owned(),
        old: old.cloned(),
        new: new.cloned(),
    });
}
