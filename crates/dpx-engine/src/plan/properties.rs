//! Random graphs, sweeps and edits against an oracle that knows what every stage would write.

use super::differences::differences;
use super::fake::{FakeCache, World};
use super::history::History;
use super::{
    CacheView, Decisions, Found, Instance, InstanceId, Need, Plan, Recipe, RunSettings, State,
    decide,
};
use dpx_schema::{Digest, Key, Kind, Record, ReleaseLabel};
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One stage: its parameter and which of the earlier stages it needs.
type Shape = Vec<(u8, Vec<bool>)>;

/// Half of the parameter's values make no difference to what a stage writes, so waves stop now and then.
const WORLD: World = |params, seed, inputs| {
    let value = params["value"].as_u64().unwrap_or(0) / 2;
    Digest::of(format!("{value} {seed} {inputs:?}").as_bytes())
};

fn shape() -> impl Strategy<Value = Shape> {
    (1usize..9).prop_flat_map(|stages| {
        (0..stages)
            .map(|index| (0u8..6, proptest::collection::vec(any::<bool>(), index)))
            .collect::<Vec<_>>()
    })
}

/// An edit: stage (taken modulo their number) and the new value of its parameter, or a need that is added or removed.
fn edits() -> impl Strategy<Value = Vec<(usize, u8, Option<usize>)>> {
    proptest::collection::vec(
        (any::<usize>(), 0u8..6, proptest::option::of(any::<usize>())),
        0..4,
    )
}

fn edited(shape: &Shape, edits: &[(usize, u8, Option<usize>)]) -> Shape {
    let mut shape = shape.clone();
    for (stage, value, need) in edits {
        let index = stage % shape.len();
        match need {
            Some(need) if index > 0 => {
                let other = need % index;
                shape[index].1[other] ^= true;
            }
            _ => shape[index].0 = *value,
        }
    }
    shape
}

fn plan(shape: &Shape) -> Plan {
    let instances = shape
        .iter()
        .enumerate()
        .map(|(index, (value, needs))| Instance {
            name: format!("s{index}").into(),
            stage: format!("s{index}"),
            kind: Kind::ALL[index % Kind::ALL.len()],
            axes: BTreeMap::new(),
            params: json!({ "value": value }),
            performance: json!({}),
            key_params: json!({ "value": value }),
            seed: 1,
            needs: needs
                .iter()
                .enumerate()
                .filter(|(_, needed)| **needed)
                .map(|(instance, _)| Need {
                    stage: format!("s{instance}"),
                    instance,
                })
                .collect(),
            sources: BTreeMap::new(),
            flow: ReleaseLabel::Public,
        })
        .collect();
    Plan {
        experiment: "random".into(),
        description: None,
        seed: 1,
        axes: Vec::new(),
        run: RunSettings::default(),
        instances,
    }
}

/// What every instance would write: knows the world, asks nobody.
fn written(plan: &Plan) -> Vec<Digest> {
    let mut written: Vec<Digest> = Vec::new();
    for instance in &plan.instances {
        let content = WORLD(
            &instance.key_params,
            instance.seed,
            &inputs(instance, &written),
        );
        let file = dpx_schema::FileEntry {
            path: "content".into(),
            digest: content,
            size: 1,
        };
        written.push(dpx_schema::Manifest { files: vec![file] }.digest());
    }
    written
}

fn inputs(instance: &Instance, written: &[Digest]) -> BTreeMap<String, Digest> {
    let needs = instance.needs.iter();
    needs
        .map(|need| (need.stage.clone(), written[need.instance]))
        .collect()
}

