//! Compares a tree with a JSON Schema and says in words what does not fit.
//!
//! Covers what the schemas of the parameter types use: types, ranges, words (`const`, `enum`), unions, lists, tables.

use super::diagnostic::{Code, Diagnostic};
use super::files::Origin;
use super::node::{LARGEST_INTEGER, Node, Table, Value};
use super::suggest::{Suggestion, alternatives, suggest};
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// The values of an axis, where they were written.
#[derive(Debug)]
pub(super) struct AxisNodes<'a> {
    pub(super) name: &'a str,
    pub(super) values: &'a [Node],
}

/// Walks trees and collects what is wrong.
#[derive(Debug, Default)]
pub(super) struct Walker<'a> {
    /// The axes to which `$name` may refer; none where no reference is allowed.
    pub(super) axes: &'a [AxisNodes<'a>],
    /// Whether `$name` is a reference.
    pub(super) references: bool,
    /// Names of the axes that something refers to.
    pub(super) used: BTreeSet<String>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// What a value is called in messages and, for a value of an axis, where it is used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) key: &'a str,
    pub(super) used_at: Option<Origin>,
}

impl Walker<'_> {
    /// Checks the keys and values of a table against an object schema. `header` is where a missing key is reported,
    /// `place` names the table: `[stage.train]`.
    pub(super) fn table(&mut self, table: &Table, schema: &Json, header: Origin, place: &str) {
        let empty = serde_json::Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&empty);
        for entry in &table.entries {
            match properties.get(&entry.key) {
                Some(property) => self.value(
                    &entry.node,
                    property,
                    Site {
                        key: &entry.key,
                        used_at: None,
                    },
                ),
                None => self.unknown_key(
                    &entry.key,
                    entry.key_origin,
                    properties.keys().map(String::as_str),
                    place,
                ),
            }
        }
        for key in schema["required"].as_array().into_iter().flatten() {
            let Some(key) = key.as_str() else { continue };
            if table.entry(key).is_none() {
                self.missing_key(key, &properties[key], header, place);
            }
        }
    }

    pub(super) fn unknown_key<'k>(
        &mut self,
        key: &str,
        origin: Origin,
        known: impl Iterator<Item = &'k str> + Clone,
        place: &str,
    ) {
        let diagnostic = Diagnostic::at(
            Code::UnknownKey,
            origin,
            format!("unknown key `{key}` in {place}"),
        );
        let diagnostic = match suggest(self.diagnostics.len(), key, known) {
            Some(Suggestion::Near(near)) => diagnostic
                .help(format!("did you mean `{near}`?"))
                .fix(origin, near),
            Some(Suggestion::List(known)) => diagnostic.help(format!("known keys: {known}")),
            None => diagnostic,
        };
        self.diagnostics.push(diagnostic);
    }

    pub(super) fn missing_key(&mut self, key: &str, schema: &Json, header: Origin, place: &str) {
        let mut diagnostic = Diagnostic::at(
            Code::MissingKey,
            header,
            format!("{place} lacks the key `{key}`"),
        )
        .help(format!("`{key}` is {}", describe(schema)));
        if let Some(text) = schema["description"].as_str() {
            diagnostic = diagnostic.help(text.replace('\n', " "));
        }
        self.diagnostics.push(diagnostic);
    }

    /// Checks one value, following a reference to an axis.
    pub(super) fn value(&mut self, node: &Node, schema: &Json, site: Site<'_>) {
        if self.references
            && let Some(name) = node.axis()
        {
            let Some(axis) = self.axes.iter().find(|axis| axis.name == name) else {
                self.unknown_axis(node, name);
                return;
            };
            self.used.insert(name.to_owned());
            for value in axis.values {
                self.plain(
                    value,
                    schema,
                    Site {
                        key: site.key,
                        used_at: Some(node.origin),
                    },
                );
            }
            return;
        }
        self.plain(node, schema, site);
    }

    fn unknown_axis(&mut self, node: &Node, name: &str) {
        let known = self.axes.iter().map(|axis| axis.name);
        let diagnostic = Diagnostic::at(
            Code::UnknownAxis,
            node.origin,
            format!("the sweep has no axis `{name}`"),
        );
        let diagnostic = match suggest(self.diagnostics.len(), name, known) {
            Some(Suggestion::Near(near)) => diagnostic
                .help(format!("did you mean `${near}`?"))
                .fix(node.origin, format!("\"${near}\"")),
            Some(Suggestion::List(known)) => {
                diagnostic.help(format!("axes: {known}; add `{name} = [...]` to `[sweep]`"))
            }
            None => diagnostic,
        };
        self.diagnostics.push(diagnostic);
    }

    fn push(&mut self, diagnostic: Diagnostic, site: Site<'_>) {
        self.diagnostics.push(match site.used_at {
            Some(origin) => diagnostic.context(origin, format!("used as `{}` here", site.key)),
            None => diagnostic,
        });
    }

    fn plain(&mut self, node: &Node, schema: &Json, site: Site<'_>) {
        if let Some(branches) = branches(schema) {
            self.union(node, schema, &branches, site);
            return;
        }
        if !fits(&node.value, schema) {
            self.wrong_type(node, schema, site);
            return;
        }
        match &node.value {
            Value::Integer(number) => {
                if number.abs() > LARGEST_INTEGER {
                    self.push(
                        Diagnostic::at(
                            Code::IntegerTooLarge,
                            node.origin,
                            format!("`{}` is {number}: above 2^53", site.key),
                        )
                        .help(
                            "whole numbers that large cannot be told from their neighbors in JSON",
                        ),
                        site,
                    );
                } else {
                    self.range(node, *number as f64, schema, schema, site);
                }
            }
            Value::Float(number) => self.range(node, *number, schema, schema, site),
            Value::String(text) => self.word(node, text, schema, site),
            Value::Array(items) => {
                for item in items {
                    self.value(item, &schema["items"], site);
                }
            }
            Value::Table(table) if schema["properties"].is_object() => {
                self.table(table, schema, node.origin, &format!("`{}`", site.key));
            }
            Value::Table(table) => {
                for entry in &table.entries {
                    self.value(
                        &entry.node,
                        &schema["additionalProperties"],
                        Site {
                            key: &entry.key,
                            ..site
                        },
                    );
                }
            }
            Value::Boolean(_) | Value::Datetime(_) => {}
        }
    }

    /// A value that may have one of several forms: the form of its type decides what is said of it.
    fn union(&mut self, node: &Node, schema: &Json, branches: &[&Json], site: Site<'_>) {
        let fitting: Vec<&&Json> = branches
            .iter()
            .filter(|branch| fits(&node.value, branch))
            .collect();
        // Words are often spread over several branches, one each with its own description.
        let only_words = fitting.iter().all(|branch| !words(branch).is_empty());
        match (&node.value, fitting.as_slice()) {
            // The one infinite number: the budget without privacy.
            (Value::Float(f64::INFINITY), _) if words(schema).contains(&"inf") => {}
            (_, []) => self.wrong_type(node, schema, site),
            (Value::String(text), _) if only_words => self.word(node, text, schema, site),
            (Value::Integer(number), [branch, ..]) if number.abs() <= LARGEST_INTEGER => {
                self.range(node, *number as f64, branch, schema, site);
            }
            (Value::Float(number), [branch, ..]) => self.range(node, *number, branch, schema, site),
            (_, [branch, ..]) => self.plain(node, branch, site),
        }
    }

    fn word(&mut self, node: &Node, text: &str, schema: &Json, site: Site<'_>) {
        let words = words(schema);
        if words.is_empty() || words.contains(&text) {
            return;
        }
        let mut diagnostic = Diagnostic::at(
            Code::UnknownWord,
            node.origin,
            format!(
                "`{}` is \"{text}\": expected {}",
                site.key,
                describe(schema)
            ),
        );
        let near = suggest(self.diagnostics.len(), text, words.iter().copied());
        if let Some(Suggestion::Near(near)) = near {
            diagnostic = diagnostic
                .help(format!("did you mean \"{near}\"?"))
                .fix(node.origin, format!("\"{near}\""));
        }
        self.push(diagnostic, site);
    }

    /// A number against its bounds; `whole` is what the message says was expected.
    fn range(&mut self, node: &Node, number: f64, schema: &Json, whole: &Json, site: Site<'_>) {
        let bound = |name: &str| schema[name].as_f64();
        let low = bound("minimum").is_some_and(|minimum| number < minimum)
            || bound("exclusiveMinimum").is_some_and(|minimum| number <= minimum);
        let high = bound("maximum").is_some_and(|maximum| number > maximum)
            || bound("exclusiveMaximum").is_some_and(|maximum| number >= maximum);
        if low || high || !number.is_finite() {
            self.push(
                Diagnostic::at(
                    Code::OutOfRange,
                    node.origin,
                    format!("`{}` is {number}: expected {}", site.key, describe(whole)),
                ),
                site,
            );
        }
    }

    fn wrong_type(&mut self, node: &Node, schema: &Json, site: Site<'_>) {
        let mut diagnostic = Diagnostic::at(
            Code::WrongType,
            node.origin,
            format!(
                "`{}` is {}: expected {}",
                site.key,
                node.value.what(),
                describe(schema)
            ),
        );
        let accepts = |value: &Value| match branches(schema) {
            Some(branches) => branches.iter().any(|branch| fits(value, branch)),
            None => fits(value, schema),
        };
        if let Value::String(text) = &node.value {
            let unquoted = [
                text.parse().map(Value::Integer).ok(),
                text.parse().map(Value::Float).ok(),
                text.parse().map(Value::Boolean).ok(),
            ]
            .iter()
            .flatten()
            .any(accepts);
            if unquoted {
                diagnostic = diagnostic
                    .help("without quotes")
                    .fix(node.origin, text.as_str());
            }
        }
        self.push(diagnostic, site);
    }
}

