//! Whether the models that an experiment file names are of a family that dpx computes, before their weights are downloaded.

use super::{Error, download};
use dpx_data::{HubName, Role, Source, hub};
use dpx_engine::plan::{InstanceId, Plan, SourceError, Sources};
use dpx_engine::run::named_sources;
use dpx_nn::model::{
    MODULES_FILE, ModelConfig, Use, look, look_at_gguf, look_at_modules, look_for, suits,
};
use dpx_schema::files::is_gguf;
use dpx_schema::{Kind, MODEL_SCHEMA_FILE, PublicSchema};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sources whose models are refused by their `config.json` where dpx cannot compute them.
pub(crate) struct Understood<S> {
    sources: S,
    hub: hub::Hub,
}

impl<S: Sources> Understood<S> {
    /// Checks what `sources` finds.
    pub(crate) fn new(sources: S) -> Self {
        Self {
            sources,
            hub: hub::Hub::from_env(),
        }
    }
}

impl<S: Sources> Sources for Understood<S> {
    fn identity(&self, role: Role, source: &Source) -> Result<String, SourceError> {
        let identity = self.sources.identity(role, source)?;
        if role == Role::Model {
            match source {
                Source::Path(folder) => of_folder(folder)?,
                // The commit that the identity names, so that no other can come between.
                Source::Hub(name) => {
                    of_hub(&self.hub, &pinned(name, &identity))?;
                }
                Source::Builtin(_) => {}
            }
        }
        Ok(identity)
    }

    fn reading(
        &self,
        role: Role,
        source: &Source,
        identity: &str,
    ) -> Result<Option<String>, SourceError> {
        self.sources.reading(role, source, identity)
    }
}

/// Checks that each model of a plan does what its stage needs: those on this machine with weights and tokenizer, those on the Hub, where
/// it is asked, by what they are. Only those of the instances that `waiting` returns, which is asked where there is a model to look at.
///
/// # Errors
/// What the first one is instead, with the stage and the key that name it.
pub(crate) fn uses(
    plan: &Plan,
    online: bool,
    waiting: impl FnOnce() -> Result<BTreeSet<InstanceId>, Error>,
) -> Result<(), Error> {
    let mut models = Vec::new();
    for (id, instance) in plan.instances.iter().enumerate() {
        for named in named_sources(instance.kind, &instance.params) {
            let used = match (instance.kind, named.key) {
                _ if !named.counts => continue,
                (Kind::Train | Kind::Pretrain, "model") => Use::Generator,
                (Kind::Classify, "model") => Use::Classifier,
                (Kind::Preprocess, "scrub") => Use::TokenClassifier,
                (_, "encoder") => Use::Encoder,
                _ => continue,
            };
            if matches!(named.source, Source::Path(_) | Source::Hub(_)) {
                models.push((id, named.place, named.source, used));
            }
        }
    }
    if models.is_empty() {
        return Ok(());
    }
    let waiting = waiting()?;
    let hub = hub::Hub::from_env();
    let mut seen = BTreeSet::new();
    for (id, place, source, used) in models {
        let instance = &plan.instances[id];
        let identity = instance.sources.get(&place);
        let looked_at = (format!("{source:?}"), identity, used);
        if !waiting.contains(&id) || !seen.insert(looked_at) {
            continue;
        }
        let found = match &source {
            Source::Path(folder) => look_for(folder, used).map_err(|error| error.to_string()),
            Source::Hub(name) if online => {
                let name = identity.map_or_else(|| name.clone(), |known| pinned(name, known));
                on_hub(&hub, &name, used)
            }
            _ => Ok(()),
        };
        found.map_err(|error| {
            Error::usage(format!(
                "`{place}` of `[stage.{}]`: {error}",
                instance.stage
            ))
        })?;
    }
    Ok(())
}

