//! A model on its way out: found by its row, and written as others load it.

use super::publish::runs_of;
use super::statement::{Export, ExportForm, MODEL_FOLDER, Model};
use super::terms::Terms;
use super::{ReleaseError, public_name, unfinished};
use crate::sources::{AssembleError, Sources};
use dpx_accounting::Adjacency;
use dpx_data::{Resolved, Role, Source, StatedLicense, stated_license};
use dpx_engine::plan::{Instance, InstanceId, Plan};
use dpx_engine::run::{pinned, shell_word};
use dpx_schema::params::SampleParams;
use dpx_schema::publication::{NO_LICENSE, check_license, check_license_name};
use dpx_schema::{Kind, MODEL_SCHEMA_FILE, PrivacyRecord, PublicSchema};
use dpx_stages::export::{self, Base, Form, Generation};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// The license of a model whose public model states none that the Hub knows.
pub(super) const UNKNOWN_LICENSE: &str = "unknown";

/// Which model is to leave, and how.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its row, such as `epsilon=3`; none where there is one model alone.
    pub row: Option<String>,
    /// The stage that trains it; none where one stage alone trains models.
    pub stage: Option<String>,
    /// The whole model, or its adapter alone.
    pub form: Form,
}

/// A model as it is written.
#[derive(Debug)]
pub(super) struct ModelFiles {
    pub(super) told: Model,
    pub(super) folder: TempDir,
}

impl Wanted {
    /// The instance that trains the model.
    pub(super) fn find(&self, plan: &Plan) -> Result<InstanceId, ReleaseError> {
        let missing = |text: String| Err(ReleaseError::Missing(text));
        let trains = |instance: &Instance| match &self.stage {
            Some(stage) => {
                instance.stage == *stage && matches!(instance.kind, Kind::Train | Kind::Pretrain)
            }
            None => instance.kind == Kind::Train,
        };
        let all: Vec<InstanceId> = (0..plan.instances.len())
            .filter(|&id| trains(&plan.instances[id]))
            .collect();
        let names = |ids: &[InstanceId]| {
            let names = ids
                .iter()
                .map(|&id| format!("`{}`", plan.instances[id].name));
            names.collect::<Vec<_>>().join(", ")
        };
        if all.is_empty() {
            return missing(match &self.stage {
                Some(stage) => format!(
                    "no stage `{stage}` trains a model: name one of kind `train` or `pretrain` with `--stage`"
                ),
                None => "no stage of this study is of kind `train`: name one of kind `pretrain` with `--stage`".into(),
            });
        }
        let is_asked = |id: &InstanceId| {
            let row = self.row.as_deref();
            row.is_none_or(|row| plan.is_in_row(*id, row))
        };
        let found: Vec<InstanceId> = all.iter().copied().filter(is_asked).collect();
        match (found.as_slice(), &self.row) {
            ([one], _) => Ok(*one),
            ([], row) => missing(format!(
                "no model is `{}`: name its row as `dpx plan` does; there are {}",
                row.as_deref().unwrap_or_default(),
                names(&all)
            )),
            (several, _) => missing(format!(
                "one model leaves at a time, and these fit: {}; name one of them with `--row`, such as `--row {}`",
                names(several),
                row(&plan.instances[several[0]], several, plan)
            )),
        }
    }
}

/// What names one of several models: its axes alone, where they do.
fn row(instance: &Instance, several: &[InstanceId], plan: &Plan) -> String {
    let axes = instance.name.row();
    let named = several.iter();
    let named = named.filter(|&&id| !axes.is_empty() && plan.instances[id].is_named(axes));
    shell_word(if named.count() == 1 {
        axes
    } else {
        instance.name.as_str()
    })
}

/// The models behind texts, with all weights, in folders of their own.
pub(super) fn behind(
    sources: &Sources<'_>,
    ids: BTreeSet<InstanceId>,
    runs: &BTreeMap<InstanceId, String>,
    mut name: impl FnMut(&str) -> String,
) -> Result<Vec<ModelFiles>, ReleaseError> {
    let mut models = Vec::new();
    for id in ids {
        let artifact = artifact(sources, id)?;
        let folder = TempDir::new()?;
        let whole = Form::Whole { bf16: false };
        export::write_whole(artifact.path(), whole, folder.path())
            .map_err(|error| failed(sources.name(id), &error))?;
        models.push(model(sources, id, runs, folder, &mut name)?);
    }
    Ok(models)
}

