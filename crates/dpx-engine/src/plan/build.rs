//! From an [`Experiment`] to a [`Plan`]: expands the sweep, resolves parameters, finds the identity of sources.

use super::budget;
use super::flow::flow;
use super::instance::{Axis, Instance, InstanceId, Need, Plan, RunSettings};
use super::seed::mix;
use super::selection;
use super::sources::{Absent, SourceError, Sources};
use crate::experiment::{
    Code, Combination, Devices, Diagnostic, Experiment, KindTable, Origin, SourceRef, Stage,
    combinations, followed, source_fields,
};
use dpx_data::Source;
use dpx_schema::InstanceName;
use dpx_schema::Kind;
use petgraph::algo::toposort;
use petgraph::graph::DiGraph;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Builds the plan of an experiment.
///
/// # Errors
/// Sources that cannot be found, and parameters that do not fit their types, each with its place in the file.
pub fn build(experiment: &Experiment, sources: &dyn Sources) -> Result<Plan, Vec<Diagnostic>> {
    let needs = needs_by_position(experiment);
    let order = topological(experiment, &needs)?;
    let reach = reach(experiment, &order, &needs);
    let all_axes: BTreeSet<String> = experiment
        .axes
        .iter()
        .map(|axis| axis.name.clone())
        .collect();
    let rows = combinations(&experiment.axes, &all_axes);

    // An instance stands in the first row of the sweep that it is part of; stages in their order within a row.
    let mut slots: Vec<(usize, usize, &Stage, Combination)> = Vec::new();
    let mut seen = BTreeSet::new();
    for (row, combination) in rows.iter().enumerate() {
        for (position, &stage) in order.iter().enumerate() {
            let at: Combination = combination
                .iter()
                .filter(|(axis, _)| reach[stage].contains(*axis))
                .map(|(axis, index)| (axis.clone(), *index))
                .collect();
            if seen.insert((stage, at.clone())) {
                slots.push((row, position, &experiment.stages[stage], at));
            }
        }
    }

    let mut builder = Builder {
        experiment,
        sources,
        reach: experiment
            .stages
            .iter()
            .map(|stage| stage.name.as_str())
            .zip(&reach)
            .collect(),
        identities: BTreeMap::new(),
        ids: HashMap::new(),
        diagnostics: Vec::new(),
        absent: Vec::new(),
        instances: Vec::with_capacity(slots.len()),
    };
    for (_, _, stage, at) in slots {
        builder.add(stage, at);
    }
    builder.tell_absent();
    let Builder {
        mut diagnostics,
        instances,
        ..
    } = builder;
    diagnostics.extend(selection::check(&experiment.selection, &instances));
    if !diagnostics.is_empty() {
        let mut seen = HashSet::new();
        diagnostics.retain(|diagnostic| seen.insert(diagnostic.clone()));
        return Err(diagnostics);
    }
    Ok(Plan {
        experiment: experiment.experiment.name.clone(),
        description: experiment.experiment.description.clone(),
        seed: experiment.experiment.seed,
        axes: experiment
            .axes
            .iter()
            .map(|axis| Axis {
                name: axis.name.clone(),
                values: axis.values(),
            })
            .collect(),
        run: RunSettings {
            jobs: experiment.run.jobs,
            device: listed(experiment.run.device.as_ref()),
            devices: listed(experiment.run.devices.as_ref()),
            device_slots: experiment.run.device_slots,
        },
        instances,
    })
}

fn listed(devices: Option<&Devices>) -> Vec<String> {
    devices.map_or_else(Vec::new, |devices| devices.0.clone())
}

