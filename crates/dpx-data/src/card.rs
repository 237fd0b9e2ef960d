//! The YAML front matter of a repository's README: as JSON, and the configurations of a dataset that it declares.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Longest README that is read, in bytes.
pub(crate) const MAX_README: u64 = 4 << 20;
/// Deepest nesting of lists and mappings.
const MAX_DEPTH: usize = 64;
/// Most values, aliases counted by what they stand for.
const MAX_VALUES: usize = 1_000_000;

/// A card that cannot be understood. Names the line of the README where that is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("README.md: {0}")]
pub(crate) struct CardError(String);

/// One configuration of a dataset, as `configs` of the front matter declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// Its name; `default` where none is given.
    pub name: String,
    /// Whether it is meant where no configuration is named.
    pub is_default: bool,
    pub files: ConfigFiles,
}

/// How a card says which files belong to a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConfigFiles {
    /// Whatever a folder (`""`: the whole repository) holds, by the usual names.
    Folder(String),
    /// Patterns by split, from the top folder of the repository, in the order of the card.
    Patterns(Vec<(String, Vec<String>)>),
}

/// The front matter of a README as JSON: what stands between two lines `---` at its beginning; none where there is none.
///
/// Plain scalars are read by YAML's core schema (null, booleans, numbers, else text); keys are always text.
///
/// # Errors
/// When it is not YAML, repeats a key, or is too deep or too large.
pub(crate) fn front_matter(readme: &str) -> Result<Option<Value>, CardError> {
    let text = readme.trim_start_matches('\u{feff}');
    let skipped = text.len() - text.trim_start().len();
    let before = readme.len() - text.len() + skipped;
    let mut lines = text[skipped..].split_inclusive('\n');
    if lines.next().map(str::trim_end) != Some("---") {
        return Ok(None);
    }
    let body: Vec<&str> = lines
        .clone()
        .take_while(|line| line.trim_end() != "---")
        .collect();
    if lines.nth(body.len()).is_none() {
        return Ok(None);
    }
    let line = readme[..before].matches('\n').count() + 1;
    yaml(&body.concat(), line).map(Some)
}

/// The configurations of a dataset, in the order of the card; none where the card declares none.
///
/// # Errors
/// When the front matter is not YAML or `configs` has another form than the Hub's.
pub(crate) fn configs(readme: &str) -> Result<Vec<Config>, CardError> {
    let Some(card) = front_matter(readme)? else {
        return Ok(Vec::new());
    };
    match &card["configs"] {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => items.iter().map(config).collect(),
        _ => Err(CardError("`configs` is not a list".into())),
    }
}

fn config(item: &Value) -> Result<Config, CardError> {
    let name = match &item["config_name"] {
        Value::Null => "default".to_owned(),
        name => scalar(name).ok_or_else(|| CardError("a `config_name` is not a text".into()))?,
    };
    let wrong = |what: &str| CardError(format!("configuration `{name}`: {what}"));
    if !item.is_object() {
        return Err(CardError("an item of `configs` is not a mapping".into()));
    }
    let folder = match &item["data_dir"] {
        Value::Null => String::new(),
        Value::String(folder) => {
            let folder = folder.trim_start_matches("./").trim_matches('/');
            if folder.is_empty() {
                String::new()
            } else {
                format!("{folder}/")
            }
        }
        _ => return Err(wrong("`data_dir` is not a text")),
    };
    let patterns = |value: &Value| -> Result<Vec<String>, CardError> {
        let texts: Option<Vec<&str>> = match value {
            Value::String(text) => Some(vec![text]),
            Value::Array(items) => items.iter().map(Value::as_str).collect(),
            _ => None,
        };
        let texts = texts.ok_or_else(|| {
            wrong("expected a pattern or a list of patterns for its files in `data_files`")
        })?;
        let place = |text: &str| format!("{folder}{}", text.trim_start_matches("./"));
        Ok(texts.into_iter().map(place).collect())
    };
    let files = match &item["data_files"] {
        Value::Null => ConfigFiles::Folder(folder),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            let mut splits = Vec::new();
            for item in items {
                let split = scalar(&item["split"])
                    .ok_or_else(|| wrong("an item of `data_files` has no `split`"))?;
                splits.push((split, patterns(&item["path"])?));
            }
            ConfigFiles::Patterns(splits)
        }
        Value::Object(splits) => {
            let splits = splits
                .iter()
                .map(|(split, value)| Ok((split.clone(), patterns(value)?)));
            ConfigFiles::Patterns(splits.collect::<Result<_, CardError>>()?)
        }
        files => ConfigFiles::Patterns(vec![("train".to_owned(), patterns(files)?)]),
    };
    Ok(Config {
        is_default: item["default"].as_bool().unwrap_or(name == "default"),
        name,
        files,
    })
}

