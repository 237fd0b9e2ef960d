//! Private training end to end on a tiny model: artifact, guarantee, ledger, keys, resume, canaries.

mod devices;
mod people;

use super::*;
use dpx_accounting::{Adjacency, DpEvent};
use dpx_data::Row;
use dpx_nn::device::DeviceExt;
use dpx_nn::model::ModelConfig;
use dpx_nn::model::weights::StoredAs;
use dpx_nn::text::{BpeOptions, train_bpe};
use dpx_schema::Device;
use dpx_schema::PrivacyRecord;
use dpx_schema::context::NoProgress;
use dpx_schema::params::BasePrecision;
use dpx_schema::{Input, Progress, ReleaseLabel};
use dpx_schema::{Kind, LabelIntegration, NoiseSource, Prompt, SCHEMA_FILE};
use dpx_sgd::fault::{self, Fault};
use dpx_sgd::trainer::{Examples, Idle};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const ROWS: usize = 60;

/// A model folder, a preprocess artifact, and places for everything else.
struct Place {
    folder: tempfile::TempDir,
    params: Value,
    digest: String,
    device: Device,
    others: Vec<Device>,
    checkpointing: &'static str,
}

fn lines() -> Vec<String> {
    let moods = ["glad", "happy", "afraid", "worried"];
    (0..ROWS)
        .map(|n| format!("i feel {} today number {}", moods[n % 4], n % 7))
        .collect()
}

impl Place {
    fn new(params: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("base");
        let input = folder.path().join("preprocess");
        std::fs::create_dir_all(&model).unwrap();
        std::fs::create_dir_all(&input).unwrap();
        let options = BpeOptions {
            vocabulary_size: 300,
            ..BpeOptions::default()
        };
        let tokenizer = train_bpe(lines().iter(), &options).unwrap();
        let Value::Object(config) = json!({
            "model_type": "gpt2", "vocab_size": tokenizer.vocabulary_size(), "n_positions": 32, "n_embd": 8,
            "n_layer": 1, "n_head": 2, "activation_function": "gelu_new", "eos_token_id": 0,
        }) else {
            panic!("an object")
        };
        let config = ModelConfig::parse(config, Path::new("config.json")).unwrap();
        let network = CausalLm::new_gpt2(config, 1, Device::Cpu).unwrap();
        network.save(&model, StoredAs::F32).unwrap();
        tokenizer.save(&model, Some(32)).unwrap();
        let labels = vec!["joy".to_owned(), "fear".to_owned()];
        PublicSchema::new(
            labels,
            "{label}: {text}",
            LabelIntegration::Prefix,
            ROWS as u64,
        )
        .save(input.join(SCHEMA_FILE))
        .unwrap();
        let place = Self {
            folder,
            params,
            digest: "d1".into(),
            device: Device::Cpu,
            others: Vec::new(),
            checkpointing: "auto",
        };
        place.write_rows(&lines());
        place
    }

    /// What a run begins with.
    fn read(&self) -> (TrainParams, Start, Vec<Row>, Prompt) {
        let context = self.context("out", &NoProgress);
        let params: TrainParams = context.params().unwrap();
        let schema = PublicSchema::load(self.path("preprocess").join(SCHEMA_FILE)).unwrap();
        let start = Start::load(&context, &params, &schema).unwrap();
        let rows = Rows::read(self.path("preprocess/train.jsonl")).unwrap();
        let prompt = schema.parsed_prompt().unwrap();
        (params, start, rows, prompt)
    }

    fn write_rows(&self, texts: &[String]) {
        let rows: Vec<String> = texts
            .iter()
            .enumerate()
            .map(|(id, text)| {
                let label = if id % 4 < 2 { "joy" } else { "fear" };
                json!({"id": id, "text": text, "label": label}).to_string()
            })
            .collect();
        std::fs::write(self.path("preprocess/train.jsonl"), rows.join("\n")).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, output: &str, progress: &dyn Progress) -> Result<(), StageError> {
        let folder = self.path(output);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let context = self.context(output, progress);
        crate::people::know(&context);
        run(&context)?.run()
    }

