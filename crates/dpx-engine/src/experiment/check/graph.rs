//! The needs: known, free of cycles, and of kinds that the stage can read.

use crate::experiment::checked::{Experiment, Stage, SweepAxis};
use crate::experiment::diagnostic::{Code, Diagnostic};
use crate::experiment::files::Origin;
use crate::experiment::node::Node;
use crate::experiment::read::MOST_INSTANCES;
use crate::experiment::suggest::{MOST_SHOWN, Suggestion, alternatives, suggest};
use dpx_schema::Kind;
use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;
use std::collections::{HashMap, HashSet};

/// Checks the graph of the stages.
pub(crate) fn graph(experiment: &Experiment, diagnostics: &mut Vec<Diagnostic>) {
    let names = by_name(experiment);
    for stage in &experiment.stages {
        needs(stage, experiment, &names, diagnostics);
    }
    cycles(experiment, &names, diagnostics);
    long_names(experiment, diagnostics);
    let rows: usize = experiment
        .axes
        .iter()
        .map(|axis| axis.nodes.len().max(1))
        .fold(1, usize::saturating_mul);
    let most = rows.saturating_mul(experiment.stages.len());
    if let Some(axis) = experiment.axes.first().filter(|_| most > MOST_INSTANCES) {
        diagnostics.push(
            Diagnostic::at(
                Code::TooManyInstances,
                axis.origin,
                format!(
                    "the sweep has {rows} combinations of {} stages: more than {MOST_INSTANCES} instances",
                    experiment.stages.len()
                ),
            )
            .help("split the sweep over several files"),
        );
    }
}

/// Most bytes of a row's name with that of its stage. It names files and folders, which may have 255, endings included.
const LONGEST_NAME: usize = 200;

/// Refuses names that no file system takes, before anything runs.
fn long_names(experiment: &Experiment, diagnostics: &mut Vec<Diagnostic>) {
    // In file names whatever is no plain letter takes one byte, in others as many as it has.
    let shown = |node: &Node| {
        node.as_str()
            .map_or_else(|| node.to_json().to_string().len(), str::len)
    };
    let axes: Vec<(usize, &SweepAxis, Option<&Node>)> = experiment
        .axes
        .iter()
        .map(|axis| {
            let longest = axis.nodes.iter().max_by_key(|node| shown(node));
            let length = axis.name.len() + longest.map_or(0, shown) + 2;
            (length, axis, longest)
        })
        .collect();
    let row: usize = axes.iter().map(|(length, ..)| length).sum();
    let stage = experiment
        .stages
        .iter()
        .max_by_key(|stage| stage.name.len());
    let own = stage.map_or(0, |stage| stage.name.len());
    if row + own <= LONGEST_NAME {
        return;
    }
    let problem = format!(
        "the longest name of an instance has {} bytes, and file names must do with {LONGEST_NAME}",
        row + own
    );
    let diagnostic = match (axes.iter().max_by_key(|(length, ..)| length), stage) {
        (Some((length, axis, longest)), _) if *length >= own => {
            let origin = longest.map_or(axis.origin, |node| node.origin);
            Diagnostic::at(Code::BadName, origin, problem).help(format!(
                "values of an axis name rows: shorten those of `{}`, or give each a stage of its own",
                axis.name
            ))
        }
        (_, Some(stage)) => Diagnostic::at(Code::BadName, stage.origin, problem)
            .help("give the stage a shorter name"),
        (..) => return,
    };
    diagnostics.push(diagnostic);
}

/// Positions of the stages by name.
pub(super) fn by_name(experiment: &Experiment) -> HashMap<&str, usize> {
    let stages = experiment.stages.iter().enumerate();
    stages
        .map(|(position, stage)| (stage.name.as_str(), position))
        .collect()
}

