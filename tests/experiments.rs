//! The experiment files of the repository: without mistakes, valid against `dpx schema`, and planned as documented.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;

fn dpx(arguments: &[&str], folder: &Path) -> Output {
    assert_cmd::cargo::cargo_bin_cmd!("dpx")
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env_remove("DPX_CACHE")
        .output()
        .expect("the binary starts")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn stdout(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Every experiment file, and what `dpx init` writes.
fn experiments() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join("experiments"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|name| name == "toml"))
        .collect();
    files.push(root().join("src/init.toml"));
    files.sort();
    files
}

#[test]
fn every_experiment_passes_the_check() {
    for file in experiments() {
        let name = file.display().to_string();
        // The conversations are fetched by whoever runs the study.
        let data = "crates/dpx-data/tests/cases/chats/chats.jsonl";
        let set = format!("stage.preprocess.dataset={}", root().join(data).display());
        let arguments: &[&str] = if name.ends_with("/chats.toml") {
            &["check", &name, "--set", &set]
        } else {
            &["check", &name]
        };
        stdout(&dpx(arguments, root()));
    }
}

#[test]
fn every_experiment_fits_the_schema_and_wrong_ones_do_not() {
    let schema: Value = serde_json::from_str(&stdout(&dpx(&["schema"], root()))).unwrap();
    jsonschema::draft7::meta::validate(&schema).expect("the schema is a draft-07 schema");
    let validator = jsonschema::draft7::new(&schema).unwrap();
    let read = |file: &Path| -> Value {
        let table: toml::Table = std::fs::read_to_string(file).unwrap().parse().unwrap();
        serde_json::to_value(table).unwrap()
    };
    for file in experiments() {
        let errors: Vec<String> = validator
            .iter_errors(&read(&file))
            .map(|error| format!("{error} at {}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", file.display());
    }
    for wrong in [
        "unknown-key",
        "wrong-type",
        "unknown-word",
        "missing-key",
        "unknown-kind",
    ] {
        let file = root().join(format!("tests/bad/{wrong}.toml"));
        assert!(!validator.is_valid(&read(&file)), "{wrong} fits the schema");
    }
}

#[test]
fn init_writes_a_file_and_replaces_none() {
    let folder = tempfile::tempdir().unwrap();
    stdout(&dpx(&["init", "mine.toml"], folder.path()));
    stdout(&dpx(&["check", "mine.toml"], folder.path()));
    let second = dpx(&["init", "mine.toml"], folder.path());
    assert_eq!(second.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&second.stderr).contains("--force"));
    stdout(&dpx(&["init", "mine.toml", "--force"], folder.path()));
    // Of a file alone is there something to replace.
    stdout(&dpx(&["init", "--force"], folder.path()));
    assert!(folder.path().join("experiment.toml").exists());
}

/// Runs a line as a shell does, with the binary as `dpx`.
fn shell(line: &str, folder: &Path) -> Output {
    std::process::Command::new("sh")
        .args(["-c", &format!("dpx() {{ \"$DPX\" \"$@\"; }}\n{line}")])
        .env("DPX", assert_cmd::cargo::cargo_bin!("dpx"))
        .current_dir(folder)
        .output()
        .unwrap()
}

#[test]
fn init_prints_where_its_output_is_redirected() {
    let folder = tempfile::tempdir().unwrap();
    let starter = std::fs::read_to_string(root().join("src/init.toml")).unwrap();
    stdout(&shell(
        "dpx init > my.toml && dpx check my.toml",
        folder.path(),
    ));
    let written = std::fs::read_to_string(folder.path().join("my.toml")).unwrap();
    assert_eq!(written, starter);
    let printed = stdout(&shell("dpx init - | cat", folder.path()));
    assert_eq!(printed, starter);
    let names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["my.toml"]);
}

#[test]
fn init_at_a_terminal_writes_a_file() {
    let folder = tempfile::tempdir().unwrap();
    // `script`, of util-linux, is a terminal.
    let line = "script -qec '\"$DPX\" init' /dev/null";
    if std::process::Command::new("script")
        .arg("--version")
        .output()
        .is_err()
    {
        return;
    }
    let shown = stdout(&shell(line, folder.path()));
    assert!(shown.contains("wrote experiment.toml"), "{shown}");
    stdout(&dpx(&["check", "experiment.toml"], folder.path()));
}

#[test]
fn a_first_plan_runs_everything_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = root()
        .join("experiments/emotion.toml")
        .display()
        .to_string();
    let text = stdout(&dpx(&["plan", &file], folder.path()));
    insta::assert_snapshot!("first_plan", text);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    let json: Value =
        serde_json::from_str(&stdout(&dpx(&["plan", "--json", &file], folder.path()))).unwrap();
    let instances = json["instances"].as_array().unwrap();
    assert_eq!(instances.len(), 2 + 4 * 5);
    let flow = |name: &str| {
        instances
            .iter()
            .find(|instance| instance["name"] == name)
            .map(|instance| instance["flow"].clone())
            .unwrap()
    };
    assert_eq!(flow("sample@epsilon=8"), "dp");
    assert_eq!(flow("sample@epsilon=inf"), "private");
    assert_eq!(flow("sample@epsilon=0"), "public");
    assert_eq!(flow("score@epsilon=8"), "private");
}

#[test]
fn the_main_study_takes_other_data_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.csv"), "text,label\nhello,joy\n").unwrap();
    let file = root()
        .join("experiments/emotion.toml")
        .display()
        .to_string();
    let set = "stage.preprocess.dataset=mine.csv";
    let json: Value = serde_json::from_str(&stdout(&dpx(
        &["plan", "--json", &file, "--set", set],
        folder.path(),
    )))
    .unwrap();
    let dataset = json["instances"][0]["params"]["dataset"].as_str().unwrap();
    assert!(
        Path::new(dataset).is_absolute() && dataset.ends_with("mine.csv"),
        "{dataset}"
    );
}

#[test]
fn graphs_are_drawn_in_both_languages() {
    let graph = |arguments: &[&str]| {
        let mut all = vec!["graph", "experiments/emotion.toml"];
        all.extend(arguments);
        stdout(&dpx(&all, root()))
    };
    insta::assert_snapshot!("mermaid", graph(&["--stages"]));
    insta::assert_snapshot!("dot", graph(&["--stages", "--format", "dot"]));
    let instances = graph(&[]);
    assert!(instances.contains("\"train@epsilon=0\""), "{instances}");
}

#[test]
fn completions_know_the_verbs() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = stdout(&dpx(&["completions", shell], root()));
        assert!(script.contains("graph"), "{shell}");
    }
}

#[test]
fn manual_pages_cover_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    let page = stdout(&dpx(&["man"], folder.path()));
    assert!(page.contains(".TH dpx 1"), "{page}");
    stdout(&dpx(&["man", "pages/man1"], folder.path()));
    let help = stdout(&dpx(&["--help"], folder.path()));
    let verbs: Vec<&str> = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .map_while(|line| line.strip_prefix("  "))
        // What is indented further goes on with the line before.
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .collect();
    assert!(verbs.len() > 15, "{verbs:?}");
    for verb in verbs {
        let path = folder.path().join(format!("pages/man1/dpx-{verb}.1"));
        let page = std::fs::read_to_string(&path).unwrap();
        assert!(page.contains("SYNOPSIS"), "{verb}");
    }
}
