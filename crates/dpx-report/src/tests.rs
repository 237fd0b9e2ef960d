//! A whole study from a made-up plan and artifacts kept in memory: rows, figures, files, and a page that nothing breaks.

use super::assemble::assemble;
use super::html::{self, Extras};
use super::sources::{Artifacts, Floors, Known, Sources};
use super::study::{GuaranteeKind, InstanceState, Reference, Role, Study};
use super::{Extent, claim, export, terminal};
use dpx_accounting::{Adjacency, DpEvent, EpsilonBound};
use dpx_engine::plan::{Axis, Instance, Need, Plan, RunSettings};
use dpx_schema::{
    Digest, Kind, Manifest, NoiseSource, PrivacyRecord, PrivateRun, PublicInputs, Record,
    ReleaseLabel, Unit,
};
use dpx_stages::floor::FloorRequest;
use dpx_stages::metric::Classification;
use dpx_stages::score::read::LabelledTexts;
use dpx_stages::score::{Models, Scores, Texts, compute};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Files by instance name and path.
#[derive(Default)]
struct Folders(BTreeMap<(String, String), Vec<u8>>);

impl Artifacts for Folders {
    fn read(&self, record: &Record, path: &str) -> Result<Option<Vec<u8>>, String> {
        let name = (record.instance.to_string(), path.to_owned());
        Ok(self.0.get(&name).cloned())
    }
}

/// A study in the making.
pub(super) struct Fake {
    plan: Plan,
    known: Vec<Known>,
    folders: Folders,
}

pub(super) fn record(instance: &Instance) -> Record {
    Record {
        version: Record::VERSION,
        key: Digest::of(instance.name.as_bytes()),
        experiment: "emotion".into(),
        stage: instance.stage.clone(),
        instance: instance.name.clone(),
        kind: instance.kind,
        kind_version: 1,
        axes: instance.axes.clone(),
        seed: 1,
        params: instance.key_params.clone(),
        inputs: BTreeMap::new(),
        sources: BTreeMap::new(),
        output: Manifest::default(),
        flow: instance.flow,
        wall_seconds: 12.5,
        device: "cpu".into(),
        dpx_version: "0.1.0".into(),
        finished_at: "2026-11-24T08:00:00Z".into(),
    }
}

/// Bags of words that are right half of the time.
struct AlwaysHalf;

impl Floors for AlwaysHalf {
    fn floor(&self, _: &Record, request: &FloorRequest) -> Option<Classification> {
        assert!(request.delta > 0.0 && request.texts > 0);
        let labels: Vec<String> = ["a", "b"].map(str::to_owned).to_vec();
        Classification::from_matrix(&labels, vec![vec![25, 25], vec![25, 25]]).ok()
    }
}

impl Fake {
    fn new(axes: Vec<Axis>) -> Self {
        Self {
            plan: Plan {
                experiment: "emotion".into(),
                description: Some("A study of feelings".into()),
                seed: 42,
                axes,
                run: RunSettings::default(),
                instances: Vec::new(),
            },
            known: Vec::new(),
            folders: Folders::default(),
        }
    }

    /// Adds a finished instance; needs are instance names.
    fn add(
        &mut self,
        stage: &str,
        kind: Kind,
        axes: &[(&str, Value)],
        params: Value,
        flow: ReleaseLabel,
        needs: &[String],
    ) -> String {
        let at: Vec<String> = axes
            .iter()
            .map(|(name, value)| format!("{name}={}", super::rows::word(value)))
            .collect();
        let name = if at.is_empty() {
            stage.to_owned()
        } else {
            format!("{stage}@{}", at.join(","))
        };
        let needs = needs
            .iter()
            .map(|need| {
                let instance = self.plan.find(need).unwrap();
                Need {
                    stage: self.plan.instances[instance].stage.clone(),
                    instance,
                }
            })
            .collect();
        let instance = Instance {
            name: name.clone().into(),
            stage: stage.into(),
            kind,
            axes: axes
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
            params: params.clone(),
            performance: Value::Null,
            key_params: params,
            seed: 1,
            needs,
            sources: BTreeMap::new(),
            flow,
        };
        self.known.push(Known {
            state: InstanceState::Cached,
            record: Some(Arc::new(record(&instance))),
        });
        self.plan.instances.push(instance);
        name
    }

    fn file(&mut self, instance: &str, path: &str, content: impl Into<Vec<u8>>) {
        self.folders
            .0
            .insert((instance.into(), path.into()), content.into());
    }

