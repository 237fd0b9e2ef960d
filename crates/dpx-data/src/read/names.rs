//! The names of labels that a dataset stores: in the front matter of README.md, in dataset_infos.json or
//! dataset_info.json, or in the metadata of a parquet file.

use super::same;
use crate::card::front_matter;
use serde_json::{Map, Value};
use std::path::Path;

/// Largest file of this kind, in bytes.
const LARGEST: u64 = 16 << 20;

/// Files that store label names, in the order in which they are asked.
const ORIGINS: [&str; 3] = ["README.md", "dataset_infos.json", "dataset_info.json"];

/// The names of a ClassLabel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClassNames {
    None,
    /// In the order of their numbers.
    Listed(Vec<String>),
    /// Something else than names numbered from 0 on stands in their place, or it cannot be told which of several are meant.
    Unusable,
}

/// What one of these files says of a configuration.
#[derive(Debug)]
struct Info {
    origin: &'static str,
    /// The name of the configuration; it may be empty.
    config: String,
    value: Value,
}

/// What the files beside the data say of each configuration.
#[derive(Debug, Default)]
pub(crate) struct Infos {
    infos: Vec<Info>,
    /// What could not be understood.
    pub(super) notes: Vec<String>,
}

impl Infos {
    /// Reads what lies in a folder; nothing where there is nothing.
    pub(super) fn read(folder: &Path) -> Self {
        let mut found = Self::default();
        for origin in ORIGINS {
            let Some(text) = text(&folder.join(origin)) else {
                continue;
            };
            if origin == "README.md" {
                match front_matter(&text) {
                    Ok(front) => found.add_readme(&front.unwrap_or_default()),
                    Err(problem) => found
                        .notes
                        .push(format!("{problem}: its label names are not used")),
                }
                continue;
            }
            match serde_json::from_str::<Value>(&text) {
                Ok(value) if value.get("features").is_some() => {
                    found.add(origin, String::new(), value);
                }
                Ok(Value::Object(infos)) => {
                    for (config, value) in infos {
                        found.add(origin, config, value);
                    }
                }
                _ => found.notes.push(format!(
                    "{origin} is not a JSON object: its label names are not used"
                )),
            }
        }
        found
    }

    fn add(&mut self, origin: &'static str, config: String, value: Value) {
        self.infos.push(Info {
            origin,
            config,
            value,
        });
    }

    fn add_readme(&mut self, front: &Value) {
        let infos = match &front["dataset_info"] {
            Value::Array(infos) => infos.clone(),
            Value::Null => Vec::new(),
            info => vec![info.clone()],
        };
        for info in infos {
            let config = string(&info, "config_name").unwrap_or_default();
            self.add("README.md", config, info);
        }
    }

    /// The label names that each file stores for a configuration, or for all alike.
    pub(crate) fn stored(
        &self,
        config: Option<&str>,
        label: &str,
    ) -> Vec<(&'static str, Vec<String>)> {
        let all = self.all(config, label);
        let listed = all.filter_map(|(origin, names)| match names {
            ClassNames::Listed(names) => Some((origin, names)),
            ClassNames::None | ClassNames::Unusable => None,
        });
        listed.collect()
    }