/// Whether the key of every instance is in the cache.
fn oracle(plan: &Plan, cache: &FakeCache) -> Vec<bool> {
    let written = written(plan);
    let instances = plan.instances.iter();
    instances
        .map(|instance| cache.holds(&instance.key(&inputs(instance, &written))))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn decisions_agree_with_an_oracle(
        shape in shape(),
        history in proptest::collection::vec(edits(), 0..4),
        last in edits(),
    ) {
        let mut cache = FakeCache::default();
        for edits in &history {
            cache.run(&plan(&edited(&shape, edits)), WORLD, &BTreeSet::new());
        }
        let plan = plan(&edited(&shape, &last));
        let hits = oracle(&plan, &cache);
        let decisions = decide(&plan, &cache, &BTreeSet::new());
        prop_assert_eq!(decisions.len(), plan.instances.len());
        for (decision, hit) in decisions.iter().zip(&hits) {
            match &decision.state {
                // What is certain is true.
                State::Cached { .. } => prop_assert!(*hit),
                State::Run { reasons } => {
                    prop_assert!(!*hit, "{:?} would have been a hit", decision);
                    prop_assert!(!reasons.is_empty());
                }
                // What is open depends on something that is not cached.
                State::OnlyIf { changed } => {
                    prop_assert!(!changed.is_empty());
                    for id in changed {
                        prop_assert!(!decisions[*id].state.is_cached());
                        prop_assert!(plan.instances[decision.instance].needs.iter().any(|need| need.instance == *id));
                    }
                    prop_assert!(decision.nearest.is_some());
                }
            }
        }
        // Instances of the same content may share a key; then the first one runs for both.
        let ran: BTreeSet<InstanceId> = cache.clone().run(&plan, WORLD, &BTreeSet::new()).into_iter().collect();
        for (id, hit) in hits.iter().enumerate() {
            if *hit {
                prop_assert!(!ran.contains(&id), "{} ran although it was a hit", plan.instances[id].name);
            }
        }
        let mut keys = BTreeSet::new();
        let misses = hits.iter().filter(|hit| !**hit).count();
        let all_after = {
            let mut after = cache.clone();
            after.run(&plan, WORLD, &BTreeSet::new());
            decide(&plan, &after, &BTreeSet::new())
        };
        let distinct = all_after
            .iter()
            .zip(&hits)
            .filter(|(decision, hit)| !**hit && keys.insert(decision.key))
            .count();
        prop_assert_eq!(ran.len(), distinct);
        prop_assert!(distinct <= misses);
    }

    #[test]
    fn a_second_run_does_nothing(shape in shape()) {
        let plan = plan(&shape);
        let mut cache = FakeCache::default();
        cache.run(&plan, WORLD, &BTreeSet::new());
        prop_assert!(cache.run(&plan, WORLD, &BTreeSet::new()).is_empty());
    }

    #[test]
    fn forcing_runs_what_is_forced_and_keeps_the_rest(shape in shape(), which in any::<usize>()) {
        let plan = plan(&shape);
        let mut cache = FakeCache::default();
        cache.run(&plan, WORLD, &BTreeSet::new());
        let forced = BTreeSet::from([which % plan.instances.len()]);
        let ran: BTreeSet<InstanceId> = cache.run(&plan, WORLD, &forced).into_iter().collect();
        prop_assert_eq!(ran, forced);
    }
}

/// A cache whose history stands still while records come and go, as a run sees it.
struct During<'a> {
    before: &'a FakeCache,
    now: &'a FakeCache,
}

impl CacheView for During<'_> {
    fn lookup(&self, key: &Key) -> Found {
        self.now.lookup(key)
    }

    fn history(&self, kind: Kind) -> Vec<Arc<Record>> {
        self.before.history(kind)
    }
}

/// Rows of a sweep over the stages of a shape: records of other rows, and instances that share a key.
fn swept(shape: &Shape, rows: u8) -> Plan {
    let one = plan(shape);
    let mut all = one.clone();
    all.instances.clear();
    for row in 0..rows {
        let first = all.instances.len();
        for instance in &one.instances {
            let mut instance = instance.clone();
            instance.name = format!("{}@row={row}", instance.name).into();
            instance.axes = BTreeMap::from([("row".to_owned(), json!(row))]);
            // Every other row is another's twin: one key, one piece of work.
            instance.seed = u64::from(row / 2);
            for need in &mut instance.needs {
                need.instance += first;
            }
            all.instances.push(instance);
        }
    }
    all
}

