//! The JSON Schema (draft-07) of a whole experiment file, for editors.

use super::kinds::{KindTable, schema_of};
use super::tables::{
    CacheTable, ExperimentTable, PrivacyTable, ReleaseTable, ReportTable, RunTable,
};
use dpx_schema::Kind;
use serde_json::{Map, Value, json};

/// The schema. Draft-07, since that is what editors for TOML know.
pub fn document() -> Value {
    let mut definitions = Map::new();
    for kind in Kind::ALL {
        definitions.insert(kind.name().to_owned(), stage(kind));
    }
    definitions.insert("override".to_owned(), partial());
    let mut stages: Vec<Value> = Kind::ALL
        .iter()
        .map(|kind| json!({ "$ref": format!("#/definitions/{kind}") }))
        .collect();
    stages.push(json!({ "$ref": "#/definitions/override" }));
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "dpx experiment",
        "description": "A study of differentially private synthetic text.",
        "type": "object",
        "properties": {
            "experiment": schema_of::<ExperimentTable>(),
            "sweep": {
                "description": "Axes: every combination of their values is run; a stage refers to one as \"$name\". An axis called `replicate` changes the seed of every stage that draws random numbers.",
                "type": "object",
                "propertyNames": { "pattern": "^[A-Za-z][A-Za-z0-9_-]*$" },
                "additionalProperties": { "type": "array", "minItems": 1 },
            },
            "privacy": schema_of::<PrivacyTable>(),
            "stage": {
                "description": "The stages, by name.",
                "type": "object",
                "propertyNames": { "pattern": "^[A-Za-z][A-Za-z0-9_-]*$" },
                "additionalProperties": { "anyOf": stages },
            },
            "run": schema_of::<RunTable>(),
            "cache": schema_of::<CacheTable>(),
            "report": schema_of::<ReportTable>(),
            "release": schema_of::<ReleaseTable>(),
        },
        "required": ["experiment"],
        "additionalProperties": false,
        "definitions": definitions,
    })
}

/// One kind of stage: its own keys and those that every stage has.
fn stage(kind: Kind) -> Value {
    let table = KindTable::of(kind);
    let mut properties = common();
    properties.insert("kind".to_owned(), json!({ "const": kind.name() }));
    for (schema, only_speed) in [(&table.params, false), (&table.performance, true)] {
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            let mut property = or_axis(property);
            if only_speed {
                // No word of JSON Schema: the reference tells these keys apart by it.
                property["x-speed"] = json!(true);
            }
            properties.insert(key.clone(), property);
        }
    }
    let mut required = vec![json!("kind")];
    required.extend(
        table.params["required"]
            .as_array()
            .into_iter()
            .flatten()
            .cloned(),
    );
    json!({
        "title": kind.name(),
        "description": table.params["description"],
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// Keys laid over a stage of the file that `extends` names.
fn partial() -> Value {
    let mut properties = common();
    for kind in Kind::ALL {
        for key in KindTable::of(kind).keys() {
            properties.insert(key.to_owned(), json!(true));
        }
    }
    json!({
        "title": "changes to a stage of the file that is extended",
        "type": "object",
        "properties": properties,
        "not": { "required": ["kind"] },
        "additionalProperties": false,
    })
}

fn common() -> Map<String, Value> {
    let mut properties = Map::new();
    properties.insert(
        "needs".to_owned(),
        json!({
            "description": "Names of the stages whose artifacts it reads.",
            "type": "array",
            "items": { "type": "string" },
            "uniqueItems": true,
        }),
    );
    properties.insert(
        "seed".to_owned(),
        or_axis(&json!({
            "description": "A seed of its own instead of the experiment's; or an axis.",
            "type": "integer",
            "minimum": 0,
        })),
    );
    properties
}

/// The property, or a reference to an axis of the sweep.
fn or_axis(property: &Value) -> Value {
    let mut property = property.clone();
    let mut outer = Map::new();
    if let Some(map) = property.as_object_mut() {
        for key in ["description", "default"] {
            if let Some(value) = map.remove(key).filter(|value| !value.is_null()) {
                outer.insert(key.to_owned(), value);
            }
        }
    }
    outer.insert(
        "anyOf".to_owned(),
        json!([property, { "type": "string", "pattern": "^\\$[A-Za-z][A-Za-z0-9_-]*$" }]),
    );
    Value::Object(outer)
}
