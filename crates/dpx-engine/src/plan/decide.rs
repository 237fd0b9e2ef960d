//! Cached, will run and why, or runs only if: decided from the plan and from what the cache holds.

use super::decision::{Decision, Reason, State};
use super::differences::differences;
use super::estimate::{data_needs, estimate};
use super::history::History;
use super::{CacheView, Found, Instance, InstanceId, Plan};
use dpx_schema::{Digest, Key, Record};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Decides what happens to every instance, in the plan's order.
///
/// `forced` instances run even where a record is there. A runner keeps [`Decisions`] instead, which come from the same
/// function, and tells them what changed.
pub fn decide(plan: &Plan, view: &dyn CacheView, forced: &BTreeSet<InstanceId>) -> Vec<Decision> {
    Decisions::new(plan, view, forced.clone()).list
}

/// The decisions of a plan while artifacts appear and vanish: only what lies downstream of a change is decided anew.
///
/// They are at every moment what [`decide`] would say, with the history as it was at the start: what the run itself adds
/// is no earlier record to compare with.
#[derive(Debug)]
pub(crate) struct Decisions<'a> {
    plan: &'a Plan,
    forced: BTreeSet<InstanceId>,
    history: History,
    /// The instances that read each instance.
    users: Vec<Vec<InstanceId>>,
    /// The instances of each key: two instances may be one piece of work.
    by_key: HashMap<Key, BTreeSet<InstanceId>>,
    list: Vec<Decision>,
}

/// An instance that was decided anew and came out different.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Changed {
    /// Its place among the instances of the plan.
    pub instance: InstanceId,
    /// Whether nothing was left to do before.
    pub was_cached: bool,
}

impl<'a> Decisions<'a> {
    /// Decides every instance; `forced` ones run even where a record is there.
    pub(crate) fn new(plan: &'a Plan, view: &dyn CacheView, forced: BTreeSet<InstanceId>) -> Self {
        let mut users = vec![Vec::new(); plan.instances.len()];
        for (id, instance) in plan.instances.iter().enumerate() {
            for need in &instance.needs {
                users[need.instance].push(id);
            }
        }
        let mut decisions = Self {
            plan,
            forced,
            history: History::of_plan(plan),
            users,
            by_key: HashMap::new(),
            list: Vec::with_capacity(plan.instances.len()),
        };
        for id in 0..plan.instances.len() {
            let decision = decisions.one(id, view);
            if let Some(key) = decision.key {
                decisions.by_key.entry(key).or_default().insert(id);
            }
            decisions.list.push(decision);
        }
        decisions
    }

    /// The decisions, in the plan's order.
    pub(crate) fn list(&self) -> &[Decision] {
        &self.list
    }

    /// Whether the instance runs even where a record is there.
    pub(crate) fn is_forced(&self, id: InstanceId) -> bool {
        self.forced.contains(&id)
    }

    /// The instances that read an instance.
    pub(crate) fn users(&self, id: InstanceId) -> &[InstanceId] {
        &self.users[id]
    }

