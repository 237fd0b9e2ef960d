//! `privacy.json` of a release: everything that a reader needs to know of it, and to check it again.
//!
//! `PRIVACY.md` and the dataset card are functions of this type alone. What it holds is named field by field: nothing of a
//! record, a plan or a report gets into a release unless it stands here.

use dpx_accounting::{Adjacency, Claim, EpsilonBound};
use dpx_schema::params::{BasePrecision, Clipping};
use dpx_schema::{Kind, NoiseSource, PrivateRun, Unit, UnitBounds};
use dpx_stages::export::Prompts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name of the statement in a release.
pub const STATEMENT_FILE: &str = "privacy.json";
/// Name of the page for a privacy officer.
pub(crate) const OFFICER_FILE: &str = "PRIVACY.md";
/// Name of the dataset card.
pub(crate) const CARD_FILE: &str = "README.md";
/// Name of the list of checksums.
pub const CHECKSUMS_FILE: &str = "SHA256SUMS";
pub(crate) const MODEL_FOLDER: &str = "model";

/// Numbers of units (records of one person, or people) whose epsilon a release states.
pub(crate) const GROUPS: [u32; 8] = [1, 2, 3, 5, 10, 20, 50, 100];

/// The content of `privacy.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Tells the file from others of this name.
    pub format: Format,
    /// Version of the format; raised whenever the pages made from it change.
    pub version: u32,
    /// Version of the program that made the release.
    pub dpx_version: String,
    /// Day of the release in UTC, `2026-11-30`.
    pub date: String,
    /// Name of the experiment that was released.
    pub study: String,
    /// Languages of the texts, as declared by the publisher; none where nothing was declared.
    pub language: Vec<String>,
    /// License of the texts, by the publisher's declaration; of a model alone by that or by what its public model states.
    pub license: License,
    /// In the declared order.
    pub labels: Vec<String>,
    /// A set of texts for each released row; none of a model that is released alone.
    pub texts: Vec<Texts>,
    /// Models, where they are released too.
    pub models: Vec<Model>,
    /// What is to be known of the model where it is released alone: then there are no texts, and its files lie at the top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<Export>,
    /// What all files of this release promise together; nothing where no private data were used.
    pub claim: Option<Claim>,
    /// The private runs behind the release, by the names that the claim's events bear.
    pub runs: BTreeMap<String, Run>,
    /// How the released rows were chosen.
    pub selection: Selection,
    /// Earlier releases of the same people.
    pub prior: Vec<Prior>,
    /// Whether the ledger was made anew from what a cache knew: releases before that are in none of these claims.
    pub rebuilt_ledger: bool,
    /// What everything together promises that was ever released of these people, this release and the choice of its rows
    /// included; nothing where no private data were used.
    pub total: Option<Claim>,
    /// What `total` promises to people with several records: pairs of their number and epsilon.
    pub groups: Vec<Group>,
    /// Public models, texts and vocabularies that the study used; those of the publisher's own without a name.
    pub public_inputs: Vec<String>,
    /// Public inputs, such as "`corpus` of `base`", that were declared to hold texts of the private data: those texts are not
    /// protected.
    pub declared_overlap: Vec<String>,
    /// How built-in inputs were made, in sentences, where that concerns data sets that may be private here.
    pub provenance: Vec<String>,
    /// What scrubbed the private texts before anything else saw them.
    pub scrubbing: Vec<String>,
    /// What no claim covers, in sentences.
    pub not_covered: Vec<String>,
}

/// The word by which the file is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// A release of dpx.
    #[serde(rename = "dpx release")]
    Release,
}

/// A license by its identifier on the Hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct License {
    /// The identifier; `other` where none was declared.
    pub id: String,
    /// The name of one that has no identifier.
    pub name: Option<String>,
}

/// What wrote a set of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Author {
    /// A language model.
    Model,
    /// Words drawn one by one from noisy counts: no sentences.
    Counts,
}

