//! The tables of an experiment file other than `[stage.NAME]` and `[sweep]`. These types are their schema.

use super::executor::ExecutorTable;
use dpx_schema::params::{Delta, NoiseMode};
use dpx_schema::{Budget, Unit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `[experiment]`: what the study is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExperimentTable {
    /// Name of the experiment and of its folder in `results/`.
    pub name: String,
    /// The seed of everything that is reproducible; secret noise is not.
    #[serde(default = "seed")]
    #[schemars(range(min = 0))]
    pub seed: u64,
    /// A sentence for the report.
    #[serde(default)]
    pub description: Option<String>,
    /// Another experiment file, merged under this one key by key; the path starts from this file's folder.
    #[serde(default)]
    pub extends: Option<String>,
}

const fn seed() -> u64 {
    42
}

/// `[privacy]`: what holds for every private stage.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrivacyTable {
    /// What is protected: `example`, each record by itself, or `user`, each person with all of their records
    /// (`[stage.preprocess] unit_column` says whose a record is).
    #[serde(default)]
    pub unit: Unit,
    /// The failure probability of every private stage that does not state its own.
    #[serde(default)]
    pub delta: Option<Delta>,
    /// Where the noise of every private stage comes from that does not state it itself.
    #[serde(default)]
    pub noise: Option<NoiseMode>,
    /// One budget for several stages of a row: the share of each in the sum of 1/sigma^2.
    #[serde(default)]
    pub split: BTreeMap<String, f64>,
    /// What may be spent of the same people in all, such as `{ epsilon = 10, delta = 1e-6 }`: by this study and by every other
    /// that the ledger knows. `dpx plan` shows what the study would spend of it.
    #[serde(default)]
    pub budget: Option<Budget>,
    /// What is held to `budget`: `release` refuses a release that would exceed it; `train` also refuses a run, before it looks at
    /// the data.
    #[serde(default)]
    pub enforce: Enforce,
    /// Rows that will be released, named before anything runs, such as `["epsilon=3"]`: a release of exactly these costs nothing
    /// for having been chosen. Without it, a release also states what choosing among all rows that were scored costs.
    #[serde(default)]
    pub selection: Vec<String>,
    /// Folder of the ledger, for several people or machines that share one; the path starts from the folder of the experiment
    /// file. Left out: in the state folder (`--state-dir`). `--ledger` goes before it.
    #[serde(default)]
    pub ledger: Option<String>,
}

/// What `[privacy] budget` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Enforce {
    /// Releases alone.
    #[default]
    Release,
    /// Runs as well.
    Train,
}

/// `[run]`: what only changes speed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunTable {
    /// Workers at once; left out: as many as the machine bears.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1024))]
    pub jobs: Option<u64>,
    /// `auto`, `cpu`, `wgpu`, `cuda`, or one by number such as `cuda:1`; or a list of these, each a slot of its own.
    #[serde(default)]
    pub device: Option<Devices>,
    /// Devices of one class, such as `["cuda:0", "cuda:1"]`, that a training is divided over, instead of `device`: `train` computes on
    /// all of them at once, with the result and the guarantee of one; every other stage takes one of them. `["cpu", "cpu"]` divides
    /// the threads.
    #[serde(default)]
    pub devices: Option<Devices>,
    /// Workers that may share one device.
    #[serde(default)]
    #[schemars(range(min = 1, max = 64))]
    pub device_slots: Option<u64>,
    /// Who starts workers, and what they are given; left out: this machine.
    #[serde(default)]
    pub executor: Option<ExecutorTable>,
}

/// `[cache]`: a cache that machines share. Nothing here can change a result.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheTable {
    /// Where it is: `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`, `https://HOST/PATH` (WebDAV), or
    /// `file:///PATH`. What this machine lacks is fetched from there, and what it makes is sent there. `--remote` goes before it.
    #[serde(default)]
    pub remote: Option<String>,
    /// File with the key of everybody who shares it; the path starts from the folder of the experiment file. `dpx cache key FILE`
    /// makes one. `--cache-key` and the variable DPX_CACHE_KEY go before it.
    #[serde(default)]
    pub key_file: Option<String>,
    /// Whether artifacts that hold private texts, or figures measured on them, are shared as well. Everything is encrypted. Secret
    /// keys of noise and ledgers are never shared.
    #[serde(default)]
    pub private: bool,
    /// Whether nothing is sent.
    #[serde(default)]
    pub readonly: bool,
}

/// One device or several.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Devices(pub Vec<String>);

impl<'de> Deserialize<'de> for Devices {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_or_list(deserializer).map(Self)
    }
}

impl JsonSchema for Devices {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Devices".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        word_or_list()
    }
}

/// `[report]`: what the report shows beside the figures.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportTable {
    /// Its title; left out: the name of the experiment.
    #[serde(default)]
    pub title: Option<String>,
    /// Published figures to compare with.
    #[serde(default)]
    pub reference: Option<Reference>,
}

/// `[release]`: what the dataset card of a release says that dpx cannot know.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseTable {
    /// License of the released texts, by its identifier on the Hugging Face Hub, such as `cc-by-4.0`; left out: `other`.
    #[serde(default)]
    pub license: Option<String>,
    /// Name of the license where `license = "other"`.
    #[serde(default)]
    pub license_name: Option<String>,
    /// Language of the texts as a code of ISO 639, such as `en`, or a list of them; left out: the card claims none.
    #[serde(default)]
    pub language: Option<Languages>,
}

/// One language or several.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Languages(pub Vec<String>);

impl<'de> Deserialize<'de> for Languages {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_or_list(deserializer).map(Self)
    }
}

impl JsonSchema for Languages {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Languages".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        word_or_list()
    }
}

fn one_or_list<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    // The same forms as a scrubber: one word or a list.
    match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(one) => Ok(vec![one]),
        list => serde_json::from_value(list).map_err(serde::de::Error::custom),
    }
}

fn word_or_list() -> schemars::Schema {
    schemars::json_schema!({
        "oneOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
    })
}

/// `[report.reference]`: published figures.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Where they come from.
    #[serde(default)]
    pub source: Option<String>,
    /// The data set that they were measured on, named as in `dataset` of `preprocess`: a study of other data leaves them out, since figures of two data sets have no common axis.
    #[serde(default)]
    pub dataset: Option<String>,
    /// Accuracy of a classifier trained on the real texts.
    #[serde(default)]
    pub benchmark: Option<f64>,
    /// Accuracy on the real test texts by epsilon, such as `{ inf = 0.861, 8 = 0.592 }`.
    #[serde(default)]
    pub accuracy: BTreeMap<String, f64>,
    /// Semantic similarity by epsilon.
    #[serde(default)]
    pub similarity: BTreeMap<String, f64>,
}
