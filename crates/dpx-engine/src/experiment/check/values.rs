//! Looks at the resolved values of every stage, at each combination of the axes that the stage mentions.

use super::{limits, links, sources};
use crate::experiment::diagnostic::{Code, Diagnostic};
use crate::experiment::experiment::{Combination, Experiment, Stage, combinations};
use crate::experiment::files::Origin;
use crate::experiment::kinds::KindTable;
use serde_json::Value;

/// A stage at one combination of the axes that it mentions.
#[derive(Debug)]
pub(super) struct Resolved<'a> {
    pub(super) experiment: &'a Experiment,
    pub(super) stage: &'a Stage,
    pub(super) at: Combination,
    /// With defaults filled in.
    pub(super) params: Value,
}

impl Resolved<'_> {
    /// Where a parameter got its value; the stage's header where it is a default.
    pub(super) fn origin(&self, key: &str) -> Origin {
        self.stage
            .node(key, &self.experiment.axes, &self.at)
            .map_or(self.stage.origin, |node| node.origin)
    }

    /// Whether the file gives the parameter a value.
    pub(super) fn is_written(&self, key: &str) -> bool {
        self.stage.fields.entry(key).is_some()
    }

    /// A number, 0 where it is none.
    pub(super) fn number(&self, key: &str) -> f64 {
        self.params[key].as_f64().unwrap_or(0.0)
    }

    /// A text, empty where it is none.
    pub(super) fn text(&self, key: &str) -> &str {
        self.params[key].as_str().unwrap_or("")
    }

    /// A warning that a key which is written changes nothing.
    pub(super) fn no_effect(&self, key: &str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::at(Code::NoEffect, self.origin(key), message).warning()
    }

    /// The stages among the needs, as far as they exist.
    pub(super) fn needs(&self) -> impl Iterator<Item = &Stage> {
        self.stage.needs.iter().filter_map(|(name, _)| {
            self.experiment
                .stages
                .iter()
                .find(|stage| stage.name == *name)
        })
    }

    /// Whether both are parts of one row of the table.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.at
            .iter()
            .all(|(axis, value)| other.at.get(axis).is_none_or(|there| there == value))
    }
}

/// Checks the values of all stages whose types are right.
pub(crate) fn values(experiment: &Experiment, diagnostics: &mut Vec<Diagnostic>) {
    let mut all: Vec<Resolved<'_>> = Vec::new();
    let typed = !diagnostics
        .iter()
        .any(|diagnostic| matches!(diagnostic.code, Code::TooManyInstances));
    if !typed {
        return;
    }
    for stage in &experiment.stages {
        for at in combinations(&experiment.axes, &stage.mentions(&experiment.axes)) {
            let (params, performance) = stage.written(&experiment.axes, &at);
            match KindTable::of(stage.kind).normalise(params, performance) {
                Ok((params, _)) => all.push(Resolved {
                    experiment,
                    stage,
                    at,
                    params,
                }),
                Err(error) => {
                    // The schema has named the mistake already, unless the types know one that it does not.
                    let known = diagnostics
                        .iter()
                        .any(|diagnostic| diagnostic.severity == super::super::Severity::Error);
                    if !known {
                        diagnostics.push(Diagnostic::at(
                            Code::WrongType,
                            stage.origin,
                            format!("the parameters of `{}` do not fit: {error}", stage.name),
                        ));
                    }
                }
            }
        }
    }
    for resolved in &all {
        limits::check(resolved, diagnostics);
        sources::check(resolved, diagnostics);
        links::check(resolved, diagnostics);
        for name in resolved.stage.needs.iter().map(|(name, _)| name) {
            for need in all.iter().filter(|need| need.stage.name == *name) {
                if need.meets(resolved) {
                    links::pair(resolved, need, diagnostics);
                }
            }
        }
    }
}
