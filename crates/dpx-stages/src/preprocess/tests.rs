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
        ledger: output.join("ledger").into(),
        key: "0".repeat(64),
        seed: 1,
        device: Device::Cpu,
        others: Vec::new(),
        progress: &NoProgress,
    })
}

fn files(params: Value) -> BTreeMap<String, Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    run(params, folder.path()).unwrap();
    let mut files = BTreeMap::new();
    for place in ["", "internal/"] {
        for entry in std::fs::read_dir(folder.path().join(place)).unwrap() {
            let entry = entry.unwrap();
            if entry.path().is_file() {
                let name = format!("{place}{}", entry.file_name().to_string_lossy());
                files.insert(name, std::fs::read(entry.path()).unwrap());
            }
        }
    }
    files
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
    let params = |scrub: Value| json!({"dataset": path, "labels": ["joy", "fear"], "labels_by": "index", "scrub": scrub});
    let none = files(params(json!([])));
    assert_eq!(none, files(params(json!("rules"))));
    assert_eq!(
        none.keys().collect::<Vec<_>>(),
        [
            "internal/findings.json",
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

#[test]
fn findings_are_kept_apart_from_what_a_guarantee_may_cover() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(
        data.join("train.tsv"),
        "text\tlabel\na~neg\tneg\n\"b\tpos\na~neg\tneg\n".replace('~', " "),
    )
    .unwrap();
    std::fs::write(data.join("test.csv"), "text,label\na neg,neg\n").unwrap();
    std::fs::write(data.join("eval.csv"), "text,label\nx,neg\n").unwrap();
    let params =
        json!({"dataset": data, "labels": ["pos", "neg"], "labels_by": "name", "scrub": "none"});
    let found = files(params);
    let findings: dpx_data::DatasetFindings =
        serde_json::from_slice(&found["internal/findings.json"]).unwrap();
    assert_eq!(findings.not_read, ["eval.csv"]);
    assert_eq!(
        (findings.splits[0].texts, findings.splits[0].repeated),
        (3, 1)
    );
    assert_eq!(findings.train_texts_in_test, 2);
    assert_eq!(findings.labels_without_text("test"), ["pos"]);
    assert!(String::from_utf8_lossy(&found["train.jsonl"]).contains("\\\"b"));
    // Keys that are not given leave the parameters, and so the key of the stage, as they were.
    let params: dpx_schema::params::PreprocessParams =
        serde_json::from_value(json!({"dataset": "d.csv"})).unwrap();
    let written = serde_json::to_value(&params).unwrap();
    for key in ["labels_by", "quoting", "escape", "delimiter"] {
        assert!(written.get(key).is_none(), "{key}");
    }
    let output = folder.path().join("output");
    std::fs::create_dir(&output).unwrap();
    let quoted = json!({"dataset": data, "labels": ["pos", "neg"], "quoting": "double"});
    let error = run(quoted, &output).unwrap_err().to_string();
    assert!(
        error.contains("train.tsv:3: a quotation mark opens a field here"),
        "{error}"
    );
}

/// Rule 51: the ledger knows people by what they wrote, whatever scrubbing and prompting made of it, and the artifact holds
/// nothing of that.
#[test]
fn people_are_known_by_their_raw_texts() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("texts.csv");
    let mut csv = "text,label\n".to_owned();
    for n in 0..40 {
        writeln!(csv, "write to person{n}@example.com or call me,joy").unwrap();
    }
    std::fs::write(&data, csv).unwrap();
    let ledger = dpx_ledger::Ledger::at(folder.path().join("ledger"));
    let mut texts = Vec::new();
    for (name, scrub, prompt) in [
        ("one", "none", "{label}: {text}"),
        ("two", "rules", "{label}: {text}"),
        ("three", "rules", "{label} | {text}"),
    ] {
        let output = folder.path().join(name);
        std::fs::create_dir(&output).unwrap();
        super::run(&StageContext {
            instance: "preprocess".into(),
            kind: Kind::Preprocess,
            params: json!({"dataset": data, "labels": ["joy"], "scrub": scrub, "prompt": prompt}),
            performance: json!({}),
            inputs: BTreeMap::new(),
            output: output.clone(),
            state: output.clone(),
            secrets: output.clone(),
            ledger: ledger.folder().to_owned().into(),
            key: "0".repeat(64),
            seed: 1,
            device: Device::Cpu,
            others: Vec::new(),
            progress: &NoProgress,
        })
        .unwrap();
        texts.push(super::people::texts(&output).unwrap());
    }
    assert_ne!(texts[0], texts[1], "scrubbing changes the texts");
    let history = ledger.history().unwrap();
    let [set] = history.data_sets() else {
        panic!("{:?}", history.data_sets());
    };
    for texts in &texts {
        assert!(ledger.people(texts).unwrap().contains(&set.id));
    }
    // Another secret, the same artifact.
    let elsewhere = folder.path().join("elsewhere");
    let again = folder.path().join("again");
    std::fs::create_dir(&again).unwrap();
    super::run(&StageContext {
        instance: "preprocess".into(),
        kind: Kind::Preprocess,
        params: json!({"dataset": data, "labels": ["joy"], "scrub": "none", "prompt": "{label}: {text}"}),
        performance: json!({}),
        inputs: BTreeMap::new(),
        output: again.clone(),
        state: again.clone(),
        secrets: again.clone(),
        ledger: elsewhere.into(),
        key: "0".repeat(64),
        seed: 1,
        device: Device::Cpu,
        others: Vec::new(),
        progress: &NoProgress,
    })
    .unwrap();
    for file in [
        "train.jsonl",
        "schema.json",
        "scrub.json",
        "internal/findings.json",
    ] {
        let read = |name: &str| std::fs::read(folder.path().join(name).join(file)).unwrap();
        assert_eq!(read("one"), read("again"), "{file}");
    }
}

#[test]
fn conversations_are_scrubbed_turn_by_turn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chats.jsonl");
    let mut content = String::new();
    for row in 0..40 {
        writeln!(
            content,
            r#"{{"messages": [{{"role": "user", "content": "I am {row}@b.example\nUser: x@y.example"}}, {{"role": "assistant", "content": "write to x@y.example or {row}@B.example"}}]}}"#
        )
        .unwrap();
    }
    std::fs::write(&path, content).unwrap();
    let params =
        json!({"dataset": path, "messages": "messages", "label_column": "", "scrub": "rules"});
    let found = files(params);
    let train = String::from_utf8_lossy(&found["train.jsonl"]).into_owned();
    for line in train.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            row["text"],
            "User: I am [EMAIL_1]\n User: [EMAIL_2]\nAssistant: write to [EMAIL_2] or [EMAIL_1]"
        );
        assert_eq!(row["label"], "text");
    }
    let tally: Tally = serde_json::from_slice(&found["scrub.json"]).unwrap();
    assert_eq!((tally.counts["EMAIL"], tally.texts), (160, 40));
    let schema = String::from_utf8_lossy(&found["schema.json"]).into_owned();
    assert!(schema.contains("\"conversations\": true"), "{schema}");
    let findings: Value = serde_json::from_slice(&found["internal/findings.json"]).unwrap();
    assert_eq!(findings["conversations"]["turns"], 80);
}
