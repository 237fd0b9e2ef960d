//! `batch_size = "auto"` through the real binary: chosen before anything runs, and a number from then on.

use crate::binary::{succeeds, text};
use serde_json::Value;

const STUDY: &str = r#"
[experiment]
name = "auto"
seed = 7

[sweep]
epsilon = ["inf", 8]

[stage.preprocess]
kind = "preprocess"
dataset = "builtin:emotions"
limit = 240
examples = 240

[stage.base]
kind = "pretrain"
corpus = ["builtin:dialogue"]
vocabulary_size = 300
layers = 1
width = 16
heads = 2
context = 16
batch_size = 8
steps = 3

[stage.train]
kind = "train"
needs = ["preprocess", "base"]
model = "stage:base"
epsilon = "$epsilon"
epochs = 4
batch_size = "auto"       # chosen
max_length = 16
"#;

#[test]
fn the_number_stands_wherever_the_run_is_told() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    std::fs::write(folder.join("auto.toml"), STUDY).unwrap();
    let checked = text(&succeeds(folder, &["check", "auto.toml"]).stdout);
    // 960 texts in 50 steps or more.
    let told = "of `train` is 16: 60 steps in 4 passes over 240, at epsilon 8; twice as much would leave fewer than 50 steps";
    assert!(checked.contains(told), "{checked}");
    let planned = text(&succeeds(folder, &["plan", "auto.toml"]).stdout);
    assert!(planned.contains(told), "{planned}");

    succeeds(folder, &["run", "auto.toml"]);
    let written = std::fs::read_to_string(folder.join("results/auto/experiment.toml")).unwrap();
    assert_eq!(written, STUDY.replace("\"auto\"       #", "16       #"));
    let planned = succeeds(folder, &["plan", "auto.toml", "--json"]).stdout;
    let planned: Value = serde_json::from_slice(&planned).unwrap();
    assert_eq!(planned["chosen"][0]["value"], 16);
    assert_eq!(planned["summary"]["cached"], 4);
    // The number in place of the word is the same work.
    std::fs::write(folder.join("number.toml"), &written).unwrap();
    let again = succeeds(folder, &["plan", "number.toml", "--json"]).stdout;
    let again: Value = serde_json::from_slice(&again).unwrap();
    assert_eq!(again["summary"]["cached"], 4, "{again}");
    assert_eq!(again["chosen"].as_array().unwrap().len(), 0);
    // The study's files hold the number alone.
    for file in ["results.json", "report.html"] {
        let file = std::fs::read_to_string(folder.join("results/auto").join(file)).unwrap();
        for word in [
            "batch_size = \"auto\"",
            "batch_size = &quot;auto",
            "\"batch_size\":\"auto\"",
        ] {
            assert!(!file.contains(word), "{word}");
        }
    }
}
