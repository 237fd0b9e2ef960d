//! The stage on small artifacts.

use super::*;
use crate::metric::Classification;
use dpx_nn::model::weights::StoredAs;
use dpx_nn::model::{CausalLm, ModelConfig, load_classifier};
use dpx_nn::text::{BpeOptions, Tokenizer, train_bpe};
use dpx_schema::LabelIntegration;
use dpx_schema::context::NoProgress;
use dpx_schema::{Input, ReleaseLabel};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const WORDS: [&[&str]; 2] = [&["glad", "happy", "merry"], &["afraid", "scared", "timid"]];

/// So many texts of two labels; the label sits in the last word.
fn texts(count: usize) -> Vec<(String, usize)> {
    (0..count)
        .map(|index| {
            let label = index % 2;
            let word = WORDS[label][index / 2 % 3];
            let opening = ["today i am", "and now i feel", "they are all"][index % 3];
            (format!("{opening} {word}"), label)
        })
        .collect()
}

fn labels() -> Vec<String> {
    vec!["joy".into(), "fear".into()]
}

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("preprocess");
        std::fs::create_dir_all(&data).unwrap();
        for (name, count) in [("train", 60), ("validation", 4), ("test", 24)] {
            let lines: String = texts(count)
                .iter()
                .enumerate()
                .map(|(id, (text, label))| {
                    json!({"id": id, "text": text, "label": labels()[*label]}).to_string() + "\n"
                })
                .collect();
            std::fs::write(data.join(format!("{name}.jsonl")), lines).unwrap();
        }
        PublicSchema::new(labels(), "{label}: {text}", LabelIntegration::Prefix, 60)
            .save(data.join(SCHEMA_FILE))
            .unwrap();
        let sample = folder.path().join("sample");
        std::fs::create_dir_all(&sample).unwrap();
        let swapped: Vec<String> = texts(60)
            .iter()
            .map(|(text, label)| format!("{text},{}", labels()[1 - label]))
            .collect();
        let csv = format!("text,label\n{}\n", swapped.join("\n"));
        std::fs::write(sample.join("synthetic.csv"), csv).unwrap();
        Self { folder }
    }

    fn model(&self) -> PathBuf {
        let model = self.folder.path().join("base");
        std::fs::create_dir_all(&model).unwrap();
        let lines: Vec<String> = texts(60).into_iter().map(|(text, _)| text).collect();
        let options = BpeOptions {
            vocabulary_size: 320,
            ..BpeOptions::default()
        };
        let tokenizer = train_bpe(lines.iter(), &options).unwrap();
        tokenizer.save(&model, Some(16)).unwrap();
        let raw = json!({"model_type": "gpt2", "vocab_size": tokenizer.vocabulary_size(), "n_positions": 16,
            "n_embd": 16, "n_layer": 1, "n_head": 2, "eos_token_id": tokenizer.end()});
        let Value::Object(raw) = raw else {
            panic!("an object")
        };
        let config = ModelConfig::parse(raw, &model).unwrap();
        let network = CausalLm::new_gpt2(config, 1, dpx_schema::Device::Cpu).unwrap();
        network.save(&model, StoredAs::F32).unwrap();
        model
    }

    fn run(&self, params: &Value, inputs: &[(&str, Kind)]) -> Result<PathBuf, String> {
        let output = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        let input = |(name, kind): &(&str, Kind)| {
            let input = Input {
                kind: *kind,
                path: self.folder.path().join(name),
                digest: String::new(),
                flow: ReleaseLabel::Private,
            };
            ((*name).to_owned(), input)
        };
        let context = StageContext {
            instance: "classify".into(),
            kind: Kind::Classify,
            params: params.clone(),
            performance: json!({"micro_batch_tokens": 64}),
            inputs: inputs.iter().map(input).collect::<BTreeMap<_, _>>(),
            output: output.clone(),
            state: output.clone(),
            secrets: output.clone(),
            ledger: output.clone().into(),
            key: String::new(),
            seed: 42,
            device: dpx_schema::Device::Cpu,
            others: Vec::new(),
            progress: &NoProgress,
        };
        run(&context).map_err(|error| error.to_string())?;
        Ok(output)
    }
}

const REAL: [(&str, Kind); 1] = [("preprocess", Kind::Preprocess)];
const BOTH: [(&str, Kind); 2] = [("preprocess", Kind::Preprocess), ("sample", Kind::Sample)];

fn metrics(folder: &Path) -> Classification {
    serde_json::from_slice(&std::fs::read(folder.join("metrics.json")).unwrap()).unwrap()
}

#[test]
fn bag_of_words_learns_from_the_texts_it_is_given() {
    let bench = Bench::new();
    let words = json!({"model": "bag-of-words"});
    let real = bench.run(&words, &REAL).unwrap();
    assert_eq!(metrics(&real).accuracy, 1.0);
    assert_eq!(metrics(&real).n, 24);
    // The synthetic texts carry the wrong labels: what is learnt from them is wrong on the real test split.
    let synthetic = bench.run(&words, &BOTH).unwrap();
    assert_eq!(metrics(&synthetic).accuracy, 0.0);
    let chosen = json!({"model": "bag-of-words", "train_on": "preprocess"});
    assert_eq!(metrics(&bench.run(&chosen, &BOTH).unwrap()).accuracy, 1.0);
    let predictions = std::fs::read_to_string(real.join("predictions.csv")).unwrap();
    assert!(predictions.starts_with("row,label,predicted,p_joy,p_fear\n0,joy,joy,"));
    assert_eq!(predictions.lines().count(), 25);
    let (_, saved) = BagOfWords::load(&real.join("model")).unwrap();
    assert_eq!(saved, labels());
}

