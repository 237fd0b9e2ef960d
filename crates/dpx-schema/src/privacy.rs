//! What every artifact says of privacy: one record, written by whoever ran the mechanism, and the one function that makes a
//! claim from records.

mod statement;

pub use statement::{NOT_COVERED, describe};

use crate::{InstanceName, Unit, UnitBounds};
use dpx_accounting::{Adjacency, Claim, ClaimError, ClaimPart, DpEvent};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// Name of the record in the artifact of a private stage and of `pretrain`.
pub const PRIVACY_FILE: &str = "privacy.json";

/// Where noise and coins came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseSource {
    /// ChaCha20 under a key from the operating system, destroyed after the run.
    Secure,
    /// ChaCha20 under a key that follows from the experiment's seed: whoever has the seed can subtract the noise.
    Seeded,
}

/// How an artifact relates to the private data: the content of `privacy.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
#[expect(clippy::large_enum_variant, reason = "there are few of them")]
pub enum PrivacyRecord {
    /// Made from public data alone.
    Public {
        /// What it was made from, in words.
        source: String,
        /// What is to be said of it.
        #[serde(flatten)]
        inputs: PublicInputs,
    },
    /// The private data were not looked at: the base model as it was, or counts of nothing (epsilon 0).
    Untouched(PublicInputs),
    /// Made from the private data without any protection (epsilon infinite).
    NotPrivate,
    /// Made from the private data by a mechanism.
    Private(PrivateRun),
}

/// What a reader of a claim has to know of the public inputs behind it; no guarantee covers it. It follows from the experiment
/// file and from what dpx carries alone, never from private data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicInputs {
    /// Inputs such as "`corpus` of `base`" that the experiment file declares to hold texts of the private data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declared_overlap: Vec<String>,
    /// How built-in inputs were made, in sentences, where that concerns data sets that may be private here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provenance: Vec<String>,
}

impl PublicInputs {
    /// Whether nothing is to be said.
    pub const fn is_empty(&self) -> bool {
        self.declared_overlap.is_empty() && self.provenance.is_empty()
    }

    /// Takes in what else is to be said, each thing once.
    pub fn join(&mut self, other: &Self) {
        for (ours, theirs) in [
            (&mut self.declared_overlap, &other.declared_overlap),
            (&mut self.provenance, &other.provenance),
        ] {
            for one in theirs {
                if !ours.contains(one) {
                    ours.push(one.clone());
                }
            }
        }
    }

    /// What is to be said of all inputs behind these records.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a PrivacyRecord>) -> Self {
        let mut all = Self::default();
        for record in records {
            all.join(&record.public_inputs());
        }
        all
    }

    /// What is to be said where no mechanism looked at private data: that none were used, but for what public inputs hold of them.
    pub const fn of_untouched(&self) -> &'static str {
        if self.declared_overlap.is_empty() {
            "No private data used (epsilon 0)."
        } else {
            "No private data used (epsilon 0), but for the overlap that is declared."
        }
    }

    /// In sentences, for whoever reads a claim.
    pub fn sentences(&self) -> Vec<String> {
        let overlaps = self.declared_overlap.iter().map(|name| {
            format!(
                "Declared overlap: the public input {name} holds texts of the private data; they are not protected."
            )
        });
        overlaps.chain(self.provenance.iter().cloned()).collect()
    }
}

