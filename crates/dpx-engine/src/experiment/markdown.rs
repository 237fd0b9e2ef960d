//! The reference of the experiment file: its JSON Schema as Markdown tables.

use dpx_schema::Kind;
use serde_json::{Map, Value};
use std::fmt::Write;

const INTRODUCTION: &str = "\
# The experiment file
Every table and key, generated from the schema that `dpx check` reads (`dpx schema --markdown`); a test keeps this page equal to it.
`dpx init` writes a commented file to start from; `dpx schema` prints the JSON Schema, with which editors complete keys and mark
mistakes.

- In a stage, any value may instead be `\"$NAME\"`, an axis of `[sweep]`: the stage then runs once per value of the axis.
- `extends` in `[experiment]` lays this file over another one, key by key.
- `--set KEY=VALUE` overrides a key from the command line, for example `--set stage.train.epochs=2`.
- Keys marked *Speed* never change a result: editing them re-runs nothing.
";

/// The page of [`document_schema`](super::document_schema): a section per table, a row per key.
pub fn markdown(schema: &Value) -> String {
    let mut page = INTRODUCTION.to_owned();
    let tables = &schema["properties"];
    section(&mut page, "`[experiment]`", &tables["experiment"]);
    paragraph(&mut page, "`[sweep]`", &tables["sweep"]);
    section(&mut page, "`[privacy]`", &tables["privacy"]);
    paragraph(&mut page, "`[stage.NAME]`", &tables["stage"]);
    stages(&mut page, &schema["definitions"]);
    section(&mut page, "`[run]`", &tables["run"]);
    section(&mut page, "`[cache]`", &tables["cache"]);
    section(&mut page, "`[report]`", &tables["report"]);
    section(&mut page, "`[release]`", &tables["release"]);
    page
}

fn paragraph(page: &mut String, title: &str, schema: &Value) {
    let text = schema["description"].as_str().unwrap_or_default();
    // The description of a table begins with its name, which is the title here.
    let text = text
        .strip_prefix(title)
        .and_then(|rest| rest.strip_prefix(": "))
        .unwrap_or(text);
    let mut rest = text.chars();
    let first = rest.next().map(|first| first.to_ascii_uppercase());
    let text: String = first.into_iter().chain(rest).collect();
    let _ = write!(page, "\n## {title}\n{text}\n");
}

fn section(page: &mut String, title: &str, schema: &Value) {
    paragraph(page, title, schema);
    table(page, &rows(schema, "", &|_| false));
}

/// The keys that every stage has, then those of each kind.
fn stages(page: &mut String, definitions: &Value) {
    let every = ["kind", "needs", "seed"];
    let is_common = |key: &str| every.contains(&key);
    let names: Vec<String> = Kind::ALL
        .iter()
        .map(|kind| format!("`\"{kind}\"`"))
        .collect();
    let mut common = rows(&definitions[Kind::ALL[0].name()], "", &|key| {
        !is_common(key)
    });
    for row in &mut common {
        if row.key == "kind" {
            row.value = names.join(", ");
            "What the stage does; the sections below say what each kind takes."
                .clone_into(&mut row.meaning);
        }
    }
    table(page, &common);
    for kind in Kind::ALL {
        let schema = &definitions[kind.name()];
        let text = schema["description"].as_str().unwrap_or_default();
        let _ = write!(page, "\n### `kind = \"{kind}\"`\n{text}{}\n", reads(kind));
        table(page, &rows(schema, "", &is_common));
    }
}

/// What a kind needs and may read.
fn reads(kind: Kind) -> String {
    let list = |kinds: &[Kind]| {
        let names: Vec<String> = kinds.iter().map(|kind| format!("`{kind}`")).collect();
        names.join(", ")
    };
    let rest: Vec<Kind> = kind
        .reads()
        .iter()
        .copied()
        .filter(|other| !kind.requires().contains(other))
        .collect();
    let mut text = match kind.requires() {
        [] => return " Needs no other stage.".to_owned(),
        // What a score compares are both.
        [_, _] if kind.requires_all() => format!(" Needs {}", list(kind.requires())),
        [one] => format!(" Needs `{one}`"),
        several => format!(" Needs one of {}", list(several)),
    };
    if !rest.is_empty() {
        let _ = write!(text, "; may also read {}", list(&rest));
    }
    text.push('.');
    text
}

/// A line of a table.
struct Row {
    key: String,
    value: String,
    default: String,
    meaning: String,
}

fn table(page: &mut String, rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    page.push_str("\n| key | value | default | meaning |\n|---|---|---|---|\n");
    for Row {
        key,
        value,
        default,
        meaning,
    } in rows
    {
        let cells = [&format!("`{key}`"), value, default, meaning]
            .map(|cell| cell.replace('|', "\\|").replace('\n', " "));
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    }
}

/// The keys of a table, those that must be given first; keys of tables within it with a dotted name.
fn rows(schema: &Value, prefix: &str, left_out: &dyn Fn(&str) -> bool) -> Vec<Row> {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let empty = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&empty);
    let mut keys: Vec<&String> = properties.keys().filter(|key| !left_out(key)).collect();
    keys.sort_by_key(|key| !required.contains(&key.as_str()));
    let mut rows = Vec::new();
    for key in keys {
        let property = &properties[key];
        let inner = own(property);
        let name = format!("{prefix}{key}");
        rows.push(Row {
            key: name.clone(),
            value: value(inner),
            default: match property.get("default").or_else(|| inner.get("default")) {
                _ if required.contains(&key.as_str()) => "required".to_owned(),
                Some(Value::Null) | None => String::new(),
                Some(default) => format!("`{default}`"),
            },
            meaning: meaning(property, inner),
        });
        rows.extend(self::rows(inner, &format!("{name}."), &|_| false));
        // Tables under names that the file chooses.
        let each = own(&inner["additionalProperties"]);
        rows.extend(self::rows(each, &format!("{name}.KIND."), &|_| false));
    }
    rows
}

