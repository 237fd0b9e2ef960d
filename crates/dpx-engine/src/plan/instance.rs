//! The plan: every stage instance of an experiment.

use super::Recipe;
use dpx_schema::{Digest, Key};
use dpx_schema::{InstanceName, Kind, ReleaseLabel};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Position of an instance in [`Plan::instances`].
pub type InstanceId = usize;

/// The name of the one row of a study without a sweep.
pub const WHOLE_STUDY: &str = "study";

/// One axis of `[sweep]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Axis {
    /// What parameters refer to as `$name`.
    pub name: String,
    /// Its values in the file's order: numbers, strings, booleans.
    pub values: Vec<Value>,
}

/// Settings of `[run]`: they change speed alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RunSettings {
    /// Workers at once; left out: as many as the machine bears.
    pub jobs: Option<u64>,
    /// `auto`, or a device such as `cpu` or `cuda:0`; several make several slots.
    pub device: Vec<String>,
    /// Devices that a training is divided over, instead of `device`.
    pub devices: Vec<String>,
    /// Workers that may share one device.
    pub device_slots: Option<u64>,
}

/// How many devices a worker holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeviceNeed {
    /// Nothing: it computes no tensors.
    None,
    /// A slot of any of them.
    One,
    /// A slot of each: its training is divided.
    All,
}

/// An input of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Need {
    /// Name of the stage; the input's name in keys and in the worker.
    pub stage: String,
    /// The instance that makes it.
    pub instance: InstanceId,
}

/// A stage at one combination of the axes that reach it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Instance {
    /// The name that the cache, the journal and messages have for it, such as `train@epsilon=8`.
    pub name: InstanceName,
    /// NAME of `[stage.NAME]`.
    pub stage: String,
    pub kind: Kind,
    /// Values of the axes that reach it, by name.
    pub axes: BTreeMap<String, Value>,
    /// Resolved parameters for the worker, defaults filled in, paths absolute.
    pub params: Value,
    /// Resolved parameters that only change speed.
    pub performance: Value,
    /// The parameters as the key covers them: paths replaced by `path`, since the content counts instead.
    pub key_params: Value,
    /// Seed of the experiment mixed with the axes that reach the instance.
    pub seed: u64,
    /// The instances it reads, in the order of `needs`.
    pub needs: Vec<Need>,
    /// Identity (digest, commit) of each model and dataset it reads, by parameter.
    pub sources: BTreeMap<String, String>,
    /// What its artifact may reveal, joined over everything it reads.
    pub flow: ReleaseLabel,
}

impl Instance {
    /// Whether it computes with tensors and therefore holds a device slot while it runs. Preprocessing does where a model
    /// scrubs.
    pub fn uses_device(&self) -> bool {
        let by_model = |scrubber: &Value| {
            let name = scrubber.as_str();
            name.is_some_and(|name| !matches!(name, "none" | "rules"))
        };
        let scrubbers = self.params.get("scrub").and_then(Value::as_array);
        let scrubs = scrubbers.is_some_and(|list| list.iter().any(by_model));
        self.kind.uses_device() || (self.kind == Kind::Preprocess && scrubs)
    }

    /// How many devices it holds while it runs, where trainings are divided over all of them, or not.
    pub(crate) fn device_need(&self, divided: bool) -> DeviceNeed {
        if divided && self.kind == Kind::Train {
            DeviceNeed::All
        } else if self.uses_device() {
            DeviceNeed::One
        } else {
            DeviceNeed::None
        }
    }

    /// Whether a name means this instance: its own, or some of its axes, such as `epsilon=3`.
    pub fn is_named(&self, name: &str) -> bool {
        self.name == *name
            || self.name.split_once('@').is_some_and(|(_, axes)| {
                name.split(',')
                    .all(|part| axes.split(',').any(|axis| axis == part))
            })
    }

    /// Everything that the key covers but the inputs.
    pub(crate) fn recipe(&self) -> Recipe<'_> {
        Recipe {
            kind: self.kind,
            kind_version: self.kind.version(),
            seed: self.seed,
            params: &self.key_params,
            sources: &self.sources,
        }
    }

    /// The key, given the digest of each input's content by stage name.
    pub fn key(&self, inputs: &BTreeMap<String, Digest>) -> Key {
        self.recipe().key(inputs)
    }
}

/// Every stage instance of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Plan {
    /// Also the folder of its results, `results/NAME/`.
    pub experiment: String,
    /// What the study is about, in the words of `[experiment] description`.
    pub description: Option<String>,
    /// `[experiment] seed`, from which every instance derives its own.
    pub seed: u64,
    /// The axes in the file's order; the first varies slowest.
    pub axes: Vec<Axis>,
    pub run: RunSettings,
    /// The instances. Needs stand before their users, and the instances of one row of the sweep stand together, so that
    /// working from the front finishes one row early.
    pub instances: Vec<Instance>,
}

impl Plan {
    /// The instance of a full name, such as `train@epsilon=8`.
    pub fn find(&self, name: &str) -> Option<InstanceId> {
        self.instances
            .iter()
            .position(|instance| instance.name == name)
    }

    /// Whether the name of a row means an instance, as [`Instance::is_named`] does; the one row of a study without a sweep has a
    /// name, too.
    pub fn is_in_row(&self, id: InstanceId, row: &str) -> bool {
        self.instances[id].is_named(row) || (row == WHOLE_STUDY && self.axes.is_empty())
    }

    /// Everything that an instance reads, directly or not; not the instance itself.
    pub fn ancestors(&self, id: InstanceId) -> BTreeSet<InstanceId> {
        let mut found = BTreeSet::new();
        let mut open = vec![id];
        while let Some(next) = open.pop() {
            let needs = self.instances[next].needs.iter();
            open.extend(
                needs
                    .map(|need| need.instance)
                    .filter(|need| found.insert(*need)),
            );
        }
        found
    }

    /// The instances that a name means: one instance (`train@epsilon=8`) or all of a stage (`train`).
    pub fn matching(&self, name: &str) -> Vec<InstanceId> {
        (0..self.instances.len())
            .filter(|&id| {
                let instance = &self.instances[id];
                instance.name == name || instance.stage == name
            })
            .collect()
    }
}
