//! The stage with a small model of random weights.

use super::*;
use crate::model::weights::StoredAs;
use crate::model::{CausalLm, ModelConfig};
use crate::stage::context::NoProgress;
use crate::stage::{Flow, Input};
use crate::text::{BpeOptions, LabelIntegration, train_bpe};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("train/model");
        std::fs::create_dir_all(&model).unwrap();
        let lines = ["joy: i am so glad today", "fear: i am afraid of it"];
        let options = BpeOptions {
            vocabulary_size: 280,
            ..BpeOptions::default()
        };
        let tokenizer = train_bpe(lines.iter().cycle().take(20), &options).unwrap();
        tokenizer.save(&model, Some(32)).unwrap();
        let end = tokenizer.end();
        let raw = json!({"model_type": "gpt2", "vocab_size": tokenizer.vocabulary_size() + 3, "n_positions": 32,
            "n_embd": 16, "n_layer": 1, "n_head": 2, "eos_token_id": end});
        let Value::Object(raw) = raw else {
            panic!("an object")
        };
        let config = ModelConfig::parse(raw, &model).unwrap();
        let network = CausalLm::new_gpt2(config, 1).unwrap();
        network.save(&model, StoredAs::F32).unwrap();
        let labels = vec!["joy".to_owned(), "fear".to_owned()];
        PublicSchema::new(labels, "{label}: {text}", LabelIntegration::Prefix, 10)
            .save(model.join(MODEL_SCHEMA_FILE))
            .unwrap();
        Self { folder }
    }

    fn run(&self, params: &Value, batch: u64) -> Result<PathBuf, String> {
        let output = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        let input = Input {
            kind: Kind::Train,
            path: self.folder.path().join("train"),
            digest: String::new(),
            flow: Flow::Dp,
        };
        let context = StageContext {
            instance: "sample".into(),
            kind: Kind::Sample,
            params: params.clone(),
            performance: json!({"generation_batch": batch}),
            inputs: BTreeMap::from([("train".to_owned(), input)]),
            output: output.clone(),
            state: output.clone(),
            secrets: output.clone(),
            ledger: output.clone(),
            key: String::new(),
            seed: 42,
            device: crate::device::Device::Cpu,
            progress: &NoProgress,
        };
        run(&context).map_err(|error| error.to_string())?;
        Ok(output)
    }
}

fn rows(folder: &Path) -> Vec<(String, String)> {
    csv::Reader::from_path(folder.join("synthetic.csv"))
        .unwrap()
        .deserialize()
        .map(|row| row.unwrap())
        .collect()
}

fn report(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("sample.json")).unwrap()).unwrap()
}

#[test]
fn the_counts_are_exact_and_the_batch_does_not_matter() {
    let bench = Bench::new();
    let params = json!({"labels": {"fear": 5, "joy": 8}, "max_new_tokens": 6});
    let one = bench.run(&params, 1).unwrap();
    let texts = rows(&one);
    let count = |label: &str| texts.iter().filter(|(_, l)| l == label).count();
    assert_eq!((count("joy"), count("fear")), (8, 5));
    assert!(texts.iter().all(|(text, _)| !text.trim().is_empty()));
    for batch in [4, 64] {
        let folder = bench.run(&params, batch).unwrap();
        assert_eq!(
            std::fs::read(folder.join("synthetic.csv")).unwrap(),
            std::fs::read(one.join("synthetic.csv")).unwrap(),
            "batches of {batch}"
        );
        assert_eq!(report(&folder), report(&one));
    }
    let uniform = bench
        .run(&json!({"count": 7, "max_new_tokens": 6}), 8)
        .unwrap();
    assert_eq!(report(&uniform)["by_label"]["joy"]["written"], 4);
    // The first texts of a label are the same however many are asked for.
    let joyful: Vec<&String> = texts
        .iter()
        .filter(|(_, l)| l == "joy")
        .map(|(t, _)| t)
        .collect();
    let few = rows(&uniform);
    let few: Vec<&String> = few
        .iter()
        .filter(|(_, l)| l == "joy")
        .map(|(t, _)| t)
        .collect();
    assert_eq!(few, joyful[..4]);
}

#[test]
fn duplicates_follow_the_policy() {
    let bench = Bench::new();
    let with = |policy: &str, temperature: f64| json!({"count": 6, "temperature": temperature, "max_new_tokens": 3, "duplicates": policy, "empty": "keep"});
    let kept = bench.run(&with("retry", 0.0), 4).unwrap();
    assert_eq!(rows(&kept).len(), 6, "greedy texts repeat and are kept");
    assert!(report(&kept)["duplicates"]["kept"].as_u64().unwrap() >= 4);
    let dropped = bench.run(&with("drop", 0.0), 4).unwrap();
    let texts = rows(&dropped);
    assert!(texts.len() <= 2);
    assert_eq!(
        report(&dropped)["duplicates"]["dropped"].as_u64().unwrap(),
        6 - texts.len() as u64
    );
}

#[test]
fn what_cannot_be_done_is_said() {
    let bench = Bench::new();
    let cases = [
        (json!({"labels": {"anger": 3}}), "`anger`"),
        (json!({"labels": {"joy": 0}}), "no text at all"),
        (json!({"keywords": true}), "`keywords"),
        (json!({"labels": "private"}), "`counts`"),
        (json!({"teacher": "agree"}), "teacher"),
        (json!({"oversample": 2.0}), "`oversample`"),
    ];
    for (params, needle) in cases {
        let error = bench.run(&params, 4).unwrap_err();
        assert!(error.contains(needle), "{params}: {error}");
    }
    std::fs::remove_file(
        bench
            .folder
            .path()
            .join("train/model")
            .join(MODEL_SCHEMA_FILE),
    )
    .unwrap();
    let error = bench.run(&json!({}), 4).unwrap_err();
    assert!(error.contains("dpx_schema.json"), "{error}");
}