/// Checks a model on the Hub for what it is to do, by its small files.
fn on_hub(hub: &hub::Hub, name: &HubName, used: Use) -> Result<(), String> {
    let config = of_hub(hub, name).map_err(|error| error.to_string())?;
    suits(&config, used, Path::new(&name.to_string())).map_err(|error| error.to_string())?;
    if used != Use::Encoder {
        return Ok(());
    }
    let modules = download::file(hub, Role::Model, name, MODULES_FILE);
    let modules = modules.map_err(|error| error.to_string())?;
    let folder = modules.as_deref().and_then(Path::parent);
    folder.map_or(Ok(()), |folder| {
        look_at_modules(folder, &config).map_err(|error| error.to_string())
    })
}

/// All instances, whether or not they are cached.
pub(crate) fn all(plan: &Plan) -> BTreeSet<InstanceId> {
    (0..plan.instances.len()).collect()
}

/// Checks a model on the Hub by its `config.json`, which is downloaded if it is not there yet, or by the beginning of its GGUF file.
pub(crate) fn of_hub(hub: &hub::Hub, name: &HubName) -> Result<ModelConfig, SourceError> {
    if let Some(known) = known().get(name) {
        return Ok(known.clone());
    }
    if let Some(file) = download::gguf(hub, name)? {
        let path = format!("{name}: {}", file.name);
        let size = file.size.unwrap_or(u64::MAX);
        let config = look_at_gguf(file.reader, size, Path::new(&path))
            .map_err(|error| SourceError::new(error.to_string()))?;
        known().insert(name.clone(), config.clone());
        return Ok(config);
    }
    let file = download::file(hub, Role::Model, name, "config.json")?;
    match file.as_deref().and_then(Path::parent) {
        Some(folder) => {
            ModelConfig::read(folder).map_err(|error| SourceError::new(error.to_string()))
        }
        None => Err(SourceError::new(format!(
            "{name}: there is no `config.json` in it; dpx reads models in the layout of `transformers`, and GGUF files"
        ))),
    }
}

/// What was read of GGUF files on the Hub, whose beginnings are long: each is read once, of names with a branch too.
fn known() -> MutexGuard<'static, BTreeMap<HubName, ModelConfig>> {
    static KNOWN: Mutex<BTreeMap<HubName, ModelConfig>> = Mutex::new(BTreeMap::new());
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says of models on this machine alone whether they are understood; nothing else is read, nothing is asked for.
pub(crate) struct LocalModels;

impl Sources for LocalModels {
    fn identity(&self, role: Role, source: &Source) -> Result<String, SourceError> {
        if let (Role::Model, Source::Path(folder)) = (role, source) {
            of_folder(folder)?;
        }
        Ok("not read".to_owned())
    }
}

/// A name at the commit of an identity, where it names one.
pub(crate) fn pinned(name: &HubName, identity: &str) -> HubName {
    match identity.rsplit_once('@') {
        Some((_, commit)) => name.at(commit),
        None => name.clone(),
    }
}

/// Checks a folder or a GGUF file; a folder without a `config.json` is left to the stage that reads it, which may know its format. A model that dpx
/// trained on private texts is not public, and its folder does not say what was promised of them.
fn of_folder(folder: &Path) -> Result<(), SourceError> {
    let schema = folder.join(MODEL_SCHEMA_FILE);
    if PublicSchema::load(schema).is_ok_and(|schema| schema.trained_on_private) {
        return Err(SourceError::new(format!(
            "`{}` was trained by dpx on private texts: taken for a public model, it would carry them past every guarantee; name the \
             stage that trained it (`model = \"stage:NAME\"`), in the study whose claim counts it",
            folder.display()
        )));
    }
    let holds_gguf = || {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| is_gguf(entry.path()))
    };
    if folder.join("config.json").is_file() || is_gguf(folder) || holds_gguf() {
        look(folder).map_err(|error| SourceError::new(error.to_string()))
    } else {
        Ok(())
    }
}
