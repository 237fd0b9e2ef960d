//! Pretraining end to end on a tiny corpus: it learns, its artifact is complete, and it goes on bit for bit.

use super::*;
use dpx_schema::Device;
use dpx_schema::{Kind, Progress, StageContext};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Asks to stop after a number of steps.
struct StopAfter(AtomicU64);

impl Progress for StopAfter {
    fn update(&self, _update: &ProgressUpdate) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
    fn log(&self, _line: &str) {}
    fn stop_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

fn corpus(folder: &Path) -> String {
    let moods = ["glad", "sad", "afraid", "angry"];
    let places = ["home", "work", "school", "the sea", "the park"];
    let lines: Vec<String> = (0..200)
        .map(|n| format!("i feel {} when i am at {}", moods[n % 4], places[n % 5]))
        .collect();
    let path = folder.join("corpus.txt");
    std::fs::write(&path, lines.join("\n")).unwrap();
    path.display().to_string()
}

fn run_once(folder: &Path, output: &str, progress: &dyn Progress) -> Result<(), StageError> {
    run_from(folder, output, progress, None)
}

fn run_from(
    folder: &Path,
    output: &str,
    progress: &dyn Progress,
    model: Option<&Path>,
) -> Result<(), StageError> {
    let output = folder.join(output);
    std::fs::create_dir_all(&output).unwrap();
    let context = StageContext {
        instance: "pretrain".into(),
        kind: Kind::Pretrain,
        params: json!({
            "corpus": [corpus(folder)], "model": model, "vocabulary_size": 300, "layers": 1, "width": 16, "heads": 2, "context": 32,
            "batch_size": 16, "steps": 12, "learning_rate": 0.02, "validation_share": 0.2,
        }),
        performance: json!({"micro_batch_tokens": 128, "checkpoint_every": 5}),
        inputs: BTreeMap::new(),
        state: output.with_extension("state"),
        output,
        secrets: folder.join("secrets"),
        ledger: folder.join("ledger").into(),
        key: "ab".repeat(32),
        seed: 5,
        device: Device::Cpu,
        others: Vec::new(),
        progress,
    };
    run(&context)
}

#[test]
fn learns_and_leaves_a_whole_artifact() {
    let folder = tempfile::tempdir().unwrap();
    run_once(folder.path(), "out", &dpx_schema::context::NoProgress).unwrap();
    let output = folder.path().join("out");
    for file in [
        "model/config.json",
        "model/model.safetensors",
        "model/tokenizer.json",
        "model/dpx_schema.json",
        "privacy.json",
        "statement.txt",
        "steps.jsonl",
    ] {
        assert!(output.join(file).is_file(), "{file}");
    }
    let losses = losses(&output);
    assert_eq!(losses.len(), 12);
    assert!(losses[11] < losses[0] - 1.0, "{losses:?}");
}

fn losses(output: &Path) -> Vec<f64> {
    let log = std::fs::read_to_string(output.join("steps.jsonl")).unwrap();
    log.lines()
        .filter_map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"].as_f64()
        })
        .collect()
}

#[test]
fn a_model_can_be_continued() {
    let folder = tempfile::tempdir().unwrap();
    let quiet = &dpx_schema::context::NoProgress;
    run_once(folder.path(), "first", quiet).unwrap();
    let model = folder.path().join("first/model");
    run_from(folder.path(), "second", quiet, Some(&model)).unwrap();
    let first = losses(&folder.path().join("first"));
    let second = losses(&folder.path().join("second"));
    assert!(second[0] < first[0] - 1.0, "{} {}", first[0], second[0]);
    let tokenizer =
        |name: &str| std::fs::read(folder.path().join(name).join("model/tokenizer.json")).unwrap();
    assert_eq!(tokenizer("first"), tokenizer("second"));
}

#[test]
fn a_run_stopped_anywhere_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    run_once(folder.path(), "whole", &dpx_schema::context::NoProgress).unwrap();
    for stop in [1, 5, 7, 11] {
        let name = format!("stopped-{stop}");
        let first = run_once(folder.path(), &name, &StopAfter(AtomicU64::new(stop)));
        assert!(first.unwrap_err().interrupted);
        run_once(folder.path(), &name, &dpx_schema::context::NoProgress).unwrap();
        let weights = |name: &str| {
            std::fs::read(folder.path().join(name).join("model/model.safetensors")).unwrap()
        };
        assert_eq!(
            weights("whole"),
            weights(&name),
            "stopped after step {stop}"
        );
    }
}

/// Every result is that of the uninterrupted run, log included, whatever became of the checkpoint.
#[test]
fn damage_to_a_checkpoint_changes_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let quiet = &dpx_schema::context::NoProgress;
    run_once(folder.path(), "whole", quiet).unwrap();
    let result = |name: &str| {
        [
            "model/model.safetensors",
            "steps.jsonl",
            "model/tokenizer.json",
        ]
        .map(|file| std::fs::read(folder.path().join(name).join(file)).unwrap())
    };
    // Stopped at a step at which the uninterrupted run writes a checkpoint, so that both measure the perplexity there.
    for damage in ["none", "step", "value", "log", "cut", "lost", "copy"] {
        let first = run_once(folder.path(), damage, &StopAfter(AtomicU64::new(5)));
        assert!(first.unwrap_err().interrupted);
        let state = folder.path().join(damage).with_extension("state");
        let path = state.join("state.bin");
        let mut bytes = std::fs::read(&path).unwrap();
        match damage {
            "step" => bytes[47] ^= 0x80,
            "value" => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            }
            "log" => {
                let place = bytes.len() - 50;
                bytes[place] ^= 1;
            }
            "cut" => bytes.truncate(100),
            _ => {}
        }
        std::fs::write(&path, bytes).unwrap();
        match damage {
            "lost" => std::fs::remove_file(&path).unwrap(),
            "copy" => std::fs::write(state.join("steps.jsonl"), "{}").unwrap(),
            _ => {}
        }
        run_once(folder.path(), damage, quiet).unwrap();
        assert!(result(damage) == result("whole"), "{damage}");
    }
}

#[test]
fn wrong_sizes_and_empty_corpora_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.txt");
    std::fs::write(&empty, "\n \n").unwrap();
    assert!(corpus::read(&[empty.display().to_string()]).is_err());
    let missing = corpus::read(&["no such file".into()])
        .unwrap_err()
        .to_string();
    assert!(missing.contains("`no such file`"), "{missing}");
    let params: PretrainParams =
        serde_json::from_value(json!({"corpus": [], "width": 30, "heads": 4})).unwrap();
    assert!(model::check(&params).is_err());
}
