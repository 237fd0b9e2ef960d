//! Random graphs, sweeps and edits against an oracle that knows what every stage would write.

use super::fake::{FakeCache, World};
use super::{Instance, InstanceId, Need, Plan, RunSettings, State, decide};
use dpx_schema::Digest;
use dpx_schema::{Flow, Kind};
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

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
            name: format!("s{index}"),
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
            flow: Flow::Public,
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

/// What every instance would write, and whether its key is in the cache: knows the world, asks nobody.
fn oracle(plan: &Plan, cache: &FakeCache) -> Vec<bool> {
    let mut written: Vec<Digest> = Vec::new();
    let mut hit = Vec::new();
    for instance in &plan.instances {
        let inputs: BTreeMap<String, Digest> = instance
            .needs
            .iter()
            .map(|need| (need.stage.clone(), written[need.instance]))
            .collect();
        hit.push(cache.holds(&instance.key(&inputs)));
        let content = WORLD(&instance.key_params, instance.seed, &inputs);
        written.push(
            dpx_schema::Manifest {
                files: vec![dpx_schema::FileEntry {
                    path: "content".into(),
                    digest: content,
                    size: 1,
                }],
            }
            .digest(),
        );
    }
    hit
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
