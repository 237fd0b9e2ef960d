//! `dpx inspect` against the figures of `transformers` kept with the fixtures.

use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn inspect(arguments: &[&str]) -> std::process::Output {
    let binary = env!("CARGO_BIN_EXE_dpx");
    Command::new(binary)
        .arg("inspect")
        .args(arguments)
        .output()
        .unwrap()
}

fn numbers(value: &Value, into: &mut Vec<f64>) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| numbers(value, into)),
        value => into.push(value.as_f64().unwrap()),
    }
}

#[test]
fn every_figure_of_transformers_is_found_again() {
    let whole = ["greedy_12", "argmax"];
    for name in [
        "gpt2-tiny",
        "llama-tiny",
        "llama-tiny-untied",
        "bert-tiny-classifier",
        "bert-tiny-ner",
        "bert-tiny-encoder",
    ] {
        let folder = fixture(name);
        let file = folder.join("expected.json");
        let expected: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let output = inspect(&[
            folder.to_str().unwrap(),
            "--ids",
            file.to_str().unwrap(),
            "--json",
        ]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let inputs = ["input_ids", "attention_mask", "labels"];
        for (key, wanted) in expected.as_object().unwrap() {
            if inputs.contains(&key.as_str()) {
                continue;
            }
            assert!(found.get(key).is_some(), "{name}: `{key}` is missing");
            let (mut left, mut right) = (Vec::new(), Vec::new());
            numbers(&found[key], &mut left);
            numbers(wanted, &mut right);
            assert_eq!(left.len(), right.len(), "{name}: shape of `{key}`");
            let tolerance = if whole.contains(&key.as_str()) {
                0.0
            } else {
                1e-4
            };
            for (found, wanted) in left.iter().zip(&right) {
                let difference = (found - wanted).abs();
                assert!(
                    difference <= tolerance,
                    "{name}: `{key}` {found} for {wanted}"
                );
            }
        }
    }
}

#[test]
fn a_model_and_a_dataset_are_described() {
    let folder = fixture("gpt2-tiny");
    let output = inspect(&[folder.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("gpt2, causal language model"), "{text}");
    assert!(
        text.contains("29,600 parameters: 2 layers x 32, 4 heads"),
        "{text}"
    );
    let output = inspect(&["builtin:emotions"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("CC BY 4.0") && text.contains("GoEmotions"),
        "{text}"
    );
    assert!(text.contains("test "), "{text}");
    assert!(text.contains("The rows below are public."), "{text}");
}

#[test]
fn a_dataset_is_shown_without_its_texts_unless_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("texts.csv");
    std::fs::write(
        &path,
        "text,label\nso glad today,joy\nso glad today,joy\nthe rain never ends,sadness\n",
    )
    .unwrap();
    let path = path.to_str().unwrap();
    let said = |arguments: &[&str]| {
        let output = inspect(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = said(&[path]);
    for part in [
        "3 texts in ",
        "columns    text, label",
        "labels     joy 2, sadness 1",
        "words      3 to 4; half of the texts at most 3",
        "repeated   1 of them repeat an earlier row",
        "which no guarantee covers",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(
        !text.contains("glad") && !text.contains("never ends"),
        "{text}"
    );
    let text = said(&[path, "--examples", "1"]);
    assert!(text.contains("The rows below are PRIVATE"), "{text}");
    assert_eq!(text.matches("so glad today").count(), 1);
    let json: Value = serde_json::from_str(&said(&[path, "--json"])).unwrap();
    assert_eq!(json["splits"][0]["figures"]["labels"]["joy"], 2);
    assert_eq!(json["public"], false);
    assert!(json["examples"].is_null());
    // Another column: its values are counted, and not shown where they are no labels.
    let output = inspect(&[path, "--label-column", "emotion"]);
    assert_eq!(output.status.code(), Some(1), "a problem is shown");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("no column `emotion`"), "{text}");
    let output = inspect(&[path, "--text", "hello"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_cannot_be_inspected_is_said() {
    let output = inspect(&["/nowhere"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("/nowhere"), "{text}");
    let folder = fixture("gpt2-tiny");
    let output = inspect(&[folder.to_str().unwrap(), "--text", "hello"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("no tokenizer")
    );
}