/// A property without what it may be besides: a reference to an axis, nothing.
fn own(property: &Value) -> &Value {
    let Some(all) = property["anyOf"].as_array() else {
        return property;
    };
    let is_axis = |schema: &Value| {
        schema["pattern"]
            .as_str()
            .is_some_and(|pattern| pattern.starts_with("^\\$"))
    };
    let rest: Vec<&Value> = all
        .iter()
        .filter(|schema| !is_axis(schema) && schema["type"] != "null")
        .collect();
    match rest.as_slice() {
        [one] => own(one),
        _ => property,
    }
}

/// What may be written, in words.
fn value(schema: &Value) -> String {
    if let Some(constant) = schema.get("const") {
        return format!("`{constant}`");
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        return words.join(", ");
    }
    for several in ["oneOf", "anyOf"] {
        if let Some(all) = schema[several].as_array() {
            let mut parts: Vec<String> = all
                .iter()
                .filter(|schema| schema["type"] != "null")
                .map(value)
                .collect();
            parts.dedup();
            let constants = parts.iter().all(|part| part.starts_with('`'));
            return parts.join(if constants { ", " } else { " or " });
        }
    }
    let kind = match &schema["type"] {
        Value::Array(types) => types
            .iter()
            .find(|kind| *kind != "null")
            .and_then(Value::as_str),
        kind => kind.as_str(),
    };
    match kind {
        Some("string") => "string".to_owned(),
        Some("boolean") => "`true`, `false`".to_owned(),
        Some("integer") => format!("integer{}", range(schema)),
        Some("number") => format!("number{}", range(schema)),
        Some("array") => match &schema["items"] {
            Value::Null => "list".to_owned(),
            items => format!("list of: {}", value(items)),
        },
        Some("object") => match &schema["additionalProperties"] {
            Value::Object(_) => format!(
                "table, of each name: {}",
                value(&schema["additionalProperties"])
            ),
            _ => "table".to_owned(),
        },
        _ => "any value".to_owned(),
    }
}

fn range(schema: &Value) -> String {
    let number = |key: &str| schema.get(key).and_then(Value::as_f64);
    match (
        number("minimum"),
        number("exclusiveMinimum"),
        number("maximum"),
        number("exclusiveMaximum"),
    ) {
        (Some(low), _, Some(high), _) => format!(", {low} to {high}"),
        (_, Some(low), _, Some(high)) => format!(" above {low} and below {high}"),
        (Some(low), ..) => format!(", {low} or more"),
        (_, _, Some(high), _) => format!(", at most {high}"),
        _ => String::new(),
    }
}

/// The description, with those of the words that may be given.
fn meaning(property: &Value, inner: &Value) -> String {
    let text = |schema: &Value| {
        schema["description"]
            .as_str()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let mut meaning = match text(property) {
        empty if empty.is_empty() => text(inner),
        found => found,
    };
    if property["x-speed"] == true {
        meaning.insert_str(0, "*Speed.* ");
    }
    for word in inner["oneOf"].as_array().into_iter().flatten() {
        if let (Some(constant), Some(said)) = (word["const"].as_str(), word["description"].as_str())
        {
            let _ = write!(meaning, " `{constant}`: {}", said.trim());
        }
    }
    meaning
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_told_in_words() {
        let axis = json!({ "type": "string", "pattern": "^\\$[A-Za-z]*$" });
        let cases = [
            (
                json!({ "type": "integer", "minimum": 1 }),
                "integer, 1 or more",
            ),
            (
                json!({ "type": "number", "minimum": 0.0, "maximum": 1.5 }),
                "number, 0 to 1.5",
            ),
            (json!({ "type": ["string", "null"] }), "string"),
            (
                json!({ "anyOf": [{ "type": "boolean" }, axis] }),
                "`true`, `false`",
            ),
            (
                json!({ "oneOf": [{ "const": "a" }, { "const": "b" }] }),
                "`\"a\"`, `\"b\"`",
            ),
            (
                json!({ "oneOf": [{ "type": "number" }, { "const": "inf" }] }),
                "number or `\"inf\"`",
            ),
            (
                json!({ "type": "array", "items": { "type": "string" } }),
                "list of: string",
            ),
        ];
        for (schema, expected) in cases {
            assert_eq!(value(own(&schema)), expected, "{schema}");
        }
    }

    #[test]
    fn required_keys_come_first_and_tables_within_are_opened() {
        let schema = json!({
            "required": ["z"],
            "properties": {
                "a": { "type": "object", "properties": { "b": { "type": "string", "default": "c", "description": "B|b." } } },
                "z": { "type": "string" },
            },
        });
        let rows = rows(&schema, "", &|_| false);
        let keys: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
        assert_eq!(keys, ["z", "a", "a.b"]);
        assert_eq!(rows[0].default, "required");
        assert_eq!(rows[2].default, "`\"c\"`");
        let mut page = String::new();
        table(&mut page, &rows);
        assert!(page.contains("B\\|b."), "{page}");
    }
}
