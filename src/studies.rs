//! Studies for `report`, `compare` and the end of `run`: from an experiment file and the cache, a results folder, or a run.

use super::bounds::Bounds;
use super::experiment::ExperimentArgs;
use super::readings::Readings;
use super::{Error, experiment};
use dpx_engine::cache::{ArtifactReader, Cache};
use dpx_engine::experiment::Experiment;
use dpx_engine::plan::{Plan, State, decide};
use dpx_engine::run::View;
use dpx_report::compare::SEED;
use dpx_report::{
    CachedFloors, InstanceState, Known, Reference, Sources, Study, assemble, journal,
};
use std::collections::BTreeSet;
use std::path::Path;

/// An experiment with everything that the cache knows of it.
pub(crate) struct Loaded {
    pub(crate) experiment: Experiment,
    pub(crate) plan: Plan,
    pub(crate) known: Vec<Known>,
    pub(crate) cache: Cache,
    /// The command that runs it again.
    pub(crate) again: String,
}

/// What was made from artifacts, unless one of them could not be read.
fn whole<T>(made: T, artifacts: &ArtifactReader, again: &str) -> Result<T, Error> {
    let damages = artifacts.take_damages();
    if damages.is_empty() {
        Ok(made)
    } else {
        Err(super::results::unreadable(&damages, again))
    }
}

fn run_again(arguments: &ExperimentArgs) -> String {
    let file = arguments.file.to_string_lossy();
    format!("dpx run {}", dpx_engine::run::shell_word(&file))
}

impl Loaded {
    /// Reads an experiment file and looks into the cache; runs nothing.
    pub(crate) fn new(arguments: &ExperimentArgs, cache: &Path) -> Result<Self, Error> {
        let experiment = arguments.load()?;
        let plan = experiment::build(&experiment, &Readings::new(cache))?;
        if !cache.exists() {
            return Err(Error::usage(format!(
                "there is no cache at `{}`: nothing has run from this folder",
                cache.display()
            ))
            .hint(format!(
                "go to the folder of the run, name its cache with `--cache DIR`, or run the study: {}",
                run_again(arguments)
            )));
        }
        let cache = Cache::at(cache)?;
        let decisions = decide(&plan, &View::new(cache.clone()), &BTreeSet::new());
        let known = decisions
            .into_iter()
            .map(|decision| match decision.state {
                State::Cached { record, .. } => Known {
                    state: InstanceState::Cached,
                    record: Some(record),
                },
                State::Run { .. } | State::OnlyIf { .. } => Known {
                    state: InstanceState::Missing,
                    record: None,
                },
            })
            .collect();
        Ok(Self {
            experiment,
            plan,
            known,
            cache,
            again: run_again(arguments),
        })
    }

    /// Whether every stage instance is in the cache.
    pub(crate) fn is_finished(&self) -> bool {
        self.known.iter().all(|one| one.record.is_some())
    }

    /// Calls something with the study's sources. What it makes counts only where every file could be read.
    pub(crate) fn with<T>(&self, call: impl FnOnce(&Sources<'_>) -> T) -> Result<T, Error> {
        let reference = reference(&self.experiment);
        let artifacts = ArtifactReader::new(self.cache.clone());
        let floors = CachedFloors::known(&self.cache);
        let made = call(&Sources {
            plan: &self.plan,
            known: &self.known,
            artifacts: &artifacts,
            floors: &floors,
            title: self.experiment.report.title.as_deref(),
            reference: reference.as_ref(),
        });
        whole(made, &artifacts, &self.again)
    }

    /// The study; bounds that earlier reports certified are taken over. For showing it, never for a release, whose bounds are
    /// computed anew.
    pub(crate) fn shown(&self) -> Result<Study, Error> {
        let bounds = Bounds::of(&self.cache);
        let study = self.with(assemble)?;
        bounds.save();
        Ok(study?)
    }

    /// The experiment as one file that is to lie in `folder`.
    pub(crate) fn file(&self, folder: &Path) -> String {
        self.experiment.merged(folder)
    }
}

/// The published figures of the experiment file.
pub(crate) fn reference(experiment: &Experiment) -> Option<Reference> {
    let written = experiment.report.reference.as_ref()?;
    Some(Reference {
        source: written.source.clone(),
        dataset: written.dataset.clone(),
        benchmark: written.benchmark,
        accuracy: written.accuracy.clone(),
        similarity: written.similarity.clone(),
    })
}

/// A study from an experiment file, a results folder or `results.json`, or the name of a run.
pub(crate) fn find(name: &str, set: &[String], cache: &Path) -> Result<Study, Error> {
    let path = Path::new(name);
    let json = if path.is_dir() {
        path.join("results.json")
    } else {
        path.to_owned()
    };
    if path.is_dir() || path.extension().is_some_and(|ending| ending == "json") {
        let bytes = std::fs::read(&json).map_err(|error| {
            Error::usage(format!("could not read `{}`: {error}", json.display()))
        })?;
        let study: Study = serde_json::from_slice(&bytes).map_err(|error| {
            Error::usage(format!(
                "`{}` is no results file of dpx: {error}",
                json.display()
            ))
        })?;
        if study.schema_version != Study::SCHEMA_VERSION {
            return Err(Error::usage(format!(
                "`{}` has schema version {}, this dpx knows {}",
                json.display(),
                study.schema_version,
                Study::SCHEMA_VERSION
            )));
        }
        return Ok(study);
    }
    if path.is_file() {
        let arguments = ExperimentArgs {
            file: path.to_owned(),
            set: set.to_vec(),
        };
        let loaded = Loaded::new(&arguments, cache)?;
        let study = loaded.shown()?;
        if study.finished == 0 {
            return Err(Error::usage(format!(
                "`{name}` has never run here: none of its {} stages is in the cache `{}`",
                study.planned,
                cache.display()
            ))
            .hint(format!("run it first: {}", loaded.again)));
        }
        return Ok(study);
    }
    let cache = Cache::at(cache)?;
    let runs = cache.runs().unwrap_or_default();
    let run = runs.iter().find(|run| run.id == name).ok_or_else(|| {
        Error::usage(format!("there is no file, folder or run `{name}`"))
            .hint("give an experiment file, a results folder, or the name of a run that `dpx status` shows")
    })?;
    let (plan, known) = journal::past_run(&cache, &run.lines())
        .ok_or_else(|| Error::usage(format!("nothing is left in the cache of run `{name}`")))?;
    let artifacts = ArtifactReader::new(cache.clone());
    let floors = CachedFloors::known(&cache);
    let study = assemble(&Sources {
        plan: &plan,
        known: &known,
        artifacts: &artifacts,
        floors: &floors,
        title: None,
        reference: None,
    });
    let mut study = whole(study, &artifacts, "dpx run FILE")??;
    study.settings.remove(SEED);
    Ok(study)
}
