//! Data and models are frozen when a run begins: a worker refuses a source that changed since.

use super::runner::selection;
use super::{Options, RunError, View};
use crate::cache::Cache;
use crate::experiment::{SourceRef, source_fields};
use crate::plan::{InstanceId, Plan, content_identity, decide};
use dpx_data::{HubName, Role, Source};
use dpx_schema::Digest;
use dpx_schema::{Kind, StageError};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Compares every file and folder that the parameters name with what it held when the run began.
///
/// Built-in sources cannot change, and a commit on the Hub does not: [`pinned`].
pub(super) fn check_sources(
    kind: Kind,
    params: &Value,
    sources: &BTreeMap<String, String>,
) -> Result<(), StageError> {
    for NamedSource { place, source, .. } in named_sources(kind, params) {
        if let (Some(identity), Source::Path(path)) = (sources.get(&place), source) {
            check(&place, &path, identity)?;
        }
    }
    Ok(())
}

/// The parameters with every name on the Hub led to the commit that it stood for when the run began: a branch that moves
/// meanwhile changes nothing.
pub fn pinned(kind: Kind, params: &Value, sources: &BTreeMap<String, String>) -> Value {
    let mut pinned = params.clone();
    for name in named_sources(kind, params) {
        let (Source::Hub(_), Some(identity)) = (name.source, sources.get(&name.place)) else {
            continue;
        };
        let value = &mut pinned[name.key];
        match name.index {
            Some(index) => value[index] = identity.as_str().into(),
            None => *value = identity.as_str().into(),
        }
    }
    pinned
}

/// Every file and folder that a plan's instances read from outside the cache, each once.
pub fn input_paths(plan: &Plan) -> BTreeSet<PathBuf> {
    let instances = plan.instances.iter();
    instances
        .flat_map(|instance| named_sources(instance.kind, &instance.params))
        .filter_map(|name| match name.source {
            Source::Path(path) => Some(path),
            _ => None,
        })
        .collect()
}

/// A model or dataset on the Hub, and the commit that its name stood for when the plan was made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HubAsset {
    /// What the study reads it as.
    pub role: Role,
    /// The name, with the branch, tag or commit that the file has.
    pub name: HubName,
    /// Forty hexadecimal digits, whatever the branch is later.
    pub commit: String,
}

/// What a run would read from the Hub: the assets of every instance that is asked for and not cached.
///
/// # Errors
/// When an option names nothing in the plan.
pub fn hub_assets(
    plan: &Plan,
    cache: &Cache,
    options: &Options,
) -> Result<BTreeSet<HubAsset>, RunError> {
    let (forced, selected) = selection(plan, options)?;
    let from_hub = |id: &usize| {
        let instance = &plan.instances[*id];
        let names = named_sources(instance.kind, &instance.params);
        names
            .iter()
            .any(|name| matches!(name.source, Source::Hub { .. }))
    };
    if !selected.iter().any(from_hub) {
        return Ok(BTreeSet::new());
    }
    let _shared = cache.share()?;
    let decisions = decide(plan, &View::new(cache.clone()), &forced);
    let mut assets = BTreeSet::new();
    for decision in decisions {
        if !selected.contains(&decision.instance) || decision.state.is_cached() {
            continue;
        }
        let instance = &plan.instances[decision.instance];
        for name in named_sources(instance.kind, &instance.params) {
            let commit = instance.sources.get(&name.place);
            if let (Source::Hub(hub_name), Some((_, commit))) =
                (name.source, commit.and_then(|text| text.rsplit_once('@')))
            {
                assets.insert(HubAsset {
                    role: name.role,
                    name: hub_name,
                    commit: commit.to_owned(),
                });
            }
        }
    }
    Ok(assets)
}

/// The instances that a run with these options may have to start: those that are asked for and not cached.
///
/// # Errors
/// When an option names nothing in the plan.
pub fn waiting(
    plan: &Plan,
    cache: &Cache,
    options: &Options,
) -> Result<BTreeSet<InstanceId>, RunError> {
    let (forced, selected) = selection(plan, options)?;
    let _shared = cache.share()?;
    let decisions = decide(plan, &View::new(cache.clone()), &forced);
    let waiting = decisions.iter().filter(|one| !one.state.is_cached());
    let waiting = waiting.map(|one| one.instance);
    Ok(waiting.filter(|id| selected.contains(id)).collect())
}

/// A parameter, or an item of one that is a list, that names something to read.
#[derive(Debug, Clone)]
pub struct NamedSource {
    /// What the stage reads it as.
    pub role: Role,
    /// The parameter.
    pub key: &'static str,
    index: Option<usize>,
    /// As the plan calls it: `model`, `scrub[1]`.
    pub place: String,
    /// What is named.
    pub source: Source,
    /// Whether the parameter is read at all, given the others.
    pub counts: bool,
}

/// What the parameters of a kind name.
pub fn named_sources(kind: Kind, params: &Value) -> Vec<NamedSource> {
    let mut names = Vec::new();
    for field in source_fields(kind) {
        let key = field.key;
        let counts = field.counts(params);
        let mut add = |index: Option<usize>, text: &str| {
            if let Ok(SourceRef::Source(source)) = field.parse(text) {
                let place = index.map_or_else(|| key.to_owned(), |index| format!("{key}[{index}]"));
                names.push(NamedSource {
                    role: field.role,
                    key,
                    index,
                    place,
                    source,
                    counts,
                });
            }
        };
        match &params[key] {
            Value::String(text) => add(None, text),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    if let Some(text) = item.as_str() {
                        add(Some(index), text);
                    }
                }
            }
            _ => {}
        }
    }
    names
}

fn check(place: &str, path: &Path, identity: &str) -> Result<(), StageError> {
    let mut digest = |file: &Path| {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(std::fs::File::open(file)?)?;
        Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
    };
    let found = content_identity(path, &mut digest)?;
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
    fn names_on_the_hub_are_led_to_their_commits() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let params = json!({
            "dataset": "hf:who/texts/en@main",
            "scrub": ["rules", "hf:who/names", "folder"],
            "prompt": "hf:who/texts",
        });
        let sources = BTreeMap::from([
            ("dataset".to_owned(), format!("hf:who/texts/en@{commit}")),
            ("scrub[1]".to_owned(), format!("hf:who/names@{commit}")),
            ("scrub[2]".to_owned(), "digest".to_owned()),
        ]);
        assert_eq!(
            pinned(Kind::Preprocess, &params, &sources),
            json!({
                "dataset": format!("hf:who/texts/en@{commit}"),
                "scrub": ["rules", format!("hf:who/names@{commit}"), "folder"],
                "prompt": "hf:who/texts",
            })
        );
    }

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