    /// The instances whose key this is, as far as keys are known.
    pub(crate) fn of_key(&self, key: &Key) -> impl Iterator<Item = InstanceId> + '_ {
        self.by_key.get(key).into_iter().flatten().copied()
    }

    /// An instance that was forced has run: from here on its record counts.
    pub(crate) fn unforce(&mut self, id: InstanceId, view: &dyn CacheView) -> Vec<Changed> {
        if self.forced.remove(&id) {
            self.again(BTreeSet::from([id]), view)
        } else {
            Vec::new()
        }
    }

    /// What stands under a key changed: decides its instances anew and whatever lies downstream of them. The state
    /// `OnlyIf` turns into `Cached` where an artifact came out as before (early cut-off). Returns what came out different,
    /// in the plan's order.
    pub(crate) fn record_changed(&mut self, key: &Key, view: &dyn CacheView) -> Vec<Changed> {
        let of_key = self.by_key.get(key).cloned().unwrap_or_default();
        self.again(of_key, view)
    }

    fn again(&mut self, mut open: BTreeSet<InstanceId>, view: &dyn CacheView) -> Vec<Changed> {
        let mut changed = Vec::new();
        // Needs stand before their users, so that each instance is decided once, after all that it reads.
        while let Some(id) = open.pop_first() {
            let new = self.one(id, view);
            if new == self.list[id] {
                continue;
            }
            let old = std::mem::replace(&mut self.list[id], new);
            let new = &self.list[id];
            if old.key != new.key {
                if let Some(ids) = old.key.and_then(|key| self.by_key.get_mut(&key)) {
                    ids.remove(&id);
                }
                if let Some(key) = new.key {
                    self.by_key.entry(key).or_default().insert(id);
                }
            }
            // The content is all that users see of an instance.
            if old.state.output() != new.state.output() {
                open.extend(&self.users[id]);
            }
            changed.push(Changed {
                instance: id,
                was_cached: old.state.is_cached(),
            });
        }
        changed
    }

    /// The one function that decides, given the decisions on what the instance reads.
    fn one(&mut self, id: InstanceId, view: &dyn CacheView) -> Decision {
        let instance = &self.plan.instances[id];
        let mut inputs = BTreeMap::new();
        let mut unknown = Vec::new();
        for need in &instance.needs {
            match self.list[need.instance].state.output() {
                Some(output) => {
                    inputs.insert(need.stage.clone(), output);
                }
                None => unknown.push(need.instance),
            }
        }
        let force = self.forced.contains(&id);
        let mut decision = if unknown.is_empty() {
            certain(id, instance, inputs, force, view, &mut self.history)
        } else {
            uncertain(
                id,
                instance,
                inputs,
                unknown,
                force,
                view,
                &mut self.history,
            )
        };
        let data = data_needs(instance, |need| self.plan.instances[need].kind);
        let took = |record: &Record| estimate(instance, &decision.inputs, &data, record);
        decision.estimate = decision.nearest.as_deref().and_then(took).or_else(|| {
            let history = &mut self.history;
            let other = history.nearest_of_others(instance, &decision.inputs, view)?;
            took(&other)
        });
        decision
    }
}

/// Whether the ledger counts what the instance does: neither what has no noise nor what looks at no private text.
fn spends(instance: &Instance) -> bool {
    let epsilon = instance.params["epsilon"].as_f64();
    instance.kind.spends() && epsilon.is_some_and(|epsilon| epsilon > 0.0)
}

/// The decision where every input is known.
fn certain(
    id: InstanceId,
    instance: &Instance,
    inputs: BTreeMap<String, Digest>,
    force: bool,
    view: &dyn CacheView,
    history: &mut History,
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
        Found::Damaged { record, what } => {
            let again = if spends(instance) {
                "; it reads the private data again, which the ledger counts once more"
            } else {
                ""
            };
            let what = what + again;
            (
                record,
                State::Run {
                    reasons: vec![Reason::Damaged { what }],
                },
            )
        }
        Found::Nothing => {
            let nearest = history.nearest(instance, &inputs, view);
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
        estimate: None,
    }
}

/// The decision where some inputs are still to be made.
fn uncertain(
    id: InstanceId,
    instance: &Instance,
    inputs: BTreeMap<String, Digest>,
    unknown: Vec<InstanceId>,
    force: bool,
    view: &dyn CacheView,
    history: &mut History,
) -> Decision {
    let agreeing = history.agreeing(instance, &inputs, view);
    let agrees = agreeing.is_some();
    let nearest = match agreeing {
        Some(record) if record.stage == instance.stage && record.axes == instance.axes => {
            Some(record)
        }
        // Another row, or a stage of another name, did the same: its time is a better guess than none.
        agreeing => history.nearest(instance, &inputs, view).or(agreeing),
    };
    let state = if force {
        State::Run {
            reasons: vec![Reason::Forced],
        }
    } else if agrees {
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
        estimate: None,
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