/// The two functions of the history without any index: the definition.
fn scanned(
    history: &[Arc<Record>],
    instance: &Instance,
    inputs: &BTreeMap<String, Digest>,
) -> (bool, Option<(bool, usize)>) {
    let agrees = history.iter().any(|record| {
        Recipe::of(record) == instance.recipe()
            && record.inputs.len() == instance.needs.len()
            && instance.needs.iter().all(|need| {
                let (old, new) = (record.inputs.get(&need.stage), inputs.get(&need.stage));
                old.is_some() && (new.is_none() || new == old)
            })
    });
    let nearest = history
        .iter()
        .filter(|record| record.stage == instance.stage)
        .map(|record| {
            (
                record.axes != instance.axes,
                differences(instance, inputs, &[], record).len(),
            )
        })
        .min();
    (agrees, nearest)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Random graphs, rows, histories, forced instances and orders of finishing, with damage now and then: what is kept up
    /// to date is at every moment what a decision from scratch says.
    #[test]
    fn decisions_that_follow_changes_equal_those_from_scratch(
        shape in shape(),
        rows in 1u8..4,
        history in proptest::collection::vec(edits(), 0..3),
        last in edits(),
        forced in proptest::collection::btree_set(0usize..24, 0..3),
        order in proptest::collection::vec((any::<usize>(), 0u8..8), 1..60),
    ) {
        let mut before = FakeCache::default();
        for edits in &history {
            before.run(&swept(&edited(&shape, edits), rows), WORLD, &BTreeSet::new());
        }
        let plan = swept(&edited(&shape, &last), rows);
        let mut now = before.clone();
        let mut forced: BTreeSet<InstanceId> =
            forced.into_iter().filter(|id| *id < plan.instances.len()).collect();
        let view = During { before: &before, now: &now };
        let mut kept = Decisions::new(&plan, &view, forced.clone());
        for (choice, chance) in order {
            let known: Vec<InstanceId> = kept
                .list()
                .iter()
                .filter(|one| one.key.is_some() && (chance == 0) == one.state.is_cached())
                .map(|one| one.instance)
                .collect();
            let Some(&id) = known.get(choice % known.len().max(1)) else { continue };
            let decision = kept.list()[id].clone();
            let key = decision.key.unwrap();
            let old: Vec<bool> = kept.list().iter().map(|one| one.state.is_cached()).collect();
            let changed = if chance == 0 {
                now.damaged.insert(key);
                let view = During { before: &before, now: &now };
                kept.record_changed(&key, &view)
            } else {
                let instance = &plan.instances[id];
                let content = WORLD(&instance.key_params, instance.seed, &decision.inputs);
                now.insert(&plan, id, &decision.inputs, content);
                let view = During { before: &before, now: &now };
                let mut changed = if forced.remove(&id) { kept.unforce(id, &view) } else { Vec::new() };
                changed.extend(kept.record_changed(&key, &view));
                changed
            };
            let view = During { before: &before, now: &now };
            let scratch = Decisions::new(&plan, &view, forced.clone());
            prop_assert_eq!(kept.list(), scratch.list());
            for (id, &was) in old.iter().enumerate() {
                if let Some(key) = kept.list()[id].key {
                    prop_assert!(kept.of_key(&key).any(|one| one == id));
                }
                let is = kept.list()[id].state.is_cached();
                let told = changed.iter().find(|one| one.instance == id);
                prop_assert!(is == was || told.is_some_and(|one| one.was_cached == was));
            }
        }
    }

    /// The index finds what looking at every record finds.
    #[test]
    fn the_index_finds_what_a_scan_finds(
        shape in shape(),
        rows in 1u8..4,
        history in proptest::collection::vec(edits(), 0..4),
        last in edits(),
        known in any::<u64>(),
    ) {
        let mut cache = FakeCache::default();
        for edits in &history {
            cache.run(&swept(&edited(&shape, edits), rows), WORLD, &BTreeSet::new());
        }
        let plan = swept(&edited(&shape, &last), rows);
        let contents: BTreeMap<String, Digest> = written(&plan)
            .into_iter()
            .enumerate()
            .filter(|(id, _)| known >> (id % 64) & 1 == 1)
            .map(|(id, digest)| (plan.instances[id].name.to_string(), digest))
            .collect();
        let mut index = History::default();
        for instance in &plan.instances {
            let inputs: BTreeMap<String, Digest> = instance
                .needs
                .iter()
                .filter_map(|need| {
                    let made = &plan.instances[need.instance];
                    Some((need.stage.clone(), *contents.get(made.name.as_str())?))
                })
                .collect();
            let records = cache.history(instance.kind);
            let (agrees, nearest) = scanned(&records, instance, &inputs);
            let found = index.agreeing(instance, &inputs, &cache);
            prop_assert_eq!(found.is_some(), agrees);
            let found = index.nearest(instance, &inputs, &cache).map(|record| {
                (
                    record.axes != instance.axes,
                    differences(instance, &inputs, &[], &record).len(),
                )
            });
            let other_row = found.is_some_and(|(other, _)| other);
            // Of other rows only the newest are looked at.
            if other_row {
                prop_assert!(nearest.is_some_and(|(other, _)| other));
            } else {
                prop_assert_eq!(found, nearest);
            }
        }
    }
}
