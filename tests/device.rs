//! Devices as a user meets them: the list, the refusal, and a whole study on the device that `DPX_TEST_DEVICE` names (the
//! processor, when it names none).

use crate::binary::{dpx, text};

const EXPERIMENT: &str = r#"
[experiment]
name = "tiny"

[stage.base]
kind = "pretrain"
corpus = ["builtin:dialogue"]
vocabulary_size = 300
layers = 1
width = 16
heads = 2
context = 16
batch_size = 4
steps = 2
PRECISION

[stage.preprocess]
kind = "preprocess"
dataset = "builtin:emotions"
limit = 40

[stage.train]
kind = "train"
needs = ["preprocess", "base"]
model = "stage:base"
epsilon = 8
epochs = 1
batch_size = 16
max_length = 12

[stage.sample]
kind = "sample"
needs = ["train"]
count = 6
max_new_tokens = 4

[stage.classify]
kind = "classify"
needs = ["sample", "preprocess"]
model = "bag-of-words"
"#;

#[test]
fn the_list_names_the_processor_and_says_why_others_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let listed = dpx(folder.path(), &["devices", "--json"]);
    assert!(listed.status.success());
    let value: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let devices = value["devices"].as_array().unwrap();
    assert!(devices.iter().any(|one| one["device"] == "cpu"));
    // Each class is there or has a reason.
    for class in ["cuda", "wgpu"] {
        let there = devices.iter().any(|one| {
            let name = one["device"].as_str().unwrap();
            name.starts_with(class)
        });
        let missing = value["missing"].as_array().unwrap();
        assert!(
            there != missing.iter().any(|one| one["class"] == class),
            "{class}"
        );
    }
    // A software rasterizer is never the first choice.
    let auto = devices.iter().find(|one| one["device"] == value["auto"]);
    assert_eq!(auto.unwrap()["software"], false);
}

#[test]
fn a_device_that_is_not_there_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = EXPERIMENT.replace("PRECISION", "");
    std::fs::write(folder.path().join("tiny.toml"), experiment).unwrap();
    let refused = dpx(
        folder.path(),
        &["run", "tiny.toml", "--device", "cuda:77", "--json"],
    );
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    assert!(
        said.contains("`cuda:77`") && said.contains("dpx devices"),
        "{said}"
    );
    assert!(!text(&refused.stdout).contains("started"));
}

#[test]
fn a_whole_study_runs_on_the_device() {
    let folder = tempfile::tempdir().unwrap();
    let device = std::env::var("DPX_TEST_DEVICE").unwrap_or_else(|_| "cpu".into());
    // `flex` is a device of unit tests alone.
    let device = if device == "flex" {
        "cpu".into()
    } else {
        device
    };
    let experiment = EXPERIMENT.replace("PRECISION", "");
    std::fs::write(folder.path().join("tiny.toml"), experiment).unwrap();
    let done = dpx(
        folder.path(),
        &["run", "tiny.toml", "--device", &device, "--json"],
    );
    let said = text(&done.stderr) + &text(&done.stdout);
    assert!(done.status.success(), "{said}");
    let events: Vec<serde_json::Value> = text(&done.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let class = device.split(':').next().unwrap();
    for instance in ["base", "train", "sample"] {
        let of = |kind: &str| {
            let mut own = events.iter().filter(|event| event["instance"] == instance);
            own.find(|event| event["event"] == kind).cloned()
        };
        let started = of("started").unwrap();
        assert!(
            started["device"].as_str().unwrap().starts_with(class),
            "{started}"
        );
        assert!(of("finished").is_some(), "{instance}");
    }
}

#[test]
fn the_processor_refuses_bfloat16() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = EXPERIMENT.replace("PRECISION", "precision = \"bf16\"");
    std::fs::write(folder.path().join("tiny.toml"), experiment).unwrap();
    let refused = dpx(folder.path(), &["run", "tiny.toml", "--device", "cpu"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr) + &text(&refused.stdout);
    assert!(
        said.contains("`bf16`, which the device `cpu` does not compute"),
        "{said}"
    );
}