    fn context<'a>(&self, output: &str, progress: &'a dyn Progress) -> StageContext<'a> {
        let mut params = json!({
            "model": self.path("base"), "epsilon": 3.0, "batch_size": 15, "epochs": 2.0, "max_length": 20, "noise": "secure",
        });
        for (key, value) in self.params.as_object().unwrap() {
            params[key] = value.clone();
        }
        let input = Input {
            kind: Kind::Preprocess,
            path: self.path("preprocess"),
            digest: self.digest.clone(),
            flow: ReleaseLabel::Private,
        };
        StageContext {
            instance: "train@epsilon=3".into(),
            kind: Kind::Train,
            params,
            performance: json!({
                "checkpoint_every": 3, "micro_batch_size": 7, "activation_checkpointing": self.checkpointing,
            }),
            inputs: BTreeMap::from([("preprocess".to_owned(), input)]),
            output: self.path(output),
            state: self.path("state"),
            secrets: self.path("secrets"),
            ledger: self.path("ledger").into(),
            key: "cd".repeat(32),
            seed: 11,
            device: self.device,
            others: self.others.clone(),
            progress,
        }
    }

    fn privacy(&self, output: &str) -> dpx_schema::PrivateRun {
        let record = PrivacyRecord::load(&self.path(output)).unwrap();
        record.private().unwrap().clone()
    }

    fn weights(&self, output: &str) -> Vec<u8> {
        std::fs::read(self.path(output).join("model/model.safetensors")).unwrap()
    }

    fn spent(&self) -> usize {
        let ledger = dpx_ledger::Ledger::at(self.path("ledger"));
        ledger.history().unwrap().runs().len()
    }

    /// All bytes of the last result but the identity of its run.
    fn result(&self) -> Vec<Vec<u8>> {
        let files = ["internal/steps.jsonl", "internal/canaries.json"];
        let mut all: Vec<Vec<u8>> = files
            .iter()
            .map(|name| std::fs::read(self.path("out").join(name)).unwrap())
            .collect();
        all.push(self.weights("out"));
        all
    }

    fn steps(&self) -> usize {
        let log = std::fs::read_to_string(self.path("out/internal/steps.jsonl")).unwrap();
        log.lines().count()
    }

    fn key_file(&self) -> PathBuf {
        self.path(&format!("secrets/{}.key", "cd".repeat(32)))
    }
}

/// Asks to stop after a number of steps, and keeps what was said.
#[derive(Default)]
struct Watch {
    stop_after: AtomicU64,
    said: Mutex<String>,
    updates: Mutex<Vec<ProgressUpdate>>,
}

impl Watch {
    fn stopping_after(steps: u64) -> Self {
        Self {
            stop_after: AtomicU64::new(steps),
            ..Self::default()
        }
    }
}

impl Progress for Watch {
    fn update(&self, update: &ProgressUpdate) {
        self.stop_after.fetch_sub(1, Ordering::Relaxed);
        self.log(&format!("{} {} {update}", update.done, update.total));
        self.updates.lock().unwrap().push(update.clone());
    }
    fn log(&self, line: &str) {
        self.said.lock().unwrap().push_str(line);
    }
    fn stop_requested(&self) -> bool {
        self.stop_after.load(Ordering::Relaxed) == 0
    }
}

#[test]
fn a_private_run_leaves_a_whole_artifact_and_one_entry() {
    let place = Place::new(json!({}));
    place.run("out", &NoProgress).unwrap();
    for file in [
        "model/config.json",
        "model/model.safetensors",
        "model/tokenizer.json",
        "model/dpx_schema.json",
        "statement.txt",
        "internal/steps.jsonl",
    ] {
        assert!(place.path("out").join(file).is_file(), "{file}");
    }
    let privacy = place.privacy("out");
    let epsilon = privacy.claim().unwrap().epsilon().value();
    assert!(epsilon <= 3.0 && epsilon > 2.99, "{epsilon}");
    let DpEvent::PoissonSampledGaussian {
        sampling_rate,
        steps,
        ..
    } = privacy.event
    else {
        panic!("{:?}", privacy.event);
    };
    assert_eq!((sampling_rate, steps), (0.25, 8));
    assert_eq!(privacy.noise, NoiseSource::Secure);
    let steps = std::fs::read_to_string(place.path("out/internal/steps.jsonl")).unwrap();
    assert_eq!(steps.lines().count(), 8);
    assert_eq!(place.spent(), 1);
    assert!(!place.key_file().exists(), "the key is destroyed");
    let text = std::fs::read_to_string(place.path("out/statement.txt")).unwrap();
    assert!(
        text.contains("zero-out") && text.contains("Poisson"),
        "{text}"
    );
}

#[test]
fn progress_tells_loss_tokens_and_the_epsilon_so_far() {
    let place = Place::new(json!({}));
    let watch = Watch::stopping_after(u64::MAX);
    place.run("out", &watch).unwrap();
    let updates = watch.updates.into_inner().unwrap();
    assert_eq!(updates.len(), 8);
    let tokens: Vec<u64> = updates
        .iter()
        .map(|one| one.metrics.tokens.unwrap())
        .collect();
    assert!(tokens.is_sorted() && tokens[7] > 0, "{tokens:?}");
    let epsilons: Vec<f64> = updates
        .iter()
        .map(|one| one.metrics.epsilon.unwrap().value())
        .collect();
    assert!(epsilons.is_sorted() && epsilons[0] < epsilons[7]);
    assert!(epsilons[7] <= 3.0, "{epsilons:?}");
    for update in &updates {
        assert!(update.metrics.loss.is_some());
        assert_eq!(update.metrics.epsilon_target, Some(3.0));
    }
}