#[test]
fn a_language_model_becomes_a_classifier() {
    let bench = Bench::new();
    let params = json!({"model": bench.model(), "epochs": 12.0, "batch_size": 6, "learning_rate": 0.01,
        "held_out": 0.2, "max_length": 16});
    let folder = bench.run(&params, &REAL).unwrap();
    assert!(metrics(&folder).accuracy > 0.9, "{:?}", metrics(&folder));
    let log = std::fs::read(folder.join("training.json")).unwrap();
    let log: Value = serde_json::from_slice(&log).unwrap();
    assert_eq!((&log["texts"], &log["held_out"]), (&json!(48), &json!(12)));
    // The same bytes again, and the saved model predicts what was predicted.
    let again = bench.run(&params, &REAL).unwrap();
    for file in ["predictions.csv", "metrics.json", "model/model.safetensors"] {
        assert_eq!(
            std::fs::read(folder.join(file)).unwrap(),
            std::fs::read(again.join(file)).unwrap()
        );
    }
    let model = load_classifier(folder.join("model"), dpx_schema::Device::Cpu).unwrap();
    let tokenizer = Tokenizer::load(folder.join("model")).unwrap();
    let ids = tokenizer.encode_with_special(&texts(1)[0].0).unwrap();
    let probabilities = model.probabilities(&[ids], 64).unwrap();
    let predictions = std::fs::read_to_string(folder.join("predictions.csv")).unwrap();
    let first: f32 = predictions
        .lines()
        .nth(1)
        .unwrap()
        .split(',')
        .nth(3)
        .unwrap()
        .parse()
        .unwrap();
    assert!((probabilities[0][0] - first).abs() < 1e-4);
}

/// Texts all of one label, whose probabilities alone tell joy from fear: 0.55 of it is left to the wrong label.
fn soften(bench: &Bench) {
    let rows: Vec<String> = texts(60)
        .iter()
        .map(|(text, label)| {
            let joy = if *label == 0 { 0.95 } else { 0.55 };
            format!("{text},joy,{joy},{}", 1.0 - joy)
        })
        .collect();
    let csv = format!("text,label,p_joy,p_fear\n{}\n", rows.join("\n"));
    std::fs::write(bench.folder.path().join("sample/synthetic.csv"), csv).unwrap();
}

#[test]
fn soft_labels_are_learnt_unless_they_are_declined() {
    let bench = Bench::new();
    soften(&bench);
    let log = |folder: &Path| -> Value {
        serde_json::from_slice(&std::fs::read(folder.join("training.json")).unwrap()).unwrap()
    };
    // Balancing lets the rarer label of a doubtful text win.
    let words = json!({"model": "bag-of-words", "inverse_penalty": 100.0});
    let soft = bench.run(&words, &BOTH).unwrap();
    assert_eq!(
        (metrics(&soft).accuracy, &log(&soft)["soft_labels"]),
        (1.0, &json!(true))
    );
    let hard = json!({"model": "bag-of-words", "inverse_penalty": 100.0, "soft_labels": false});
    let hard = bench.run(&hard, &BOTH).unwrap();
    assert_eq!(
        (metrics(&hard).accuracy, &log(&hard)["soft_labels"]),
        (0.5, &json!(false))
    );
    let encoder = json!({"model": bench.model(), "epochs": 30.0, "batch_size": 6, "learning_rate": 0.01,
        "held_out": 0.0, "max_length": 16});
    let encoder = bench.run(&encoder, &BOTH).unwrap();
    assert!(metrics(&encoder).accuracy > 0.9, "{:?}", metrics(&encoder));
}

#[test]
fn the_teacher_is_tested_as_it_is() {
    let bench = Bench::new();
    let folder = bench.folder.path().join("teacher");
    std::fs::create_dir_all(&folder).unwrap();
    let counts: Vec<(String, u64)> = WORDS[0].iter().map(|word| ((*word).into(), 1)).collect();
    // Rows: three words of joy, the intercept; columns in the teacher's own order, fear and joy.
    let weights = vec![0.0, 9.0, 0.0, 9.0, 0.0, 9.0, 1.0, 0.0];
    let model = dpx_sgd::softmax::SoftmaxRegression {
        weights,
        classes: 2,
    };
    let names = vec!["fear".into(), "joy".into()];
    Teacher::linear(names, &counts, 0.0, model)
        .save(&folder)
        .unwrap();
    let needs = [REAL[0], ("teacher", Kind::Teacher)];
    let alone = bench.run(&json!({"model": "teacher"}), &needs).unwrap();
    assert_eq!(metrics(&alone).accuracy, 1.0);
    assert!(Teacher::load(&alone.join("model"), dpx_schema::Device::Cpu).is_ok());
    let both = json!({"model": "teacher", "ensemble": true});
    let error = bench.run(&both, &needs).unwrap_err();
    assert!(error.contains("`ensemble`"), "{error}");
    let error = bench.run(&json!({"model": "teacher"}), &REAL).unwrap_err();
    assert!(error.contains("`teacher`"), "{error}");
}

#[test]
fn what_is_missing_is_named() {
    let bench = Bench::new();
    let error = bench.run(&json!({"train_on": "pre"}), &REAL).unwrap_err();
    assert!(
        error.contains("`pre`") && error.contains("`preprocess`"),
        "{error}"
    );
    let error = bench.run(&json!({"model": "/nowhere"}), &REAL).unwrap_err();
    assert!(error.contains("/nowhere"), "{error}");
    std::fs::write(bench.folder.path().join("preprocess/test.jsonl"), "").unwrap();
    let error = bench.run(&json!({}), &REAL).unwrap_err();
    assert!(error.contains("test split is empty"), "{error}");
}