    fn with<T>(&self, call: impl FnOnce(&Sources<'_>) -> T) -> T {
        let reference = Reference {
            source: Some("the published study".into()),
            dataset: Some("hf:who/feelings".into()),
            benchmark: Some(0.925),
            accuracy: [
                ("inf".into(), 0.861),
                ("8".into(), 0.592),
                ("3".into(), 0.569),
            ]
            .into(),
            similarity: BTreeMap::new(),
        };
        call(&Sources {
            plan: &self.plan,
            known: &self.known,
            artifacts: &self.folders,
            floors: &AlwaysHalf,
            title: None,
            reference: Some(&reference),
        })
    }

    pub(super) fn study(&self) -> Study {
        self.with(assemble).unwrap()
    }
}

const LABELS: [&str; 3] = ["anger", "joy", "love"];

fn metrics(right: u64, labels: &[String]) -> String {
    let matrix = (0..labels.len())
        .map(|row| {
            (0..labels.len())
                .map(|column| if row == column { right } else { 40 - right / 4 })
                .collect()
        })
        .collect();
    serde_json::to_string(&Classification::from_matrix(labels, matrix).unwrap()).unwrap()
}

fn scores(labels: &[String], texts: &[String], offset: usize) -> Scores {
    let set = |from: usize, n: usize| LabelledTexts {
        probabilities: None,
        people: Vec::new(),
        texts: (0..n)
            .map(|row| {
                format!(
                    "{} number {}",
                    texts[(row + from) % texts.len()],
                    row * 7 + from
                )
            })
            .collect(),
        labels: (0..n).map(|row| row % labels.len()).collect(),
    };
    let all = Texts {
        labels: labels.to_vec(),
        synthetic: set(offset, 60),
        training: set(0, 90),
        held_out: set(500, 40),
        planted: vec![dpx_stages::metric::planted::Planted {
            kind: "email".into(),
            value: "ann@example.org".into(),
        }],
        facts: dpx_data::facts(4, &[1, 2]),
    };
    let params = serde_json::from_str("{\"perplexity\": false, \"examples\": 5}").unwrap();
    let embedder = Lengths;
    let models = Models {
        embedder: Some(&embedder),
        ..Models::default()
    };
    compute(&all, &params, 1, &models, &dpx_schema::context::NoProgress).unwrap()
}

/// A stand-in encoder: a few sums over the bytes.
struct Lengths;

impl dpx_stages::score::Embedder for Lengths {
    fn embed(
        &self,
        texts: &[String],
    ) -> Result<dpx_stages::metric::Embeddings, dpx_schema::StageError> {
        let values = texts
            .iter()
            .flat_map(|text| {
                let mut sums = [1.0_f32; 8];
                for (at, byte) in text.bytes().enumerate() {
                    sums[(usize::from(byte) + at) % 8] += 1.0;
                }
                sums
            })
            .collect();
        Ok(dpx_stages::metric::Embeddings::new(values, 8).unwrap())
    }

