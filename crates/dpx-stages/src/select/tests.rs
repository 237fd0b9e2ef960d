//! The stage on a small pool, and how far one unit moves the votes.

use super::*;
use crate::members::tests::{row, schema};
use crate::metric::Embeddings;
use dpx_accounting::DpEvent;
use dpx_data::{Owner, Row, builtin};
use dpx_schema::context::NoProgress;
use dpx_schema::{
    Device, Input, Kind, LabelIntegration, PrivacyRecord, PublicSchema, ReleaseLabel, SCHEMA_FILE,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

fn pool_of(labels: Vec<usize>, seed: u64) -> Pool {
    Pool {
        embeddings: embeddings(labels.len(), seed),
        labels,
        digest: String::new(),
    }
}

fn embeddings(rows: usize, seed: u64) -> Embeddings {
    let value = |at: usize| ((at as u64 * 7919 + seed * 104_729) % 1009) as f32 - 500.0;
    let values = (0..rows * 4).map(value).collect();
    Embeddings::new(values, 4).unwrap().normalized()
}

fn params(more: &Value) -> SelectParams {
    let mut params = json!({ "epsilon": 1 });
    for (key, value) in more.as_object().unwrap() {
        params[key] = value.clone();
    }
    serde_json::from_value(params).unwrap()
}

fn ways() -> [SelectParams; 3] {
    [
        params(&json!({"clusters": 5})),
        params(&json!({"by": "nearest", "votes_per_text": 3})),
        // More than the pool has of a label.
        params(&json!({"by": "nearest", "votes_per_text": 40})),
    ]
}

/// Whoever leaves, a record or a person with all of their records, moves the sum of the votes by at most 1.
#[test]
fn one_unit_moves_the_votes_by_at_most_one() {
    units_are_bounded();
}

pub(crate) fn units_are_bounded() {
    let pool = pool_of((0..30).map(|place| place % 3).collect(), 1);
    let single = ["ann", "ann", "ann", "bob", "bob", "cem"];
    let shared = ["ann+bob", "ann", "ann+cem", "bob", "cem", "cem+bob"];
    let labels = ["joy", "joy", "joy", "fear", "love", "fear"];
    for (owners, several) in [(single, false), (shared, true)] {
        let rows: Vec<Row> = owners
            .iter()
            .zip(labels)
            .zip(0..)
            .map(|((owners, label), id)| {
                row(id, "text", label, &owners.split('+').collect::<Vec<_>>())
            })
            .collect();
        let people = schema(3, 9, several);
        let shares = shares(&rows, &people).unwrap();
        let places: Vec<usize> = rows
            .iter()
            .map(|row| people.label_index(&row.label).unwrap())
            .collect();
        let texts = vec!["text"; rows.len()];
        // All records are alike: the worst case.
        let alike = embeddings(1, 9).select(&[0; 6]);
        for params in ways() {
            let booth = Booth::new(&pool, &params, 1);
            let cells = booth.cells(&pool, 3);
            let ballots = booth.ballots(&pool, &places, &alike);
            for shares in [None, shares.as_deref()] {
                let counted = Counted::of(&texts, &places, shares);
                let with = counted_votes(&counted, &ballots, cells);
                let mut closest: f64 = 0.0;
                let units: Vec<Vec<usize>> = match shares {
                    None => (0..6).map(|row| vec![row]).collect(),
                    Some(_) => ["ann", "bob", "cem"]
                        .map(|name| {
                            let owner = Owner::named(name);
                            let owns = |at: &usize| rows[*at].owners.contains(&owner);
                            (0..6).filter(owns).collect()
                        })
                        .to_vec(),
                };
                for unit in units {
                    let stays = |at: &usize| !unit.contains(at);
                    let left: Vec<usize> = (0..6).filter(stays).collect();
                    let few: Vec<Counted<'_>> = left.iter().map(|&at| counted[at]).collect();
                    let votes: Vec<_> = left.iter().map(|&at| ballots[at].clone()).collect();
                    let without = counted_votes(&few, &votes, cells);
                    let pairs = with.cells.iter().zip(&without.cells);
                    let apart: f64 = pairs.map(|(a, b)| (a - b) * (a - b)).sum();
                    let share = apart.sqrt() / with.sensitivity;
                    assert!(share <= 1.0 + 1e-12, "{unit:?}: {share}");
                    closest = closest.max(share);
                }
                if params.votes_per_text < 40 {
                    assert!(closest > 0.9, "the bound is not loose: {closest}");
                }
            }
        }
    }
}

#[test]
fn a_text_votes_for_the_nearest_of_its_own_label() {
    let pool = pool_of((0..30).map(|place| place % 3).collect(), 1);
    let texts = pool.embeddings.select(&[4, 11, 12]);
    let [clusters, nearest, _] = ways();
    let booth = Booth::new(&pool, &nearest, 1);
    let ballots = booth.ballots(&pool, &[1, 2, 0], &texts);
    for (ballot, own) in ballots.iter().zip([4, 11, 12]) {
        assert_eq!(ballot[0].0, own, "a text is nearest to itself");
        assert_eq!(ballot.len(), 3);
        assert!(ballot.iter().all(|(place, _)| place % 3 == own % 3));
    }
    let booth = Booth::new(&pool, &clusters, 1);
    assert_eq!(booth.cells(&pool, 3), 15);
    let ballots = booth.ballots(&pool, &[1, 2, 0], &texts);
    let of_pool = booth.of_pool();
    for ((ballot, label), own) in ballots.iter().zip([1, 2, 0]).zip([4, 11, 12]) {
        assert_eq!(*ballot, [(label * 5 + of_pool[own], 1.0)]);
    }
}

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    /// So many private texts, and a pool of others.
    fn new(private: &[usize]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (input, pool) = (folder.path().join("input"), folder.path().join("pool"));
        std::fs::create_dir_all(&input).unwrap();
        std::fs::create_dir_all(&pool).unwrap();
        let dataset = builtin::emotions();
        let rows: Vec<Row> = private
            .iter()
            .map(|&at| dataset.train[at].clone())
            .collect();
        Rows::write(input.join("train.jsonl"), &rows).unwrap();
        PublicSchema::new(
            dataset.labels,
            "{label}: {text}",
            LabelIntegration::Prefix,
            300,
        )
        .save(input.join(SCHEMA_FILE))
        .unwrap();
        let mut file = csv::Writer::from_path(pool.join("synthetic.csv")).unwrap();
        file.write_record(["text", "label"]).unwrap();
        for row in &dataset.validation[..200] {
            file.write_record([&row.text, &row.label]).unwrap();
        }
        file.flush().unwrap();
        Self { folder }
    }

    fn attempt(&self, params: &Value) -> Result<(Votes, Finish), StageError> {
        let root = self.folder.path();
        let output = root.join("output");
        let _ = std::fs::remove_dir_all(&output);
        std::fs::create_dir_all(&output).unwrap();
        let input = |kind: Kind, name: &str, flow| Input {
            kind,
            path: root.join(name),
            digest: "d".repeat(64),
            flow,
        };
        let context = StageContext {
            instance: "votes@epsilon=3".into(),
            kind: Kind::Select,
            params: params.clone(),
            performance: json!({}),
            inputs: BTreeMap::from([
                (
                    "preprocess".to_owned(),
                    input(Kind::Preprocess, "input", ReleaseLabel::Private),
                ),
                (
                    "pool".to_owned(),
                    input(Kind::Sample, "pool", ReleaseLabel::Public),
                ),
            ]),
            output: output.clone(),
            state: root.join("state"),
            secrets: root.join("secrets"),
            ledger: root.join("ledger").into(),
            key: "k".repeat(64),
            seed: 5,
            device: Device::Cpu,
            others: Vec::new(),
            progress: &NoProgress,
        };
        if root.join("input/train.jsonl").exists() {
            crate::people::know(&context);
        }
        let finish = run(&context)?;
        Ok((Votes::load(&output, &root.join("pool"))?, finish))
    }

    fn run(&self, params: &Value) -> Votes {
        let (votes, finish) = self.attempt(params).unwrap();
        finish.run().unwrap();
        votes
    }

    fn record(&self) -> PrivacyRecord {
        PrivacyRecord::load(&self.folder.path().join("output")).unwrap()
    }

    fn entries(&self) -> usize {
        let ledger = dpx_ledger::Ledger::at(self.folder.path().join("ledger"));
        ledger.history().unwrap().runs().len()
    }
}