/// Positions of the stages, needs first; among stages that are free, the file's order.
fn topological(
    experiment: &Experiment,
    needs: &[Vec<usize>],
) -> Result<Vec<usize>, Vec<Diagnostic>> {
    let mut graph = DiGraph::<usize, ()>::new();
    let nodes: Vec<_> = (0..experiment.stages.len())
        .map(|index| graph.add_node(index))
        .collect();
    let mut users = vec![Vec::new(); needs.len()];
    for (user, needs) in needs.iter().enumerate() {
        for &need in needs {
            graph.add_edge(nodes[need], nodes[user], ());
            users[need].push(user);
        }
    }
    if let Err(cycle) = toposort(&graph, None) {
        let stage = &experiment.stages[graph[cycle.node_id()]];
        return Err(vec![Diagnostic::at(
            Code::Cycle,
            stage.origin,
            format!("`{}` needs itself", stage.name),
        )]);
    }
    // petgraph's order is any; this one is the file's as far as the needs allow.
    let mut open: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut free: BTreeSet<usize> = (0..needs.len()).filter(|&stage| open[stage] == 0).collect();
    let mut order: Vec<usize> = Vec::with_capacity(needs.len());
    while let Some(next) = free.pop_first() {
        order.push(next);
        for &user in &users[next] {
            open[user] -= 1;
            if open[user] == 0 {
                free.insert(user);
            }
        }
    }
    Ok(order)
}

/// The needs of each stage as positions; names that are no stage are left out.
fn needs_by_position(experiment: &Experiment) -> Vec<Vec<usize>> {
    let positions: HashMap<&str, usize> = experiment
        .stages
        .iter()
        .enumerate()
        .map(|(position, stage)| (stage.name.as_str(), position))
        .collect();
    experiment
        .stages
        .iter()
        .map(|stage| {
            let names = stage.needs.iter().map(|(name, _)| name.as_str());
            names
                .filter_map(|name| positions.get(name).copied())
                .collect()
        })
        .collect()
}

/// The axes that reach each stage: those that it mentions, those that reach its needs, and for stages of one split of the
/// budget those of all others in it, since they are calibrated together.
fn reach(experiment: &Experiment, order: &[usize], needs: &[Vec<usize>]) -> Vec<BTreeSet<String>> {
    let mut reach: Vec<BTreeSet<String>> = experiment
        .stages
        .iter()
        .map(|stage| stage.mentions(&experiment.axes))
        .collect();
    let split: Vec<usize> = (0..experiment.stages.len())
        .filter(|&index| {
            experiment
                .privacy
                .split
                .contains_key(&experiment.stages[index].name)
        })
        .collect();
    let shared: BTreeSet<String> = split
        .iter()
        .flat_map(|&index| reach[index].clone())
        .collect();
    for &index in &split {
        reach[index].extend(shared.iter().cloned());
    }
    for &index in order {
        for &need in &needs[index] {
            let inherited = reach[need].clone();
            reach[index].extend(inherited);
        }
    }
    reach
}

struct Builder<'a> {
    experiment: &'a Experiment,
    sources: &'a dyn Sources,
    /// Identities found so far, each with its reading, by what was asked for.
    identities: BTreeMap<String, Result<(String, Option<String>), SourceError>>,
    /// The axes that reach each stage.
    reach: HashMap<&'a str, &'a BTreeSet<String>>,
    ids: HashMap<String, BTreeMap<Combination, InstanceId>>,
    diagnostics: Vec<Diagnostic>,
    /// What is neither on this machine nor to be had, and where it is named.
    absent: Vec<(Origin, Absent)>,
    instances: Vec<Instance>,
}