    fn needs_centring(&self) -> bool {
        true
    }
}

fn privacy(instance: &str, noise_multiplier: f64, noise: NoiseSource) -> String {
    let event = DpEvent::poisson_sampled_gaussian(0.016, noise_multiplier, 188).unwrap();
    let record = PrivacyRecord::Private(PrivateRun {
        version: PrivateRun::VERSION,
        instance: instance.into(),
        run: format!("{:032x}", 7),
        event,
        adjacency: Adjacency::ZeroOut,
        unit: Unit::Example,
        bounds: None,
        delta: 1e-5,
        examples: 16_000,
        canaries: 0,
        noise,
        max_grad_norm: 1.0,
        rounding_allowance: 1e-4,
        max_length: Some(64),
        clipping: None,
        base_precision: dpx_schema::params::BasePrecision::F32,
        expected_batch_size: Some(256),
        target_epsilon: 8.0,
        shared_with: Vec::new(),
        declared_overlap: Vec::new(),
        provenance: Vec::new(),
    });
    serde_json::to_string(&record).unwrap()
}

fn not_private() -> String {
    serde_json::to_string(&PrivacyRecord::NotPrivate).unwrap()
}

fn sampled(texts: u64) -> String {
    let none = json!({"policy": "keep", "retried": 0, "dropped": 0});
    json!({"texts": texts, "by_label": {}, "empty": none, "duplicates": none}).to_string()
}

fn audited(epsilon_lower: f64, largest_possible: f64) -> String {
    json!({
        "epsilon_lower": epsilon_lower, "largest_possible": largest_possible, "epsilon_certified": 7.99, "delta": 1e-5,
        "confidence": 0.95, "canaries": 1000, "guesses": 100, "right": 60, "score": "loss-difference", "consistent": true,
    })
    .to_string()
}

/// The main study: epsilon inf, 8, 3 with two replicates each, a benchmark, an audit at 8.
pub(super) fn fake(labels: &[&str], texts: &[String], noise: ReleaseLabel) -> Fake {
    let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
    let epsilons = [json!("inf"), json!(8), json!(3)];
    let axes = vec![
        Axis {
            name: "epsilon".into(),
            values: epsilons.to_vec(),
        },
        Axis {
            name: "replicate".into(),
            values: vec![json!(1), json!(2)],
        },
    ];
    let mut fake = Fake::new(axes);
    let data = fake.add(
        "preprocess",
        Kind::Preprocess,
        &[],
        json!({}),
        ReleaseLabel::Private,
        &[],
    );
    let benchmark = fake.add(
        "benchmark",
        Kind::Classify,
        &[],
        json!({}),
        ReleaseLabel::Private,
        std::slice::from_ref(&data),
    );
    fake.file(&benchmark, "metrics.json", metrics(150, &labels));
    for (row, epsilon) in epsilons.iter().enumerate() {
        for replicate in 1..=2_u64 {
            let at = [
                ("epsilon", epsilon.clone()),
                ("replicate", json!(replicate)),
            ];
            let flow = if row == 0 {
                ReleaseLabel::Private
            } else {
                noise
            };
            let train = fake.add(
                "train",
                Kind::Train,
                &at,
                json!({ "epsilon": epsilon, "epochs": 3 }),
                flow,
                std::slice::from_ref(&data),
            );
            let statement = if row == 0 {
                not_private()
            } else {
                let source = if noise == ReleaseLabel::Seeded {
                    NoiseSource::Seeded
                } else {
                    NoiseSource::Secure
                };
                privacy(&train, [0.0, 0.75, 1.2][row], source)
            };
            fake.file(&train, "privacy.json", statement);
            let sample = fake.add(
                "sample",
                Kind::Sample,
                &at,
                json!({ "teacher": "auto" }),
                flow,
                std::slice::from_ref(&train),
            );
            fake.file(
                &sample,
                "synthetic.csv",
                "text,label\n\"one, \"\"two\"\"\",joy\nthree,love\n",
            );
            fake.file(&sample, "sample.json", sampled(2));
            let classify = fake.add(
                "classify",
                Kind::Classify,
                &at,
                json!({}),
                ReleaseLabel::Private,
                &[sample.clone(), data.clone()],
            );
            fake.file(
                &classify,
                "metrics.json",
                metrics([130, 110, 90][row] + replicate * 4, &labels),
            );
            let score = fake.add(
                "score",
                Kind::Score,
                &at,
                json!({ "encoder": "builtin:base" }),
                ReleaseLabel::Private,
                &[sample, data.clone(), classify, train.clone()],
            );
            let found = scores(&labels, texts, row * 3 + replicate as usize);
            fake.file(
                &score,
                "scores.json",
                serde_json::to_string(&found).unwrap(),
            );
            if row == 1 {
                let audit = fake.add(
                    "audit",
                    Kind::Audit,
                    &at,
                    json!({}),
                    ReleaseLabel::Private,
                    &[train],
                );
                fake.file(&audit, "audit.json", audited(0.8, 5.1));
            }
        }
    }
    fake
}

fn plain_texts() -> Vec<String> {
    (0..30)
        .map(|n| {
            format!(
                "i feel {} today because of the thing that happened {n}",
                ["happy", "sad", "angry"][n % 3]
            )
        })
        .collect()
}

#[test]
fn rows_gather_replicates_guarantees_and_figures() {
    let study = fake(&LABELS, &plain_texts(), ReleaseLabel::Dp).study();
    let names: Vec<&str> = study.rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["epsilon=inf", "epsilon=8", "epsilon=3"]);
    assert!(study.is_finished());
    let eight = &study.rows[1];
    assert_eq!((eight.replicates, eight.replicates_finished), (2, 2));
    let accuracy = eight.figures["accuracy"];
    assert_eq!(accuracy.n, 2);
    let values = &eight.values["accuracy"];
    assert!((accuracy.mean - f64::midpoint(values[0], values[1])).abs() < 1e-12);
    assert!(accuracy.sd.unwrap() > 0.0);
    assert_eq!(eight.guarantee.kind, GuaranteeKind::Dp);
    let certified = eight.guarantee.mechanisms[0].record.event.certified(1e-5);
    assert_eq!(eight.guarantee.certified, certified.ok());
    let epsilon = eight.guarantee.epsilon.unwrap();
    assert_eq!(eight.guarantee.mechanisms[0].noise_multiplier, Some(0.75));
    let groups = &eight.guarantee.groups;
    assert_eq!([groups[0].0, groups[1].0], [2, 5]);
    assert!(groups[0].1 > epsilon && groups[1].1 > groups[0].1);
    assert_eq!(study.rows[0].guarantee.kind, GuaranteeKind::None);
    assert_eq!(eight.audit.as_ref().unwrap().ceiling, 5.1);
    assert!(eight.ceilings.contains_key("similarity"));
    let benchmark = study.benchmark.as_ref().unwrap();
    assert_eq!(benchmark.classifications[0].role, Role::Benchmark);
    assert!(benchmark.main_accuracy().unwrap().1.mean > accuracy.mean);
    // Two rows with two replicates each: far more than any one of them, and less than their sum.
    let joint = study.joint.as_ref().unwrap();
    assert_eq!(joint.rows, ["epsilon=8", "epsilon=3"]);
    assert!(
        joint.epsilon > epsilon && joint.epsilon < 4.0 * epsilon.value(),
        "{joint:?}"
    );
    let majority = study.majority.as_ref().unwrap();
    assert!(majority.accuracy < accuracy.mean);
}

#[test]
fn the_sentences_and_the_terminal_say_what_came_out() {
    let fake = fake(&LABELS, &plain_texts(), ReleaseLabel::Dp);
    let study = fake.study();
    let text = terminal::render(&study, 100);
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
    let narrow = terminal::render(&study, 80);
    assert!(
        narrow.lines().all(|line| line.chars().count() <= 80),
        "{narrow}"
    );
    for heading in [
        "accuracy ↑*",
        "verdict*",
        "macro-F1 ↑",
        "similarity →",
        "audit lower bound",
        "noise",
    ] {
        assert!(narrow.contains(heading), "shown, or named below: {narrow}");
    }
    assert!(narrow.contains("not shown at 80 columns"), "{narrow}");
    let blocks = narrow.matches("\n epsilon=3 ").count();
    assert_eq!(blocks, 1, "one table: {narrow}");
    let mut partial = fake;
    partial.known[5].record = None;
    partial.known[5].state = InstanceState::Missing;
    let warnings = claim::warnings(&partial.study());
    assert!(
        warnings[0].starts_with("Incomplete run; partial report: 27 of 28"),
        "{warnings:?}"
    );
}