#[test]
fn a_stopped_run_goes_on_under_its_key_and_its_entry() {
    let place = Place::new(json!({}));
    let stopped = place.run("out", &Watch::stopping_after(4)).unwrap_err();
    assert!(stopped.interrupted);
    assert!(place.key_file().exists());
    place.run("out", &NoProgress).unwrap();
    assert_eq!(place.spent(), 1);
    let steps = std::fs::read_to_string(place.path("out/internal/steps.jsonl")).unwrap();
    assert_eq!(steps.lines().count(), 8);
}

#[test]
fn a_seeded_run_is_the_same_however_often_it_is_stopped() {
    let place = Place::new(json!({"noise": "seeded", "averaging": "ema"}));
    place.run("whole", &NoProgress).unwrap();
    for stop in 1..8 {
        std::fs::remove_dir_all(place.path("state")).unwrap();
        let watch = Watch::stopping_after(stop);
        assert!(place.run("stopped", &watch).unwrap_err().interrupted);
        place.run("stopped", &NoProgress).unwrap();
        assert!(
            place.weights("whole") == place.weights("stopped"),
            "stopped after {stop}"
        );
    }
    assert_eq!(place.privacy("whole").noise, NoiseSource::Seeded);
}

/// Rule 46: alone or in a divided budget, with canaries or without, stopped, killed between checkpoints or begun anew, what is
/// recorded is what was noised: every step of the plan once, at the planned rate and noise, over the planned examples.
#[test]
fn what_was_executed_is_recorded_however_often_it_stopped() {
    let mut state = 9u64;
    let mut below = |count: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % count
    };
    for trial in 0..8 {
        // Seven steps at least, of which two stops take four at most.
        let (canaries, batch) = (below(3) * 12, 9 + below(6));
        let own = json!({"epsilon": 3, "batch_size": batch, "epochs": 1.5, "canaries": canaries});
        let mut params = own.clone();
        if trial % 2 == 1 {
            let mut own = own;
            own["model"] = json!("m");
            params["budget"] = json!({"epsilon": 3, "delta": "auto", "components": {
                "train": {"share": 0.6, "kind": "train", "params": own},
                "counts": {"share": 0.4, "kind": "counts", "params": {"epsilon": 3}},
            }});
        }
        let place = Place::new(params);
        let context = place.context("out", &NoProgress);
        let plan = crate::plan(Kind::Train, "train", &context.params, ROWS as u64).unwrap();
        let Spending::Noise { planned, .. } = &plan.spending else {
            panic!("{:?}", plan.spending);
        };
        let (_, event) = planned.iter().find(|(name, _)| name == "train").unwrap();
        let mut started = 1;
        let lost = trial == 5;
        for stop in 0..=below(2) {
            let watch = Watch::stopping_after(1 + below(2));
            assert!(
                place.run("out", &watch).unwrap_err().interrupted,
                "{trial} {stop}"
            );
        }
        if lost {
            // A checkpoint that is gone: the run begins anew under another identity, and counts twice.
            std::fs::remove_file(place.path("state/state.bin")).unwrap();
            started += 1;
        }
        place.run("out", &NoProgress).unwrap();
        let found = place.privacy("out");
        assert_eq!(found.event, *event, "{trial}");
        assert_eq!(
            (found.examples, found.canaries),
            (ROWS as u64 + canaries, canaries)
        );
        let log = std::fs::read_to_string(place.path("out/internal/steps.jsonl")).unwrap();
        let DpEvent::PoissonSampledGaussian { steps, .. } = event else {
            panic!("{event:?}");
        };
        assert_eq!(log.lines().count() as u64, *steps, "{trial}");
        assert_eq!(place.spent(), started, "{trial}");
    }
}

/// Before it spends anything, a run on a device compares it with the processor.
#[test]
fn a_device_that_computes_wrongly_is_refused_before_a_run_spends_anything() {
    for params in [
        json!({}),
        json!({"clipping": "automatic", "prompt_mismatch": 1.0, "parameters": "lora"}),
    ] {
        let mut place = Place::new(params);
        place.device = Device::under_test();
        let broken = || place.run("out", &NoProgress).unwrap_err().to_string();
        let refused = fault::with(Fault::NoClip, broken);
        assert!(
            refused.contains("computes wrongly") && refused.contains("--device cpu"),
            "{refused}"
        );
        assert_eq!(place.spent(), 0);
        assert!(!place.key_file().exists());
        let watch = Watch::stopping_after(100);
        place.run("out", &watch).unwrap();
        let said = watch.said.into_inner().unwrap();
        assert!(said.contains("differ from the processor's by"), "{said}");
        assert_eq!(place.spent(), 1);
    }
}

