//! The study: everything that tables, charts, files and comparisons are made from. Its JSON is `results.json`.

use crate::facts::{Facts, Written};
use dpx_accounting::{Certified, DeltaBound, EpsilonBound};
use dpx_schema::{InstanceName, Kind, ReleaseLabel, Unit};
use dpx_schema::{NoiseSource, PrivacyRecord, PrivateRun};
use dpx_stages::audit::AuditReport;
use dpx_stages::metric::{Classification, Interval, Spread};
use dpx_stages::score::Scores;
use dpx_stages::scrub::Tally;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A study, finished or not: the content of `results.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Study {
    /// Version of this format: raised when a field is removed or changes its meaning, not when one is added.
    pub schema_version: u32,
    /// The dpx that wrote it, such as `0.1.0`.
    pub dpx_version: String,
    pub experiment: String,
    pub title: String,
    /// `[experiment] description`.
    pub description: Option<String>,
    /// `[experiment] seed`.
    pub seed: u64,
    pub axes: Vec<Axis>,
    /// In the declared order.
    pub labels: Vec<String>,
    /// Parameters by dotted name, such as `stage.train.epochs`; a list where they differ between instances.
    #[serde(default)]
    pub settings: BTreeMap<String, Value>,
    /// Instances of the plan that are finished.
    pub finished: u64,
    /// Instances of the plan.
    pub planned: u64,
    /// The classifier trained on the real texts.
    pub benchmark: Option<Row>,
    /// One row per combination of the sweep's axes but replicates, in the sweep's order.
    pub rows: Vec<Row>,
    /// The floor: every text gets the label most frequent in the training texts, or in the test texts where those are unknown.
    pub majority: Option<Classification>,
    /// What releasing every row with a guarantee costs.
    pub joint: Option<Joint>,
    /// Published figures to compare with, where the experiment file names some.
    pub reference: Option<Reference>,
    /// Personal data that scrubbing replaced, by `preprocess` instance; internal.
    #[serde(default)]
    pub scrubbing: BTreeMap<InstanceName, Tally>,
    /// What was found in the data and in the texts that a model wrote, by instance: rows that repeat, texts that were cut,
    /// labels without a text, files that were not read; internal.
    #[serde(default)]
    pub findings: BTreeMap<InstanceName, Vec<String>>,
    /// Numbers of texts, date, devices, time: what a reader asks first.
    #[serde(default)]
    pub facts: Facts,
    /// Public inputs that are declared to hold texts of the private data.
    #[serde(default)]
    pub declared_overlap: Vec<String>,
    /// Whether it is a rehearsal: public stand-in texts take the place of the private data.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rehearsal: bool,
    /// Every instance of the plan, in its order.
    pub instances: Vec<InstanceView>,
}

impl Study {
    /// The [`Study::schema_version`] that this program writes.
    pub const SCHEMA_VERSION: u32 = 2;

    /// What the study protects, as far as anything ran that does.
    pub fn unit(&self) -> Unit {
        let mut mechanisms = self.rows.iter().flat_map(|row| &row.guarantee.mechanisms);
        mechanisms
            .next()
            .map_or_else(Unit::default, |mechanism| mechanism.record.unit)
    }

    /// Whether every instance of the plan is finished.
    pub const fn is_finished(&self) -> bool {
        self.finished == self.planned
    }

    /// The rows, the benchmark first.
    pub(crate) fn all_rows(&self) -> impl Iterator<Item = &Row> {
        self.benchmark.iter().chain(&self.rows)
    }

    /// The encoder that similarity was measured with.
    pub fn encoder(&self) -> Option<&str> {
        self.rows
            .iter()
            .find_map(|row| row.scores.as_ref())
            .map(|scores| scores.encoder.as_str())
    }
}

/// One axis of `[sweep]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Axis {
    pub name: String,
    pub values: Vec<Value>,
}

/// One row of the study: a combination of the axes, its replicates taken together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its name: `epsilon=8`, or `benchmark`.
    pub name: String,
    /// Short name for charts: `8`, `inf`.
    pub label: String,
    /// The value of each axis, by the axis' name.
    pub axes: BTreeMap<String, Value>,
    /// Whether and what the row promises.
    pub guarantee: Guarantee,
    /// Replicates that the plan has of it, finished or not.
    pub replicates: u64,
    /// Replicates with at least one figure.
    pub replicates_finished: u64,
    /// Whether every instance of the row is finished.
    pub complete: bool,
    /// Figures by name: mean, standard deviation and number over the replicates. Beside the names of
    /// [`METRICS`](super::metric::METRICS) there are `f1.LABEL`, `share.LABEL`, `replayed.KIND` and `facts.TEXTS`.
    pub figures: BTreeMap<String, Spread>,
    /// Ceilings by the figure's name: the same figure of as many real texts.
    pub ceilings: BTreeMap<String, f64>,
    /// Values of each replicate by the figure's name, in the order of the replicates.
    pub values: BTreeMap<String, Vec<f64>>,
    /// 95% bootstrap intervals over the test texts by the figure's name, where there is one run of the row: with replicates the
    /// standard deviation says more.
    #[serde(default)]
    pub intervals: BTreeMap<String, Interval>,
    /// What bags of words teach at the row's budget.
    #[serde(default)]
    pub floor: Option<Floor>,
    /// What happened while the row's texts were written, all replicates together.
    #[serde(default)]
    pub written: Option<Written>,
    /// Classifications, summed over the replicates.
    pub classifications: Vec<RowClassification>,
    /// Everything that `score` found in the first replicate.
    pub scores: Option<Scores>,
    /// What the audit found in the first replicate that has one.
    pub audit: Option<Audit>,
    /// Instances that belong to this row alone.
    pub instances: Vec<InstanceName>,
    /// Seconds of all of them, where known.
    pub seconds: f64,
    /// Synthetic artifacts, one per sample stage and replicate.
    pub samples: Vec<SampleRef>,
}