#[test]
fn every_figure_of_a_row_is_over_its_replicates() {
    let study = fake(&LABELS, &plain_texts(), ReleaseLabel::Dp).study();
    let eight = &study.rows[1];
    for name in [
        "f1.joy",
        "share.love",
        "replayed.email",
        "facts.2",
        "audit_lower",
    ] {
        assert_eq!(
            eight.figures[name].n,
            2,
            "{name}: {:?}",
            eight.figures.keys()
        );
    }
    assert!(eight.figures["f1.joy"].sd.unwrap() > 0.0);
    let page = html::render(&study, &Extras::default()).unwrap();
    let shown = super::table::brief(eight.figures["f1.joy"], 3);
    assert!(page.contains(&shown), "F1 per label: {shown}");
    let accuracy = super::table::spread(eight.figures["accuracy"], 3);
    assert!(
        page.contains(&format!("prompted labels: accuracy {accuracy}")),
        "the matrix: {accuracy}"
    );
    assert!(page.contains("mean ± standard deviation over n = 2 replicates"));
    assert!(
        page.contains("of the first of 2 replicates"),
        "curves say so"
    );
    let csv = export::csv(&study).unwrap();
    let header: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    let cells: Vec<&str> = csv.lines().nth(3).unwrap().split(',').collect();
    let of = |name: &str| cells[header.iter().position(|own| *own == name).unwrap()];
    assert_eq!(
        (of("row"), of("accuracy_n"), of("audit_lower_n")),
        ("epsilon=8", "2", "2")
    );
    assert!(of("similarity_sd").parse::<f64>().unwrap() > 0.0);
}

/// A row with a teacher: what it learnt its labels from, and what it spent.
fn taught(epsilon: f64) -> Study {
    let labels: Vec<String> = LABELS.map(str::to_owned).to_vec();
    let axes = vec![Axis {
        name: "epsilon".into(),
        values: vec![json!(epsilon)],
    }];
    let mut fake = Fake::new(axes);
    let at = [("epsilon", json!(epsilon))];
    let mut add = |stage: &str, kind, params: Value, needs: &[&str]| {
        let needs: Vec<String> = needs
            .iter()
            .map(|need| format!("{need}@epsilon={}", super::rows::word(&json!(epsilon))))
            .collect();
        fake.add(stage, kind, &at, params, ReleaseLabel::Dp, &needs)
    };
    let train = add("train", Kind::Train, json!({ "epsilon": epsilon }), &[]);
    let teacher = add("teacher", Kind::Teacher, json!({ "epsilon": epsilon }), &[]);
    add(
        "sample",
        Kind::Sample,
        json!({ "teacher": "none" }),
        &["train"],
    );
    add(
        "taught",
        Kind::Sample,
        json!({ "teacher": "auto" }),
        &["train", "teacher"],
    );
    let classify = add("classify", Kind::Classify, json!({}), &["sample"]);
    let chosen = add("classify-taught", Kind::Classify, json!({}), &["taught"]);
    let alone = add(
        "alone",
        Kind::Classify,
        json!({ "model": "teacher" }),
        &["teacher"],
    );
    for (instance, right) in [(classify, 90), (chosen, 120), (alone, 100)] {
        fake.file(&instance, "metrics.json", metrics(right, &labels));
    }
    for instance in [train, teacher] {
        fake.file(
            &instance,
            "privacy.json",
            if epsilon == 0.0 {
                serde_json::to_string(&PrivacyRecord::Untouched(PublicInputs::default())).unwrap()
            } else {
                privacy(&instance, 1.0, NoiseSource::Secure)
            },
        );
    }
    fake.study()
}

#[test]
fn a_teacher_that_learnt_nothing_has_no_figure() {
    let study = taught(8.0);
    let figures = &study.rows[0].figures;
    let [own, with, alone] = [
        "accuracy",
        "accuracy_with_teacher",
        "accuracy_teacher_alone",
    ]
    .map(|name| figures[name].mean);
    assert!(own < alone && alone < with, "{figures:?}");
    assert!(claim::claim(&study).contains("with labels by the private teacher"));
    let study = taught(0.0);
    let row = &study.rows[0];
    assert_eq!(row.guarantee.kind, GuaranteeKind::Untouched);
    let named: Vec<&str> = row.figures.keys().map(String::as_str).collect();
    assert!(named.contains(&"accuracy"));
    assert!(
        named.iter().all(|name| !name.contains("teacher")),
        "{named:?}"
    );
    assert_eq!(row.classifications.len(), 1);
    // Beside a row that has one, the column says why it is empty.
    let mut both = taught(8.0);
    both.rows.extend(study.rows);
    let shown = terminal::render(&both, 200);
    let line = shown
        .lines()
        .find(|line| line.contains("base model, no private data used"))
        .unwrap();
    assert!(line.matches("no teacher").count() >= 2, "{shown}");
}