/// Each input of the update changed between two attempts: the old key dies, the run starts anew, and both are counted.
#[test]
fn changed_inputs_never_meet_the_old_noise() {
    for change in [
        "row",
        "order",
        "learning rate",
        "clip",
        "tokenizer",
        "model",
    ] {
        let mut place = Place::new(json!({}));
        assert!(
            place
                .run("out", &Watch::stopping_after(4))
                .unwrap_err()
                .interrupted
        );
        let key = std::fs::read(place.key_file()).unwrap();
        match change {
            "row" => {
                let mut rows = lines();
                rows[3] = "something else entirely".into();
                place.write_rows(&rows);
            }
            "order" => {
                let mut rows = lines();
                rows.swap(3, 5);
                place.write_rows(&rows);
            }
            "tokenizer" => {
                let path = place.path("base/tokenizer.json");
                let mut tokenizer: Value =
                    serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
                let merges = tokenizer["model"]["merges"].as_array_mut().unwrap();
                merges.pop();
                std::fs::write(&path, tokenizer.to_string()).unwrap();
            }
            "learning rate" => place.params["learning_rate"] = json!(0.5),
            "clip" => place.params["max_grad_norm"] = json!(0.1),
            _ => {
                let path = place.path("base/model.safetensors");
                let mut bytes = std::fs::read(&path).unwrap();
                let last = bytes.len() - 3;
                bytes[last] ^= 1;
                std::fs::write(&path, bytes).unwrap();
            }
        }
        assert!(
            place
                .run("out", &Watch::stopping_after(1))
                .unwrap_err()
                .interrupted
        );
        let fresh = std::fs::read(place.key_file()).unwrap();
        assert_ne!(
            key[8..24],
            fresh[8..24],
            "{change}: the run has another identity"
        );
        place.run("out", &NoProgress).unwrap();
        assert_eq!(place.spent(), 2, "{change}");
        let steps = std::fs::read_to_string(place.path("out/internal/steps.jsonl")).unwrap();
        assert_eq!(steps.lines().count(), 8, "{change}");
    }
}

/// A key is bound to the class of the device and to the program as well: kernels of others round otherwise.
#[test]
fn the_key_is_bound_to_the_device_and_the_program() {
    let place = Place::new(json!({}));
    let (params, start, rows, prompt) = place.read();
    let encoder = Encoder {
        prompt: &prompt,
        tokenizer: &start.tokenizer,
        keywords: None,
        max_seq_len: 20,
        max_length: 20,
        context: 32,
        loss_on: params.loss_on,
        mismatch: None,
        sampled: Sampled::Records,
        conversations: None,
    };
    let encoded = encoder.encode(&rows).unwrap();
    let mechanism = Mechanism::new(0.25, 1.0, 1.0, 8, 1e-5, Adjacency::ZeroOut).unwrap();
    let digest = |device: Device, code: Code| {
        let context = StageContext {
            device,
            ..place.context("out", &NoProgress)
        };
        binding(
            &context,
            &params,
            &mechanism,
            &start.network,
            &encoded,
            code,
        )
    };
    let bound = digest(Device::Cpu, Code::CURRENT);
    assert_eq!(bound, digest(Device::Cpu, Code::CURRENT));
    assert_eq!(
        digest(Device::Cuda(0), Code::CURRENT),
        digest(Device::Cuda(1), Code::CURRENT)
    );
    let next = Code {
        version: "next",
        ..Code::CURRENT
    };
    let next_kind = Code {
        kind_version: Code::CURRENT.kind_version + 1,
        ..Code::CURRENT
    };
    for other in [
        digest(Device::Cuda(0), Code::CURRENT),
        digest(Device::Wgpu(0), Code::CURRENT),
        digest(Device::Cpu, next),
        digest(Device::Cpu, next_kind),
    ] {
        assert_ne!(bound, other);
    }
}

