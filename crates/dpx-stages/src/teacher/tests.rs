//! The stage on a small built-in data set.

use super::*;
use dpx_schema::PrivacyRecord;
use dpx_schema::context::NoProgress;
use dpx_schema::{Input, Kind, PublicSchema, ReleaseLabel, SCHEMA_FILE};
use std::collections::BTreeMap;
use std::path::Path;

fn preprocess(folder: &Path, train: usize) {
    let dataset = builtin::emotions();
    Rows::write(folder.join("train.jsonl"), &dataset.train[..train]).unwrap();
    Rows::write(folder.join("validation.jsonl"), &dataset.validation).unwrap();
    PublicSchema::new(
        dataset.labels,
        "{label}: {text}",
        dpx_schema::LabelIntegration::Prefix,
        train as u64,
    )
    .save(folder.join(SCHEMA_FILE))
    .unwrap();
}

fn teach(root: &Path, params: serde_json::Value) -> Result<f64, StageError> {
    let (input, output) = (root.join("input"), root.join("output"));
    std::fs::create_dir_all(&input).unwrap();
    let _ = std::fs::remove_dir_all(&output);
    std::fs::create_dir_all(&output).unwrap();
    preprocess(&input, 4000);
    let context = StageContext {
        instance: "teacher@epsilon=8".into(),
        kind: Kind::Teacher,
        params,
        performance: json!({}),
        inputs: BTreeMap::from([(
            "preprocess".to_owned(),
            Input {
                kind: Kind::Preprocess,
                path: input,
                digest: "d".repeat(64),
                flow: ReleaseLabel::Private,
            },
        )]),
        output: output.clone(),
        state: root.join("state"),
        secrets: root.join("secrets"),
        ledger: root.join("ledger").into(),
        key: "k".repeat(64),
        seed: 5,
        device: dpx_schema::Device::Cpu,
        others: Vec::new(),
        progress: &NoProgress,
    };
    crate::people::know(&context);
    run(&context)?.run()?;
    let internal: serde_json::Value =
        serde_json::from_slice(&std::fs::read(output.join("internal/validation.json")).unwrap())
            .unwrap();
    Ok(internal["validation_accuracy"].as_f64().unwrap())
}

#[test]
fn utility_falls_with_epsilon_and_the_statement_holds_the_budget() {
    let root = tempfile::tempdir().unwrap();
    let at = |epsilon: serde_json::Value| {
        teach(
            root.path(),
            json!({"epsilon": epsilon, "noise": "seeded", "steps": 30}),
        )
        .unwrap()
    };
    let infinite = at(json!("inf"));
    let eight = at(json!(8));
    let record = PrivacyRecord::load(&root.path().join("output")).unwrap();
    let claim = record.private().unwrap().claim().unwrap();
    let certified = claim.epsilon().value();
    assert!(certified <= 8.0 && certified > 7.99, "{certified}");
    let little = at(json!(0.05));
    assert!(infinite > 0.65, "{infinite}");
    assert!(infinite >= eight && eight > 0.55, "{infinite} {eight}");
    assert!(eight > little + 0.1, "{eight} {little}");
}

#[test]
fn every_private_run_is_entered_in_the_ledger_and_epsilon_zero_is_none() {
    let root = tempfile::tempdir().unwrap();
    let entries = || {
        let ledger = dpx_ledger::Ledger::at(root.path().join("ledger"));
        ledger.history().unwrap().runs().to_vec()
    };
    teach(root.path(), json!({"epsilon": 0})).unwrap();
    assert!(entries().is_empty());
    teach(root.path(), json!({"epsilon": 8, "steps": 2})).unwrap();
    teach(root.path(), json!({"epsilon": 8, "steps": 2})).unwrap();
    let entries = entries();
    assert_eq!(entries.len(), 2, "a second run spends again");
    let DpEvent::SelfComposed { count, .. } = &entries[0].event else {
        panic!("{:?}", entries[0].event);
    };
    assert_eq!(*count, 2);
}

#[test]
fn a_head_on_a_public_encoder_learns_and_stands_alone() {
    let root = tempfile::tempdir().unwrap();
    let infinite = teach(
        root.path(),
        json!({"epsilon": "inf", "noise": "seeded", "form": "head", "steps": 60}),
    )
    .unwrap();
    let nothing = teach(root.path(), json!({"epsilon": 0, "form": "head"})).unwrap();
    assert!(infinite > nothing + 0.05, "{infinite} {nothing}");
    teach(
        root.path(),
        json!({"epsilon": 8, "noise": "seeded", "form": "head", "steps": 5}),
    )
    .unwrap();
    let teacher = Teacher::load(&root.path().join("output"), dpx_schema::Device::Cpu).unwrap();
    let texts = ["so glad to see you".to_owned(), String::new()];
    for row in teacher.probabilities(&texts).unwrap() {
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{row:?}");
    }
}

/// Whoever leaves with all of their records moves the sum by at most the bound.
#[test]
fn one_person_moves_the_gradient_by_at_most_its_bound() {
    people_are_bounded();
}

pub(crate) fn people_are_bounded() {
    use crate::members::tests::{row, schema};
    use dpx_data::Owner;
    use dpx_sgd::softmax::SparseRows;
    let single = ["ann", "ann", "ann", "bob", "bob", "cem"];
    let shared = ["ann+bob", "ann", "ann+cem", "bob", "cem", "cem+bob"];
    for (owners, several) in [(single, false), (shared, true)] {
        let rows: Vec<Row> = owners
            .into_iter()
            .zip(0..)
            .map(|(owners, id)| row(id, "text", "joy", &owners.split('+').collect::<Vec<_>>()))
            .collect();
        let mut features = SparseRows::new(4);
        for place in 0..rows.len() as u32 {
            features.push_normalized([(place % 2, 1.0), (3, 0.2)]);
        }
        let model = SoftmaxRegression {
            weights: (0..12).map(|i| f64::from(i * 5 % 7) - 3.0).collect(),
            classes: 3,
        };
        let labels = [0, 0, 0, 1, 0, 2];
        let whole = units(&rows, &schema(3, 9, several)).unwrap().unwrap();
        let sum = |units: &[RowsAsOne]| model.clipped_sum_of_units(&features, &labels, units, 0.3);
        let with = sum(&whole);
        let mut closest: f64 = 0.0;
        for name in ["ann", "bob", "cem"] {
            let owner = Owner::named(name);
            let rest: Vec<RowsAsOne> = whole
                .iter()
                .filter(|unit| !rows[unit.rows[0]].owners.contains(&owner))
                .cloned()
                .collect();
            let pairs = with.iter().zip(sum(&rest));
            let apart = pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
            assert!(apart <= 0.3 * (1.0 + 1e-9), "{name}: {apart}");
            closest = closest.max(apart);
        }
        assert!(closest > 0.2, "the bound is not loose: {closest}");
    }
}