    /// The files that store label names which cannot be used.
    pub(crate) fn unusable(&self, config: Option<&str>, label: &str) -> Vec<&'static str> {
        let all = self.all(config, label);
        let unusable = all.filter(|(_, names)| *names == ClassNames::Unusable);
        unusable.map(|(origin, _)| origin).collect()
    }

    fn all(
        &self,
        config: Option<&str>,
        label: &str,
    ) -> impl Iterator<Item = (&'static str, ClassNames)> {
        let config = config.filter(|config| self.infos.iter().any(|info| info.config == *config));
        ORIGINS
            .map(|origin| (origin, self.of(origin, config, label)))
            .into_iter()
    }

    fn of(&self, origin: &str, config: Option<&str>, label: &str) -> ClassNames {
        let infos = || self.infos.iter().filter(|info| info.origin == origin);
        let named = |name: &str| {
            let found = infos().find(|info| info.config == name);
            found.map_or(ClassNames::None, |info| class_names(&info.value, label))
        };
        if let Some(config) = config {
            return named(config);
        }
        for name in ["", "default"] {
            let names = named(name);
            if names != ClassNames::None {
                return names;
            }
        }
        let all = infos().map(|info| class_names(&info.value, label));
        let mut all = all.filter(|names| *names != ClassNames::None);
        match all.next() {
            None => ClassNames::None,
            Some(first) if all.all(|names| names == first) => first,
            Some(_) => ClassNames::Unusable,
        }
    }
}

/// The content of a small regular file.
pub(super) fn text(path: &Path) -> Option<String> {
    let found = std::fs::metadata(path).ok()?;
    if !found.is_file() || found.len() > LARGEST {
        return None;
    }
    std::fs::read_to_string(path).ok()
}

fn string(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

/// The names of a column of type ClassLabel, in the forms that `datasets` has written over the years.
pub(super) fn class_names(info: &Value, label: &str) -> ClassNames {
    let names = match names_of(info, label) {
        None | Some(Value::Null) => return ClassNames::None,
        Some(Value::Array(names)) => names
            .iter()
            .map(|name| name.as_str().map(str::to_owned))
            .collect(),
        Some(Value::Object(names)) => numbered(names),
        Some(_) => None,
    };
    match names {
        Some(names) if names.is_empty() => ClassNames::None,
        Some(names) => ClassNames::Listed(names),
        None => ClassNames::Unusable,
    }
}

/// The names in what `datasets` keeps in the metadata of a parquet file.
pub(super) fn in_metadata(json: &str, label: &str) -> ClassNames {
    serde_json::from_str(json).map_or(ClassNames::Unusable, |info| class_names(&info, label))
}

/// What stands in the place of the names.
fn names_of<'a>(info: &'a Value, label: &str) -> Option<&'a Value> {
    let features = info
        .pointer("/info/features")
        .or_else(|| info.get("features"))?;
    match features {
        Value::Array(features) => {
            let feature = features
                .iter()
                .find(|feature| string(feature, "name").is_some_and(|name| same(&name, label)))?;
            feature.pointer("/dtype/class_label/names")
        }
        features => {
            let mut features = features.as_object()?.iter();
            let (_, feature) = features.find(|(name, _)| same(name, label))?;
            feature
                .get("names")
                .filter(|_| string(feature, "_type").is_none_or(|kind| kind == "ClassLabel"))
                .or_else(|| feature.pointer("/class_label/names"))
                .or_else(|| feature.pointer("/dtype/class_label/names"))
        }
    }
}