/// Bits of every kind of byte of a checkpoint, cuts, and each file of the state folder gone: a seeded run ends with the
/// bytes of the uninterrupted one, a secure one restarts, says so, and is counted again. No attempt hangs.
#[test]
fn a_lost_or_damaged_checkpoint_costs_a_restart_and_is_told() {
    let (whole, steps) = {
        let place = Place::new(json!({"noise": "seeded", "canaries": 6}));
        place.run("out", &NoProgress).unwrap();
        (place.result(), place.steps())
    };
    for noise in ["secure", "seeded"] {
        let place = Place::new(json!({"noise": noise, "canaries": 6}));
        let stop = || {
            drop(std::fs::remove_dir_all(place.path("state")));
            let stopped = place.run("out", &Watch::stopping_after(4)).unwrap_err();
            assert!(stopped.interrupted);
        };
        stop();
        let length = std::fs::read(place.path("state/state.bin")).unwrap().len();
        // Magic, binding, step (its highest bit: what once hung), numbers, lengths, values, notes, digest.
        let bits = [
            3,
            8 * 20,
            8 * 40,
            8 * 47 + 7,
            8 * 48,
            8 * 55 + 7,
            8 * 56 + 1,
            8 * 66,
            4 * length,
            8 * (length - 400),
            8 * length - 1,
        ];
        let flips = bits.map(|bit| (format!("bit {bit}"), Some(bit), None));
        let cuts = [0, 10, 64, length / 2, length - 1]
            .map(|end| (format!("cut at {end}"), None, Some(end)));
        let mut damages: Vec<_> = flips.into_iter().chain(cuts).collect();
        damages.push(("lost".to_owned(), None, None));
        for (name, bit, end) in damages {
            stop();
            let spent = place.spent();
            let path = place.path("state/state.bin");
            let mut bytes = std::fs::read(&path).unwrap();
            match (bit, end) {
                (Some(bit), _) => {
                    // The log within is a few bytes longer or shorter, as its numbers are.
                    let at = (bit / 8).min(bytes.len() - 1);
                    bytes[at] ^= 1 << (bit % 8);
                }
                (_, Some(end)) => bytes.truncate(end.min(bytes.len() - 1)),
                _ => bytes.clear(),
            }
            if name == "lost" {
                std::fs::remove_file(&path).unwrap();
            } else {
                std::fs::write(&path, bytes).unwrap();
            }
            let watch = Watch::stopping_after(u64::MAX);
            place.run("out", &watch).unwrap();
            let said = watch.said.into_inner().unwrap();
            assert!(
                name == "lost" || said.contains("is damaged"),
                "{noise}, {name}: {said}"
            );
            assert!(!said.contains("goes on after"), "{noise}, {name}: {said}");
            if noise == "seeded" {
                assert!(place.result() == whole, "{name}");
            } else {
                assert!(said.contains("restarts with a new key"), "{name}: {said}");
                assert_eq!(place.spent(), spent + 1, "{name}");
                assert_eq!(place.steps(), steps, "{name}");
            }
            assert!(!place.key_file().exists());
        }
        // The copy of the log that stands beside the checkpoint counts for nothing.
        for content in [None, Some(""), Some("{\"step\":1}\n")] {
            stop();
            let path = place.path("state/steps.jsonl");
            match content {
                None => std::fs::remove_file(&path).unwrap(),
                Some(text) => std::fs::write(&path, text).unwrap(),
            }
            place.run("out", &NoProgress).unwrap();
            assert_eq!(place.steps(), steps);
            assert!(noise == "secure" || place.result() == whole);
        }
        if noise == "seeded" {
            stop();
            let spent = place.spent();
            std::fs::write(place.path("state/run"), "0".repeat(32)).unwrap();
            let watch = Watch::stopping_after(u64::MAX);
            place.run("out", &watch).unwrap();
            let said = watch.said.into_inner().unwrap();
            assert!(said.contains("another run in the ledger"), "{said}");
            assert_eq!(place.spent(), spent + 1);
        }
    }
}

/// A bit of the key file's header is another identity or another binding: the key is of no use then.
#[test]
fn a_damaged_key_file_is_told_and_counted() {
    for byte in [0, 9, 30, 60, 4096, 4110, 4150] {
        let place = Place::new(json!({}));
        assert!(
            place
                .run("out", &Watch::stopping_after(1))
                .unwrap_err()
                .interrupted
        );
        let mut bytes = std::fs::read(place.key_file()).unwrap();
        // The slot in use is the second after one checkpoint.
        let byte = if byte >= 4096 { byte + 64 } else { byte };
        bytes[byte] ^= 4;
        std::fs::write(place.key_file(), bytes).unwrap();
        let watch = Watch::stopping_after(u64::MAX);
        place.run("out", &watch).unwrap();
        let said = watch.said.into_inner().unwrap();
        assert!(
            said.contains("restarts with a new key"),
            "byte {byte}: {said}"
        );
        assert_eq!(place.spent(), 2, "byte {byte}");
    }
}

#[test]
fn epsilon_zero_keeps_the_model_and_infinity_draws_no_noise() {
    let mut place = Place::new(json!({"epsilon": 0.0}));
    place.run("zero", &NoProgress).unwrap();
    let base = std::fs::read(place.path("base/model.safetensors")).unwrap();
    assert!(base == place.weights("zero"));
    assert_eq!(place.spent(), 0);
    place.params["epsilon"] = json!("inf");
    place.run("inf", &NoProgress).unwrap();
    assert!(base != place.weights("inf"));
    let record = PrivacyRecord::load(&place.path("inf")).unwrap();
    assert_eq!(record, PrivacyRecord::NotPrivate);
    let first = place.weights("inf");
    std::fs::remove_dir_all(place.path("state")).unwrap();
    place.run("again", &NoProgress).unwrap();
    assert!(
        first == place.weights("again"),
        "without noise a run is reproducible"
    );
}

#[test]
fn adapters_biases_and_heads_can_be_trained_alone() {
    let mut place = Place::new(json!({"noise": "seeded"}));
    let mut seen = Vec::new();
    for parameters in ["lora", "bias", "head"] {
        place.params["parameters"] = json!(parameters);
        place.run("out", &NoProgress).unwrap();
        std::fs::remove_dir_all(place.path("state")).unwrap();
        let reread = dpx_nn::model::load_causal(place.path("out/model"), Device::Cpu).unwrap();
        assert!(reread.parameters().find("transformer.wte.weight").is_some());
        let parameters = reread.parameters().iter();
        seen.push(
            parameters
                .map(|(_, one)| one.value.to_vec())
                .collect::<Vec<_>>(),
        );
    }
    assert!(seen[0] != seen[1] && seen[1] != seen[2]);
}

