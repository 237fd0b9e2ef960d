//! Tests of preprocess: the artifact, scrubbing of the built-in corpus, declarations.

use crate::scrub::Tally;
use dpx_schema::Device;
use dpx_schema::PublicSchema;
use dpx_schema::{Kind, StageContext, StageError, context::NoProgress};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

fn run(params: Value, output: &Path) -> Result<(), StageError> {
    super::run(&StageContext {
        instance: "preprocess".into(),
        kind: Kind::Preprocess,
        params,
        performance: json!({}),
        inputs: BTreeMap::new(),
        output: output.to_owned(),
        state: output.to_owned(),
        secrets: output.to_owned(),
        ledger: output.to_owned(),
        key: "0".repeat(64),
        seed: 1,
        device: Device::Cpu,
        progress: &NoProgress,
    })
}

fn files(params: Value) -> BTreeMap<String, Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    run(params, folder.path()).unwrap();
    std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn scrubs_the_builtin_corpus_and_scores_itself() {
    let folder = tempfile::tempdir().unwrap();
    run(json!({"dataset": "builtin:emotions"}), folder.path()).unwrap();
    let schema = PublicSchema::load(folder.path().join("schema.json")).unwrap();
    assert_eq!(schema.labels.len(), 6);
    assert_eq!(schema.examples, 9663);
    let tally: Tally =
        serde_json::from_slice(&std::fs::read(folder.path().join("scrub.json")).unwrap()).unwrap();
    for (kind, score) in &tally.planted {
        println!(
            "{kind}: {score:?} recall {:?} precision {:?}",
            score.recall(),
            score.precision()
        );
    }
    for (kind, recall, precision) in [
        ("EMAIL", 0.97, 0.97),
        ("PHONE", 0.97, 0.9),
        ("HANDLE", 0.97, 0.9),
    ] {
        let score = tally.planted[kind];
        assert!(score.recall().unwrap() >= recall, "{kind}");
        assert!(score.precision().unwrap() >= precision, "{kind}");
    }
    // Rules know no names.
    assert_eq!(tally.planted["PERSON"].removed, 0);
    let train = std::fs::read_to_string(folder.path().join("train.jsonl")).unwrap();
    assert_eq!(train.lines().count(), 9663);
    assert!(!train.contains("@example") && train.contains("[EMAIL]"));
}

#[test]
fn the_bytes_depend_on_what_was_found_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.csv");
    let mut content = "text,label\n".to_owned();
    for row in 0..60 {
        writeln!(content, "text number {row},{}", row % 2).unwrap();
    }
    std::fs::write(&path, &content).unwrap();
    let params = |scrub: Value| json!({"dataset": path, "labels": ["joy", "fear"], "scrub": scrub});
    let none = files(params(json!([])));
    assert_eq!(none, files(params(json!("rules"))));
    assert_eq!(
        none.keys().collect::<Vec<_>>(),
        [
            "findings.json",
            "schema.json",
            "scrub.json",
            "test.jsonl",
            "train.jsonl",
            "validation.jsonl"
        ]
    );
    content.push_str("mail a@b.example,0\n");
    std::fs::write(&path, &content).unwrap();
    assert_ne!(files(params(json!([]))), files(params(json!("rules"))));
}

#[test]
fn declarations_must_fit() {
    let folder = tempfile::tempdir().unwrap();
    let error = run(
        json!({"dataset": "builtin:emotions", "examples": 16000}),
        folder.path(),
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("declares 16000 training examples, `builtin:emotions` has 9663"),
        "{error}"
    );
    let error = run(
        json!({"dataset": "builtin:emotions", "prompt": "{text}"}),
        folder.path(),
    )
    .unwrap_err();
    assert!(error.to_string().contains("holds no `{label}`"), "{error}");
    files(json!({"dataset": "builtin:emotions", "examples": 100, "limit": 100}));
}