fn needs(
    stage: &Stage,
    experiment: &Experiment,
    names: &HashMap<&str, usize>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut found: Vec<&Stage> = Vec::new();
    let mut all_known = true;
    for (name, origin) in &stage.needs {
        let Some(need) = names.get(name.as_str()).map(|&at| &experiment.stages[at]) else {
            all_known = false;
            let others = experiment
                .stages
                .iter()
                .map(|other| other.name.as_str())
                .filter(|other| *other != stage.name);
            let diagnostic = Diagnostic::at(
                Code::UnknownNeed,
                *origin,
                format!("`{}` needs `{name}`, which is no stage", stage.name),
            );
            let suggestion = suggest(diagnostics.len(), name, others);
            diagnostics.push(match suggestion {
                Some(Suggestion::Near(near)) => diagnostic
                    .help(format!("did you mean `{near}`?"))
                    .fix(*origin, format!("\"{near}\"")),
                Some(Suggestion::List(stages)) => diagnostic.help(format!("stages: {stages}")),
                None => diagnostic,
            });
            continue;
        };
        let reads = stage.kind.reads();
        if !reads.contains(&need.kind) {
            let mut diagnostic = Diagnostic::at(
                Code::UnreadableNeed,
                *origin,
                format!(
                    "`{}` cannot read `{name}`: kind `{}` does not read what kind `{}` makes",
                    stage.name, stage.kind, need.kind
                ),
            )
            .context(need.origin, format!("kind `{}`", need.kind));
            diagnostic = if reads.is_empty() {
                diagnostic.help(format!("kind `{}` needs nothing", stage.kind))
            } else {
                let names = reads.iter().map(|kind| kind.name());
                diagnostic.help(format!("it reads {}", alternatives(names)))
            };
            if stage.kind == Kind::Sample && need.kind == Kind::Preprocess {
                diagnostic = diagnostic.help(
                    "the model is all that sampling may see: it carries the declared labels and the prompt",
                );
            }
            diagnostics.push(diagnostic);
            continue;
        }
        found.push(need);
    }
    if all_known {
        missing(stage, &found, diagnostics);
    }
    ambiguous(stage, &found, diagnostics);
}

/// Kinds without which a stage cannot work.
fn missing(stage: &Stage, found: &[&Stage], diagnostics: &mut Vec<Diagnostic>) {
    let lacks = |kinds: &[Kind]| !found.iter().any(|need| kinds.contains(&need.kind));
    let mut report = |kinds: &[Kind]| {
        diagnostics.push(
            Diagnostic::at(
                Code::MissingNeed,
                stage.origin,
                format!(
                    "`{}`, of kind `{}`, needs a stage of kind {}",
                    stage.name,
                    stage.kind,
                    alternatives(kinds.iter().map(|kind| kind.name()))
                ),
            )
            .help("name it in `needs = [...]`"),
        );
    };
    let required = stage.kind.requires();
    // A model may come from either; real and synthetic texts are both needed to compare them, or to vote.
    if stage.kind.requires_all() {
        for kind in required {
            if lacks(&[*kind]) {
                report(&[*kind]);
            }
        }
    } else if !required.is_empty() && lacks(required) {
        report(required);
    }
}