#[test]
fn a_comparison_warns_of_other_data_and_another_program() {
    let study = fake(&LABELS, &plain_texts(), ReleaseLabel::Dp).study();
    let same = super::compare::compare(&study, &study);
    assert_eq!(same.warnings, Vec::<String>::new());
    let mut other = study.clone();
    for instance in &mut other.instances {
        instance.dpx_version = Some("0.2.0".into());
        instance.kind_version = Some(7);
    }
    let data = "stage.preprocess.dataset (content)".to_owned();
    let mut study = study;
    study.settings.insert(data.clone(), json!("one"));
    other.settings.insert(data, json!("two"));
    other.settings.remove(super::compare::SEED);
    let found = super::compare::compare(&study, &other);
    assert!(
        found.warnings[0].starts_with("The data differ: stage `preprocess`"),
        "{found:?}"
    );
    assert!(found.warnings[1].contains("0.1.0 and 0.2.0"), "{found:?}");
    assert!(
        found.warnings[2].contains("changed their meaning"),
        "{found:?}"
    );
    assert_eq!(found.settings.len(), 1, "a run does not know its seed");
    let text = terminal::comparison(&found, 80);
    assert!(text.starts_with("! The data differ"), "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
}

#[test]
fn bounds_are_never_rounded_below_themselves() {
    let shown = [2.9999, 8.0, 7.99, 8.0004, 0.0, 13.861, f64::INFINITY]
        .map(|value| super::table::bound(EpsilonBound::new(value).unwrap()));
    assert_eq!(shown, ["3", "8", "7.99", "8.01", "0", "13.87", "inf"]);
}

#[test]
fn seeded_noise_and_a_wrong_bound_are_cried_out() {
    let seeded = fake(&LABELS, &plain_texts(), ReleaseLabel::Seeded).study();
    assert_eq!(seeded.rows[1].guarantee.kind, GuaranteeKind::Seeded);
    assert!(seeded.joint.is_none());
    assert!(claim::warnings(&seeded)[0].starts_with("Seeded noise in epsilon=8, epsilon=3"));
    let mut fake = fake(&LABELS, &plain_texts(), ReleaseLabel::Dp);
    for replicate in 1..=2 {
        fake.file(
            &format!("audit@epsilon=8,replicate={replicate}"),
            "audit.json",
            audited(80.5, 90.0),
        );
    }
    assert!(claim::warnings(&fake.study())[0].starts_with("Stop: the audit of epsilon=8"));
}

#[test]
fn page_results_and_terminal_hold_the_same_figures() {
    let study = fake(&LABELS, &plain_texts(), ReleaseLabel::Dp).study();
    let page = html::render(
        &study,
        &Extras {
            experiment_file: "[experiment]\nname = \"emotion\"",
            real_texts: None,
        },
    )
    .unwrap();
    let terminal = terminal::render(&study, 200);
    let json = export::json(&study).unwrap();
    let again: Study = serde_json::from_str(&json).unwrap();
    // Records are read from the cache alone: no claim is made from a results file.
    let mut written = study.clone();
    for row in written.rows.iter_mut().chain(&mut written.benchmark) {
        row.guarantee.records.clear();
    }
    assert_eq!(again, written);
    for row in study.all_rows() {
        let shown = super::table::brief(row.figures["accuracy"], 3);
        assert!(
            page.contains(&shown) && terminal.contains(&shown),
            "{shown}"
        );
    }
    let csv = export::csv(&study).unwrap();
    assert_eq!(csv.lines().count(), 1 + 4);
    assert!(export::markdown(&study).contains("| epsilon=8 |"));
    for anchor in [
        "status",
        "claim",
        "summary",
        "tradeoff",
        "privacy",
        "epsilon",
        "fidelity",
        "labels",
        "texts",
        "leakage",
        "run",
        "statement",
        "reproduce",
        "glossary",
    ] {
        assert!(
            page.contains(&format!("<section id=\"{anchor}\">")),
            "{anchor}"
        );
    }
    assert!(page.contains("Diagnostics, not a guarantee."));
    assert!(page.contains("Internal."));
    assert!(page.len() < 300_000, "{}", page.len());
    assert_eq!(page.matches("<script").count(), 1, "the one that filters");
    assert!(!page.contains("http://") && !page.contains("https://"));
    // The width of a window counts its scroll bar, which captions would be cut off under.
    assert!(!page.contains("100vw"));
    if let Ok(path) = std::env::var("DPX_TEST_PAGE") {
        std::fs::write(path, page).unwrap();
    }
}

#[test]
fn results_hold_texts_that_other_tools_read() {
    let fake = fake(&LABELS, &plain_texts(), ReleaseLabel::Dp);
    let folder = tempfile::tempdir().unwrap();
    fake.with(|sources| {
        super::write_results(sources, "[experiment]", Extent::default(), folder.path())
    })
    .unwrap();
    // All of these and no other are known before anything runs.
    let mut expected = fake.with(|sources| super::result_paths(sources.plan, Extent::default()));
    expected.sort();
    let list = |inside: &str| {
        let entries = std::fs::read_dir(folder.path().join(inside)).unwrap();
        let files = entries.map(|entry| entry.unwrap().path());
        let files = files.filter(|path| path.is_file());
        files
            .map(|path| {
                let path = path.strip_prefix(folder.path()).unwrap();
                path.to_str().unwrap().to_owned()
            })
            .collect::<Vec<_>>()
    };
    let mut written = [list("."), list("synthetic")].concat();
    written.sort();
    assert_eq!(written, expected);
    let texts = folder.path().join("synthetic");
    let line = std::fs::read_to_string(texts.join("epsilon=8,replicate=1.jsonl")).unwrap();
    assert_eq!(
        line.lines().next().unwrap(),
        "{\"label\":\"joy\",\"text\":\"one, \\\"two\\\"\"}"
    );
    let table = dpx_data::read_parquet(&texts.join("epsilon=3,replicate=2.parquet")).unwrap();
    let names: Vec<&str> = table
        .columns
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["text", "label"]);
    let dpx_data::ParquetValues::Text(column) = &table.columns[0].1 else {
        panic!("{:?}", table.columns)
    };
    assert_eq!(column.len(), 2);
    let card = std::fs::read_to_string(texts.join("README.md")).unwrap();
    assert!(
        card.starts_with("---\n") && card.contains("config_name: \"epsilon=8,replicate=1\""),
        "{card}"
    );
    if let Ok(path) = std::env::var("DPX_TEST_RESULTS") {
        fake.with(|sources| {
            super::write_results(
                sources,
                "[experiment]",
                Extent::default(),
                std::path::Path::new(&path),
            )
        })
        .unwrap();
    }
}