/// A text, or a number that a card has in its place.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A list or mapping that is being read.
enum Open {
    List(Vec<Value>),
    Mapping(Map<String, Value>, Option<String>),
}

/// The first document of a YAML text; `first_line` is where it stands in the README.
fn yaml(text: &str, first_line: usize) -> Result<Value, CardError> {
    let mut open: Vec<(Open, usize)> = Vec::new();
    let mut anchors: BTreeMap<usize, (Value, usize)> = BTreeMap::new();
    let mut values = 0_usize;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let line = first_line + error.marker().line();
            CardError(format!(
                "line {line}: the front matter is not YAML: {}",
                error.info()
            ))
        })?;
        let wrong = |problem: &str| {
            let line = first_line + span.start.line();
            Err(CardError(format!("line {line}: {problem}")))
        };
        let (mut value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let value = if plain {
                    plain_scalar(&text)
                } else {
                    text.into()
                };
                (value, anchor)
            }
            Event::Alias(anchor) => match anchors.get(&anchor) {
                Some((value, size)) => {
                    values = values.saturating_add(*size);
                    (value.clone(), 0)
                }
                None => return wrong("an alias without an anchor before it"),
            },
            Event::SequenceStart(anchor, _) => {
                open.push((Open::List(Vec::new()), anchor));
                if open.len() > MAX_DEPTH {
                    return wrong("the front matter is nested too deeply");
                }
                continue;
            }
            Event::MappingStart(anchor, _) => {
                open.push((Open::Mapping(Map::new(), None), anchor));
                if open.len() > MAX_DEPTH {
                    return wrong("the front matter is nested too deeply");
                }
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some((Open::List(items), anchor)) => (Value::Array(items), anchor),
                Some((Open::Mapping(map, _), anchor)) => (Value::Object(map), anchor),
                None => return wrong("the front matter is not YAML"),
            },
            Event::StreamEnd | Event::DocumentEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => continue,
        };
        values += 1;
        if values > MAX_VALUES {
            return wrong("the front matter holds too many values");
        }
        if anchor > 0 {
            anchors.insert(anchor, (value.clone(), size(&value)));
        }
        match open.last_mut() {
            None => return Ok(value),
            Some((Open::List(items), _)) => items.push(value),
            Some((Open::Mapping(map, key), _)) => match key.take() {
                None => match key_text(&mut value) {
                    Some(text) => *key = Some(text),
                    None => return wrong("a list or mapping stands in the place of a key"),
                },
                Some(key) => {
                    if map.contains_key(&key) {
                        return wrong(&format!("the key `{key}` is there twice"));
                    }
                    map.insert(key, value);
                }
            },
        }
    }
    Ok(Value::Null)
}

