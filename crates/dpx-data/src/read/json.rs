//! JSON lines, and arrays of objects.

use super::delimited::{lines, newline};
use super::owners::names_of;
use super::{Columns, LONGEST, RawRow, composed, is_name, missing, same, too_long};
use crate::DataError;
use crate::error::Problems;
use crate::labels::RawLabel;
use crate::unique::Unique;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::Path;

/// Reads one object a line, or the objects of one array.
pub(super) fn read(
    content: &str,
    path: &Path,
    columns: &Columns<'_>,
    problems: &mut Problems,
) -> Result<Vec<RawRow>, DataError> {
    let mut rows = Vec::new();
    let mut add =
        |line: u64, object: &str, problems: &mut Problems| match row(object, line, columns) {
            Ok(row) => rows.push(row),
            Err(problem) => problems.add(path, line, problem),
        };
    if content.trim_start().starts_with('[') {
        for (line, element) in
            elements(content).map_err(|(line, problem)| DataError::line(path, line, problem))?
        {
            add(line, element, problems);
        }
    } else {
        refuse_nested(content, path)?;
        for (number, line) in lines(content).enumerate() {
            if !line.trim().is_empty() {
                add(number as u64 + 1, line, problems);
            }
        }
    }
    Ok(rows)
}

/// The keys of the first object.
pub(super) fn columns(content: &str) -> Vec<String> {
    let first = if content.trim_start().starts_with('[') {
        elements(content)
            .ok()
            .and_then(|elements| elements.first().map(|(_, element)| *element))
    } else {
        lines(content).find(|line| !line.trim().is_empty())
    };
    first
        .and_then(|object| Object::parse(object, &[]).ok())
        .map(|object| object.keys)
        .unwrap_or_default()
}

/// The people under one key of every object, by its line.
pub(super) fn names(
    content: &str,
    path: &Path,
    name: &str,
) -> Result<BTreeMap<u64, Result<Vec<String>, String>>, DataError> {
    let of = |object: &str| -> Result<Vec<String>, String> {
        // Whoever reads the rows tells what is no object.
        let object = Object::parse(object, &[name]).ok();
        let value = object.as_ref().and_then(|object| object.value(name));
        value.map_or_else(|| Ok(Vec::new()), names_of)
    };
    if content.trim_start().starts_with('[') {
        let elements =
            elements(content).map_err(|(line, problem)| DataError::line(path, line, problem))?;
        return Ok(elements
            .into_iter()
            .map(|(line, object)| (line, of(object)))
            .collect());
    }
    let numbered = lines(content).zip(1..);
    Ok(numbered
        .filter(|(line, _)| !line.trim().is_empty())
        .map(|(line, number)| (number, of(line)))
        .collect())
}

/// One object over several lines is no JSON lines; says so once rather than for every line.
fn refuse_nested(content: &str, path: &Path) -> Result<(), DataError> {
    let first = lines(content).find(|line| !line.trim().is_empty());
    let whole = first.is_none_or(|line| {
        let parsed = serde_json::from_str::<IgnoredAny>(line);
        !parsed.is_err_and(|error| error.is_eof())
    });
    let all_is_one = !whole && serde_json::from_str::<IgnoredAny>(content).is_ok();
    if all_is_one {
        return Err(DataError::line(
            path,
            1,
            "the file is one JSON object over several lines: expected one object a line, or an array of objects",
        ));
    }
    Ok(())
}

/// The elements of an array with their lines.
fn elements(content: &str) -> Result<Vec<(u64, &str)>, (u64, String)> {
    let bytes = content.as_bytes();
    let mut found = Vec::new();
    let (mut line, mut depth) = (1, 0_usize);
    let mut string = false;
    let mut escaped = false;
    let mut start: Option<(u64, usize)> = None;
    let mut closed = false;
    // A comma or the opening bracket was the last; after a comma an element must follow.
    let mut expects = false;
    let newline = newline(bytes);
    for (at, byte) in bytes.iter().copied().enumerate() {
        if byte == newline {
            line += 1;
        }
        if string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => string = false,
                _ => {}
            }
            continue;
        }
        if closed {
            if byte.is_ascii_whitespace() {
                continue;
            }
            return Err((
                line,
                "something follows the end of the JSON array: expected one array alone".to_owned(),
            ));
        }
        let ends = depth == 1 && matches!(byte, b',' | b']');
        if ends {
            match start.take() {
                Some((line, from)) => found.push((line, content[from..at].trim_end())),
                None if byte == b']' && found.is_empty() && !expects => {}
                None => {
                    return Err((line, "an element of the JSON array is missing".to_owned()));
                }
            }
            expects = byte == b',';
        } else if depth >= 1 && start.is_none() && !byte.is_ascii_whitespace() {
            start = Some((line, at));
            expects = false;
        }
        match byte {
            b'"' => string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                closed = depth == 0;
            }
            _ => {}
        }
    }
    if closed {
        Ok(found)
    } else {
        Err((
            line,
            "the JSON array is not closed: the file is cut short".to_owned(),
        ))
    }
}