/// What one private stage did: reported by the code that did it, never planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct PrivateRun {
    /// [`PrivateRun::VERSION`] of the program that wrote it.
    pub version: u32,
    /// The instance that ran, such as `train@epsilon=8`.
    pub instance: InstanceName,
    /// Random identity of the run; it names its entry in the ledger.
    pub run: String,
    /// The event of the steps that it took.
    pub event: DpEvent,
    /// Which data sets count as neighbors.
    pub adjacency: Adjacency,
    pub unit: Unit,
    /// The failure probability that it was calibrated for.
    pub delta: f64,
    /// What bounds a person's part, where it protects people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<UnitBounds>,
    /// The declared number of units (records, or people), canaries included; public under zero-out adjacency.
    pub examples: u64,
    /// Canaries among `examples`: planted for an audit, and protected like the others.
    pub canaries: u64,
    /// Where noise and coins came from.
    pub noise: NoiseSource,
    /// The bound on what one unit adds to a sum: L2 norm of a gradient, or the sensitivity of a histogram. Where records of people
    /// are sampled, on what one record adds.
    pub max_grad_norm: f64,
    /// Share by which rounding may exceed that bound; the noise is wider by it.
    pub rounding_allowance: f64,
    /// Most tokens of one example, where it is a sequence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u64>,
    /// How gradients are clipped, where it trains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clipping: Option<super::params::Clipping>,
    /// How the frozen weights were rounded that adapters were trained against; left out: not at all.
    #[serde(default, skip_serializing_if = "super::params::BasePrecision::is_f32")]
    pub base_precision: super::params::BasePrecision,
    /// What sums of gradients are divided by, where it trains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_batch_size: Option<u64>,
    /// The epsilon that was asked for: its own, or that of the budget it shares. For display; no claim reads it.
    pub target_epsilon: f64,
    /// The stages that share the budget, where it is divided. For display.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared_with: Vec<String>,
    /// Public inputs whose overlap with the private texts was declared in the experiment file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declared_overlap: Vec<String>,
    /// How its built-in public inputs were made ([`PublicInputs::provenance`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provenance: Vec<String>,
}

impl PrivateRun {
    /// The version that this program writes.
    pub const VERSION: u32 = 1;

    /// The run as a part of a claim.
    pub fn part(&self) -> ClaimPart {
        run_part(
            &self.instance,
            &self.run,
            &self.event,
            self.adjacency,
            self.unit,
        )
    }

    /// What one unit of privacy is, in public terms.
    pub fn unit_meaning(&self) -> String {
        self.bounds
            .as_ref()
            .map_or_else(|| self.unit.meaning().to_owned(), UnitBounds::meaning)
    }

    /// The claim of this run alone, at its own delta.
    ///
    /// # Errors
    /// A number is out of range.
    pub fn claim(&self) -> Result<Claim, ClaimError> {
        Claim::compose(&[self.part()], self.delta, self.adjacency, self.unit.name())
    }
}

/// What a run did as a part of a claim, by a name that is the same in records, ledger and releases.
pub fn run_part(
    instance: &str,
    run: &str,
    event: &DpEvent,
    adjacency: Adjacency,
    unit: Unit,
) -> ClaimPart {
    ClaimPart {
        // Half of the run's random identity tells two runs of one instance apart.
        instance: format!("{instance}#{}", run.get(..16).unwrap_or(run)),
        event: event.clone(),
        adjacency,
        unit: unit.name().to_owned(),
    }
}

/// A record that cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum PrivacyRecordError {
    /// The file cannot be read or written.
    #[error("cannot {action} `{}`: {source}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    /// The file is no privacy record.
    #[error("`{}` is not a privacy record: {reason}; run the stage again", path.display())]
    Malformed { path: PathBuf, reason: String },
}

impl PrivacyRecord {
    /// Reads the record from its bytes.
    ///
    /// # Errors
    /// The bytes are no record, or one of a later version. A misfit is never taken for a record that says less.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self, PrivacyRecordError> {
        let malformed = |reason: String| PrivacyRecordError::Malformed {
            path: path.to_owned(),
            reason,
        };
        let record: Self =
            serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        match &record {
            Self::Private(run) if run.version != PrivateRun::VERSION => Err(malformed(format!(
                "it is of version {}, this dpx knows version {}",
                run.version,
                PrivateRun::VERSION
            ))),
            _ => Ok(record),
        }
    }

    /// Reads the record of an artifact.
    ///
    /// # Errors
    /// As [`PrivacyRecord::from_bytes`], or when the file cannot be read.
    pub fn load(folder: &Path) -> Result<Self, PrivacyRecordError> {
        let path = folder.join(PRIVACY_FILE);
        let bytes = std::fs::read(&path).map_err(|source| PrivacyRecordError::File {
            action: "read",
            path: path.clone(),
            source,
        })?;
        Self::from_bytes(&bytes, &path)
    }

    /// Writes the record into an artifact.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), PrivacyRecordError> {
        let path = folder.join(PRIVACY_FILE);
        let json =
            serde_json::to_string_pretty(self).map_err(|error| PrivacyRecordError::Malformed {
                path: path.clone(),
                reason: error.to_string(),
            })?;
        std::fs::write(&path, json + "\n").map_err(|source| PrivacyRecordError::File {
            action: "write",
            path,
            source,
        })
    }

    /// What ran, where a mechanism ran.
    pub const fn private(&self) -> Option<&PrivateRun> {
        match self {
            Self::Private(run) => Some(run),
            Self::Public { .. } | Self::Untouched(_) | Self::NotPrivate => None,
        }
    }

    /// What is to be said of the public inputs behind it.
    pub fn public_inputs(&self) -> PublicInputs {
        match self {
            Self::Public { inputs, .. } | Self::Untouched(inputs) => inputs.clone(),
            Self::NotPrivate => PublicInputs::default(),
            Self::Private(run) => run.public_inputs(),
        }
    }
}

