//! Reading `privacy.json` and `audit.json`: what is there is shown, what is not there is left out, nothing is made up.

use super::study::{Audit, MechanismView};
use serde_json::Value;

/// The first number under one of several paths.
fn number(value: &Value, paths: &[&str]) -> Option<f64> {
    paths
        .iter()
        .find_map(|path| value.pointer(path).and_then(Value::as_f64))
}

fn text(value: &Value, paths: &[&str]) -> Option<String> {
    paths.iter().find_map(|path| match value.pointer(path)? {
        Value::String(text) => Some(text.clone()),
        _ => None,
    })
}

/// What a private stage says of its mechanism.
pub(crate) fn mechanism(
    instance: &str,
    kind: &str,
    privacy: &Value,
    statement: Option<String>,
) -> MechanismView {
    let groups = privacy
        .pointer("/groups")
        .or_else(|| privacy.pointer("/epsilon/groups"))
        .map(|groups| match groups {
            Value::Object(map) => map
                .iter()
                .filter_map(|(size, epsilon)| Some((size.parse().ok()?, epsilon.as_f64()?)))
                .collect(),
            Value::Array(items) => items
                .iter()
                .filter_map(|item| {
                    let size = number(item, &["/records", "/size", "/group", "/k", "/0"])?;
                    Some((size as u64, number(item, &["/epsilon", "/1"])?))
                })
                .collect(),
            _ => Vec::new(),
        })
        .unwrap_or_default();
    // A statement lists every mechanism of its budget by stage; this one's own comes first.
    let stage = instance.split('@').next().unwrap_or(instance);
    let own = privacy
        .pointer("/mechanisms")
        .and_then(Value::as_array)
        .and_then(|all| {
            all.iter()
                .find(|one| one["name"].as_str() == Some(stage))
                .or_else(|| all.first())
        })
        .map_or_else(|| privacy.clone(), |one| one["phase"].clone());
    MechanismView {
        instance: instance.to_owned(),
        kind: kind.to_owned(),
        epsilon: number(
            privacy,
            &[
                "/epsilon/epsilon",
                "/epsilon/certified",
                "/epsilon/upper",
                "/epsilon_certified",
                "/epsilon",
            ],
        ),
        epsilon_rdp: number(privacy, &["/epsilon/rdp", "/epsilon_rdp"]),
        epsilon_prv_lower: number(
            privacy,
            &[
                "/epsilon/prv_lower",
                "/epsilon/prv/lower",
                "/epsilon_prv_lower",
            ],
        ),
        epsilon_prv_upper: number(
            privacy,
            &[
                "/epsilon/prv_upper",
                "/epsilon/prv/upper",
                "/epsilon_prv_upper",
            ],
        ),
        delta: number(privacy, &["/delta", "/mechanism/delta"]),
        noise_multiplier: number(&own, &["/noise_multiplier"]),
        sampling_rate: number(&own, &["/sampling_rate"]),
        steps: number(&own, &["/steps"]).map(|steps| steps as u64),
        max_grad_norm: number(privacy, &["/max_grad_norm", "/mechanism/max_grad_norm"]),
        adjacency: text(privacy, &["/adjacency", "/mechanism/adjacency"]),
        unit: text(privacy, &["/unit"]),
        noise: text(privacy, &["/noise_mode", "/noise", "/mechanism/noise"]),
        statement,
        groups,
        raw: privacy.clone(),
    }
}

/// What an audit found; nothing where the file has no lower bound.
pub(crate) fn audit(value: &Value) -> Option<Audit> {
    Some(Audit {
        lower: number(
            value,
            &[
                "/epsilon_lower",
                "/epsilon/lower",
                "/lower",
                "/epsilon_lower_bound",
            ],
        )?,
        ceiling: number(
            value,
            &[
                "/epsilon_ceiling",
                "/epsilon/ceiling",
                "/largest_possible",
                "/ceiling",
                "/epsilon_max",
            ],
        ),
        confidence: number(value, &["/confidence"]),
        canaries: number(value, &["/canaries"]).map(|canaries| canaries as u64),
        raw: value.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_is_made_up() {
        let found = mechanism("train", "train", &json!({ "epsilon": "inf" }), None);
        assert_eq!(found.epsilon, None);
        assert_eq!(found.delta, None);
        assert!(audit(&json!({ "confidence": 0.95 })).is_none());
        let found = mechanism(
            "train",
            "train",
            &json!({ "epsilon": { "certified": 7.9, "rdp": 8.4 }, "groups": { "2": 18.0 } }),
            None,
        );
        assert_eq!((found.epsilon, found.epsilon_rdp), (Some(7.9), Some(8.4)));
        assert_eq!(found.groups, [(2, 18.0)]);
    }
}