/// Two needs of which the stage could only use one.
fn ambiguous(stage: &Stage, found: &[&Stage], diagnostics: &mut Vec<Diagnostic>) {
    const WRITERS: &[Kind] = &[Kind::Train, Kind::Pretrain, Kind::Sample];
    let groups: &[(&[Kind], &str)] = match stage.kind {
        Kind::Train | Kind::Counts | Kind::Teacher => &[
            (&[Kind::Preprocess], "a source of private texts"),
            (&[Kind::Pretrain], "a base model"),
            (&[Kind::Counts], "a source of noisy counts"),
        ],
        Kind::Select => &[
            (&[Kind::Preprocess], "a source of private texts"),
            (&[Kind::Sample], "a pool"),
        ],
        // Of its noisy counts one more may be there whose words are matched: see `links`.
        Kind::Sample => &[
            (WRITERS, "a source of texts"),
            (&[Kind::Teacher], "a teacher"),
            (&[Kind::Select], "a source of votes"),
        ],
        Kind::Classify => &[
            (&[Kind::Preprocess], "a source of real texts"),
            (&[Kind::Teacher], "a teacher"),
        ],
        Kind::Score => &[
            (&[Kind::Preprocess], "a source of real texts"),
            (&[Kind::Sample], "a source of synthetic texts"),
        ],
        Kind::Audit => &[(&[Kind::Train], "a trained model")],
        Kind::Preprocess | Kind::Pretrain => &[],
    };
    for (kinds, what) in groups {
        let mut of_kind = found.iter().filter(|need| kinds.contains(&need.kind));
        if let (Some(first), Some(second)) = (of_kind.next(), of_kind.next()) {
            let origin = |wanted: &Stage| {
                stage
                    .needs
                    .iter()
                    .find(|(name, _)| *name == wanted.name)
                    .map_or(stage.origin, |(_, origin)| *origin)
            };
            diagnostics.push(
                Diagnostic::at(
                    Code::AmbiguousNeed,
                    origin(second),
                    format!(
                        "`{}` has both `{}` and `{}` as {what}",
                        stage.name, first.name, second.name
                    ),
                )
                .context(origin(first), "the first")
                .help("keep one of the two; the other can feed a stage of its own"),
            );
        }
    }
}

fn cycles(
    experiment: &Experiment,
    names: &HashMap<&str, usize>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut graph = DiGraph::<usize, ()>::new();
    let nodes: Vec<_> = (0..experiment.stages.len())
        .map(|index| graph.add_node(index))
        .collect();
    for (user, stage) in experiment.stages.iter().enumerate() {
        for (name, _) in &stage.needs {
            if let Some(&need) = names.get(name.as_str()) {
                graph.add_edge(nodes[user], nodes[need], ());
            }
        }
    }
    for component in tarjan_scc(&graph) {
        let mut members: Vec<usize> = component.iter().map(|node| graph[*node]).collect();
        members.sort_unstable();
        let first = &experiment.stages[members[0]];
        let with_itself = members.len() == 1 && first.needs.iter().any(|(n, _)| *n == first.name);
        if members.len() < 2 && !with_itself {
            continue;
        }
        let path = walk_cycle(experiment, names, &members);
        let mut diagnostic = Diagnostic::at(
            Code::Cycle,
            path[0].1,
            format!("stages need each other in a circle: {}", circle(&path)),
        );
        for (_, origin) in path[1..].iter().take(MOST_SHOWN) {
            diagnostic = diagnostic.context(*origin, "and here");
        }
        diagnostics.push(diagnostic.help("remove one of these needs"));
    }
}

/// `` `a` -> `b` -> `a` ``; a long one is cut.
fn circle(path: &[(String, Origin)]) -> String {
    let mut names: Vec<String> = path
        .iter()
        .take(MOST_SHOWN)
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    if path.len() > MOST_SHOWN {
        names.push(format!("{} more", path.len() - MOST_SHOWN));
    }
    names.push(format!("`{}`", path[0].0));
    names.join(" -> ")
}

/// One circle through the first of some stages that all reach each other: each stage with the place of its need.
fn walk_cycle(
    experiment: &Experiment,
    names: &HashMap<&str, usize>,
    members: &[usize],
) -> Vec<(String, Origin)> {
    let inside: HashSet<usize> = members.iter().copied().collect();
    let mut path: Vec<(String, Origin)> = Vec::new();
    let mut visited: HashMap<usize, usize> = HashMap::new();
    let mut at = members[0];
    loop {
        let stage = &experiment.stages[at];
        if let Some(start) = visited.insert(at, path.len()) {
            return path.split_off(start);
        }
        let next = stage.needs.iter().find_map(|(name, origin)| {
            let member = *names.get(name.as_str())?;
            inside.contains(&member).then_some((member, *origin))
        });
        let Some((member, origin)) = next else {
            return vec![(stage.name.clone(), stage.origin)];
        };
        path.push((stage.name.clone(), origin));
        at = member;
    }
}