/// Of a LoRA row the artifact holds the adapter, and the public model byte by byte, which the cache then has once for all rows.
#[test]
fn a_lora_row_keeps_its_adapter_and_the_public_model_as_it_was() {
    let mut place =
        Place::new(json!({"noise": "seeded", "parameters": "lora", "lora_alpha": 12.0}));
    let base = std::fs::read(place.path("base/model.safetensors")).unwrap();
    place.run("out", &NoProgress).unwrap();
    let file = |output: &str, name: &str| place.path(output).join("model").join(name);
    assert!(!file("out", "model.safetensors").exists());
    assert!(base == std::fs::read(file("out", "base/model.safetensors")).unwrap());
    let adapter = std::fs::read(file("out", "adapter/adapter_config.json")).unwrap();
    let adapter: Value = serde_json::from_slice(&adapter).unwrap();
    assert_eq!(adapter["lora_alpha"], 12);
    assert_eq!(adapter["base_model_name_or_path"], Value::Null);
    let load = |output| dpx_nn::model::load_causal(file(output, ""), Device::Cpu).unwrap();
    let values = |network: &CausalLm| -> Vec<Vec<f32>> {
        let parameters = network.parameters().iter();
        parameters.map(|(_, one)| one.value.to_vec()).collect()
    };
    let public = dpx_nn::model::load_causal(place.path("base"), Device::Cpu).unwrap();
    assert_ne!(values(&load("out")), values(&public));
    // A base that is not the one any more is an error, never another model.
    std::fs::remove_dir_all(file("out", "base")).unwrap();
    let refused = dpx_nn::model::load_causal(file("out", ""), Device::Cpu).unwrap_err();
    assert!(refused.to_string().contains("is missing"), "{refused}");
    // Nothing was learned at epsilon 0.
    place.params["epsilon"] = json!(0.0);
    place.run("zero", &NoProgress).unwrap();
    let zero = place.path("zero/model");
    assert!(!zero.join("adapter").exists());
    let zero = dpx_nn::model::load_causal(zero, Device::Cpu).unwrap();
    assert_eq!(values(&zero), values(&public));
}

/// What the adapter was trained against is what is sampled, what the record says and what leaves; at epsilon 0 too.
#[test]
fn a_rounded_base_is_in_the_record_and_in_the_model() {
    let mut place = Place::new(json!({"noise": "seeded", "parameters": "lora"}));
    place.run("plain", &NoProgress).unwrap();
    assert!(place.privacy("plain").base_precision.is_f32());
    let file = |output: &str, name: &str| place.path(output).join("model").join(name);
    let config = |output| std::fs::read_to_string(file(output, "config.json")).unwrap();
    assert!(!config("plain").contains("base_precision"));
    let load = |folder: PathBuf| dpx_nn::model::load_causal(folder, Device::Cpu).unwrap();
    let first = |network: &CausalLm| {
        let (_, first) = network.parameters().iter().next().unwrap();
        first.value.to_vec()
    };
    let public = first(&load(place.path("base")));
    for (precision, said) in [
        (BasePrecision::Bf16, "rounded to bfloat16"),
        (BasePrecision::Int8, "rounded to 8 bits"),
    ] {
        place.params["base_precision"] = json!(precision);
        place.params["epsilon"] = json!(3.0);
        std::fs::remove_dir_all(place.path("state")).unwrap();
        place.run("out", &NoProgress).unwrap();
        assert_eq!(place.privacy("out").base_precision, precision);
        let statement = std::fs::read_to_string(place.path("out/statement.txt")).unwrap();
        assert!(statement.contains(said), "{statement}");
        // The embedding has no adapter: what was rounded is what is sampled.
        let rounded = dpx_nn::model::load_frozen(place.path("base"), Device::Cpu, precision);
        let rounded = first(&rounded.unwrap());
        assert_ne!(rounded, public);
        let sampled = load(place.path("out/model"));
        assert_eq!(first(&sampled), rounded);
        let exported = place.path("exported");
        let whole = crate::export::Form::Whole { bf16: false };
        crate::export::write_whole(&place.path("out/model"), whole, &exported).unwrap();
        assert_eq!(first(&load(exported.clone())), rounded);
        let merged = std::fs::read_to_string(exported.join("config.json")).unwrap();
        assert!(!merged.contains("base_precision"), "{merged}");
        place.params["epsilon"] = json!(0.0);
        place.run("zero", &NoProgress).unwrap();
        assert_eq!(first(&load(place.path("zero/model"))), rounded);
    }
    place.params["parameters"] = json!("all");
    let refused = place.run("out", &NoProgress).unwrap_err().to_string();
    assert!(refused.contains("`parameters = \"lora\"`"), "{refused}");
}