impl Row {
    /// The name of the row of the classifier that learns from the real texts.
    pub(crate) const BENCHMARK: &'static str = "benchmark";

    pub(crate) fn is_benchmark(&self) -> bool {
        self.name == Self::BENCHMARK
    }

    /// The utility shown first: prompted labels, else those of the teacher, else the teacher alone.
    pub(crate) fn main_accuracy(&self) -> Option<(&'static str, Spread)> {
        [
            "accuracy",
            "accuracy_with_teacher",
            "accuracy_teacher_alone",
        ]
        .into_iter()
        .find_map(|id| self.figures.get(id).map(|spread| (id, *spread)))
    }

    /// The classification shown first.
    pub(crate) fn main_classification(&self) -> Option<&RowClassification> {
        [
            Role::Benchmark,
            Role::OwnLabels,
            Role::WithTeacher,
            Role::TeacherAlone,
        ]
        .into_iter()
        .find_map(|role| self.classifications.iter().find(|found| found.role == role))
    }
}

/// What a row promises, and what that follows from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Guarantee {
    pub kind: GuaranteeKind,
    /// The budget that was asked for: `"8"`, `"inf"`, `"0"`.
    pub target: Option<String>,
    /// The certified upper bound of epsilon.
    pub epsilon: Option<EpsilonBound>,
    pub delta: Option<DeltaBound>,
    /// The certified bound with the figure of each accountant, everything behind the row composed.
    pub certified: Option<Certified>,
    /// The mechanisms behind the row, one per private stage.
    pub mechanisms: Vec<MechanismView>,
    /// Epsilon of the whole row for several records of one person, as (size, epsilon).
    pub groups: Vec<(u64, EpsilonBound)>,
    /// The records of every private instance behind the row, all its replicates: what a joint claim counts.
    #[serde(skip)]
    pub records: Vec<PrivacyRecord>,
}

impl Guarantee {
    /// No guarantee, and nothing behind it: real texts.
    pub const fn none() -> Self {
        Self {
            kind: GuaranteeKind::None,
            target: None,
            epsilon: None,
            delta: None,
            certified: None,
            mechanisms: Vec::new(),
            groups: Vec::new(),
            records: Vec::new(),
        }
    }
}

/// What a row promises, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuaranteeKind {
    /// Differential privacy with secret noise; `holds` in results of before.
    #[serde(alias = "holds")]
    Dp,
    /// No private data was read: the base model, not fine-tuned.
    Untouched,
    /// Noise from the experiment's seed: anybody can subtract it.
    Seeded,
    /// Nothing: real texts, or private data without noise.
    None,
    /// Not known before the stages behind it have run.
    Unknown,
}

impl GuaranteeKind {
    /// In words, as tables and pages show it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Dp => "differentially private",
            Self::Untouched => "base model, no private data used",
            Self::Seeded => "none (seeded noise)",
            Self::None => "none",
            Self::Unknown => "not run yet",
        }
    }
}

/// One mechanism, as the record of its stage tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct MechanismView {
    pub instance: InstanceName,
    pub kind: Kind,
    /// Certified upper bound of its own epsilon, at the study's delta.
    pub epsilon: EpsilonBound,
    /// The Rényi accountant's upper bound.
    pub epsilon_rdp: EpsilonBound,
    /// The PRV accountant's lower bound.
    pub epsilon_prv_lower: f64,
    /// The PRV accountant's upper bound.
    pub epsilon_prv_upper: EpsilonBound,
    pub delta: DeltaBound,
    /// Noise multiplier; none where several were used.
    pub noise_multiplier: Option<f64>,
    /// Sampling rate; 1 for a mechanism over all data.
    pub sampling_rate: Option<f64>,
    /// Noisy sums that were taken; none where several mechanisms ran.
    pub steps: Option<u64>,
    /// Bound on the norm of one example's gradient.
    pub max_grad_norm: f64,
    /// In words.
    pub adjacency: String,
    /// In words.
    pub unit: String,
    pub noise: NoiseSource,
    /// The statement in full, as the page prints it.
    pub statement: String,
    /// Epsilon for groups, as (size, epsilon).
    pub groups: Vec<(u64, EpsilonBound)>,
    /// The record that all of this was read from.
    pub record: PrivateRun,
}