/// One set of texts: `NAME.csv`, `NAME.jsonl` and `NAME.parquet`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Texts {
    /// Name of its files without ending, and of its configuration in the dataset card.
    pub name: String,
    /// The instance that wrote them, such as `sample@epsilon=3`.
    pub instance: String,
    /// Texts in each of the three files.
    pub rows: u64,
    /// Names of the columns, in the order of the files.
    pub columns: Vec<String>,
    /// A model, or noisy counts.
    pub author: Author,
    /// Most tokens of a text, or words where they are drawn from counts.
    pub max_new_tokens: u64,
    /// The private runs behind them, by their names in the claim.
    pub runs: Vec<String>,
}

/// A released model: `model/NAME/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Name of its folder.
    pub name: String,
    /// The instance that trained it.
    pub instance: String,
    /// Paths in that folder.
    pub files: Vec<String>,
    /// The private runs behind it.
    pub runs: Vec<String>,
}

/// What is to be known of a model that is released alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// What of the model is there.
    pub form: ExportForm,
    /// Format of the weights: `float32` or `bfloat16`.
    pub dtype: String,
    /// How the weights of the public model were rounded before an adapter was trained against them; left out: not at all.
    #[serde(default, skip_serializing_if = "BasePrecision::is_f32")]
    pub base_precision: BasePrecision,
    /// The public model that training started from, by its public name; nothing where it was made in the study itself.
    pub base: Option<String>,
    /// What the folder of that model states of its license, in one line; nothing where it states nothing.
    pub base_license: Option<String>,
    /// How to ask for texts.
    pub prompts: Prompts,
}

/// What of a model is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportForm {
    /// All weights, for `transformers`.
    Model,
    /// A low-rank adapter, for PEFT.
    Adapter,
}

/// What is public about one private run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Run {
    pub kind: Kind,
    /// Which of the private data sets it read: the first that a run of this release read is 1.
    pub data_set: u64,
    /// The adjacency under which it was calibrated; the claim's may be zero-out where this is add/remove.
    pub adjacency: Adjacency,
    /// The number of units (records, or people), canaries included, where it is public: under zero-out adjacency.
    pub examples: Option<u64>,
    /// Canaries among them.
    pub canaries: u64,
    /// Where noise and coins came from.
    pub noise: NoiseSource,
    /// The failure probability that it was calibrated for.
    pub calibrated_for_delta: f64,
    /// What bounds a person's part, where people are protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<UnitBounds>,
    /// The bound on what one unit adds to a sum; on what one record adds where records of people are sampled.
    pub max_grad_norm: f64,
    /// Share by which rounding may exceed that bound; the noise is wider by it.
    pub rounding_allowance: f64,
    /// Most tokens of one record that are seen; the rest is cut off.
    pub max_length: Option<u64>,
    /// How gradients are clipped.
    pub clipping: Option<Clipping>,
    /// How the frozen weights were rounded that adapters were trained against; left out: not at all.
    #[serde(default, skip_serializing_if = "BasePrecision::is_f32")]
    pub base_precision: BasePrecision,
    /// What sums of gradients are divided by.
    pub expected_batch_size: Option<u64>,
}

impl Run {
    /// What may be said of a run, and under which name.
    pub(super) fn of(kind: Kind, run: &PrivateRun, data_set: u64) -> (String, Self) {
        let public_size = run.adjacency == Adjacency::ZeroOut;
        let told = Self {
            kind,
            data_set,
            adjacency: run.adjacency,
            examples: public_size.then_some(run.examples),
            canaries: run.canaries,
            noise: run.noise,
            calibrated_for_delta: run.delta,
            bounds: run.bounds,
            max_grad_norm: run.max_grad_norm,
            rounding_allowance: run.rounding_allowance,
            max_length: run.max_length,
            clipping: run.clipping,
            base_precision: run.base_precision,
            expected_batch_size: run.expected_batch_size,
        };
        (run.part().instance, told)
    }
}

