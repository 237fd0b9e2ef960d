//! In what an instance differs from an earlier record.

use super::Instance;
use super::decision::Reason;
use dpx_schema::{Digest, Record};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Everything in which an instance differs from a record. Inputs whose content is not known yet count as equal, unless the
/// record lacks them and they are among `unknown`.
pub(super) fn differences(
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
