//! Data and models are frozen when a run begins: a worker refuses a source that changed since.

use crate::cache::Digest;
use crate::plan::content_identity;
use crate::spec::{Source, source_fields};
use crate::stage::{Kind, StageError};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Compares every file and folder that the parameters name with what it held when the run began.
///
/// Built-in sources cannot change, and a commit on the Hub does not.
pub(super) fn check_sources(
    kind: Kind,
    params: &Value,
    sources: &BTreeMap<String, String>,
) -> Result<(), StageError> {
    for field in source_fields(kind) {
        let values: Vec<(String, &str)> = match &params[field.key] {
            Value::String(text) => vec![(field.key.to_owned(), text)],
            Value::Array(items) => (0..)
                .zip(items)
                .filter_map(|(index, item)| {
                    Some((format!("{}[{index}]", field.key), item.as_str()?))
                })
                .collect(),
            _ => continue,
        };
        for (place, text) in values {
            if let (Some(identity), Ok(Source::Path(path))) =
                (sources.get(&place), field.parse(text))
            {
                check(&place, &path, identity)?;
            }
        }
    }
    Ok(())
}

fn check(place: &str, path: &Path, identity: &str) -> Result<(), StageError> {
    let mut digest = |file: &Path| {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(std::fs::File::open(file)?)?;
        Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
    };
    let found =
        content_identity(path, &mut digest).map_err(|error| StageError::new(error.to_string()))?;
    if found == identity {
        return Ok(());
    }
    Err(StageError::new(format!(
        "`{}` (`{place}`) changed since the run began: expected content {}, found {}; start the run again to use what it holds now",
        path.display(),
        short(identity),
        short(&found),
    )))
}

fn short(identity: &str) -> String {
    identity.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_changed_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("texts.csv");
        std::fs::write(&path, "text,label\nhello,joy\n").unwrap();
        let params = json!({ "dataset": path, "scrub": ["rules", path] });
        let mut digest = |file: &Path| Ok(Digest::of(&std::fs::read(file)?));
        let identity = content_identity(&path, &mut digest).unwrap();
        let sources = BTreeMap::from([
            ("dataset".to_owned(), identity.clone()),
            ("scrub[1]".to_owned(), identity),
        ]);
        check_sources(Kind::Preprocess, &params, &sources).unwrap();
        std::fs::write(&path, "text,label\nhello,fear\n").unwrap();
        let error = check_sources(Kind::Preprocess, &params, &sources).unwrap_err();
        assert!(
            error.to_string().contains("changed since the run began"),
            "{error}"
        );
        check_sources(Kind::Preprocess, &params, &BTreeMap::new()).unwrap();
    }
}