fn key_text(value: &mut Value) -> Option<String> {
    match value.take() {
        Value::String(text) => Some(text),
        Value::Null => Some("null".to_owned()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(size).sum::<usize>(),
        _ => 1,
    }
}

/// A scalar without quotation marks, by YAML's core schema. Numbers that would not be written back as they stand, such as
/// `007` or `1e5`, stay text: in a card they are names.
fn plain_scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return true.into(),
        "false" | "False" | "FALSE" => return false.into(),
        _ => {}
    }
    if let Ok(number) = text.parse::<i64>()
        && number.to_string() == text
    {
        return number.into();
    }
    if let Ok(number) = text.parse::<f64>() {
        let value = Value::from(number);
        if format!("{value}") == text {
            return value;
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const EMOTION: &str = "---
# as datasets writes it
language:
- en
license: other
pretty_name: \"Emotion: six\"
tags: [emotion-classification, 'x, y']
dataset_info:
- config_name: split
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': sadness
          '1': joy
  splits:
  - name: train
    num_bytes: 1741533
configs:
- config_name: split
  data_files:
  - split: train
    path: split/train-*
  - split: test
    path:
    - split/test-*
    - more/*.csv
  default: true
- config_name: unsplit
  data_files: ./unsplit/train-*.parquet
- config_name: 2023
  data_dir: ./years/2023/
- config_name: parts
  data_dir: parts
  data_files:
    train: a.csv
    dev: [b.csv, c.csv]
description: |
  Two
  lines
---
# Card
---
";

    #[test]
    fn front_matter_is_read_as_json() {
        let card = front_matter(EMOTION).unwrap().unwrap();
        assert_eq!(card["language"], json!(["en"]));
        assert_eq!(card["pretty_name"], "Emotion: six");
        assert_eq!(card["tags"], json!(["emotion-classification", "x, y"]));
        assert_eq!(card["description"], "Two\nlines\n");
        let info = &card["dataset_info"][0];
        assert_eq!(
            info["features"][1]["dtype"]["class_label"]["names"],
            json!({"0": "sadness", "1": "joy"})
        );
        assert_eq!(info["splits"][0]["num_bytes"], 1_741_533);
        for without in ["", "# Card\n", "--- \nno end", "text\n---\na: 1\n---\n"] {
            assert_eq!(front_matter(without).unwrap(), None, "{without}");
        }
        let windows = front_matter("\u{feff}---\r\na: 1\r\nb: [x]\r\n---\r\ntext").unwrap();
        assert_eq!(windows, Some(json!({"a": 1, "b": ["x"]})));
        assert_eq!(front_matter("---\n---\n").unwrap(), Some(Value::Null));
    }

    #[test]
    fn scalars_stay_what_they_are() {
        let text = "---\na: 007\nb: 1.5\nc: 1e5\nd: ~\ne: 'true'\nf: no\ng: &x [1, 2]\nh: *x\ni: !!str 5\nj: 0.10\n---\n";
        assert_eq!(
            front_matter(text).unwrap().unwrap(),
            json!({
                "a": "007", "b": 1.5, "c": "1e5", "d": null, "e": "true", "f": "no",
                "g": [1, 2], "h": [1, 2], "i": "5", "j": "0.10",
            })
        );
    }

    #[test]
    fn configurations_are_found() {
        let configs = configs(EMOTION).unwrap();
        let patterns = |splits: &[(&str, &[&str])]| {
            let splits = splits.iter().map(|(split, patterns)| {
                let patterns = patterns.iter().map(|text| (*text).to_owned()).collect();
                ((*split).to_owned(), patterns)
            });
            ConfigFiles::Patterns(splits.collect())
        };
        let expected = [
            (
                "split",
                true,
                patterns(&[
                    ("train", &["split/train-*"]),
                    ("test", &["split/test-*", "more/*.csv"]),
                ]),
            ),
            (
                "unsplit",
                false,
                patterns(&[("train", &["unsplit/train-*.parquet"])]),
            ),
            ("2023", false, ConfigFiles::Folder("years/2023/".into())),
            (
                "parts",
                false,
                patterns(&[
                    ("dev", &["parts/b.csv", "parts/c.csv"]),
                    ("train", &["parts/a.csv"]),
                ]),
            ),
        ];
        assert_eq!(configs.len(), expected.len());
        for (found, (name, is_default, mut files)) in configs.into_iter().zip(expected) {
            let mut found_files = found.files;
            for files in [&mut found_files, &mut files] {
                if let ConfigFiles::Patterns(splits) = files
                    && name == "parts"
                {
                    splits.sort();
                }
            }
            assert_eq!(
                (found.name.as_str(), found.is_default, found_files),
                (name, is_default, files)
            );
        }
        assert_eq!(super::configs("no card").unwrap(), []);
    }

    #[test]
    fn broken_cards_are_told_with_their_line() {
        let error = |text: &str| {
            configs(&format!("---\n{text}\n---\n"))
                .unwrap_err()
                .to_string()
        };
        for (text, words) in [
            ("a: 1\nb: [1, 2", "README.md: line "),
            ("a: 1\na: 2", "line 3: the key `a` is there twice"),
            ("a: *x", "README.md: line 2"),
            ("configs: yes please", "`configs` is not a list"),
            ("configs: [5]", "an item of `configs` is not a mapping"),
            (
                "configs:\n- config_name: x\n  data_files: 5",
                "configuration `x`: expected a pattern",
            ),
            (
                "configs:\n- config_name: x\n  data_files:\n  - path: a",
                "has no `split`",
            ),
            (
                "configs:\n- config_name: x\n  data_dir: [a]",
                "`data_dir` is not a text",
            ),
        ] {
            let error = error(text);
            assert!(error.contains(words), "{text}: {error}");
        }
        let deep = error(&"[".repeat(100_000));
        assert!(deep.contains("README.md: line"), "{deep}");
        // Each line doubles what the line before it stands for.
        let mut bomb = "x0: &x0 [1, 1]\n".to_owned();
        for level in 1..40 {
            let before = level - 1;
            let line = format!("x{level}: &x{level} [*x{before}, *x{before}]\n");
            bomb.push_str(&line);
        }
        assert!(error(&bomb).contains("too many values"));
    }
}
