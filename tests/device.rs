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

/// The same study on one processor and divided over two and three: the same keys and bytes, the same claims, a record that names
/// the devices; and what one of them made is cached for the others.
#[test]
fn a_training_on_several_devices_leaves_the_bytes_of_one() {
    let seeded = "[privacy]\nnoise = \"seeded\"\n";
    let study = |device: &str| {
        let folder = tempfile::tempdir().unwrap();
        let experiment = EXPERIMENT.replace("PRECISION", "") + seeded + device;
        std::fs::write(folder.path().join("tiny.toml"), experiment).unwrap();
        folder
    };
    let records = |folder: &tempfile::TempDir, arguments: &[&str]| {
        let done = dpx(folder.path(), &[&["run", "tiny.toml"], arguments].concat());
        let said = text(&done.stderr);
        assert!(done.status.success(), "{said}");
        let listed = dpx(folder.path(), &["cache", "ls", "--json"]);
        let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
        let mut devices = Vec::new();
        let mut rest = Vec::new();
        for one in listed["records"].as_array().unwrap() {
            let record = &one["record"];
            let files = record["output"]["files"].as_array().unwrap().iter();
            // The identity of a private run is drawn at random, with seeded noise too.
            let files: Vec<_> = files
                .filter(|file| file["path"] != "privacy.json")
                .cloned()
                .collect();
            let instance = record["instance"].as_str().unwrap().to_owned();
            // It is content to whoever reads the model, and so part of their keys.
            let reads_model = ["sample", "classify"].contains(&instance.as_str());
            let key = (!reads_model).then(|| record["key"].to_string());
            rest.push((instance, key, files));
            if record["kind"] == "train" {
                devices.push(record["device"].as_str().unwrap().to_owned());
            } else {
                assert_eq!(record["device"], "cpu", "{record}");
            }
        }
        rest.sort_by(|one, other| one.0.cmp(&other.0));
        (devices, rest, said)
    };
    let folder = study("[run]\ndevice = \"cpu\"\n");
    let (devices, one, _) = records(&folder, &[]);
    assert_eq!(devices, ["cpu"]);
    for (count, list) in [
        (2, "[\"cpu\", \"cpu\"]"),
        (3, "[\"cpu\", \"cpu\", \"cpu\"]"),
    ] {
        let folder = study(&format!("[run]\ndevices = {list}\n"));
        let (devices, several, _) = records(&folder, &[]);
        assert_eq!(devices, [["cpu"; 3][..count].join(", ")]);
        assert_eq!(several, one, "other bytes than on one device");
        // The device is in no key.
        let (.., said) = records(&folder, &["--device", "cpu"]);
        assert!(said.contains(": 0 ran"), "{said}");
    }
    let other = study("");
    let (devices, several, _) = records(&other, &["--devices", "cpu,cpu"]);
    assert_eq!((devices, several), (vec!["cpu, cpu".to_owned()], one));
    let refused = dpx(
        other.path(),
        &["run", "tiny.toml", "--devices", "cpu,cuda:0"],
    );
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    assert!(said.contains("devices of one class"), "{said}");
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
