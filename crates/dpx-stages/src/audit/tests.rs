//! An audit of a tiny model: leakage is found where there is no privacy, and not where there is.

use super::*;
use dpx_nn::model::weights::StoredAs;
use dpx_nn::model::{CausalLm, ModelConfig};
use dpx_nn::text::{BpeOptions, train_bpe};
use dpx_schema::Device;
use dpx_schema::context::NoProgress;
use dpx_schema::{Input, ReleaseLabel};
use dpx_schema::{LabelIntegration, SCHEMA_FILE};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

const ROWS: usize = 40;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let (model, input) = (place.path("base"), place.path("preprocess"));
        std::fs::create_dir_all(&model).unwrap();
        std::fs::create_dir_all(&input).unwrap();
        let lines: Vec<String> = (0..ROWS)
            .map(|n| format!("i feel {} today", ["glad", "afraid"][n % 2]))
            .collect();
        let options = BpeOptions {
            vocabulary_size: 270,
            ..BpeOptions::default()
        };
        let tokenizer = train_bpe(lines.iter(), &options).unwrap();
        let Value::Object(config) = json!({
            "model_type": "gpt2", "vocab_size": tokenizer.vocabulary_size(), "n_positions": 16, "n_embd": 32,
            "n_layer": 1, "n_head": 2, "activation_function": "gelu_new", "eos_token_id": 0,
        }) else {
            panic!("an object")
        };
        let config = ModelConfig::parse(config, Path::new("config.json")).unwrap();
        let network = CausalLm::new_gpt2(config, 1, dpx_schema::Device::Cpu).unwrap();
        network.save(&model, StoredAs::F32).unwrap();
        tokenizer.save(&model, Some(16)).unwrap();
        let labels = vec!["joy".to_owned(), "fear".to_owned()];
        PublicSchema::new(
            labels,
            "{label}: {text}",
            LabelIntegration::Prefix,
            ROWS as u64,
        )
        .save(input.join(SCHEMA_FILE))
        .unwrap();
        let rows: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(id, text)| {
                let label = ["joy", "fear"][id % 2];
                json!({"id": id, "text": text, "label": label}).to_string()
            })
            .collect();
        std::fs::write(input.join("train.jsonl"), rows.join("\n")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, kind: Kind, input: (Kind, &str), params: Value, output: &str) {
        std::fs::create_dir_all(self.path(output)).unwrap();
        let need = Input {
            kind: input.0,
            path: self.path(input.1),
            digest: "d1".into(),
            flow: ReleaseLabel::Private,
        };
        let context = StageContext {
            instance: format!("{kind}@output={output}").into(),
            kind,
            params,
            performance: json!({}),
            inputs: BTreeMap::from([(input.0.name().to_owned(), need)]),
            output: self.path(output),
            state: self.path(&format!("state-{output}")),
            secrets: self.path("secrets"),
            ledger: self.path("ledger").into(),
            key: "cd".repeat(32),
            seed: 5,
            device: Device::Cpu,
            others: Vec::new(),
            progress: &NoProgress,
        };
        if kind == Kind::Train {
            crate::people::know(&context);
        }
        crate::run(&context).unwrap().run().unwrap();
    }

    fn audit(&self, epsilon: &Value, epochs: f64) -> AuditReport {
        let train = json!({
            "model": self.path("base"), "epsilon": epsilon, "delta": 1e-5, "batch_size": 50, "epochs": epochs,
            "max_length": 16, "learning_rate": 0.01, "canaries": 120, "noise": "seeded", "schedule": "constant",
        });
        self.run(
            Kind::Train,
            (Kind::Preprocess, "preprocess"),
            train,
            "train",
        );
        self.run(Kind::Audit, (Kind::Train, "train"), json!({}), "audit");
        let text = std::fs::read(self.path("audit/audit.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }
}

#[test]
fn without_privacy_the_audit_finds_leakage() {
    let found = Place::new().audit(&json!("inf"), 100.0);
    assert!(found.epsilon_lower > 1.0, "{found:?}");
    assert!(found.epsilon_lower <= found.largest_possible);
    assert_eq!((found.canaries, found.guesses), (120, 60));
    assert_eq!((found.epsilon_certified, found.consistent), (None, true));
    assert_eq!(
        (found.delta, found.score),
        (Delta::Auto.resolve(160), CanaryScore::LossDifference)
    );
}

#[test]
fn with_a_small_epsilon_it_stays_below_the_certified_one() {
    let found = Place::new().audit(&json!(0.5), 20.0);
    let certified = found.epsilon_certified.unwrap();
    assert!(certified <= 0.5 && certified > 0.49);
    assert!(
        found.epsilon_lower < certified && found.consistent,
        "{found:?}"
    );
    assert!(
        found.largest_possible > 1.0,
        "the audit could have failed: {found:?}"
    );
}

#[test]
fn a_model_that_learnt_nothing_has_no_canaries() {
    let found = Place::new().audit(&json!(0.0), 1.0);
    assert_eq!((found.canaries, found.guesses, found.right), (0, 0, 0));
    assert_eq!(
        (found.epsilon_lower, found.epsilon_certified),
        (0.0, Some(0.0))
    );
    assert!(found.consistent);
}
