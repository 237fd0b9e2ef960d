//! The experiment as read and checked: what the planner works from.

use super::chosen::Chosen;
use super::files::{Files, Origin};
use super::kinds::KindTable;
use super::node::{Node, Table};
use super::tables::{
    CacheTable, ExperimentTable, PrivacyTable, ReleaseTable, ReportTable, RunTable,
};
use dpx_schema::Kind;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// An experiment file that was read and checked, with everything it extends and every `--set`.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// `[experiment]`: name, description and seed.
    pub experiment: ExperimentTable,
    /// `[sweep]`, in the file's order.
    pub axes: Vec<SweepAxis>,
    /// Unit, delta, noise, budget and ledger of all stages.
    pub privacy: PrivacyTable,
    /// The names in `[privacy] selection`, where they were written.
    pub selection: Vec<Node>,
    /// Devices, workers and where they run; changes no result.
    pub run: RunTable,
    /// `[cache]`: the cache that machines share.
    pub cache: CacheTable,
    /// `[report]`: title, and published figures to compare with.
    pub report: ReportTable,
    /// What a release says besides the guarantee: language, license.
    pub release: ReleaseTable,
    /// `[stage.NAME]`, in the file's order.
    pub stages: Vec<Stage>,
    /// Numbers that dpx chose, which stand in the stages.
    pub chosen: Vec<Chosen>,
    /// The texts it was read from.
    pub files: Files,
    /// All of them laid over one another.
    pub root: Table,
}

impl Experiment {
    /// Parameters of a stage as JSON, those that can change a result and those that cannot: what the file says, with what
    /// `[privacy]` says for all stages.
    pub(crate) fn written(&self, stage: &Stage, at: &Combination) -> (Value, Value) {
        let (mut params, performance) = stage.written(&self.axes, at);
        let table = KindTable::of(stage.kind);
        for (key, value) in [
            ("delta", self.privacy.delta.map(serde_json::to_value)),
            ("noise", self.privacy.noise.map(serde_json::to_value)),
        ] {
            if let Some(Ok(value)) = value
                && table.property(key).is_some()
                && params.get(key).is_none()
            {
                params[key] = value;
            }
        }
        (params, performance)
    }
}

/// One axis of `[sweep]`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct SweepAxis {
    /// What stages refer to as `$NAME`.
    pub name: String,
    pub origin: Origin,
    /// Its values, where they were written.
    pub nodes: Vec<Node>,
}

impl SweepAxis {
    /// Its values in the file's order, as JSON.
    pub fn values(&self) -> Vec<Value> {
        self.nodes.iter().map(Node::to_json).collect()
    }
}

/// A `[stage.NAME]` as it was written: defaults are not filled in, `$axis` is not resolved.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Stage {
    pub name: String,
    pub origin: Origin,
    pub kind: Kind,
    /// Names of the stages that it reads, with the places of the names.
    pub needs: Vec<(String, Origin)>,
    /// `seed`, if the stage has one of its own.
    pub seed: Option<Node>,
    /// Its parameters, without `kind`, `needs` and `seed`.
    pub fields: Table,
}

/// One value for each of some axes: the index of the value by name of the axis.
pub(crate) type Combination = BTreeMap<String, usize>;

/// The axis that changes the seed of every stage that draws random numbers, without being mentioned.
pub(crate) const REPLICATE: &str = "replicate";

impl Stage {
    /// The axes that the stage itself mentions: in a parameter, as its `seed`, or silently `replicate`.
    pub fn mentions(&self, experiment_axes: &[SweepAxis]) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for entry in &self.fields.entries {
            references(&entry.node, &mut names);
        }
        if let Some(seed) = &self.seed {
            references(seed, &mut names);
        } else if self.draws() {
            names.insert(REPLICATE.to_owned());
        }
        names.retain(|name| experiment_axes.iter().any(|axis| axis.name == *name));
        names
    }

    /// Whether the kind draws random numbers of its own, so that a replicate of it is another one.
    pub const fn draws(&self) -> bool {
        matches!(
            self.kind,
            Kind::Train
                | Kind::Teacher
                | Kind::Counts
                | Kind::Select
                | Kind::Sample
                | Kind::Classify
        )
    }

    /// The parameters as JSON at one combination, as written: no defaults yet. Those that can change a result, then those
    /// that only change speed.
    pub fn written(&self, axes: &[SweepAxis], at: &Combination) -> (Value, Value) {
        let table = KindTable::of(self.kind);
        let mut params = Map::new();
        let mut performance = Map::new();
        for entry in &self.fields.entries {
            let value = substituted(&entry.node, axes, at);
            if table.is_performance(&entry.key) {
                performance.insert(entry.key.clone(), value);
            } else {
                params.insert(entry.key.clone(), value);
            }
        }
        (Value::Object(params), Value::Object(performance))
    }

    /// The node that gives a parameter its value at one combination: the value of the axis where it is `$axis`.
    pub fn node<'a>(
        &'a self,
        key: &str,
        axes: &'a [SweepAxis],
        at: &Combination,
    ) -> Option<&'a Node> {
        self.fields.get(key).map(|node| followed(node, axes, at))
    }
}

/// The node itself, or the value of the axis that it refers to.
pub(crate) fn followed<'a>(node: &'a Node, axes: &'a [SweepAxis], at: &Combination) -> &'a Node {
    let axis = node
        .axis()
        .and_then(|name| axes.iter().find(|axis| axis.name == name));
    axis.and_then(|axis| axis.nodes.get(*at.get(&axis.name)?))
        .unwrap_or(node)
}

fn substituted(node: &Node, axes: &[SweepAxis], at: &Combination) -> Value {
    use super::node::Value as Written;
    let node = followed(node, axes, at);
    match &node.value {
        Written::Array(items) => items
            .iter()
            .map(|item| substituted(item, axes, at))
            .collect(),
        Written::Table(table) => Value::Object(
            table
                .entries
                .iter()
                .map(|entry| (entry.key.clone(), substituted(&entry.node, axes, at)))
                .collect(),
        ),
        _ => node.to_json(),
    }
}

fn references(node: &Node, names: &mut BTreeSet<String>) {
    use super::node::Value as Written;
    match &node.value {
        Written::String(_) => names.extend(node.axis().map(str::to_owned)),
        Written::Array(items) => items.iter().for_each(|item| references(item, names)),
        Written::Table(table) => table
            .entries
            .iter()
            .for_each(|entry| references(&entry.node, names)),
        _ => {}
    }
}

/// Every combination of some axes, in the file's order; the first axis varies slowest.
pub(crate) fn combinations(axes: &[SweepAxis], names: &BTreeSet<String>) -> Vec<Combination> {
    let mut all = vec![Combination::new()];
    for axis in axes.iter().filter(|axis| names.contains(&axis.name)) {
        all = all
            .into_iter()
            .flat_map(|combination| {
                (0..axis.nodes.len()).map(move |index| {
                    let mut longer = combination.clone();
                    longer.insert(axis.name.clone(), index);
                    longer
                })
            })
            .collect();
    }
    all
}
