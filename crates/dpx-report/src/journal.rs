//! A past run as a study's sources: its journal names the keys, their records say the rest.

use super::sources::Known;
use super::study::InstanceState;
use dpx_engine::cache::Cache;
use dpx_engine::plan::{Axis, Instance, Need, Plan, RunSettings};
use dpx_schema::{InstanceName, Key, Record};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The plan and what is known of each instance of a past run, from its journal's lines. Only finished instances are known.
///
/// Nothing where the lines are no journal, or no record of the run is left.
pub fn past_run(cache: &Cache, lines: &[Value]) -> Option<(Plan, Vec<Known>)> {
    let start = lines.iter().find(|line| line["event"] == "run-started")?;
    let mut keys: Vec<(InstanceName, Option<Key>)> = start["instances"]
        .as_array()?
        .iter()
        .map(|planned| {
            let key = planned["key"].as_str().and_then(|key| key.parse().ok());
            (planned["instance"].as_str().unwrap_or_default().into(), key)
        })
        .collect();
    for line in lines {
        let key = line["key"].as_str().and_then(|key| key.parse().ok());
        let own = keys.iter_mut().find(|(name, _)| line["instance"] == **name);
        if let (Some(key), Some(own)) = (key, own) {
            own.1 = Some(key);
        }
    }
    let records: Vec<Arc<Record>> = keys
        .iter()
        .filter_map(|(_, key)| cache.record(key.as_ref()?).map(Arc::new))
        .collect();
    if records.is_empty() {
        return None;
    }
    let instances: Vec<Instance> = records
        .iter()
        .map(|record| instance(record, &records))
        .collect();
    let known = records
        .iter()
        .map(|record| Known {
            state: InstanceState::Cached,
            record: Some(Arc::clone(record)),
        })
        .collect();
    let mut axes: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for record in &records {
        for (name, value) in &record.axes {
            let values = axes.entry(name.clone()).or_default();
            if !values.contains(value) {
                values.push(value.clone());
            }
        }
    }
    // Names tell the file's order of the axes, which the names of rows follow: those with most axes first.
    let mut names: Vec<&InstanceName> = records.iter().map(|record| &record.instance).collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.axes().count()));
    let mut order: Vec<&str> = Vec::new();
    for (axis, _) in names.iter().flat_map(|name| name.axes()) {
        if !order.contains(&axis) {
            order.push(axis);
        }
    }
    let mut axes: Vec<Axis> = axes
        .into_iter()
        .map(|(name, values)| Axis { name, values })
        .collect();
    axes.sort_by_key(|axis| order.iter().position(|name| *name == axis.name));
    let plan = Plan {
        experiment: start["experiment"]
            .as_str()
            .unwrap_or("a past run")
            .to_owned(),
        description: None,
        seed: 0,
        axes,
        run: RunSettings::default(),
        instances,
    };
    Some((plan, known))
}

fn instance(record: &Record, all: &[Arc<Record>]) -> Instance {
    let needs = record
        .inputs
        .iter()
        .filter_map(|(stage, digest)| {
            let instance = all
                .iter()
                .position(|other| other.stage == *stage && other.output.digest() == *digest)?;
            Some(Need {
                stage: stage.clone(),
                instance,
            })
        })
        .collect();
    Instance {
        name: record.instance.clone(),
        stage: record.stage.clone(),
        kind: record.kind,
        axes: record.axes.clone(),
        params: record.params.clone(),
        performance: Value::Null,
        key_params: record.params.clone(),
        seed: record.seed,
        needs,
        sources: record.sources.clone(),
        flow: record.flow,
    }
}