impl Builder<'_> {
    fn add(&mut self, stage: &Stage, at: Combination) {
        let axes: BTreeMap<String, Value> = self
            .experiment
            .axes
            .iter()
            .filter_map(|axis| {
                let node = axis.nodes.get(*at.get(&axis.name)?)?;
                Some((axis.name.clone(), node.to_json()))
            })
            .collect();
        let Some((params, performance)) = self.resolve(stage, &at) else {
            return;
        };
        let (mut params, mut key_params, mut sources) = self.with_sources(stage, &at, params);
        if let Some(budget) = budget::of(self.experiment, stage, &mut |other| {
            let (params, _) = self.resolve(other, &at)?;
            // A budget names its mechanisms' parameters, not where files lie.
            Some(self.with_sources(other, &at, params).1)
        }) {
            params["budget"] = budget.clone();
            key_params["budget"] = budget;
        }
        let mut needs: Vec<Need> = stage
            .needs
            .iter()
            .filter_map(|(name, _)| self.need(name, &at))
            .collect();
        if stage.kind == Kind::Score && params["perplexity"] == true {
            let identity = self.base(&at, &mut needs, &mut params, &mut key_params);
            sources.extend(identity);
        }
        let inputs: Vec<_> = needs
            .iter()
            .map(|need| {
                let instance = &self.instances[need.instance];
                (instance.kind, instance.flow)
            })
            .collect();
        let seed = stage
            .seed
            .as_ref()
            .map(|node| followed(node, &self.experiment.axes, &at).to_json())
            .and_then(|value| value.as_u64())
            .unwrap_or(self.experiment.experiment.seed);
        let id = self.instances.len();
        let of_stage = self.ids.entry(stage.name.clone()).or_default();
        of_stage.insert(at, id);
        self.instances.push(Instance {
            name: self.name(stage, &axes),
            stage: stage.name.clone(),
            kind: stage.kind,
            seed: mix(seed, &axes),
            flow: flow(stage.kind, &params, &inputs),
            axes,
            params,
            performance,
            key_params,
            needs,
            sources,
        });
    }

    /// Fills in the public model that the `train` among the needs of a `score` started from; a model made by a stage becomes a
    /// need. Returns its identity and reading, by the names that they have in the key.
    fn base(
        &self,
        at: &Combination,
        needs: &mut Vec<Need>,
        params: &mut Value,
        key_params: &mut Value,
    ) -> Vec<(String, String)> {
        let Some(train) = needs
            .iter()
            .map(|need| &self.instances[need.instance])
            .find(|instance| instance.kind == Kind::Train)
        else {
            return Vec::new();
        };
        let (model, key_model) = (&train.params["model"], &train.key_params["model"]);
        params["base"] = model.clone();
        key_params["base"] = key_model.clone();
        let copied = [
            ("model".to_owned(), "base".to_owned()),
            (reading_of("model"), reading_of("base")),
        ];
        let found = copied.map(|(from, to)| Some((to, train.sources.get(&from)?.clone())));
        let made_by = model
            .as_str()
            .and_then(|model| model.strip_prefix("stage:"));
        if let Some(need) = made_by.and_then(|stage| self.need(stage, at))
            && needs.iter().all(|other| other.instance != need.instance)
        {
            needs.push(need);
        }
        found.into_iter().flatten().collect()
    }

    fn name(&self, stage: &Stage, axes: &BTreeMap<String, Value>) -> InstanceName {
        let in_file_order = self.experiment.axes.iter();
        let reaching = in_file_order.filter_map(|axis| Some((&*axis.name, axes.get(&axis.name)?)));
        InstanceName::new(&stage.name, reaching)
    }

    /// The instance of a need that belongs to the same row.
    fn need(&self, name: &str, at: &Combination) -> Option<Need> {
        let reach = self.reach.get(name)?;
        let row: Combination = at
            .iter()
            .filter(|(axis, _)| reach.contains(*axis))
            .map(|(axis, index)| (axis.clone(), *index))
            .collect();
        let instance = *self.ids.get(name)?.get(&row)?;
        Some(Need {
            stage: name.to_owned(),
            instance,
        })
    }

    /// Parameters with defaults, `[privacy]` filled in.
    fn resolve(&mut self, stage: &Stage, at: &Combination) -> Option<(Value, Value)> {
        let (params, performance) = self.experiment.written(stage, at);
        match KindTable::of(stage.kind).normalize(params, performance) {
            Ok(pair) => Some(pair),
            Err(error) => {
                self.diagnostics.push(Diagnostic::at(
                    Code::WrongType,
                    stage.origin,
                    format!("the parameters of `{}` do not fit: {error}", stage.name),
                ));
                None
            }
        }
    }

    /// What is missing for one reason, such as no network, is told once, however many stages name it.
    fn tell_absent(&mut self) {
        let mut told: Vec<(Origin, Vec<String>, String)> = Vec::new();
        for (origin, Absent { what, why }) in std::mem::take(&mut self.absent) {
            match told.iter_mut().find(|(_, _, known)| *known == why) {
                Some((_, whats, _)) if whats.contains(&what) => {}
                Some((_, whats, _)) => whats.push(what),
                None => told.push((origin, vec![what], why)),
            }
        }
        for (origin, mut whats, why) in told {
            let last = whats.pop().unwrap_or_default();
            let message = if whats.is_empty() {
                format!("{last} is not on this machine and {why}")
            } else {
                format!(
                    "{} and {last} are not on this machine and {why}",
                    whats.join(", ")
                )
            };
            self.diagnostics
                .push(Diagnostic::at(Code::BadSource, origin, message));
        }
    }

    /// Makes paths absolute for the worker, replaces them for the key, and finds the identities.
    fn with_sources(
        &mut self,
        stage: &Stage,
        at: &Combination,
        params: Value,
    ) -> (Value, Value, BTreeMap<String, String>) {
        let mut key_params = params.clone();
        let mut params = params;
        let mut identities = BTreeMap::new();
        for field in source_fields(stage.kind) {
            if !field.counts(&params) {
                continue;
            }
            let node = stage.node(field.key, &self.experiment.axes, at);
            let written = node.map_or(&[][..], |node| {
                node.as_array().unwrap_or(std::slice::from_ref(node))
            });
            let listed = params[field.key].is_array();
            let texts: Vec<String> = match &params[field.key] {
                Value::String(text) => vec![text.clone()],
                Value::Array(items) => items
                    .iter()
                    .filter_map(|item| item.as_str().map(str::to_owned))
                    .collect(),
                _ => continue,
            };
            for (index, text) in texts.iter().enumerate() {
                let Ok(source) = field.parse(text) else {
                    continue;
                };
                let node = written.iter().find(|node| node.as_str() == Some(text));
                let origin = node.map_or(stage.origin, |node| node.origin);
                let place = if listed {
                    format!("{}[{index}]", field.key)
                } else {
                    field.key.to_owned()
                };
                let source = match source {
                    SourceRef::Word(_) | SourceRef::Stage(_) => continue,
                    SourceRef::Source(Source::Path(path)) => {
                        let folder = &self.experiment.files.file(origin).folder;
                        let full = folder.join(path);
                        let full = std::path::absolute(&full).unwrap_or(full);
                        put(&mut params[field.key], index, &full.display().to_string());
                        put(&mut key_params[field.key], index, "path");
                        Source::Path(full)
                    }
                    SourceRef::Source(source) => source,
                };
                let found = self
                    .identities
                    .entry(format!("{:?} {source:?}", field.role))
                    .or_insert_with(|| {
                        let identity = self.sources.identity(field.role, &source)?;
                        let reading = self.sources.reading(field.role, &source, &identity)?;
                        Ok((identity, reading))
                    });
                match found {
                    Ok((identity, reading)) => {
                        if let Some(reading) = reading {
                            identities.insert(reading_of(&place), reading.clone());
                        }
                        identities.insert(place, identity.clone());
                    }
                    Err(error) => match error.absent() {
                        Some(absent) => self.absent.push((origin, absent.clone())),
                        None => self.diagnostics.push(Diagnostic::at(
                            Code::BadSource,
                            origin,
                            error.to_string(),
                        )),
                    },
                }
            }
        }
        (params, key_params, identities)
    }
}

/// What the reading of a source is called beside the source itself.
fn reading_of(place: &str) -> String {
    format!("{place} (tokenizer)")
}

/// Replaces a text, or one item of a list of texts.
fn put(value: &mut Value, index: usize, text: &str) {
    match value {
        Value::Array(items) => items[index] = text.into(),
        other => *other = text.into(),
    }
}
