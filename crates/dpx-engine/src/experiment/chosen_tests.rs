//! `batch_size = "auto"`: one number for a stage, in everything that is made of the file.

use super::*;
use crate::plan::{Seen, build};
use serde_json::Value as Json;
use std::path::Path;

const STUDY: &str = r#"
[experiment]
name = "study"

[sweep]
epsilon = ["inf", 8, 3, 0]

[stage.preprocess]
kind = "preprocess"
dataset = "builtin:emotions"
examples = 16000

[stage.train]
kind = "train"
needs = ["preprocess"]
model = "builtin:base"
epsilon = "$epsilon"
epochs = 40
batch_size = "auto"   # the noise decides
"#;

fn read(folder: &Path, text: &str, sets: &[&str]) -> Loaded {
    let file = folder.join("study.toml");
    std::fs::write(&file, text).unwrap();
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    load(&file, &sets)
}

fn sound(text: &str, sets: &[&str]) -> Experiment {
    let folder = tempfile::tempdir().unwrap();
    let loaded = read(folder.path(), text, sets);
    let shown = render(&loaded.diagnostics, &loaded.files);
    loaded.experiment.unwrap_or_else(|| panic!("{shown}"))
}

/// The batch sizes of all instances of `train`, as workers and keys have them.
fn sizes(experiment: &Experiment) -> Vec<u64> {
    let plan = build(experiment, &Seen).unwrap();
    let trains = plan
        .instances
        .iter()
        .filter(|one| one.stage == "train")
        .map(|one| {
            assert_eq!(one.params["batch_size"], one.key_params["batch_size"]);
            one.params["batch_size"].as_u64().unwrap()
        });
    trains.collect()
}

fn chosen(text: &str, sets: &[&str]) -> Chosen {
    let experiment = sound(text, sets);
    assert_eq!(experiment.chosen.len(), 1);
    experiment.chosen[0].clone()
}

#[test]
fn every_row_has_the_number_of_the_row_with_the_most_noise() {
    let experiment = sound(STUDY, &[]);
    let [chosen] = experiment.chosen.as_slice() else {
        panic!("{:?}", experiment.chosen)
    };
    assert_eq!((chosen.epsilon, chosen.question.examples), (3.0, 16_000));
    assert_eq!(sizes(&experiment), [chosen.choice.batch_size; 4]);
    let alone = sound(STUDY, &["sweep.epsilon=[3]"]);
    assert_eq!(sizes(&alone), [chosen.choice.batch_size]);
    let told = chosen.to_string();
    assert!(
        told.contains(&format!("of `train` is {}: ", chosen.choice.batch_size))
            && told.contains("at epsilon 3; twice as much would leave 9"),
        "{told}"
    );
}

/// Whoever runs the number instead of the word has the same study, to the last key.
#[test]
fn the_number_in_place_of_the_word_is_the_same_study() {
    let experiment = sound(STUDY, &[]);
    let size = experiment.chosen[0].choice.batch_size;
    let written = STUDY.replace("\"auto\"", &size.to_string());
    let by_hand = sound(&written, &[]);
    assert!(by_hand.chosen.is_empty());
    assert_eq!(
        build(&experiment, &Seen).unwrap(),
        build(&by_hand, &Seen).unwrap()
    );
    // The copy in the results has the number, and everything else as it was written.
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(experiment.merged(folder.path()), written);
    let over = sound(
        STUDY,
        &[
            "stage.train.batch_size=auto",
            "stage.train.learning_rate=0.002",
        ],
    );
    let merged = over.merged(folder.path());
    assert!(
        merged.contains(&format!("batch_size = {size}\n")),
        "{merged}"
    );
    assert!(!merged.contains("batch_size = \"auto\""), "{merged}");
    assert_eq!(
        build(&over, &Seen).unwrap(),
        build(&sound(&merged, &[]), &Seen).unwrap()
    );
}

/// What decides is in the file, and only what bears on noise and steps does.
#[test]
fn public_numbers_decide_and_nothing_else() {
    let of = |sets: &[&str]| chosen(STUDY, sets);
    let first = of(&[]);
    for same in [
        "experiment.seed=9",
        "stage.train.learning_rate=0.01",
        "stage.train.max_grad_norm=0.1",
        "sweep.epsilon=[3, 16]",
        "run.jobs=2",
        "stage.train.micro_batch_tokens=64",
    ] {
        let other = of(&[same]);
        assert_eq!(
            (other.question, other.choice),
            (first.question, first.choice),
            "{same}"
        );
    }
    let fewer = of(&["stage.preprocess.examples=1000"]);
    assert!(fewer.choice.batch_size < first.choice.batch_size);
    let shorter = of(&["stage.train.epochs=1"]);
    assert!(shorter.choice.batch_size < first.choice.batch_size);
    let canaries = of(&["stage.train.canaries=500"]);
    assert_eq!(canaries.question.examples, 16_500);
    let stated = of(&["privacy.delta=1e-6"]);
    assert_eq!(stated.question.delta, 1e-6);
}

#[test]
fn a_part_of_a_budget_is_what_the_stage_has() {
    let divided = format!(
        "{STUDY}\n[stage.counts]\nkind = \"counts\"\nneeds = [\"preprocess\"]\nepsilon = \"$epsilon\"\n\n[privacy.split]\ntrain = 1\ncounts = 3\n"
    );
    let found = chosen(&divided, &[]);
    assert_eq!((found.epsilon, found.part), (3.0, Some(0.25)));
    assert!(
        found.question.epsilon > 1.0 && found.question.epsilon < 2.0,
        "{found:?}"
    );
    assert!(
        found
            .to_string()
            .contains("at epsilon 3 (25 % of the budget)")
    );
    let experiment = sound(&divided, &[]);
    let plan = build(&experiment, &Seen).unwrap();
    let size = found.choice.batch_size;
    let components = |one: &crate::plan::Instance| -> Json {
        one.params["budget"]["components"]["train"]["params"]["batch_size"].clone()
    };
    let members: Vec<_> = plan
        .instances
        .iter()
        .filter(|one| matches!(one.stage.as_str(), "train" | "counts"))
        .collect();
    assert_eq!(members.len(), 8);
    for one in members {
        assert_eq!(components(one), size, "{}", one.name);
    }
}

/// An axis that changes the work is no trouble where every row comes to the same number.
#[test]
fn rows_that_agree_need_no_word() {
    let axis = STUDY
        .replace("epochs = 40", "epochs = \"$epochs\"")
        .replace("[sweep]", "[sweep]\nepochs = [40, 41]");
    assert_eq!(
        chosen(&axis, &[]).choice.batch_size,
        chosen(STUDY, &[]).choice.batch_size
    );
    let folder = tempfile::tempdir().unwrap();
    let loaded = read(folder.path(), &axis, &["sweep.epochs=[1, 40]"]);
    assert!(loaded.experiment.is_none());
    let told = &loaded.diagnostics[0].message;
    assert!(
        told.contains("epochs=1") && told.contains("epochs=40"),
        "{told}"
    );
}
