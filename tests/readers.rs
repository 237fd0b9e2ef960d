//! What a run leaves, read by the packages that people would use: TensorBoard, MLflow, Hugging Face datasets.
//!
//! Skipped, loudly, where Python or a package is missing: `pip install tensorboard mlflow-skinny datasets`, and name the
//! interpreter in DPX_TEST_PYTHON if it is not `python3`.

use crate::real_study::RealStudy;
use serde_json::Value;
use std::process::Command;

/// What `tests/python/readers.py` found; nothing where it cannot be asked.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn read(study: &RealStudy, arguments: &[&str]) -> Option<Value> {
    let python = std::env::var("DPX_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/readers.py");
    let output = Command::new(&python)
        .arg(script)
        .arg(study.folder())
        .args(arguments)
        .output();
    let Ok(output) = output else {
        eprintln!("SKIPPED: NO PYTHON FOUND for {arguments:?}");
        return None;
    };
    if output.status.code() == Some(77) {
        eprintln!("SKIPPED: {python} LACKS THE PACKAGE `{}`", arguments[0]);
        return None;
    }
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {told}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// Steps rise and losses are numbers.
fn is_a_curve(points: &Value) -> bool {
    let points = points.as_array().unwrap();
    let step = |at: usize| points[at][0].as_u64().unwrap();
    !points.is_empty()
        && (1..points.len()).all(|at| step(at - 1) <= step(at))
        && points.iter().all(|point| point[1].as_f64().is_some())
}

#[test]
fn tensorboard_reads_the_figures_of_running_stages() {
    let study = RealStudy::get();
    let Some(found) = read(study, &["tensorboard"]) else {
        return;
    };
    for instance in ["base", "train@epsilon=8,replicate=1"] {
        assert!(is_a_curve(&found[instance]["loss"]), "{instance}: {found}");
    }
}

#[test]
fn mlflow_reads_the_figures_of_running_stages() {
    let study = RealStudy::get();
    let Some(found) = read(study, &["mlflow"]) else {
        return;
    };
    let train = &found["train@epsilon=8,replicate=1"];
    assert_eq!(
        (&train["experiment"], &train["status"]),
        (&"real".into(), &"FINISHED".into())
    );
    assert!(is_a_curve(&train["metrics"]["loss"]), "{found}");
}

#[test]
fn datasets_loads_results_and_release_by_their_cards() {
    let study = RealStudy::get();
    let Some(found) = read(study, &["datasets", "results/real/synthetic"]) else {
        return;
    };
    let row = &found["sample-epsilon=8,replicate=2"];
    assert_eq!(row["rows"], 30, "{found}");
    assert_eq!(row["columns"], serde_json::json!(["text", "label"]));
    if !study.folder().join("release").exists() {
        study.dpx(&[
            "release",
            "real.toml",
            "--row",
            "epsilon=8",
            "--out",
            "release",
        ]);
    }
    let found = read(study, &["datasets", "release"]).unwrap();
    let rows: Vec<u64> = found
        .as_object()
        .unwrap()
        .values()
        .map(|row| row["rows"].as_u64().unwrap())
        .collect();
    assert!(
        !rows.is_empty() && rows.iter().all(|rows| (1..=30).contains(rows)),
        "{found}"
    );
}

#[test]
fn losses_stay_in_the_internal_folder() {
    let study = RealStudy::get();
    assert!(study.folder().join("cache/metrics/tensorboard").is_dir());
    let mut open = vec![study.results("")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            assert!(
                !name.contains("tfevents") && name != "mlruns",
                "{}",
                path.display()
            );
            if path.is_dir() {
                open.push(path);
            }
        }
    }
}
