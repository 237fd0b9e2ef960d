//! Looks at the resolved values of every stage, at each combination of the axes that the stage mentions.

use super::graph::by_name;
use super::{borne, limits, links, overlap, people, sources};
use crate::experiment::checked::{Combination, Experiment, Stage, combinations};
use crate::experiment::diagnostic::{Code, Diagnostic};
use crate::experiment::files::Origin;
use crate::experiment::kinds::KindTable;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// A stage at one combination of the axes that it mentions.
#[derive(Debug)]
pub(super) struct Resolved<'a> {
    pub(super) experiment: &'a Experiment,
    /// Positions of the stages by name.
    pub(super) names: &'a HashMap<&'a str, usize>,
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
        let names = self.stage.needs.iter().map(|(name, _)| name.as_str());
        names.filter_map(|name| Some(&self.experiment.stages[*self.names.get(name)?]))
    }
}

/// Checks the values of all stages whose types are right.
pub(crate) fn values(experiment: &Experiment, diagnostics: &mut Vec<Diagnostic>) {
    let typed = !diagnostics
        .iter()
        .any(|diagnostic| matches!(diagnostic.code, Code::TooManyInstances));
    if !typed {
        return;
    }
    let names = by_name(experiment);
    let mut all: Vec<Resolved<'_>> = Vec::new();
    for stage in &experiment.stages {
        for at in combinations(&experiment.axes, &stage.mentions(&experiment.axes)) {
            let (params, performance) = experiment.written(stage, &at);
            match KindTable::of(stage.kind).normalize(params, performance) {
                Ok((params, _)) => all.push(Resolved {
                    experiment,
                    names: &names,
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
    let rows = Rows::new(&all);
    for resolved in &all {
        limits::check(resolved, diagnostics);
        sources::check(resolved, diagnostics);
        overlap::check(resolved, diagnostics);
        links::check(resolved, diagnostics);
        borne::check(resolved, diagnostics);
        people::check(resolved, diagnostics);
        for need in resolved.needs() {
            for &at in rows.that_meet(resolved, &need.name) {
                links::pair(resolved, &all[at], diagnostics);
            }
        }
    }
}

/// The rows of each stage by the values of the axes that they share with the users of the stage: which rows meet is looked
/// up, not searched.
struct Rows<'a> {
    /// Axes that a stage mentions.
    axes: HashMap<&'a str, BTreeSet<&'a str>>,
    /// Positions by stage and by values of some of its axes.
    rows: HashMap<(&'a str, Part<'a>), Vec<usize>>,
}

/// Values of some axes, by name.
type Part<'a> = Vec<(&'a str, usize)>;

impl<'a> Rows<'a> {
    fn new(all: &'a [Resolved<'a>]) -> Self {
        let mut rows = Self {
            axes: HashMap::new(),
            rows: HashMap::new(),
        };
        for row in all {
            let axes = row.at.keys().map(String::as_str).collect();
            rows.axes.insert(&row.stage.name, axes);
        }
        // Whatever set of axes a user and a need share is indexed once.
        let mut shared: HashMap<&str, BTreeSet<BTreeSet<&str>>> = HashMap::new();
        for user in all {
            for need in user.needs() {
                if let (Some(ours), Some(theirs)) = (
                    rows.axes.get(user.stage.name.as_str()),
                    rows.axes.get(need.name.as_str()),
                ) {
                    let both = ours.intersection(theirs).copied().collect();
                    shared.entry(&need.name).or_default().insert(both);
                }
            }
        }
        for (position, row) in all.iter().enumerate() {
            let name = row.stage.name.as_str();
            for axes in shared.get(name).into_iter().flatten() {
                let part = part(row, axes);
                rows.rows.entry((name, part)).or_default().push(position);
            }
        }
        rows
    }

    /// Positions of the rows of `need` that belong to one row of the table with `user`.
    fn that_meet(&self, user: &'a Resolved<'a>, need: &'a str) -> &[usize] {
        let (Some(ours), Some(theirs)) =
            (self.axes.get(user.stage.name.as_str()), self.axes.get(need))
        else {
            return &[];
        };
        let shared = ours.intersection(theirs).copied().collect();
        let rows = self.rows.get(&(need, part(user, &shared)));
        rows.map_or(&[], Vec::as_slice)
    }
}

fn part<'a>(row: &'a Resolved<'_>, axes: &BTreeSet<&'a str>) -> Part<'a> {
    axes.iter()
        .filter_map(|axis| Some((*axis, *row.at.get(*axis)?)))
        .collect()
}