/// Rule 49: joint claims once counted replicates with a score alone.
#[test]
fn a_replicate_without_a_score_costs_as_much() {
    let whole = fake(&LABELS, &plain_texts(), ReleaseLabel::Dp).study();
    let mut unscored = fake(&LABELS, &plain_texts(), ReleaseLabel::Dp);
    unscored.folders.0.retain(|(instance, path), _| {
        !instance.contains("replicate=2")
            || !matches!(path.as_str(), "metrics.json" | "scores.json")
    });
    let study = unscored.study();
    let scored = |study: &Study| study.rows[1].figures["accuracy"].n;
    assert_eq!((scored(&study), scored(&whole)), (1, 2));
    let joint = |study: &Study| study.joint.clone().unwrap();
    assert_eq!(joint(&study).epsilon, joint(&whole).epsilon);
    let runs = study.rows.iter().flat_map(|row| &row.guarantee.records);
    let events: Vec<DpEvent> = runs
        .filter_map(|record| Some(record.private()?.event.clone()))
        .collect();
    assert_eq!(events.len(), 4, "two rows of two replicates");
    let all = DpEvent::composed(events).epsilon(1e-5).unwrap();
    assert_eq!(joint(&study).epsilon, all);
}

/// A page, its sentences and all exports of a study; panics where one of them cannot be made.
fn everything(study: &Study) -> String {
    for width in [60, 80, 100, 200] {
        let shown = terminal::render(study, width);
        let longest = shown.lines().map(|line| line.chars().count()).max();
        assert!(longest.unwrap() <= width.max(70), "{width}: {shown}");
    }
    export::csv(study).unwrap();
    export::long_csv(study, &[]).unwrap();
    export::markdown(study);
    let metrics = super::latex::chosen(study, &[]).unwrap();
    super::latex::latex(study, &metrics);
    super::picture::pictures(study);
    super::bibtex::bibtex(study);
    super::compare::compare(study, study);
    html::render(study, &Extras::default()).unwrap()
}

#[test]
fn hundreds_of_labels_make_a_page_of_bearable_size() {
    let names: Vec<String> = (0..240)
        .map(|label| format!("label number {label}"))
        .collect();
    let labels: Vec<&str> = names.iter().map(String::as_str).collect();
    let study = fake(&labels, &plain_texts(), ReleaseLabel::Dp).study();
    let page = everything(&study);
    assert!(page.len() < 2_000_000, "{}", page.len());
    assert!(page.contains("240 labels are too many for a matrix"));
    assert!(page.contains("<select aria-label=\"Label\">"));
    assert!(page.contains("The texts of 140 more labels"));
    if let Ok(path) = std::env::var("DPX_TEST_LABELS_PAGE") {
        std::fs::write(path, page).unwrap();
    }
}

#[test]
fn awkward_studies_are_told_as_they_are() {
    // One label; texts of ten thousand letters, right to left, with line breaks.
    let texts: Vec<String> = vec![
        "\u{5e9}\u{5dc}\u{5d5}\u{5dd} ".repeat(2_000),
        "\u{202e}gnp.exe\n\nsecond line".into(),
        "word ".repeat(4_000),
    ];
    let study = fake(&["\u{5d0}\u{5d1}\u{5d2}"], &texts, ReleaseLabel::Dp).study();
    let page = everything(&study);
    assert!(page.contains("dir=\"auto\"") && !page.contains('\u{202e}'));
    // No classifier at all.
    let mut bare = fake(&LABELS, &plain_texts(), ReleaseLabel::Dp);
    bare.folders.0.retain(|(_, path), _| path != "metrics.json");
    let study = bare.study();
    let page = everything(&study);
    assert!(study.rows.iter().all(|row| row.floor.is_none()));
    assert!(!page.contains("fit for use"), "nothing is known of it");
    // Half of it is missing.
    let mut partial = fake(&LABELS, &plain_texts(), ReleaseLabel::Dp);
    for at in (1..28).step_by(2) {
        partial.known[at].record = None;
        partial.known[at].state = InstanceState::Missing;
    }
    assert!(everything(&partial.study()).contains("Incomplete run"));
    // Epsilon 0 alone.
    everything(&taught(0.0));
}

