//! The names of labels that a dataset stores: in the front matter of README.md, in dataset_infos.json or
//! dataset_info.json, or in the metadata of a parquet file.

use crate::card::front_matter;
use serde_json::Value;
use std::path::Path;

/// Largest file of this kind, in bytes.
const LARGEST: u64 = 16 << 20;

/// What the files beside the data say of each configuration, by its name; the name may be empty.
#[derive(Debug, Default)]
pub(crate) struct Infos {
    infos: Vec<(String, Value)>,
    /// What could not be understood.
    pub(super) notes: Vec<String>,
}

impl Infos {
    /// Reads what lies in a folder; nothing where there is nothing.
    pub(super) fn read(folder: &Path) -> Self {
        let mut found = Self::default();
        if let Some(readme) = text(&folder.join("README.md")) {
            match front_matter(&readme) {
                Ok(front) => found.add_readme(&front.unwrap_or_default()),
                Err(problem) => found
                    .notes
                    .push(format!("{problem}: its label names are not used")),
            }
        }
        for name in ["dataset_infos.json", "dataset_info.json"] {
            let Some(text) = text(&folder.join(name)) else {
                continue;
            };
            match serde_json::from_str::<Value>(&text) {
                Ok(value) if value.get("features").is_some() => {
                    found.infos.push((String::new(), value));
                }
                Ok(Value::Object(infos)) => found.infos.extend(infos),
                _ => found.notes.push(format!(
                    "{name} is not a JSON object: its label names are not used"
                )),
            }
        }
        found
    }

    fn add_readme(&mut self, front: &Value) {
        let infos = match &front["dataset_info"] {
            Value::Array(infos) => infos.clone(),
            Value::Null => Vec::new(),
            info => vec![info.clone()],
        };
        for info in infos {
            let name = string(&info, "config_name").unwrap_or_default();
            self.infos.push((name, info));
        }
    }

    /// The label names that are stored for a configuration, or for all alike.
    pub(crate) fn class_names(&self, config: Option<&str>, label: &str) -> Option<Vec<String>> {
        let named = |name: &str| {
            let found = self.infos.iter().find(|(other, _)| other == name);
            found.and_then(|(_, info)| class_names(info, label))
        };
        if let Some(config) = config
            && self.infos.iter().any(|(name, _)| name == config)
        {
            return named(config);
        }
        if let Some(names) = named("").or_else(|| named("default")) {
            return Some(names);
        }
        let mut all = self
            .infos
            .iter()
            .filter_map(|(_, info)| class_names(info, label));
        let first = all.next()?;
        all.all(|names| names == first).then_some(first)
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
pub(super) fn class_names(info: &Value, label: &str) -> Option<Vec<String>> {
    let features = info
        .pointer("/info/features")
        .or_else(|| info.get("features"))?;
    let names = match features {
        Value::Array(features) => {
            let feature = features
                .iter()
                .find(|feature| string(feature, "name").is_some_and(|name| name == label))?;
            feature.pointer("/dtype/class_label/names")?
        }
        features => {
            let feature = features.get(label)?;
            feature
                .get("names")
                .filter(|_| string(feature, "_type").is_none_or(|kind| kind == "ClassLabel"))
                .or_else(|| feature.pointer("/class_label/names"))
                .or_else(|| feature.pointer("/dtype/class_label/names"))?
        }
    };
    match names {
        Value::Array(names) => names
            .iter()
            .map(|name| name.as_str().map(str::to_owned))
            .collect(),
        Value::Object(names) => {
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
        _ => None,
    }
    .filter(|names: &Vec<String>| !names.is_empty())
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
        assert_eq!(found.class_names(Some("split"), "label"), names);
        assert_eq!(found.class_names(None, "label"), names);
        assert_eq!(found.class_names(Some("other"), "label"), None);
        assert_eq!(found.class_names(None, "emotion"), None);
    }

    #[test]
    fn forms_of_class_labels() {
        for (text, expected) in [
            (
                r#"{"info": {"features": {"label": {"names": ["a", "b"], "_type": "ClassLabel"}}}}"#,
                Some(2),
            ),
            (
                r#"{"features": {"label": {"num_classes": 3, "names": ["a", "b", "c"], "id": null, "_type": "ClassLabel"}}}"#,
                Some(3),
            ),
            (
                r#"{"features": [{"name": "label", "dtype": {"class_label": {"names": {"1": "b", "0": "a"}}}}]}"#,
                Some(2),
            ),
            (
                r#"{"features": [{"name": "label", "dtype": {"class_label": {"names": {"0": "a", "2": "b"}}}}]}"#,
                None,
            ),
            (
                r#"{"features": {"label": {"dtype": "int64", "_type": "Value"}}}"#,
                None,
            ),
            (
                r#"{"features": {"label": {"names": [], "_type": "ClassLabel"}}}"#,
                None,
            ),
            (r#"{"features": 3}"#, None),
            ("[]", None),
        ] {
            let value = serde_json::from_str(text).unwrap();
            assert_eq!(
                class_names(&value, "label").map(|names| names.len()),
                expected,
                "{text}"
            );
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
        assert_eq!(found.class_names(None, "label"), None);
        assert_eq!(found.class_names(Some("y"), "label").unwrap(), ["b", "a"]);
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