/// The forms that a value may have, if there are several: unions within unions made flat, without `null`, which TOML does
/// not have.
fn branches(schema: &Json) -> Option<Vec<&Json>> {
    let list = ["oneOf", "anyOf"]
        .iter()
        .find_map(|key| schema[*key].as_array())?;
    let mut flat = Vec::new();
    for branch in list {
        match branches(branch) {
            Some(inner) => flat.extend(inner),
            None if branch["type"] == "null" => {}
            None => flat.push(branch),
        }
    }
    Some(flat)
}

/// The types of a schema; words imply a string.
fn types(schema: &Json) -> Vec<&str> {
    match &schema["type"] {
        Json::String(name) => vec![name],
        Json::Array(names) => names.iter().filter_map(Json::as_str).collect(),
        _ if schema["const"].is_string() || schema["enum"].is_array() => vec!["string"],
        _ => Vec::new(),
    }
}

fn fits(value: &Value, schema: &Json) -> bool {
    let types = types(schema);
    let name = match value {
        Value::String(_) => "string",
        Value::Integer(_) => return types.contains(&"integer") || types.contains(&"number"),
        Value::Float(number) => {
            return types.contains(&"number")
                || (types.contains(&"integer") && number.fract() == 0.0);
        }
        Value::Boolean(_) => "boolean",
        Value::Datetime(_) => return false,
        Value::Array(_) => "array",
        Value::Table(_) => "object",
    };
    types.contains(&name)
}

