//! A release of everything that one may hold, made up: two sets of texts, a model, earlier releases, a selection, canaries.

use super::model::ModelFiles;
use super::publish::{About, TextFile};
use super::statement::{Author, Disclosure, License, Model, Prior, Selection, Statement, Texts};
use super::{Publication, Release};
use dpx_accounting::{Adjacency, Claim, ClaimPart, DpEvent};
use dpx_schema::params::Clipping;
use dpx_schema::{
    Kind, LabelIntegration, MODEL_SCHEMA_FILE, NoiseSource, PrivacyRecord, PrivateRun,
    PublicSchema, Unit,
};
use std::collections::BTreeMap;
use std::path::Path;

/// The delta of every claim.
pub(crate) const DELTA: f64 = 4e-4;

/// What a private stage ran.
pub(crate) fn run(instance: &str, event: DpEvent) -> PrivateRun {
    PrivateRun {
        version: PrivateRun::VERSION,
        instance: instance.into(),
        run: "0123456789abcdef0123456789abcdef".to_owned(),
        event,
        adjacency: Adjacency::ZeroOut,
        unit: Unit::Example,
        bounds: None,
        delta: 5e-4,
        examples: 1_020,
        canaries: 20,
        noise: NoiseSource::Secure,
        max_grad_norm: 0.5,
        rounding_allowance: 1e-4,
        max_length: Some(64),
        clipping: Some(Clipping::Flat),
        base_precision: dpx_schema::params::BasePrecision::F32,
        expected_batch_size: Some(20),
        target_epsilon: 3.0,
        shared_with: Vec::new(),
        declared_overlap: Vec::new(),
        provenance: Vec::new(),
    }
}

pub(crate) fn gaussian(sigma: f64) -> DpEvent {
    DpEvent::gaussian(sigma).unwrap()
}

pub(crate) fn training() -> DpEvent {
    DpEvent::poisson_sampled_gaussian(20.0 / 1_020.0, 1.1, 50).unwrap()
}

pub(crate) fn claim(parts: &[ClaimPart]) -> Claim {
    Claim::compose(parts, DELTA, Adjacency::ZeroOut, Unit::Example.name()).unwrap()
}

fn texts(name: &str, instance: &str, csv: &str, runs: &[String]) -> TextFile {
    TextFile {
        told: Texts {
            name: name.to_owned(),
            instance: instance.to_owned(),
            rows: csv.lines().count() as u64 - 1,
            columns: csv
                .lines()
                .next()
                .unwrap()
                .split(',')
                .map(str::to_owned)
                .collect(),
            author: Author::Model,
            max_new_tokens: 48,
            runs: runs.to_vec(),
        },
        csv: csv.as_bytes().to_vec(),
    }
}

/// A release without a ledger, and what the ledger would say of it.
pub(crate) fn release() -> (Release, Disclosure) {
    let train = run("train@epsilon=3", training());
    let mut teacher = run("teacher", gaussian(6.0));
    teacher.canaries = 0;
    teacher.examples = 1_000;
    let other = run("train@epsilon=8", gaussian(3.0));
    let earlier = run("train@epsilon=1", gaussian(9.0));
    let names = [train.part().instance, teacher.part().instance];
    let labels = ["joy", "fear: \"no\""].map(str::to_owned).to_vec();
    let schema = PublicSchema::new(
        labels.clone(),
        "{label}: {text}",
        LabelIntegration::Prefix,
        1_000,
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), "{}\n").unwrap();
    let schema_file = folder.path().join(MODEL_SCHEMA_FILE);
    std::fs::write(schema_file, serde_json::to_vec(&schema).unwrap()).unwrap();
    let model = ModelFiles {
        folder,
        told: Model {
            name: "train-epsilon=3".to_owned(),
            instance: "train@epsilon=3".to_owned(),
            files: ["config.json", MODEL_SCHEMA_FILE]
                .map(str::to_owned)
                .to_vec(),
            runs: names[..1].to_vec(),
        },
    };
    let records = [(Kind::Train, &train), (Kind::Teacher, &teacher)]
        .map(|(kind, run)| (kind, PrivacyRecord::Private(run.clone())));
    let release = Release {
        texts: vec![
            texts(
                "sample-epsilon=3",
                "sample@epsilon=3",
                "text,label\n\"one, two\",joy\n=1+1,\"fear: \"\"no\"\"\"\n",
                &names[..1],
            ),
            texts(
                "taught-epsilon=3",
                "taught@epsilon=3",
                "text,label,p_joy,p_fear: \"no\"\nten,joy,0.750000,0.250000\n",
                &names,
            ),
        ],
        about: About {
            study: "feelings".to_owned(),
            labels,
            public_inputs: vec!["builtin:base".to_owned()],
            scrubbing: vec!["rules".to_owned()],
            models: vec![model],
            export: None,
        },
        records: records.to_vec(),
        data_sets: BTreeMap::new(),
        delta: DELTA,
        canaries: BTreeMap::new(),
        public_inputs: dpx_schema::PublicInputs::default(),
        license: None,
        made: std::collections::BTreeSet::new(),
    };
    // The quotation marks of the header's names.
    let mut release = release;
    release.texts[1].csv =
        b"text,label,p_joy,\"p_fear: \"\"no\"\"\"\nten,joy,0.750000,0.250000\n".to_vec();
    release.texts[1].told.columns = ["text", "label", "p_joy", "p_fear: \"no\""]
        .map(str::to_owned)
        .to_vec();
    let chosen = [train.part(), teacher.part(), other.part()];
    let all = [train.part(), teacher.part(), other.part(), earlier.part()];
    let disclosure = Disclosure {
        delta: DELTA,
        date: "2026-11-30".to_owned(),
        selection: Selection::Undeclared {
            candidates: ["sample@epsilon=3", "sample@epsilon=8"]
                .map(str::to_owned)
                .to_vec(),
            claim: claim(&chosen),
            unprotected: vec!["sample@epsilon=inf".to_owned()],
        },
        rebuilt_ledger: false,
        prior: vec![Prior {
            date: "2026-10-01".to_owned(),
            study: "feelings".to_owned(),
            rows: vec!["sample@epsilon=1".to_owned()],
            claim: Some(claim(&[earlier.part()])),
        }],
        total: Some(claim(&all)),
    };
    (release, disclosure)
}

pub(crate) fn publication() -> Publication {
    Publication {
        license: License {
            id: "cc-by-4.0".to_owned(),
            name: None,
        },
        language: vec!["no".to_owned()],
        dpx_version: "0.1.0".to_owned(),
    }
}

/// Writes it; returns its statement.
pub(crate) fn write(folder: &Path) -> Statement {
    let (release, disclosure) = release();
    let statement = release.statement(&disclosure, &publication()).unwrap();
    release.write(folder, &statement).unwrap();
    statement
}
