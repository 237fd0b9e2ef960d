//! A cache in memory and stages that only digest what they read: the world in which plans are tested.

use super::{CacheView, Decision, Found, InstanceId, Plan, State, decide};
use dpx_schema::Kind;
use dpx_schema::{Digest, FileEntry, Key, Manifest, Record};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A cache in memory.
#[derive(Debug, Clone, Default)]
pub(super) struct FakeCache {
    records: BTreeMap<Key, Arc<Record>>,
    order: Vec<Key>,
    pub(super) damaged: BTreeSet<Key>,
}

impl CacheView for FakeCache {
    fn lookup(&self, key: &Key) -> Found {
        match self.records.get(key) {
            None => Found::Nothing,
            Some(record) if self.damaged.contains(key) => Found::Damaged {
                record: Some(Arc::clone(record)),
                what: "an object is missing".into(),
            },
            Some(record) => Found::Record(Arc::clone(record)),
        }
    }

    fn history(&self, kind: Kind) -> Vec<Arc<Record>> {
        self.order
            .iter()
            .rev()
            .filter(|key| !self.damaged.contains(key))
            .map(|key| Arc::clone(&self.records[key]))
            .filter(|record| record.kind == kind)
            .collect()
    }
}

/// What a stage writes, given its parameters and the content of its inputs.
pub(super) type World = fn(&Value, u64, &BTreeMap<String, Digest>) -> Digest;

impl FakeCache {
    pub(super) fn holds(&self, key: &Key) -> bool {
        self.records.contains_key(key) && !self.damaged.contains(key)
    }

    pub(super) fn insert(
        &mut self,
        plan: &Plan,
        id: InstanceId,
        inputs: &BTreeMap<String, Digest>,
        content: Digest,
    ) {
        let instance = &plan.instances[id];
        let key = instance.key(inputs);
        let record = Record {
            version: 1,
            key,
            experiment: plan.experiment.clone(),
            stage: instance.stage.clone(),
            instance: instance.name.clone(),
            kind: instance.kind,
            kind_version: instance.kind.version(),
            axes: instance.axes.clone(),
            seed: instance.seed,
            params: instance.key_params.clone(),
            inputs: inputs.clone(),
            sources: instance.sources.clone(),
            output: Manifest {
                files: vec![FileEntry {
                    path: "content".into(),
                    digest: content,
                    size: 1,
                }],
            },
            flow: instance.flow,
            wall_seconds: 2.0,
            device: "cpu".into(),
            dpx_version: "0.0.0".into(),
            finished_at: String::new(),
        };
        self.damaged.remove(&key);
        self.order.retain(|other| *other != key);
        self.order.push(key);
        self.records.insert(key, Arc::new(record));
    }

    /// Runs a plan to its end as a runner would: decides, runs the first instance whose key is known, decides again.
    /// Gives back what ran, in order.
    pub(super) fn run(
        &mut self,
        plan: &Plan,
        world: World,
        forced: &BTreeSet<InstanceId>,
    ) -> Vec<InstanceId> {
        let mut forced = forced.clone();
        let mut ran = Vec::new();
        loop {
            let decisions = decide(plan, self, &forced);
            let next = decisions
                .iter()
                .find(|decision| !decision.state.is_cached() && decision.key.is_some());
            let Some(next) = next else {
                assert!(decisions.iter().all(|decision| decision.state.is_cached()));
                return ran;
            };
            let instance = &plan.instances[next.instance];
            let content = world(&instance.key_params, instance.seed, &next.inputs);
            self.insert(plan, next.instance, &next.inputs, content);
            forced.remove(&next.instance);
            ran.push(next.instance);
        }
    }
}

pub(super) fn names(plan: &Plan, ids: &[InstanceId]) -> Vec<String> {
    ids.iter()
        .map(|id| plan.instances[*id].name.to_string())
        .collect()
}

/// The names of instances in a state: `cached`, `run` or `only if`.
pub(super) fn in_state(plan: &Plan, decisions: &[Decision], state: &str) -> Vec<String> {
    decisions
        .iter()
        .filter(|decision| {
            let found = match decision.state {
                State::Cached { .. } => "cached",
                State::Run { .. } => "run",
                State::OnlyIf { .. } => "only if",
            };
            found == state
        })
        .map(|decision| plan.instances[decision.instance].name.to_string())
        .collect()
}

/// Everything counts.
pub(super) fn faithful(params: &Value, seed: u64, inputs: &BTreeMap<String, Digest>) -> Digest {
    Digest::of(format!("{params} {seed} {inputs:?}").as_bytes())
}