/// The words that a schema allows, over all of its forms.
fn words(schema: &Json) -> Vec<&str> {
    if let Some(branches) = branches(schema) {
        return branches.into_iter().flat_map(words).collect();
    }
    match (&schema["const"], &schema["enum"]) {
        (Json::String(word), _) => vec![word],
        (_, Json::Array(words)) => words.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

/// What a schema expects, in words: `a number from 0 to 1`.
pub(super) fn describe(schema: &Json) -> String {
    if let Some(branches) = branches(schema) {
        let words = words(schema);
        let mut forms: Vec<String> = branches
            .iter()
            .filter(|branch| self::words(branch).is_empty())
            .map(|branch| describe(branch))
            .collect();
        if !words.is_empty() {
            forms.push(alternatives(words));
        }
        return forms.join(", or ");
    }
    let words = words(schema);
    if !words.is_empty() {
        return alternatives(words);
    }
    let types = types(schema);
    match types.iter().find(|&&name| name != "null") {
        Some(&"integer") => format!("a whole number{}", range_in_words(schema)),
        Some(&"number") => format!("a number{}", range_in_words(schema)),
        Some(&"string") => "a string".into(),
        Some(&"boolean") => "`true` or `false`".into(),
        Some(&"array") => format!("a list, each item {}", describe(&schema["items"])),
        Some(&"object") if schema["additionalProperties"].is_object() => {
            format!(
                "a table, each value {}",
                describe(&schema["additionalProperties"])
            )
        }
        Some(&"object") => "a table".into(),
        _ => "a value".into(),
    }
}

fn range_in_words(schema: &Json) -> String {
    let bound = |name: &str| schema[name].as_f64();
    let low = bound("minimum")
        .map(|number| (number, "of at least"))
        .or_else(|| bound("exclusiveMinimum").map(|number| (number, "above")));
    let high = bound("maximum")
        .map(|number| (number, "of at most"))
        .or_else(|| bound("exclusiveMaximum").map(|number| (number, "below")));
    match (low, high) {
        (Some((low, "of at least")), Some((high, "of at most"))) => {
            format!(" from {low} to {high}")
        }
        (Some((low, above)), Some((high, below))) => format!(" {above} {low} and {below} {high}"),
        (Some((low, above)), None) => format!(" {above} {low}"),
        (None, Some((high, below))) => format!(" {below} {high}"),
        (None, None) => String::new(),
    }
}
