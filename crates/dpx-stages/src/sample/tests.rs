//! The stage with a small model of random weights.

use super::*;
use dpx_nn::model::weights::StoredAs;
use dpx_nn::model::{CausalLm, ModelConfig};
use dpx_nn::text::{BpeOptions, Tokenizer, train_bpe};
use dpx_nn::{Array, Network};
use dpx_schema::context::NoProgress;
use dpx_schema::{Input, ReleaseLabel};
use dpx_schema::{LabelIntegration, MODEL_SCHEMA_FILE, PublicSchema};
use dpx_schema::{PrivacyRecord, PublicInputs};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

struct Bench {
    folder: tempfile::TempDir,
}

/// Makes bytes that are no text by themselves unlikely, as training does: half of the vocabulary of a model of nothing.
fn write_text_alone(network: &mut CausalLm, tokenizer: &Tokenizer) {
    let find = |network: &CausalLm, name: &str| {
        let mut found = network.parameters().iter();
        found.find(|(_, p)| p.name.ends_with(name)).unwrap().0
    };
    let (bias, table) = (find(network, "ln_f.bias"), find(network, "wte.weight"));
    let mut set = |id, change: &dyn Fn(&mut Vec<f32>)| {
        let value = network.parameters_mut().value_mut(id);
        let (mut values, shape) = (value.to_vec(), value.shape().to_vec());
        change(&mut values);
        *value = Array::from_vec(values, &shape);
    };
    set(bias, &|values| values[0] += 20.0);
    set(table, &|values| {
        for (id, row) in values.chunks_exact_mut(16).enumerate() {
            let text = tokenizer.decode(&[id as u32], false).unwrap_or_default();
            row[0] = if text.contains(char::REPLACEMENT_CHARACTER) {
                -1.0
            } else {
                0.0
            };
        }
    });
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
        let mut network = CausalLm::new_gpt2(config, 1, dpx_schema::Device::Cpu).unwrap();
        write_text_alone(&mut network, &tokenizer);
        network.save(&model, StoredAs::F32).unwrap();
        let labels = vec!["joy".to_owned(), "fear".to_owned()];
        PublicSchema::new(labels, "{label}: {text}", LabelIntegration::Prefix, 10)
            .save(model.join(MODEL_SCHEMA_FILE))
            .unwrap();
        Self { folder }
    }

    fn run(&self, params: &Value, batch: u64) -> Result<PathBuf, String> {
        self.run_with(params, batch, &[])
    }

    fn run_with(&self, params: &Value, batch: u64, more: &[Kind]) -> Result<PathBuf, String> {
        let kinds: Vec<Kind> = std::iter::once(Kind::Train)
            .chain(more.iter().copied())
            .collect();
        self.run_on(params, batch, &kinds)
    }

    fn run_on(&self, params: &Value, batch: u64, kinds: &[Kind]) -> Result<PathBuf, String> {
        let output = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        let input = |kind: Kind| {
            let input = Input {
                kind,
                path: self.folder.path().join(kind.name()),
                digest: String::new(),
                flow: ReleaseLabel::Dp,
            };
            (kind.name().to_owned(), input)
        };
        let context = StageContext {
            instance: "sample".into(),
            kind: Kind::Sample,
            params: params.clone(),
            performance: json!({"generation_batch": batch}),
            inputs: kinds.iter().copied().map(input).collect::<BTreeMap<_, _>>(),
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

impl Bench {
    /// Counts in which joy is three times as frequent as fear and has one keyword.
    fn counts(&self) {
        let folder = self.folder.path().join("counts");
        std::fs::create_dir_all(&folder).unwrap();
        let counts = json!({
            "labels": ["fear", "joy"],
            "label_counts": {"cells": [10.0, 30.0], "noise_std": 0.1},
            "keywords": ["glad"],
            "keyword_counts": {"cells": [0.0, 20.0], "noise_std": 0.1},
            "length_edges": [],
            "length_counts": {"cells": [], "noise_std": 0.0},
            "threshold": 2.5,
        });
        std::fs::write(folder.join("counts.json"), counts.to_string()).unwrap();
    }

    /// A teacher to whom texts with the word `a` are joy and all others fear.
    fn teacher(&self, privacy: &PrivacyRecord) {
        let folder = self.folder.path().join("teacher");
        std::fs::create_dir_all(&folder).unwrap();
        let counts = [("a".to_owned(), 1)];
        let model = dpx_sgd::softmax::SoftmaxRegression {
            // Row of the word, row of the intercept; columns fear and joy.
            weights: vec![0.0, 9.0, 1.0, 0.0],
            classes: 2,
        };
        let labels = vec!["fear".to_owned(), "joy".to_owned()];
        crate::teacher::Teacher::linear(labels, &counts, 0.0, model)
            .save(&folder)
            .unwrap();
        privacy.save(&folder).unwrap();
    }
}

/// The record of a teacher that was asked for an epsilon.
fn private(target_epsilon: f64) -> PrivacyRecord {
    PrivacyRecord::Private(dpx_schema::PrivateRun {
        version: dpx_schema::PrivateRun::VERSION,
        instance: "teacher".into(),
        run: "0".repeat(32),
        event: dpx_accounting::DpEvent::gaussian(1.0).unwrap(),
        adjacency: dpx_accounting::Adjacency::ZeroOut,
        unit: dpx_schema::Unit::Example,
        bounds: None,
        delta: 1e-5,
        examples: 100,
        canaries: 0,
        noise: dpx_schema::NoiseSource::Secure,
        max_grad_norm: 1.0,
        rounding_allowance: 0.0,
        max_length: None,
        clipping: None,
        base_precision: dpx_schema::params::BasePrecision::F32,
        expected_batch_size: None,
        target_epsilon,
        shared_with: Vec::new(),
        declared_overlap: Vec::new(),
        provenance: Vec::new(),
    })
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
        (json!({"keywords": "private"}), "`keywords"),
        (json!({"labels": "private"}), "`counts`"),
        (json!({"teacher": "agree"}), "teacher"),
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

#[test]
fn private_counts_give_the_mix_and_the_keywords() {
    let bench = Bench::new();
    bench.counts();
    let params =
        json!({"labels": "private", "keywords": "private", "count": 8, "max_new_tokens": 6});
    let one = bench.run_with(&params, 1, &[Kind::Counts]).unwrap();
    let told = report(&one);
    assert_eq!(told["by_label"]["joy"], json!({"asked": 6, "written": 6}));
    assert_eq!(told["by_label"]["fear"], json!({"asked": 2, "written": 2}));
    assert_eq!(told["keywords"]["drawn_from"], json!({"joy": 1, "fear": 0}));
    let many = bench.run_with(&params, 8, &[Kind::Counts]).unwrap();
    assert_eq!(rows(&many), rows(&one), "batches do not matter");
    // The keyword stands in the prompt: joyful texts are others than without, fearful ones, without a keyword, the same.
    let plain = json!({"labels": "private", "count": 8, "max_new_tokens": 6});
    let plain = rows(&bench.run_with(&plain, 8, &[Kind::Counts]).unwrap());
    let of = |rows: &[(String, String)], label: &str| -> Vec<String> {
        let rows = rows.iter().filter(|(_, found)| found == label);
        rows.map(|(text, _)| text.clone()).collect()
    };
    assert_eq!(of(&plain, "fear"), of(&rows(&one), "fear"));
    assert_ne!(of(&plain, "joy"), of(&rows(&one), "joy"));
}

#[test]
fn a_teacher_relabels_and_the_counts_still_hold() {
    let bench = Bench::new();
    bench.teacher(&private(2.9));
    let params = json!({"count": 6, "oversample": 2.0, "max_new_tokens": 6});
    let folder = bench.run_with(&params, 4, &[Kind::Teacher]).unwrap();
    let told = &report(&folder)["teacher"];
    assert_eq!(
        (&told["asked"], &told["applied"]),
        (&json!("auto"), &json!("relabel"))
    );
    assert_eq!(
        (&told["generated"], &told["order"]),
        (&json!(12), &json!("first-come"))
    );
    let texts = rows(&folder);
    assert!(texts.iter().filter(|(_, label)| label == "fear").count() <= 3);
    for (text, label) in &texts {
        let joyful = dpx_nn::text::words(text).contains(&"a".to_owned());
        assert_eq!(label == "joy", joyful, "{text}");
    }
    let sum = |name: &str| told[name].as_u64().unwrap();
    assert_eq!(texts.len() as u64 + sum("missing"), 6);
    assert_eq!(texts.len() as u64 + sum("dropped_surplus"), 12);
}

#[test]
fn soft_labels_stand_beside_the_texts_and_are_read_again() {
    let bench = Bench::new();
    bench.teacher(&private(2.9));
    let params = json!({"count": 6, "oversample": 2.0, "max_new_tokens": 6, "teacher": "soft"});
    let folder = bench.run_with(&params, 4, &[Kind::Teacher]).unwrap();
    let told = &report(&folder)["teacher"];
    assert_eq!(
        (&told["applied"], &told["missing"]),
        (&json!("soft"), &json!(0))
    );
    assert_eq!(told["dropped_surplus"], 6);
    let header = std::fs::read_to_string(folder.join("synthetic.csv")).unwrap();
    assert!(header.starts_with("text,label,p_joy,p_fear\n"), "{header}");
    let labels = ["joy", "fear"].map(str::to_owned);
    let read = crate::score::read::synthetic(&folder.join("synthetic.csv"), &labels).unwrap();
    assert_eq!(read.len(), 6);
    let soft = read.probabilities.unwrap();
    for (row, label) in soft.iter().zip(&read.labels) {
        assert!(
            (row[0] + row[1] - 1.0).abs() < 1e-12 && row[*label] >= 0.5,
            "{row:?}"
        );
    }
}

#[test]
fn above_epsilon_eight_agreement_decides_and_at_zero_the_teacher_has_no_say() {
    let bench = Bench::new();
    let params = json!({"count": 6, "oversample": 2.0, "max_new_tokens": 6});
    bench.teacher(&PrivacyRecord::NotPrivate);
    let folder = bench.run_with(&params, 4, &[Kind::Teacher]).unwrap();
    let told = &report(&folder)["teacher"];
    assert_eq!(told["applied"], "agree");
    let confusion: Vec<Vec<u64>> =
        serde_json::from_value(told["generator_by_teacher"].clone()).unwrap();
    assert_eq!(
        told["dropped_disagreeing"],
        confusion[0][1] + confusion[1][0]
    );
    bench.teacher(&PrivacyRecord::Untouched(PublicInputs::default()));
    let folder = bench.run_with(&params, 4, &[Kind::Teacher]).unwrap();
    assert_eq!(report(&folder)["teacher"]["applied"], "none");
    let own = bench
        .run(&json!({"count": 6, "max_new_tokens": 6}), 4)
        .unwrap();
    assert_eq!(rows(&folder), rows(&own), "nothing is written in vain");
}

#[test]
fn the_texts_of_another_sample_stage_are_chosen_from_as_if_they_were_written_here() {
    let bench = Bench::new();
    bench.teacher(&private(2.9));
    let asked = json!({"labels": {"joy": 6, "fear": 6}, "max_new_tokens": 6});
    let written = bench.run(&asked, 4).unwrap();
    std::fs::rename(&written, bench.folder.path().join("sample")).unwrap();
    for policy in ["relabel", "agree"] {
        // So many of each label that none is surplus.
        let asked = json!({"labels": {"joy": 12, "fear": 12}, "oversample": 0.5, "max_new_tokens": 6, "teacher": policy});
        let here = bench.run_with(&asked, 4, &[Kind::Teacher]).unwrap();
        let asked = json!({"labels": {"joy": 12, "fear": 12}, "teacher": policy});
        let kinds = [Kind::Sample, Kind::Teacher];
        let chosen = bench.run_on(&asked, 1, &kinds).unwrap();
        let sorted = |folder: &Path| {
            let mut rows = rows(folder);
            rows.sort();
            rows
        };
        assert_eq!(sorted(&chosen), sorted(&here), "{policy}");
        let told = report(&chosen);
        assert_eq!(told["teacher"]["generated"], 12);
        assert!(told.get("mean_tokens").is_none(), "not known here");
    }
    let error = bench.run_on(&json!({}), 1, &[Kind::Sample]).unwrap_err();
    assert!(error.contains("`teacher`"), "{error}");
}

#[test]
fn without_a_model_texts_are_bags_of_the_counted_words() {
    let bench = Bench::new();
    bench.counts();
    let params =
        json!({"labels": {"joy": 4, "fear": 3}, "max_new_tokens": 5, "duplicates": "keep"});
    let folder = bench.run_on(&params, 1, &[Kind::Counts]).unwrap();
    let texts = rows(&folder);
    assert_eq!(texts.len(), 7);
    assert!(
        texts
            .iter()
            .all(|(text, _)| text == "glad glad glad glad glad")
    );
    let told = report(&folder);
    assert_eq!(told["by_label"]["joy"]["written"], 4);
    assert_eq!(
        told["bags_of_words"]["drawn_from"],
        json!({"fear": {"words": 1, "frequencies": "public"}, "joy": {"words": 1, "frequencies": "private"}})
    );
    // Texts that repeat are drawn again, then kept: one word leaves no choice.
    let params = json!({"count": 4, "max_new_tokens": 5});
    let folder = bench.run_on(&params, 1, &[Kind::Counts]).unwrap();
    assert_eq!(report(&folder)["duplicates"]["kept"], 3);
    // A teacher chooses among them as among any other texts.
    bench.teacher(&private(2.9));
    let folder = bench
        .run_on(&params, 1, &[Kind::Counts, Kind::Teacher])
        .unwrap();
    assert_eq!(report(&folder)["teacher"]["applied"], "relabel");
    assert!(rows(&folder).iter().all(|(_, label)| label == "fear"));
    let error = bench.run_on(&params, 1, &[]).unwrap_err();
    assert!(error.contains("nothing to draw from"), "{error}");
}

#[test]
fn the_processor_writes_in_f32_alone() {
    let refused = Bench::new().run(&json!({"count": 2, "precision": "bf16"}), 2);
    let message = refused.unwrap_err();
    assert!(
        message.contains("`precision` is `bf16`, which the device `cpu` does not compute"),
        "{message}"
    );
}

/// A model of random weights writes no conversation: all of its texts are dropped, and that is an error.
#[test]
fn texts_that_are_no_conversations_are_dropped() {
    let bench = Bench::new();
    let path = bench
        .folder
        .path()
        .join("train/model")
        .join(MODEL_SCHEMA_FILE);
    let schema = PublicSchema {
        conversations: true,
        ..PublicSchema::load(&path).unwrap()
    };
    schema.save(&path).unwrap();
    for policy in ["retry", "drop"] {
        let params = json!({"count": 4, "max_new_tokens": 6, "unparsed": policy});
        let error = bench.run(&params, 4).unwrap_err();
        assert!(
            error.contains("none of 4 texts is a conversation"),
            "{error}"
        );
    }
}

/// Combinations are asked for in proportion to their noisy counts, and every column of labels is written.
#[test]
fn several_columns_of_labels_are_written() {
    let bench = Bench::new();
    bench.counts();
    let path = bench.folder.path().join("counts/counts.json");
    let mut counts: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    counts["labels"] = json!(["a, x", "a, y", "b, x", "b, y"]);
    counts["label_counts"]["cells"] = json!([5.0, 0.0, 0.0, 15.0]);
    counts["combinations"] = json!({
        "attributes": [{"name": "intent", "values": ["a", "b"]}, {"name": "mood", "values": ["x", "y"]}],
        "shares": [0.25, 0.0, 0.0, 0.75],
    });
    counts["keyword_counts"]["cells"] = json!([0.0, 0.0, 0.0, 20.0]);
    std::fs::write(&path, counts.to_string()).unwrap();
    let params =
        json!({"labels": "private", "count": 8, "max_new_tokens": 6, "duplicates": "keep"});
    let output = bench.run_on(&params, 4, &[Kind::Counts]).unwrap();
    let csv = std::fs::read_to_string(output.join("synthetic.csv")).unwrap();
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("text,label,intent,mood"));
    let ends = |end: &str| lines.clone().filter(|line| line.ends_with(end)).count();
    assert_eq!((ends(",\"a, x\",a,x"), ends(",\"b, y\",b,y")), (2, 6));
}