/// What is wrong with an object, as far as it can be said without its content.
fn wrong(error: &serde_json::Error, object: &str) -> String {
    use serde_json::error::Category;
    const EXPECTED: &str = "expected one object a line, or an array of objects";
    if matches!(error.classify(), Category::Data | Category::Io) {
        return format!("not a JSON object: {EXPECTED}");
    }
    let lines = object.split('\n');
    let place = if lines.clone().count() > 1 {
        format!(
            "line {} of the object, column {}",
            error.line(),
            error.column()
        )
    } else {
        format!("column {}", error.column())
    };
    let line = lines.clone().nth(error.line().saturating_sub(1));
    let rest = line.and_then(|line| line.get(error.column().saturating_sub(1)..));
    let is_number =
        rest.is_some_and(|rest| rest.starts_with("NaN") || rest.starts_with("Infinity"));
    // Syntax errors have words of their own that quote nothing.
    let words = error.to_string();
    let words = words.split(" at line ").next().unwrap_or_default();
    let what = if is_number {
        "NaN and Infinity are no numbers in JSON: write null, or leave the row out".to_owned()
    } else if words == "trailing characters" {
        format!("something follows the object: {EXPECTED}")
    } else if words.starts_with("control character") {
        "a control character, such as a tab or a line break, stands in a string: write it as an escape (\\t, \\n)".to_owned()
    } else if words.contains("surrogate") || words.contains("hex escape") {
        "half of a character (a lone surrogate, \\uD800 to \\uDFFF) stands in a string: write whole characters".to_owned()
    } else if error.is_eof() {
        format!("the object is not closed: {EXPECTED}")
    } else {
        format!("{words}: {EXPECTED}")
    };
    format!("not JSON ({place}): {what}")
}

fn row(object: &str, line: u64, columns: &Columns<'_>) -> Result<RawRow, String> {
    let mut names = vec![columns.text, columns.label];
    names.extend(columns.others);
    let object = Object::parse(object, &names).map_err(|error| wrong(&error, object))?;
    if let Some(key) = &object.twice {
        let key = if is_name(key) {
            format!("`{key}`")
        } else {
            "a key".to_owned()
        };
        return Err(format!(
            "{key} stands twice in the object: remove one of them"
        ));
    }
    if let Some(key) = &object.twice_within {
        return Err(format!(
            "within `{key}` an object has a key twice: remove one of them"
        ));
    }
    let field = |name: &str, key: &str| {
        object
            .value(name)
            .ok_or_else(|| missing(name, key, object.keys.iter().map(String::as_str)))
    };
    let text = match field(columns.text, columns.text_key())? {
        Value::String(text) => text.clone(),
        Value::Null => return Err("the text is missing: leave the row out".to_owned()),
        value if columns.messages => value.to_string(),
        Value::Array(turns) if turns.iter().any(|turn| turn.get("role").is_some()) => {
            conversation(turns).ok_or_else(|| {
                format!(
                    "`{}` is no conversation: expected objects with `role` and `content`",
                    columns.text
                )
            })?
        }
        Value::Array(_) | Value::Object(_) => {
            return Err(format!(
                "`{0}` is a list or an object, not a string: turns of a conversation are read with `messages = \"{0}\"` in the place of `text_column`",
                columns.text
            ));
        }
        _ => return Err(format!("`{}` is not a string", columns.text)),
    };
    if text.len() > LONGEST {
        return Err(too_long(text.len()));
    }
    let of = |column: &str| raw_label(field(column, columns.label_key())?, column);
    let (label, assumed) = match columns.only_label() {
        Some(only) if object.value(columns.label).is_none() => (only, true),
        _ => (of(columns.label)?, false),
    };
    let others = columns.others.iter().map(|column| of(column));
    Ok(RawRow {
        line,
        text,
        label,
        assumed,
        others: others.collect::<Result<_, _>>()?,
    })
}

fn raw_label(value: &Value, column: &str) -> Result<RawLabel, String> {
    Ok(match value {
        Value::String(name) => RawLabel::Text(name.clone()),
        Value::Bool(value) => RawLabel::Bool(*value),
        Value::Null => RawLabel::Missing,
        Value::Number(number) => number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from))
            .map_or_else(
                || RawLabel::Float(number.as_f64().unwrap_or(f64::NAN)),
                RawLabel::Integer,
            ),
        Value::Array(_) | Value::Object(_) => {
            return Err(format!(
                "`{column}` is a list or an object: expected a string, a number or a truth value"
            ));
        }
    })
}

/// The turns of a conversation as one text, `role: content` a line, as chats in the layout of OpenAI have them. None where a
/// turn is something else. Turns without words, such as calls of tools, are left out.
fn conversation(turns: &[Value]) -> Option<String> {
    let mut lines = Vec::with_capacity(turns.len());
    for turn in turns {
        let role = turn.get("role")?.as_str()?;
        let content = match turn.get("content") {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => {
                let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
                texts.collect::<Vec<_>>().join(" ")
            }
            Some(_) => return None,
        };
        lines.push(format!("{role}: {content}"));
    }
    Some(lines.join("\n"))
}

/// The keys of an object, and the values of those that are wanted.
#[derive(Debug, Default)]
struct Object {
    keys: Vec<String>,
    values: Vec<(String, Value)>,
    /// A key that stands there twice.
    twice: Option<String>,
    /// A wanted key whose value is, or holds, an object with a key that stands twice.
    twice_within: Option<String>,
}

impl Object {
    fn parse(text: &str, wanted: &[&str]) -> Result<Self, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let object = Wanted(wanted).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(object)
    }

    fn value(&self, name: &str) -> Option<&Value> {
        let mut values = self.values.iter();
        let found = values.find(|(key, _)| same(key, name));
        found.map(|(_, value)| value)
    }
}

struct Wanted<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = Object;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Object, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = Object;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut object = Object::default();
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !seen.insert(composed(&key)) {
                object.twice.get_or_insert_with(|| key.clone());
            }
            if self.0.iter().any(|name| same(name, &key)) {
                let found: Unique = map.next_value()?;
                if found.twice {
                    object.twice_within.get_or_insert_with(|| key.clone());
                }
                object.values.push((key.clone(), found.value));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            object.keys.push(key);
        }
        Ok(object)
    }
}
