//! How long an instance is going to take: what an earlier record tells of the same amount of work, and of nothing else.

use super::Instance;
use dpx_schema::{Digest, Kind, Record};
use serde_json::Value;
use std::collections::BTreeMap;

/// Parameters that do not change how much there is to compute.
const FREE: [&str; 20] = [
    "budget",
    "declared_overlap",
    "delta",
    "epsilon",
    "inverse_penalty",
    "label_share",
    "labels",
    "learning_rate",
    "length_share",
    "max_grad_norm",
    "noise",
    "order",
    "repetition_penalty",
    "schedule",
    "temperature",
    "threshold",
    "top_k",
    "top_p",
    "warmup",
    "weight_decay",
];

/// Seconds that the instance is going to take; nothing where the record is of another model, other sizes or other data.
pub(super) fn estimate(
    instance: &Instance,
    inputs: &BTreeMap<String, Digest>,
    data: &[String],
    record: &Record,
) -> Option<f64> {
    let same = instance.kind == record.kind
        && instance.sources == record.sources
        && privacy(&instance.key_params) == privacy(&record.params)
        && sizes(&instance.key_params) == sizes(&record.params)
        // A data set of another content has another number of texts.
        && data.iter().all(|name| inputs.contains_key(name) && inputs.get(name) == record.inputs.get(name));
    same.then_some(record.wall_seconds)
}

/// Names of the needs whose texts are what there is to compute on: their content has to be the same.
pub(super) fn data_needs(instance: &Instance, kind_of: impl Fn(usize) -> Kind) -> Vec<String> {
    let needs = instance.needs.iter();
    needs
        .filter(|need| kind_of(need.instance) == Kind::Preprocess)
        .map(|need| need.stage.clone())
        .collect()
}

/// Without noise there is no clipping, at epsilon 0 nothing at all: neither tells of the other.
fn privacy(params: &Value) -> Option<&'static str> {
    let epsilon = params.get("epsilon")?;
    Some(match epsilon.as_f64() {
        None => "none",
        Some(0.0) => "nothing is learned",
        Some(_) => "noise",
    })
}

fn sizes(params: &Value) -> BTreeMap<&str, &Value> {
    let all = params.as_object().into_iter().flatten();
    all.map(|(name, value)| (name.as_str(), value))
        .filter(|(name, _)| !FREE.contains(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_changes_the_work_counts_and_nothing_else() {
        let one = json!({"epsilon": 8, "epochs": 3, "learning_rate": 1e-3});
        let same = |other: Value| sizes(&one) == sizes(&other) && privacy(&one) == privacy(&other);
        assert!(same(
            json!({"epsilon": 3, "epochs": 3, "learning_rate": 1e-2})
        ));
        assert!(!same(
            json!({"epsilon": 8, "epochs": 4, "learning_rate": 1e-3})
        ));
        assert!(!same(
            json!({"epsilon": "inf", "epochs": 3, "learning_rate": 1e-3})
        ));
        assert!(!same(
            json!({"epsilon": 0, "epochs": 3, "learning_rate": 1e-3})
        ));
    }
}
