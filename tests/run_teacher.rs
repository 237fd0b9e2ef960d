//! `experiments/emotion-teacher.toml`, made tiny, through the real binary: one budget, four mechanisms, three figures a row.

use crate::binary::succeeds;
use serde_json::Value;
use std::path::Path;

/// Lays small sizes over the study. Its figures mean nothing.
const TINY: &str = r#"
[experiment]
name = "tiny"
extends = "EXPERIMENTS/emotion-teacher.toml"

[sweep]
epsilon = [8, 0]

[stage.base]
kind = "pretrain"
corpus = ["builtin:dialogue"]
vocabulary_size = 400
layers = 1
width = 16
heads = 2
context = 32
batch_size = 8
steps = 10

[stage]
preprocess.limit = 300
train = { needs = ["preprocess", "base"], model = "stage:base", batch_size = 100, epochs = 1, max_length = 24 }
teacher.steps = 5
sample = { count = 24, max_new_tokens = 6 }
taught = { count = 18 }
score = { encoder = "builtin:base", max_texts = 24, examples = 1 }
"#;

/// Every `sample.json` in the cache.
fn samples(folder: &Path) -> Vec<Value> {
    std::fs::read_dir(folder.join("cache/objects"))
        .unwrap()
        .filter_map(|entry| {
            let bytes = std::fs::read(entry.unwrap().path()).ok()?;
            let value: Value = serde_json::from_slice(&bytes).ok()?;
            value.get("undecodable").is_some().then_some(value)
        })
        .collect()
}

/// The first lines of a folder's csv files.
fn headers(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "csv"))
        .map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            text.lines().next().unwrap_or_default().to_owned()
        })
        .collect()
}

#[test]
fn a_row_shows_own_labels_with_teacher_and_teacher_alone_within_one_budget() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let experiments = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let study = TINY.replace("EXPERIMENTS", &experiments.display().to_string());
    std::fs::write(folder.join("tiny.toml"), study).unwrap();
    succeeds(folder, &["run", "tiny.toml"]);

    let results = std::fs::read(folder.join("results/tiny/results.json")).unwrap();
    let results: Value = serde_json::from_slice(&results).unwrap();
    let rows = results["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        let learnt = row["name"] != "epsilon=0";
        for (figure, there) in [
            ("accuracy", true),
            // A teacher that learnt nothing has no part in any figure.
            ("accuracy_with_teacher", learnt),
            ("accuracy_teacher_alone", learnt),
        ] {
            let n = row["figures"][figure]["n"].as_u64();
            assert_eq!(n, there.then_some(1), "{figure} of {}", row["name"]);
        }
        assert_eq!(row["samples"].as_array().unwrap().len(), 2);
    }
    let guarantee = &rows[0]["guarantee"];
    assert_eq!(guarantee["kind"], "dp");
    let epsilon = guarantee["epsilon"].as_f64().unwrap();
    assert!(epsilon <= 8.0 && epsilon > 7.9, "{epsilon}");
    let mechanisms = guarantee["mechanisms"].as_array().unwrap();
    let mut kinds: Vec<&str> = mechanisms
        .iter()
        .map(|mechanism| mechanism["kind"].as_str().unwrap())
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["counts", "counts", "teacher", "train"]);
    assert_eq!(rows[1]["guarantee"]["kind"], "untouched");

    let samples = samples(folder);
    let (taught, untaught): (Vec<&Value>, Vec<&Value>) = samples
        .iter()
        .partition(|sample| sample["teacher"].is_object());
    let of = |policy: &str| {
        let mut found = taught.iter();
        let found = found.find(|sample| sample["teacher"]["applied"] == policy);
        found.unwrap_or_else(|| panic!("no sample with the policy {policy}: {taught:?}"))
    };
    // A text of bytes that are no text does not leave the stage, and is counted.
    for sample in &untaught {
        let dropped = |what: &str| sample[what]["dropped"].as_u64().unwrap();
        let whole = 24 - dropped("undecodable") - dropped("empty");
        assert_eq!(sample["texts"], whole);
    }
    let is_written = |texts: &Value| untaught.iter().any(|sample| sample["texts"] == *texts);
    assert_eq!(untaught.len(), 2);
    assert!(is_written(&of("soft")["teacher"]["generated"]));
    assert_eq!(of("soft")["texts"], 18);
    assert!(is_written(&of("none")["texts"]));
    succeeds(
        folder,
        &[
            "release",
            "tiny.toml",
            "--row",
            "epsilon=8",
            "--out",
            "shared",
        ],
    );
    for place in ["results/tiny/synthetic", "shared"] {
        let soft = headers(&folder.join(place))
            .into_iter()
            .filter(|header| header.contains(",p_joy,"));
        assert_eq!(soft.count(), 1, "soft labels in {place}");
    }
    let again = succeeds(folder, &["run", "tiny.toml"]);
    let told = String::from_utf8_lossy(&again.stderr);
    assert!(told.contains("0 ran"), "{told}");
}