/// What may be said of a set of artifacts together.
#[derive(Debug, Clone, PartialEq)]
pub enum Guarantee {
    /// No record tells of private data.
    NoPrivateData,
    /// Every use of private data went through a mechanism with secret noise.
    Private(Claim),
    /// Mechanisms ran, but the noise of some follows from a seed: the claim holds against nobody who has it.
    Seeded(Claim),
    /// Private data were used without protection.
    None,
}

impl Guarantee {
    /// The guarantee of everything that these records tell of, each run once, at one delta: the least that any of the
    /// runs was calibrated for, which is below one over the number of examples of the largest data set.
    ///
    /// This is the only way to a claim: terminal, page, results, dataset card, ledger, `release` and `verify` call it.
    ///
    /// # Errors
    /// Runs of different adjacency or unit, one run with two events, or a number out of range.
    pub fn of<'a>(
        records: impl IntoIterator<Item = &'a PrivacyRecord>,
    ) -> Result<Self, ClaimError> {
        let records: Vec<&PrivacyRecord> = records.into_iter().collect();
        let runs: Vec<&PrivateRun> = records
            .iter()
            .filter_map(|record| record.private())
            .collect();
        let delta = runs.iter().map(|run| run.delta).reduce(f64::min);
        Self::at(records, delta.unwrap_or(0.5))
    }

    /// Likewise, at a stated delta.
    ///
    /// # Errors
    /// As [`Guarantee::of`].
    pub fn at<'a>(
        records: impl IntoIterator<Item = &'a PrivacyRecord>,
        delta: f64,
    ) -> Result<Self, ClaimError> {
        Self::under(records, delta, None)
    }

    /// Likewise, under a stated adjacency: that of the runs, or zero-out. What holds under add/remove also holds under
    /// zero-out: a record that is replaced by a null one changes the sums as its removal does, and nothing else of such a run
    /// depends on the number of records.
    ///
    /// # Errors
    /// As [`Guarantee::of`], and add/remove for runs under zero-out.
    pub fn under<'a>(
        records: impl IntoIterator<Item = &'a PrivacyRecord>,
        delta: f64,
        adjacency: Option<Adjacency>,
    ) -> Result<Self, ClaimError> {
        let mut runs = Vec::new();
        for record in records {
            match record {
                PrivacyRecord::Public { .. } | PrivacyRecord::Untouched(_) => {}
                PrivacyRecord::NotPrivate => return Ok(Self::None),
                PrivacyRecord::Private(run) => runs.push(run),
            }
        }
        let Some(first) = runs.first() else {
            return Ok(Self::NoPrivateData);
        };
        let mut parts: Vec<ClaimPart> = runs.iter().map(|run| run.part()).collect();
        if adjacency == Some(Adjacency::ZeroOut) {
            for part in &mut parts {
                part.adjacency = Adjacency::ZeroOut;
            }
        }
        let adjacency = adjacency.unwrap_or(first.adjacency);
        let claim = Claim::compose(&parts, delta, adjacency, first.unit.name())?;
        if claim.event().is_non_private() {
            return Ok(Self::None);
        }
        Ok(if runs.iter().all(|run| run.noise == NoiseSource::Secure) {
            Self::Private(claim)
        } else {
            Self::Seeded(claim)
        })
    }

    /// The claim, also where the noise is seeded.
    pub const fn claim(&self) -> Option<&Claim> {
        match self {
            Self::Private(claim) | Self::Seeded(claim) => Some(claim),
            Self::NoPrivateData | Self::None => None,
        }
    }
}