/// How the released rows were chosen among those that could have been.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Selection {
    /// There was nothing to choose among rows under a guarantee, or all of them are released.
    None {
        /// Scored rows without a guarantee: what they taught whoever chose is bounded by nothing.
        unprotected: Vec<String>,
    },
    /// The rows were named before any of the candidates was trained.
    Declared {
        /// As they were named, released or not.
        rows: Vec<String>,
    },
    /// They were chosen after the candidates were scored on real data: what all of them cost is claimed.
    Undeclared {
        /// Every row that was scored, the released ones among them.
        candidates: Vec<String>,
        /// The claim of all of them.
        claim: Claim,
        /// Scored rows without a guarantee: what they taught whoever chose is bounded by nothing.
        unprotected: Vec<String>,
    },
}

/// An earlier release of the same people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prior {
    /// When, RFC 3339 or a day.
    pub date: String,
    /// Name of the study.
    pub study: String,
    /// Names of the released rows.
    pub rows: Vec<String>,
    /// What it promised by itself; nothing where no private data were used.
    pub claim: Option<Claim>,
}

/// What people with several records are promised.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Records of one person, or people, where these are protected.
    pub records: u32,
    /// The certified epsilon at the claim's delta; `inf` where nothing can be promised.
    pub epsilon: EpsilonBound,
}

/// What a release says beyond its own rows: computed where the earlier ones are known, in the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct Disclosure {
    /// The one delta of all claims of the release.
    pub delta: f64,
    /// Day of the release in UTC.
    pub date: String,
    /// How the rows were chosen, with what that costs.
    pub selection: Selection,
    /// Earlier releases of the same people, oldest first.
    pub prior: Vec<Prior>,
    /// Whether the ledger was made anew from what a cache knew.
    pub rebuilt_ledger: bool,
    /// The claim of everything together; nothing where no private data were used.
    pub total: Option<Claim>,
}

impl Statement {
    /// The [`Statement::version`] that this program writes.
    pub const VERSION: u32 = 3;

    /// The bytes of `privacy.json`: one statement has one form.
    ///
    /// # Errors
    /// None for a statement that was made here; the serializer's own.
    pub fn to_json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Every file of the release by its path, sorted, [`CHECKSUMS_FILE`] included.
    pub fn files(&self) -> Vec<String> {
        let mut files: Vec<String> = [STATEMENT_FILE, OFFICER_FILE, CARD_FILE, CHECKSUMS_FILE]
            .map(str::to_owned)
            .to_vec();
        for texts in &self.texts {
            files.extend(FORMATS.map(|format| format!("{}.{format}", texts.name)));
        }
        for model in &self.models {
            let place = self.place(model);
            files.extend(model.files.iter().map(|file| format!("{place}{file}")));
        }
        files.sort_unstable();
        files
    }

    /// Where the files of a model lie: a path that ends in `/`, or nothing for the top of the folder.
    pub fn place(&self, model: &Model) -> String {
        match self.export {
            Some(_) => String::new(),
            None => format!("{MODEL_FOLDER}/{}/", model.name),
        }
    }

    /// The instances that are released: those that wrote the texts, or the one that trained the model.
    pub fn released(&self) -> Vec<String> {
        if self.export.is_some() {
            return self
                .models
                .iter()
                .map(|model| model.instance.clone())
                .collect();
        }
        self.texts
            .iter()
            .map(|texts| texts.instance.clone())
            .collect()
    }

    /// What is protected: that of the claims; records where nothing private was used.
    pub fn unit(&self) -> Unit {
        let claim = self.claim.as_ref().or(self.total.as_ref());
        claim
            .and_then(|claim| Unit::named(claim.unit()))
            .unwrap_or_default()
    }

    /// Whether a record may belong to several people: which are whose is then taken to be public.
    pub(crate) fn has_several_owners(&self) -> bool {
        let mut bounds = self.runs.values().filter_map(|run| run.bounds);
        bounds.any(|bounds| bounds.several_owners)
    }

    /// Canaries that were planted among the records, all runs together.
    pub fn canaries(&self) -> u64 {
        self.runs.values().map(|run| run.canaries).sum()
    }

    /// Number of texts of all sets together.
    pub fn rows(&self) -> u64 {
        self.texts.iter().map(|texts| texts.rows).sum()
    }
}

/// The formats in which each set of texts is written.
pub(crate) const FORMATS: [&str; 3] = ["csv", "jsonl", "parquet"];
