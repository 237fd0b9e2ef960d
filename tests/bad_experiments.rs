//! Wrong experiment files: one per mistake, the file's name says which; the whole diagnostic is a snapshot.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

const FOLDER: &str = "tests/bad";

fn check(arguments: &[&str]) -> Output {
    assert_cmd::cargo::cargo_bin_cmd!("dpx")
        .arg("check")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("NO_COLOR", "1")
        .output()
        .expect("the binary starts")
}

/// What a user sees: exit code and standard error; nothing goes to standard output.
fn shown(output: &Output) -> String {
    let code = output.status.code().expect("it was not killed");
    let text = String::from_utf8(output.stderr.clone()).expect("messages are UTF-8");
    format!("exit code {code}\n\n{text}")
}

fn files() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder of wrong files is there")
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn every_wrong_file_is_explained() {
    let files = files();
    assert!(files.len() >= 30);
    for file in files {
        let path = format!("{FOLDER}/{file}");
        let output = check(&[&path]);
        // Warnings alone stop nothing.
        let expected = if file == "no-effect.toml" { 0 } else { 2 };
        assert_eq!(output.status.code(), Some(expected), "{file}");
        if expected == 2 {
            assert!(output.stdout.is_empty(), "{file} prints to standard output");
        }
        insta::with_settings!({
            snapshot_path => "bad",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(file.trim_end_matches(".toml"), shown(&output));
        });
    }
}

#[test]
fn wrong_overrides_are_explained() {
    let output = check(&[
        "experiments/emotion.toml",
        "--set",
        "stage.trian.epochs=2",
        "--set",
        "stage.train.epochs=many",
        "--set",
        "stage.train",
        "--set",
        "stage.train.lr=1e-3",
        "--set",
        "stage.train.delta=",
        "--set",
        "sweep.epsilon=[8,",
        "--set",
        "stage train=1",
        "--set",
        "stage.preprocess.dataset=no/such/folder",
    ]);
    insta::with_settings!({ snapshot_path => "bad", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("overrides", shown(&output));
    });
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = check(&["no-such-experiment.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let text = shown(&output);
    assert!(
        text.contains("unreadable") && text.contains("no-such-experiment.toml"),
        "{text}"
    );
}

#[test]
fn every_code_appears() {
    let mut seen = BTreeSet::new();
    let mut read = |arguments: &[&str]| {
        let output = check(arguments);
        let report: serde_json::Value =
            serde_json::from_slice(&output.stdout).expect("`--json` prints one JSON object");
        assert_eq!(report["version"], 1);
        for diagnostic in report["diagnostics"].as_array().expect("a list") {
            seen.insert(diagnostic["code"].as_str().expect("a code").to_owned());
        }
    };
    for file in files() {
        read(&["--json", &format!("{FOLDER}/{file}")]);
    }
    read(&["--json", "experiments/emotion.toml", "--set", "x"]);
    let missing: Vec<&str> = dpx_engine::experiment::Code::ALL
        .iter()
        .map(|code| code.name())
        .filter(|name| !seen.contains(*name))
        .collect();
    assert!(missing.is_empty(), "no wrong file shows {missing:?}");
}

#[test]
fn positions_in_json_count_from_one() {
    let output = check(&["--json", "tests/bad/epsilon-word.toml"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let at = &report["diagnostics"][0]["at"];
    assert_eq!(at["file"], "tests/bad/epsilon-word.toml");
    assert_eq!(
        (at["line"].as_u64(), at["column"].as_u64()),
        (Some(5), Some(12))
    );
    assert_eq!(report["errors"], 1);
}