/// What releasing rows together costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Joint {
    /// The certified upper bound of releasing all of them.
    pub epsilon: EpsilonBound,
    /// At which the joint epsilon is stated.
    pub delta: DeltaBound,
    /// Labels of the rows under the joint claim.
    pub rows: Vec<String>,
    /// In a sentence: how it was computed.
    pub method: String,
}

/// Published figures to compare with, from `[report.reference]`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Reference {
    /// Who published them, and where.
    pub source: Option<String>,
    /// The data set that they were measured on.
    #[serde(default)]
    pub dataset: Option<String>,
    /// Accuracy of a classifier trained on the real texts.
    pub benchmark: Option<f64>,
    /// Accuracy by epsilon, as the file writes it.
    pub accuracy: BTreeMap<String, f64>,
    /// Semantic similarity by epsilon, as the file writes it.
    pub similarity: BTreeMap<String, f64>,
}

/// What a classifier learns from bags of words, drawn from one private histogram at a row's budget: less than a working model
/// teaches it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// Accuracy on the real test texts.
    pub accuracy: f64,
    /// Mean of the F1 of all labels there.
    pub macro_f1: f64,
    /// Bags of words that it learnt from.
    pub texts: u64,
}

/// What a classifier learnt from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub enum Role {
    Benchmark,
    /// Synthetic texts with the labels that the generator was asked for.
    OwnLabels,
    /// Synthetic texts that a private teacher labelled anew or filtered.
    WithTeacher,
    /// The teacher itself, no synthetic text.
    TeacherAlone,
}

impl Role {
    /// What is added to `accuracy` and `macro_f1` for the figure's name.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Benchmark | Self::OwnLabels => "",
            Self::WithTeacher => "_with_teacher",
            Self::TeacherAlone => "_teacher_alone",
        }
    }

    /// In words, as tables and pages show it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Benchmark => "trained on the real texts",
            Self::OwnLabels => "prompted labels",
            Self::WithTeacher => "with teacher",
            Self::TeacherAlone => "teacher alone",
        }
    }
}

/// What one `classify` stage says of a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct RowClassification {
    pub stage: String,
    pub role: Role,
    /// The figures of all replicates' predictions together.
    pub figures: Classification,
}

/// What an audit of a row's model found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// The lower bound of epsilon, at `confidence`.
    pub lower: f64,
    /// The largest lower bound that it could have found.
    pub ceiling: f64,
    /// Probability with which the lower bound holds, such as 0.95.
    pub confidence: f64,
    /// Canaries drawn, those that a coin kept out of training included.
    pub canaries: u64,
    /// The report of the stage in full.
    pub report: AuditReport,
}

impl From<AuditReport> for Audit {
    fn from(report: AuditReport) -> Self {
        Self {
            lower: report.epsilon_lower,
            ceiling: report.largest_possible,
            confidence: report.confidence,
            canaries: report.canaries,
            report,
        }
    }
}

/// A stage instance, as tables of instances show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct InstanceView {
    /// Stage and place in the sweep, such as `train@epsilon=8`.
    pub name: InstanceName,
    pub stage: String,
    pub kind: Kind,
    /// Names of the instances that it reads.
    pub needs: Vec<InstanceName>,
    pub state: InstanceState,
    pub seconds: Option<f64>,
    /// The device that it really ran on; none where no tensors are computed.
    pub device: Option<String>,
    /// RFC 3339.
    pub finished_at: Option<String>,
    pub flow: ReleaseLabel,
    /// Version of dpx that ran it.
    pub dpx_version: Option<String>,
    /// Version of its kind's meaning: raised where the same parameters would give something else.
    #[serde(default)]
    pub kind_version: Option<u32>,
    /// Its key. Internal: derived from private content.
    pub key: Option<String>,
}

/// How far an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub enum InstanceState {
    /// Its record was there before the run.
    Cached,
    Ran,
    Failed,
    /// No record, and no failure in this run.
    Missing,
}

impl InstanceState {
    /// In words, as tables and pages show it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Cached => "cached",
            Self::Ran => "ran",
            Self::Failed => "failed",
            Self::Missing => "not run",
        }
    }
}

/// A synthetic artifact of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct SampleRef {
    pub instance: InstanceName,
    /// Its replicate, where the sweep has the axis.
    pub replicate: Option<String>,
    /// Texts that it holds; none before it is finished.
    pub texts: Option<u64>,
    /// Name of the file in the results folder, without ending.
    pub file: String,
    pub flow: ReleaseLabel,
}