fn all() -> Vec<usize> {
    (0..300).collect()
}

/// Rules 13, 36 and 41: neighbours differ in the counts alone, and there by at most 1.
#[test]
fn a_record_less_changes_the_counts_by_one_vote_and_nothing_else() {
    for by in [json!("clusters"), json!("nearest")] {
        let params = json!({"epsilon": "inf", "clusters": 20, "by": by});
        let with = Bench::new(&all()).run(&params);
        let without = Bench::new(&all()[1..]).run(&params);
        let pairs = with.counts.cells.iter().zip(&without.counts.cells);
        let apart: f64 = pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
        assert!((apart - 1.0).abs() < 1e-6, "{apart}");
        let others = Votes {
            counts: with.counts.clone(),
            ..without
        };
        assert_eq!(others, with);
    }
}

#[test]
fn every_cell_has_noise_and_the_record_is_one_gaussian() {
    for (by, allowed) in [("clusters", false), ("nearest", true)] {
        let bench = Bench::new(&all());
        let params = json!({"epsilon": 3, "noise": "seeded", "clusters": 20, "by": by});
        let votes = bench.run(&params);
        let expected = if by == "clusters" { 6 * 20 } else { 200 };
        assert_eq!(votes.counts.cells.len(), expected);
        let whole = |cell: &f64| cell.fract() == 0.0;
        assert!(!votes.counts.cells.iter().any(whole));
        let PrivacyRecord::Private(run) = bench.record() else {
            panic!("private");
        };
        let DpEvent::Gaussian {
            noise_multiplier, ..
        } = run.event
        else {
            panic!("{:?}", run.event);
        };
        assert!((noise_multiplier - votes.counts.noise_std).abs() < 1e-12);
        assert_eq!((run.max_grad_norm, run.examples), (1.0, 300));
        assert_eq!(run.rounding_allowance > 0.0, allowed);
        let epsilon = run.claim().unwrap().epsilon().value();
        assert!(epsilon <= 3.0 && epsilon > 2.99, "{epsilon}");
        assert_eq!(bench.entries(), 1);
    }
}