impl fmt::Display for Guarantee {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPrivateData => formatter.write_str("no private data used"),
            Self::Private(claim) => claim.fmt(formatter),
            Self::Seeded(claim) => {
                claim.fmt(formatter)?;
                formatter.write_str(" with seeded noise: not for release")
            }
            Self::None => formatter.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(instance: &str, event: DpEvent) -> PrivateRun {
        PrivateRun {
            version: PrivateRun::VERSION,
            instance: instance.into(),
            run: "00".repeat(16),
            event,
            adjacency: Adjacency::ZeroOut,
            unit: Unit::Example,
            delta: 1e-5,
            bounds: None,
            examples: 1000,
            canaries: 0,
            noise: NoiseSource::Secure,
            max_grad_norm: 1.0,
            rounding_allowance: 1e-4,
            max_length: None,
            clipping: None,
            base_precision: crate::params::BasePrecision::F32,
            expected_batch_size: None,
            target_epsilon: 3.0,
            shared_with: Vec::new(),
            declared_overlap: Vec::new(),
            provenance: Vec::new(),
        }
    }

    fn gaussian(sigma: f64) -> DpEvent {
        DpEvent::gaussian(sigma).unwrap()
    }

    #[test]
    fn records_survive_their_file_and_a_misfit_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        for record in [
            PrivacyRecord::Public {
                source: "builtin:dialogue".into(),
                inputs: PublicInputs::default(),
            },
            PrivacyRecord::Untouched(PublicInputs::default()),
            PrivacyRecord::NotPrivate,
            PrivacyRecord::Private(run("train", gaussian(2.0))),
        ] {
            record.save(folder.path()).unwrap();
            assert_eq!(PrivacyRecord::load(folder.path()).unwrap(), record);
        }
        let whole = serde_json::to_value(PrivacyRecord::Private(run("train", gaussian(2.0))));
        let whole = whole.unwrap();
        let mut without = whole.clone();
        without.as_object_mut().unwrap().remove("event");
        let mut more = whole.clone();
        more["epsilon"] = json!(0.1);
        let mut later = whole.clone();
        later["version"] = json!(99);
        for bad in [
            json!({}),
            json!({"status": "fine"}),
            json!({"epsilon": 3}),
            without,
            more,
            later,
        ] {
            let read = PrivacyRecord::from_bytes(bad.to_string().as_bytes(), Path::new("p"));
            assert!(read.is_err(), "{bad}");
        }
    }

    #[test]
    fn a_claim_composes_what_ran_each_run_once() {
        let one = PrivacyRecord::Private(run("train", gaussian(2.0)));
        let two = PrivacyRecord::Private(run("counts", gaussian(3.0)));
        let alone = Guarantee::of([&one]).unwrap();
        let twice = Guarantee::of([&one, &one]).unwrap();
        assert_eq!(alone, twice);
        let both = Guarantee::of([&one, &two]).unwrap();
        let sigma = (1.0 / (1.0 / 4.0 + 1.0 / 9.0_f64)).sqrt();
        let exact = dpx_accounting::gaussian_epsilon(sigma, 1e-5);
        let found = both.claim().unwrap().epsilon().value();
        assert!(
            found >= exact - 1e-9 && found < exact + 1e-3,
            "{found} {exact}"
        );
        // A second run of one instance is another use of the data.
        let mut again = run("train", gaussian(2.0));
        again.run = "11".repeat(16);
        let again = Guarantee::of([&one, &PrivacyRecord::Private(again)]).unwrap();
        assert!(again.claim().unwrap().epsilon() > alone.claim().unwrap().epsilon());
    }

    #[test]
    fn what_is_not_private_is_never_claimed() {
        let one = PrivacyRecord::Private(run("train", gaussian(2.0)));
        let silent = PrivacyRecord::Private(run("teacher", gaussian(0.0)));
        let public = PrivacyRecord::Public {
            source: "x".into(),
            inputs: PublicInputs::default(),
        };
        assert_eq!(
            Guarantee::of([&one, &PrivacyRecord::NotPrivate]).unwrap(),
            Guarantee::None
        );
        assert_eq!(Guarantee::of([&one, &silent]).unwrap(), Guarantee::None);
        assert_eq!(
            Guarantee::of([&PrivacyRecord::Untouched(PublicInputs::default()), &public]).unwrap(),
            Guarantee::NoPrivateData
        );
        let mut seeded = run("train", gaussian(2.0));
        seeded.noise = NoiseSource::Seeded;
        let seeded = PrivacyRecord::Private(seeded);
        assert!(matches!(
            Guarantee::of([&seeded]).unwrap(),
            Guarantee::Seeded(_)
        ));
    }

    #[test]
    fn one_claim_has_one_adjacency_and_the_least_delta() {
        let one = run("train", gaussian(2.0));
        let mut other = run("counts", gaussian(2.0));
        other.delta = 1e-6;
        let claimed = |other: &PrivateRun| {
            Guarantee::of([
                &PrivacyRecord::Private(one.clone()),
                &PrivacyRecord::Private(other.clone()),
            ])
        };
        assert_eq!(claimed(&other).unwrap().claim().unwrap().delta(), 1e-6);
        other.adjacency = Adjacency::AddRemove;
        assert!(claimed(&other).is_err());
    }

    /// Rules 54 and 55: what is to be said of public inputs reaches every statement and every set of records, once.
    #[test]
    fn what_is_declared_of_public_inputs_is_in_every_statement() {
        let inputs = PublicInputs {
            declared_overlap: vec!["`corpus` of `base`".into()],
            provenance: vec!["It was cleaned.".into()],
        };
        let mut private = run("train", gaussian(2.0));
        private.declared_overlap = inputs.declared_overlap.clone();
        private.provenance = inputs.provenance.clone();
        let records = [
            PrivacyRecord::Public {
                source: "corpus.txt".into(),
                inputs: inputs.clone(),
            },
            PrivacyRecord::Untouched(inputs.clone()),
            PrivacyRecord::Private(private),
        ];
        let folder = tempfile::tempdir().unwrap();
        for record in &records {
            let text = record.statement().unwrap();
            assert!(
                text.contains("Declared overlap: the public input `corpus` of `base`"),
                "{text}"
            );
            assert!(text.contains("It was cleaned."), "{text}");
            record.save(folder.path()).unwrap();
            assert_eq!(PrivacyRecord::load(folder.path()).unwrap(), *record);
        }
        assert_eq!(PublicInputs::of(&records), inputs);
    }

    /// A study of people says so in every sentence, and composes with nothing that protects records.
    #[test]
    fn people_are_named_in_statements_and_do_not_mix_with_records() {
        let mut people = run("train", gaussian(2.0));
        people.unit = Unit::User;
        people.bounds = Some(UnitBounds {
            max_per_unit: 16,
            examples_per_unit: Some(4),
            unit_sampling: Some(crate::UnitSampling::Users),
            records: None,
            several_owners: false,
        });
        let text = PrivacyRecord::Private(people.clone()).statement().unwrap();
        for part in [
            "one person",
            "16 records",
            "4 records",
            "People: 1000",
            "For 2 people",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(
            !text.contains("one record") && !text.contains("records of one person"),
            "{text}"
        );
        let folder = tempfile::tempdir().unwrap();
        let record = PrivacyRecord::Private(people.clone());
        record.save(folder.path()).unwrap();
        assert_eq!(PrivacyRecord::load(folder.path()).unwrap(), record);
        assert_eq!(
            Guarantee::of([&record]).unwrap().claim().unwrap().unit(),
            "user"
        );
        let of_records = PrivacyRecord::Private(run("counts", gaussian(2.0)));
        assert!(Guarantee::of([&record, &of_records]).is_err());
    }

    #[test]
    fn a_statement_rounds_up_and_says_what_is_not_covered() {
        let mut private = run("train", gaussian(2.0));
        private.delta = 4.134e-5;
        private.shared_with = vec!["teacher".into()];
        private.canaries = 10;
        let text = PrivacyRecord::Private(private).statement().unwrap();
        for part in [
            "4.2e-5",
            "shared with teacher",
            "canaries",
            "Not covered",
            "records of one person",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