/// Activation checkpointing changes no byte of what is made, and may be changed while a run is stopped.
#[test]
fn activations_computed_anew_change_no_byte() {
    let mut results = Vec::new();
    for parameters in ["lora", "all"] {
        for settings in [["off", "off"], ["on", "on"], ["off", "on"]] {
            let mut place = Place::new(json!({"noise": "seeded", "parameters": parameters}));
            place.checkpointing = settings[0];
            let stopped = place.run("out", &Watch::stopping_after(4)).unwrap_err();
            assert!(stopped.interrupted);
            place.checkpointing = settings[1];
            let watch = Watch::stopping_after(100);
            place.run("out", &watch).unwrap();
            let said = watch.said.into_inner().unwrap();
            let on = said.contains("activation checkpointing is on");
            assert_eq!(on, settings[1] == "on", "{said}");
            let name = if parameters == "lora" {
                "model/adapter/adapter_model.safetensors"
            } else {
                "model/model.safetensors"
            };
            let files = [name, "internal/steps.jsonl"];
            results.push(files.map(|name| std::fs::read(place.path("out").join(name)).unwrap()));
        }
    }
    assert!(results[0] == results[1] && results[1] == results[2]);
    assert!(results[3] == results[4] && results[4] == results[5]);
}

#[test]
fn canaries_are_drawn_by_coins_of_their_own_and_survive_a_stop() {
    let place = Place::new(json!({"canaries": 40}));
    assert!(
        place
            .run("out", &Watch::stopping_after(4))
            .unwrap_err()
            .interrupted
    );
    let state = std::fs::read(place.path("state/state.bin")).unwrap();
    place.run("out", &NoProgress).unwrap();
    let text = std::fs::read(place.path("out/internal/canaries.json")).unwrap();
    assert!(
        state.windows(text.len()).any(|part| part == text),
        "the canaries of the checkpoint"
    );
    let kept: Vec<Canary> =
        serde_json::from_slice(&std::fs::read(place.path("out/internal/canaries.json")).unwrap())
            .unwrap();
    assert_eq!(kept.len(), 40);
    let planted = kept.iter().filter(|canary| canary.included).count();
    assert!((5..36).contains(&planted), "{planted}");
    let DpEvent::PoissonSampledGaussian { sampling_rate, .. } = place.privacy("out").event else {
        panic!("no DP-SGD");
    };
    assert_eq!(sampling_rate, dpx_accounting::quantized_rate(0.15));
}