#[test]
fn a_row_that_is_worse_than_what_costs_less_is_not_offered() {
    use super::verdict::{Fitness, offered, verdict};
    let mut study = fake(&LABELS, &plain_texts(), ReleaseLabel::Dp).study();
    // Bags of words are right half of the time, and so is no row by much.
    let fitness = |study: &Study, row: usize| verdict(study, &study.rows[row]).unwrap();
    assert_eq!(fitness(&study, 1).fitness, Fitness::Fit);
    assert_eq!(offered(&study).unwrap().name, "epsilon=3");
    let accuracy = study.rows[2].figures["accuracy"].mean;
    study.rows[2].floor.as_mut().unwrap().accuracy = accuracy + 0.1;
    let found = fitness(&study, 2);
    assert_eq!(
        (found.fitness, found.short.as_str()),
        (Fitness::Floor, "unfit: below word bags")
    );
    assert!(
        found.sentence.contains("not fit for use")
            && found.sentence.contains("0.100 below bags of words"),
        "{}",
        found.sentence
    );
    assert_eq!(offered(&study).unwrap().name, "epsilon=8");
    for row in &mut study.rows {
        row.figures.get_mut("accuracy").unwrap().mean = 0.1;
    }
    assert_eq!(fitness(&study, 1).fitness, Fitness::Majority);
    assert!(offered(&study).is_none());
    let text = terminal::render(&study, 200);
    assert!(text.contains("unfit: below majority"), "{text}");
}

/// A row of the base model used no private data: it may go, whatever else has no guarantee.
#[test]
fn what_is_next_names_rows_that_can_be_released() {
    let mut study = fake(&LABELS, &plain_texts(), ReleaseLabel::Dp).study();
    let told = super::next(&study, "dpx release a.toml");
    assert_eq!(
        told,
        "to share texts: dpx release a.toml --row epsilon=3 --out FOLDER"
    );
    study.rows.truncate(1);
    let told = super::next(&study, "dpx release a.toml");
    assert!(told.contains("none can be released"), "{told}");
    study.rows[0].guarantee.kind = GuaranteeKind::Untouched;
    study.rows[0].name = "epsilon=0".into();
    let told = super::next(&study, "dpx release a.toml");
    assert!(
        told.ends_with("can be released: dpx release a.toml --row epsilon=0 --out FOLDER"),
        "{told}"
    );
    assert!(!told.contains("none can be released"), "{told}");
    let claim = claim::claim(&study);
    assert!(
        claim.starts_with("No finished row was trained on private data."),
        "{claim}"
    );
    // Guarantees without texts, of a teacher and counts alone, are not missing.
    study.rows[0].guarantee.kind = GuaranteeKind::Dp;
    study.rows[0].samples.clear();
    let told = super::next(&study, "dpx release a.toml");
    assert!(
        told.contains("writes texts") && !told.contains("no row has a guarantee"),
        "{told}"
    );
}

/// What `dpx rehearse` shows was measured on public texts, and says so in every form.
#[test]
fn a_rehearsal_is_not_taken_for_the_study() {
    let mut fake = fake(&LABELS, &plain_texts(), ReleaseLabel::Dp);
    fake.plan.experiment = "emotion-rehearsal".into();
    let of_private = "measured on private data";
    assert!(!fake.study().rehearsal, "a name alone does not tell");
    assert!(terminal::render(&fake.study(), 100).contains(of_private));
    let page = html::render(&fake.study(), &Extras::default()).unwrap();
    assert!(page.contains("on real test texts"));
    fake.plan.instances[0].params = json!({ "dataset": "/c/rehearsal/emotion/preprocess" });
    let study = fake.study();
    assert!(study.rehearsal);
    for text in [
        terminal::render(&study, 100),
        export::markdown(&study),
        html::render(&study, &Extras::default()).unwrap(),
    ] {
        assert!(!text.contains(of_private), "{text}");
        assert!(text.contains("Rehearsal: public stand-in texts"), "{text}");
        let speaks = |word: &str| {
            text.split(|letter: char| !letter.is_alphanumeric())
                .any(|own| own == word)
        };
        assert!(!speaks("real"), "{text}");
    }
    assert_eq!(
        study.said("Real and (real) texts, unreal: real."),
        "Real and (stand-in) texts, unreal: stand-in."
    );
    let told = super::next(&study, "dpx release a.toml");
    assert!(told.contains("release nothing of it"), "{told}");
}

