//! Parameters of a study by dotted name, for comparisons.

use super::compare::flatten;
use dpx_engine::plan::Plan;
use serde_json::Value;
use std::collections::BTreeMap;

/// Every parameter that the keys cover, by dotted name.
pub(super) fn settings(plan: &Plan) -> BTreeMap<String, Value> {
    let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for instance in &plan.instances {
        let mut own = BTreeMap::new();
        flatten(
            &format!("stage.{}", instance.stage),
            &instance.key_params,
            &mut own,
        );
        for (name, value) in own {
            let values = all.entry(name).or_default();
            if !values.contains(&value) {
                values.push(value);
            }
        }
        for (name, identity) in &instance.sources {
            let values = all
                .entry(format!("stage.{}.{name} (content)", instance.stage))
                .or_default();
            let identity = Value::from(identity.as_str());
            if !values.contains(&identity) {
                values.push(identity);
            }
        }
    }
    all.insert(super::compare::SEED.into(), vec![Value::from(plan.seed)]);
    all.into_iter()
        .map(|(name, mut values)| {
            let value = if values.len() == 1 {
                values.remove(0)
            } else {
                Value::from(values)
            };
            (name, value)
        })
        .collect()
}