#[test]
fn epsilon_zero_looks_at_nobody_and_is_entered_nowhere() {
    let bench = Bench::new(&all());
    std::fs::remove_file(bench.folder.path().join("input/train.jsonl")).unwrap();
    let votes = bench.run(&json!({"epsilon": 0, "clusters": 20}));
    assert!(votes.counts.cells.is_empty() && votes.of_pool.len() == 200);
    assert!(matches!(bench.record(), PrivacyRecord::Untouched(_)));
    assert_eq!(bench.entries(), 0);
}

/// Rules 24 and 27: attempts that are cut short draw the same noise under one entry; another run draws other noise.
#[test]
fn attempts_are_one_entry_and_one_noise_until_the_end() {
    let bench = Bench::new(&all());
    let params = json!({"epsilon": 3, "clusters": 20});
    let (first, _) = bench.attempt(&params).unwrap();
    let (again, finish) = bench.attempt(&params).unwrap();
    assert_eq!(first, again);
    assert_eq!(bench.entries(), 1);
    finish.run().unwrap();
    assert_ne!(bench.run(&params).counts, first.counts);
    assert_eq!(bench.entries(), 2);
}

#[test]
fn votes_for_other_texts_are_refused() {
    let bench = Bench::new(&all());
    bench.run(&json!({"epsilon": 0, "clusters": 20}));
    let (output, pool) = ("output", "pool/synthetic.csv");
    let path = bench.folder.path().join(pool);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text + "another text,joy\n").unwrap();
    let root: &Path = bench.folder.path();
    let error = Votes::load(&root.join(output), &root.join("pool")).unwrap_err();
    assert!(error.to_string().contains("other texts"), "{error}");
}