/// One model with all that others need to use it, and what is to be said of it.
pub(super) fn alone(
    sources: &Sources<'_>,
    id: InstanceId,
    form: Form,
    runs: &BTreeMap<InstanceId, String>,
    mut name: impl FnMut(&str) -> String,
) -> Result<(ModelFiles, Export, StatedLicense), ReleaseError> {
    let instance = &sources.plan.instances[id];
    let artifact = artifact(sources, id)?;
    let public = PublicModel::of(instance)?;
    let folder = TempDir::new()?;
    let prompts = export::write(
        artifact.path(),
        &public.base,
        form,
        generation(sources.plan, id),
        folder.path(),
    )
    .map_err(|error| failed(&instance.name, &error))?;
    if let Some(terms) = public.license.id.as_deref().and_then(Terms::of) {
        terms.write_notice(folder.path())?;
    }
    let said = Export {
        form: match form {
            Form::Whole { .. } => ExportForm::Model,
            Form::Adapter => ExportForm::Adapter,
        },
        dtype: form.dtype().to_owned(),
        base_precision: export::base_precision(artifact.path())
            .map_err(|error| failed(&instance.name, &error))?,
        base: public.name.as_deref().map(public_name),
        base_license: public.license.id.as_ref().map(|id| {
            let name = public.license.name.as_ref();
            name.map_or_else(|| id.clone(), |name| format!("{id} ({name})"))
        }),
        prompts,
    };
    let model = model(sources, id, runs, folder, &mut name)?;
    Ok((model, said, public.license))
}

/// The license that a model bears where its publisher names none: that of its public model.
pub(super) fn license(stated: &StatedLicense) -> super::License {
    let named = |id: &str, name: Option<&String>| super::License {
        id: id.to_owned(),
        name: name.cloned(),
    };
    match &stated.id {
        Some(id) if id == NO_LICENSE => {
            let name = stated.name.as_ref();
            named(id, name.filter(|name| check_license_name(name).is_ok()))
        }
        Some(id) if check_license(id).is_ok() => named(id, None),
        // An identifier that the Hub got later.
        Some(id) if check_license_name(id).is_ok() => named(NO_LICENSE, Some(id)),
        Some(_) => named(NO_LICENSE, None),
        None if !stated.files.is_empty() => named(NO_LICENSE, None),
        None => named(UNKNOWN_LICENSE, None),
    }
}

/// The public model that an instance started from.
struct PublicModel {
    name: Option<String>,
    base: Base,
    license: StatedLicense,
    /// Holds unpacked files as long as they are needed.
    _found: Option<Resolved>,
}

impl PublicModel {
    fn of(instance: &Instance) -> Result<Self, ReleaseError> {
        let params = pinned(instance.kind, &instance.params, &instance.sources);
        let name = params["model"].as_str();
        let Some(name) = name.filter(|name| !name.starts_with("stage:")) else {
            return Ok(Self {
                name: None,
                base: Base::default(),
                license: StatedLicense::default(),
                _found: None,
            });
        };
        let source = Source::parse(name);
        let found = source.resolve(Role::Model).map_err(|error| {
            ReleaseError::Missing(format!(
                "the public model behind `{}` is needed for its license, chat template and settings: {error}",
                instance.name
            ))
        })?;
        let hub = match &source {
            Source::Hub(name) => Some((name.repository.clone(), name.revision.clone())),
            Source::Builtin(_) | Source::Path(_) => None,
        };
        let license = match &source {
            // Of the files in the binary the program says it.
            Source::Builtin(_) => StatedLicense {
                id: Some(NO_LICENSE.to_owned()),
                name: Some("mit-or-apache-2.0".to_owned()),
                files: Vec::new(),
            },
            Source::Hub(_) | Source::Path(_) => stated_license(found.card_folder()),
        };
        Ok(Self {
            name: Some(name.to_owned()),
            base: Base {
                folder: Some(found.path.clone()),
                cards: Some(found.card_folder().to_owned()),
                hub,
            },
            license,
            _found: Some(found),
        })
    }
}

/// How the study samples from a model: by the first stage that does.
fn generation(plan: &Plan, id: InstanceId) -> Option<Generation> {
    let mut samples = plan.instances.iter().filter(|instance| {
        instance.kind == Kind::Sample && instance.needs.iter().any(|need| need.instance == id)
    });
    let params = samples
        .find_map(|sample| serde_json::from_value::<SampleParams>(sample.params.clone()).ok())?;
    Some(Generation::from(&params))
}