/// A benchmark alone is a result, though no synthetic text was tested.
#[test]
fn a_benchmark_alone_is_told() {
    let mut partial = fake(&LABELS, &plain_texts(), ReleaseLabel::Dp);
    for known in &mut partial.known[2..] {
        known.record = None;
        known.state = InstanceState::Missing;
    }
    let claim = claim::claim(&partial.study());
    assert!(
        claim.starts_with("No synthetic texts have been tested yet: 2 of 28 stages finished.")
            && claim.contains("gives accuracy 0."),
        "{claim}"
    );
}

#[test]
fn mauve_of_few_texts_carries_a_warning() {
    let mut study = fake(&LABELS, &plain_texts(), ReleaseLabel::Dp).study();
    let all = |study: &Study| {
        [
            terminal::render(study, 200),
            export::markdown(study),
            html::render(study, &Extras::default()).unwrap(),
        ]
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    for text in all(&study) {
        assert!(
            text.contains("MAUVE compared ") && text.contains("biased upwards"),
            "{text}"
        );
    }
    for scores in study.rows.iter_mut().filter_map(|row| row.scores.as_mut()) {
        (scores.n.embedded, scores.n.synthetic, scores.n.held_out) = (900, 900, 900);
    }
    for text in all(&study) {
        assert!(
            text.contains("MAUVE compares up to 900 texts a side"),
            "{text}"
        );
        assert!(!text.contains("biased upwards"), "{text}");
    }
}

#[test]
fn headings_of_the_markdown_are_not_said_twice() {
    let text = export::markdown(&fake(&LABELS, &plain_texts(), ReleaseLabel::Dp).study());
    for title in ["Fidelity", "Leakage (diagnostics, not a guarantee)"] {
        let (_, after) = text.split_once(&format!("## {title}\n\n")).unwrap();
        assert!(!after.starts_with(title), "{after}");
    }
    assert!(text.contains("\n\nMean ± standard deviation"), "{text}");
}

/// The verdict says more than the floor that it is drawn from.
#[test]
fn a_narrow_summary_keeps_the_verdict() {
    let study = fake(&LABELS, &plain_texts(), ReleaseLabel::Dp).study();
    for width in [60, 70, 80, 100] {
        let text = terminal::render(&study, width);
        let table = text.split("\n* ").next().unwrap();
        assert!(
            table.contains("verdict*") || !table.contains("word bags"),
            "{width}: {text}"
        );
        assert!(
            text.lines().all(|line| line.chars().count() <= width),
            "{width}: {text}"
        );
    }
    assert!(
        terminal::render(&study, 70)
            .split("\n* ")
            .next()
            .unwrap()
            .contains("verdict*")
    );
}

#[test]
fn published_figures_of_other_data_share_no_axis() {
    let mut fake = fake(&LABELS, &plain_texts(), ReleaseLabel::Dp);
    let study = fake.study();
    assert_eq!(study.reference, None);
    let page = html::render(&study, &Extras::default()).unwrap();
    assert!(!page.contains("◇ published") && page.contains("Published figures are left out"));
    fake.plan.instances[0].params = json!({ "dataset": "hf:who/feelings@main" });
    let study = fake.study();
    assert!(study.reference.is_some());
    let page = html::render(&study, &Extras::default()).unwrap();
    assert!(page.contains("◇ published"));
}

#[test]
fn the_label_that_loses_most_is_the_same_in_sentence_and_table() {
    let study = fake(&LABELS, &plain_texts(), ReleaseLabel::Dp).study();
    let table = super::page::label_changes(&study);
    let sentence = super::page::labels_sentence(&study);
    assert!(
        sentence.starts_with(&format!("{} loses most", table.rows[0][0])),
        "{sentence} {table:?}"
    );
}

#[test]
fn an_empty_study_is_no_trouble() {
    let fake = Fake::new(Vec::new());
    let study = fake.study();
    assert!(claim::claim(&study).starts_with("No results yet"));
    html::render(&study, &Extras::default()).unwrap();
    terminal::render(&study, 80);
    export::csv(&study).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn odd_labels_and_texts_never_break_the_page(label in "[^\\r\\n]{1,30}", text in ".{0,200}") {
        let nasty = ["</script><script>alert(1)</script>", "\u{202e}gnp.exe", "--><!--", "]]>", "\0\u{1}", "👩‍👩‍👧 🇩🇪", "{{ study }}"];
        let mut texts: Vec<String> = nasty.iter().map(|&text| text.to_owned()).collect();
        texts.push(text);
        texts.push("x".repeat(10_000));
        let study = fake(&[&label, "</title></svg>", "\"'<&>"], &texts, ReleaseLabel::Dp).study();
        let page = html::render(&study, &Extras { experiment_file: "</pre><script>", real_texts: None }).unwrap();
        prop_assert_eq!(page.matches("<script").count(), 1);
        let hidden = page.contains('\u{202e}') || page.contains('\0');
        prop_assert!(!hidden);
        for element in ["svg", "section", "table", "figure", "style", "title", "pre", "bdi"] {
            let opened = page.matches(&format!("<{element}>")).count() + page.matches(&format!("<{element} ")).count();
            let closed = page.matches(&format!("</{element}>")).count();
            prop_assert_eq!(opened, closed, "{}", element);
        }
    }
}