/// A secret in a row reaches no message, releasable file or progress line; no key bytes reach any file but the key's.
#[test]
fn nothing_private_is_said() {
    let place = Place::new(json!({}));
    let mut rows = lines();
    rows[7] = "xyzzysecret".into();
    place.write_rows(&rows);
    let watch = Watch::stopping_after(4);
    place.run("out", &watch).unwrap_err();
    let key_file = std::fs::read(place.key_file()).unwrap();
    let key = key_file[4096..]
        .chunks(64)
        .find(|slot| slot.iter().any(|byte| *byte != 0))
        .map(|slot| slot[8..40].to_vec())
        .unwrap();
    let watch_end = Watch::stopping_after(u64::MAX);
    place.run("out", &watch_end).unwrap();
    let mut all = watch.said.lock().unwrap().clone() + &watch_end.said.lock().unwrap();
    for name in [
        "privacy.json",
        "statement.txt",
        "internal/steps.jsonl",
        "model/config.json",
    ] {
        all += &std::fs::read_to_string(place.path("out").join(name)).unwrap();
    }
    assert!(!all.contains("xyzzysecret"));
    let hexadecimal: Vec<u8> = key
        .iter()
        .flat_map(|byte| format!("{byte:02x}").into_bytes())
        .collect();
    let mut folders = vec![
        place.path("state"),
        place.path("out"),
        place.path("ledger"),
        place.path("secrets"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            for needle in [key.as_slice(), &hexadecimal] {
                assert!(
                    !bytes.windows(needle.len()).any(|w| w == needle),
                    "{}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn a_delta_that_protects_nobody_is_refused() {
    let place = Place::new(json!({"delta": 0.5}));
    let message = place.run("out", &NoProgress).unwrap_err().to_string();
    assert!(
        message.contains("`delta`") && message.contains("`auto`"),
        "{message}"
    );
    assert_eq!(place.spent(), 0);
}

/// Every row has a second sequence: its own text under another label, both counted alike.
#[test]
fn a_mismatch_is_the_same_text_under_another_label() {
    let place = Place::new(json!({}));
    let (params, start, rows, prompt) = place.read();
    let labels = ["joy", "fear", "love"].map(str::to_owned);
    let encoder = |labels, max_seq_len| Encoder {
        prompt: &prompt,
        tokenizer: &start.tokenizer,
        keywords: None,
        max_seq_len,
        max_length: max_seq_len as u64,
        context: 32,
        loss_on: params.loss_on,
        mismatch: Some(Mismatch {
            weight: 1.0,
            labels,
            seed: 3,
        }),
        sampled: Sampled::Records,
        conversations: None,
    };
    let counted = |batch: &dpx_nn::Batch| {
        let dpx_nn::Targets::NextToken { grouping, ids, .. } = &batch.targets else {
            panic!("next tokens")
        };
        assert_eq!(grouping.batch(), 2);
        (
            ids[grouping.range(0)].to_vec(),
            ids[grouping.range(1)].to_vec(),
        )
    };
    // At eight tokens the longer prompt leaves less room for the text: then both are cut alike.
    for max_seq_len in [30, 8] {
        let encoded = encoder(&labels, max_seq_len).encode(&rows).unwrap();
        let mut prompts = std::collections::BTreeSet::new();
        for row in 0..ROWS {
            let batch = encoded.batch(&[row], Idle::NONE);
            let (own, wrong) = counted(&batch);
            assert!(!own.is_empty());
            assert_eq!(own, wrong);
            let prompts_of: Vec<&[u32]> = (0..2)
                .map(|of| {
                    &batch.ids[batch.rows.range(of)][..=batch.rows.range(of).len() - own.len()]
                })
                .collect();
            assert_ne!(prompts_of[0], prompts_of[1]);
            prompts.insert(prompts_of[1].to_vec());
        }
        assert_eq!(prompts.len(), 3, "each label is a wrong one for some row");
    }
    let alone = encoder(&labels[..1], 30).encode(&rows[..2]).unwrap();
    assert!(
        counted(&alone.batch(&[0], Idle::NONE)).1.is_empty(),
        "there is no other label"
    );
}

/// The guarantee is the same with twice the sequences.
#[test]
fn training_with_the_mismatch_loss_states_the_same_guarantee() {
    let statement = |params: Value| {
        let place = Place::new(params);
        place.run("out", &NoProgress).unwrap();
        let steps = std::fs::read_to_string(place.path("out/internal/steps.jsonl")).unwrap();
        let step: Value = serde_json::from_str(steps.lines().next().unwrap()).unwrap();
        assert!(step["loss"].as_f64().unwrap() > 0.0);
        std::fs::read_to_string(place.path("out/statement.txt")).unwrap()
    };
    assert_eq!(
        statement(json!({})),
        statement(json!({"prompt_mismatch": 1.0}))
    );
}

/// The noise is raised for the rounding of as many tokens as one example sums over.
#[test]
fn the_allowance_for_rounding_covers_both_sequences() {
    let allowance = |params: Value| {
        let place = Place::new(params);
        place.run("out", &NoProgress).unwrap();
        place.privacy("out").rounding_allowance
    };
    let (one, two) = (
        allowance(json!({})),
        allowance(json!({"prompt_mismatch": 1.0})),
    );
    assert!(two > one, "{two}, {one}");
}

/// What is cut is counted and told, and a prompt that leaves no room is refused before anything is spent.
#[test]
fn truncation_is_told_and_full_prompts_are_refused() {
    let mut place = Place::new(json!({"max_length": 100}));
    let long: Vec<String> = (0..ROWS)
        .map(|row| "i feel glad today ".repeat(if row == 0 { 40 } else { 1 }))
        .collect();
    place.write_rows(&long);
    let watch = Watch::stopping_after(u64::MAX);
    place.run("out", &watch).unwrap();
    let said = watch.said.into_inner().unwrap();
    assert!(said.contains("the model reads at most 32 tokens"), "{said}");
    assert!(said.contains("1 of 60 texts (1.7 %)"), "{said}");
    let text = std::fs::read(place.path("out/internal/truncation.json")).unwrap();
    let found: crate::truncation::Truncation = serde_json::from_slice(&text).unwrap();
    assert_eq!((found.texts, found.texts_cut, found.context), (60, 1, 32));
    assert!(found.tokens_cut > 50 && found.tokens_cut < found.tokens);

    for loss in ["text", "all"] {
        let spent = place.spent();
        place.params = json!({"max_length": 3, "loss_on": loss});
        let refused = place.run("out", &NoProgress).unwrap_err().to_string();
        assert!(
            refused.contains("fills all 3 tokens") && refused.contains("`max_length`"),
            "{refused}"
        );
        assert_eq!(place.spent(), spent);
    }
}

/// What is made of noised gradients alone costs nothing: the promise, in numbers and in words, is that without it.
#[test]
fn denoising_is_no_part_of_the_promise() {
    let of = |params: Value| {
        let place = Place::new(params);
        place.run("out", &NoProgress).unwrap();
        let found = place.privacy("out");
        let words = std::fs::read_to_string(place.path("out/statement.txt")).unwrap();
        (found.event, found.delta, found.rounding_allowance, words)
    };
    assert_eq!(of(json!({})), of(json!({"denoising": "singular-values"})));
}