/// Names by their numbers, which count from 0.
fn numbered(names: &Map<String, Value>) -> Option<Vec<String>> {
    let mut numbered: Vec<(usize, String)> = names
        .iter()
        .map(|(number, name)| Some((number.parse().ok()?, name.as_str()?.to_owned())))
        .collect::<Option<_>>()?;
    numbered.sort();
    let whole = numbered
        .iter()
        .enumerate()
        .all(|(place, (number, _))| place == *number);
    whole.then(|| numbered.into_iter().map(|(_, name)| name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "---\ndataset_info:\n- config_name: split\n  features:\n  - name: text\n    dtype: string\n  - name: label\n    dtype:\n      class_label:\n        names:\n          '0': sadness\n          '1': joy\n- config_name: other\n  features:\n  - name: label\n    dtype: int64\n---\n# Emotion\n";

    fn infos(files: &[(&str, &str)]) -> Infos {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Infos::read(folder.path())
    }

    #[test]
    fn readmes_of_the_hub() {
        let found = infos(&[("README.md", README)]);
        assert!(found.notes.is_empty(), "{:?}", found.notes);
        let names = Some(vec!["sadness".to_owned(), "joy".to_owned()]);
        let stored = |config, label| {
            let mut stored = found.stored(config, label).into_iter();
            stored.next().map(|(_, names)| names)
        };
        assert_eq!(stored(Some("split"), "label"), names);
        assert_eq!(stored(None, "label"), names);
        assert_eq!(stored(Some("other"), "label"), None);
        assert_eq!(stored(None, "emotion"), None);
    }

    #[test]
    fn forms_of_class_labels() {
        for (text, expected) in [
            (
                r#"{"info": {"features": {"label": {"names": ["a", "b"], "_type": "ClassLabel"}}}}"#,
                Ok(2),
            ),
            (
                r#"{"features": {"label": {"num_classes": 3, "names": ["a", "b", "c"], "id": null, "_type": "ClassLabel"}}}"#,
                Ok(3),
            ),
            (
                r#"{"features": [{"name": "label", "dtype": {"class_label": {"names": {"1": "b", "0": "a"}}}}]}"#,
                Ok(2),
            ),
            (
                r#"{"features": [{"name": "label", "dtype": {"class_label": {"names": {"0": "a", "2": "b"}}}}]}"#,
                Err(ClassNames::Unusable),
            ),
            (
                r#"{"features": {"label": {"names": ["a", 1], "_type": "ClassLabel"}}}"#,
                Err(ClassNames::Unusable),
            ),
            (
                r#"{"features": {"label": {"names": "a", "_type": "ClassLabel"}}}"#,
                Err(ClassNames::Unusable),
            ),
            (
                r#"{"features": {"label": {"dtype": "int64", "_type": "Value"}}}"#,
                Err(ClassNames::None),
            ),
            (
                r#"{"features": {"label": {"names": [], "_type": "ClassLabel"}}}"#,
                Err(ClassNames::None),
            ),
            (r#"{"features": 3}"#, Err(ClassNames::None)),
            ("[]", Err(ClassNames::None)),
        ] {
            let value = serde_json::from_str(text).unwrap();
            let found = match class_names(&value, "label") {
                ClassNames::Listed(names) => Ok(names.len()),
                other => Err(other),
            };
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn infos_that_differ_count_for_their_own_configuration_alone() {
        let info = |names: &str| {
            format!(r#"{{"features": {{"label": {{"names": {names}, "_type": "ClassLabel"}}}}}}"#)
        };
        let text = format!(
            r#"{{"x": {}, "y": {}}}"#,
            info(r#"["a", "b"]"#),
            info(r#"["b", "a"]"#)
        );
        let found = infos(&[("dataset_infos.json", &text)]);
        assert_eq!(found.stored(None, "label"), []);
        assert_eq!(found.unusable(None, "label"), ["dataset_infos.json"]);
        assert_eq!(found.stored(Some("y"), "label")[0].1, ["b", "a"]);
    }

    #[test]
    fn every_file_that_stores_names_is_heard() {
        let json = r#"{"features": {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}"#;
        let readme = "---\ndataset_info:\n  features:\n  - name: label\n    dtype:\n      class_label:\n        names: {'0': pos, '1': neg}\n---\n";
        let found = infos(&[("README.md", readme), ("dataset_info.json", json)]);
        let owned = |names: [&str; 2]| names.map(str::to_owned).to_vec();
        assert_eq!(
            found.stored(None, "label"),
            [
                ("README.md", owned(["pos", "neg"])),
                ("dataset_info.json", owned(["neg", "pos"]))
            ]
        );
    }

    #[test]
    fn what_is_not_understood_is_noted() {
        let found = infos(&[
            ("README.md", "---\na: [\n---\n"),
            ("dataset_info.json", "[1]"),
        ]);
        assert_eq!(found.notes.len(), 2, "{:?}", found.notes);
        let found = infos(&[("README.md", "# no front matter")]);
        assert!(found.notes.is_empty());
    }
}