/// The model folder of an artifact, its files verified.
fn artifact(sources: &Sources<'_>, id: InstanceId) -> Result<TempDir, ReleaseError> {
    let missing = || unfinished(sources.name(id));
    let record = sources.record(id).ok_or_else(missing)?;
    let folder = TempDir::new()?;
    let prefix = format!("{MODEL_FOLDER}/");
    let paths = record.output.files.iter().map(|file| file.path.as_str());
    for path in paths.filter(|path| path.starts_with(&prefix)) {
        let bytes = sources.file(id, path)?.ok_or_else(missing)?;
        let to = folder.path().join(&path[prefix.len()..]);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(to, bytes)?;
    }
    Ok(folder)
}

fn failed(instance: &str, error: &dpx_schema::StageError) -> ReleaseError {
    ReleaseError::Missing(format!(
        "the model of `{instance}` cannot be written: {error}"
    ))
}

/// What is said of a written model, once numbers that are not public are out of its schema.
fn model(
    sources: &Sources<'_>,
    id: InstanceId,
    runs: &BTreeMap<InstanceId, String>,
    folder: TempDir,
    name: &mut impl FnMut(&str) -> String,
) -> Result<ModelFiles, ReleaseError> {
    let instance = &sources.plan.instances[id];
    let mut behind = sources.plan.ancestors(id);
    behind.insert(id);
    let schema = folder.path().join(MODEL_SCHEMA_FILE);
    if private_size(sources, &behind)? {
        let bytes = without_size(&fs::read(&schema)?)?;
        fs::write(&schema, bytes)?;
    }
    Ok(ModelFiles {
        told: Model {
            name: name(&instance.name),
            instance: instance.name.to_string(),
            files: files(folder.path())?,
            runs: runs_of(&behind, runs),
        },
        folder,
    })
}

/// The names of the files in a folder, sorted.
fn files(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().into_string();
        names.push(name.map_err(|_| std::io::Error::other("the name of a file is not UTF-8"))?);
    }
    names.sort();
    Ok(names)
}

/// Whether the number of records is not public for some run, or has no part in the model: where nothing private ran, nothing said
/// that it is public.
fn private_size(
    sources: &Sources<'_>,
    behind: &BTreeSet<InstanceId>,
) -> Result<bool, AssembleError> {
    let mut ran = false;
    for &id in behind {
        if sources.plan.instances[id].kind.spends()
            && let Some(PrivacyRecord::Private(run)) = sources.privacy(id)?
        {
            if run.adjacency != Adjacency::ZeroOut {
                return Ok(true);
            }
            ran = true;
        }
    }
    Ok(!ran)
}

/// The public schema with no number of examples: under add/remove adjacency it is not public.
fn without_size(bytes: &[u8]) -> Result<Vec<u8>, ReleaseError> {
    let mut schema: PublicSchema = serde_json::from_slice(bytes).map_err(std::io::Error::other)?;
    schema.examples = 0;
    schema.records = None;
    let text = serde_json::to_string_pretty(&schema).map_err(std::io::Error::other)?;
    Ok((text + "\n").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_license_is_what_the_public_model_states() {
        let of = |id: Option<&str>, name: Option<&str>, files: &[&str]| {
            let found = license(&StatedLicense {
                id: id.map(str::to_owned),
                name: name.map(str::to_owned),
                files: files.iter().map(|&file| file.to_owned()).collect(),
            });
            (found.id, found.name)
        };
        let is = |id: &str, name: Option<&str>| (id.to_owned(), name.map(str::to_owned));
        assert_eq!(of(Some("apache-2.0"), None, &[]), is("apache-2.0", None));
        assert_eq!(of(None, None, &[]), is("unknown", None));
        assert_eq!(of(None, None, &["LICENSE"]), is("other", None));
        for known in [
            "gemma", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4",
        ] {
            assert_eq!(of(Some(known), None, &["LICENSE"]), is(known, None));
        }
        assert_eq!(of(Some("llama9"), None, &[]), is("other", Some("llama9")));
        assert_eq!(
            of(Some("other"), Some("acme"), &[]),
            is("other", Some("acme"))
        );
        assert_eq!(of(Some("other"), Some("A B"), &[]), is("other", None));
        assert_eq!(of(Some("Bad One"), None, &[]), is("other", None));
    }
}
