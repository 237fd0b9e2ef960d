//! `dpx run` and its companions through the real binary: exit codes, repetition, repair, and edits during a run.

use crate::binary;
use crate::run_support::until;
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A folder with an experiment, its data and everything that dpx writes.
struct Place(tempfile::TempDir);

const EXPERIMENT: &str = r#"
[experiment]
name = "small"

[stage.base]
kind = "pretrain"
corpus = ["builtin:dialogue"]
vocabulary_size = 300
layers = 1
width = 16
heads = 2
context = 16
batch_size = 8
steps = 12

[stage.preprocess]
kind = "preprocess"
dataset = "texts.csv"
labels = ["joy", "sadness"]

[stage.benchmark]
kind = "classify"
needs = ["preprocess"]
model = "bag-of-words"
"#;

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("small.toml", EXPERIMENT);
        place.write("texts.csv", &Self::texts("good"));
        place
    }

    fn texts(word: &str) -> String {
        let mut texts = "text,label\n".to_owned();
        for row in 0..60 {
            writeln!(
                texts,
                "{word} day number {row},joy\nbad day number {row},sadness"
            )
            .unwrap();
        }
        texts
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        binary::command(self.0.path(), arguments)
    }

    fn dpx(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts a run, and returns it when its first instance, the slow one, has begun.
    fn begin(&self) -> (Child, BufReader<std::process::ChildStdout>) {
        let mut run = self
            .command(&["run", "small.toml", "--json", "--jobs", "1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(run.stdout.take().unwrap());
        until("`base` begins", || {
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            line.contains("\"event\":\"started\",\"instance\":\"base\"")
        });
        (run, lines)
    }
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Flips one byte of the largest object, size and mode kept.
fn flip(cache: &Path) {
    let object = std::fs::read_dir(cache.join("objects"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap();
    let mut bytes = std::fs::read(&object).unwrap();
    let mode = object.metadata().unwrap().permissions();
    bytes[0] ^= 1;
    std::fs::remove_file(&object).unwrap();
    std::fs::write(&object, bytes).unwrap();
    std::fs::set_permissions(&object, mode).unwrap();
}

#[test]
fn a_study_is_run_listed_verified_repaired_and_collected() {
    let place = Place::new();
    let first = place.dpx(&["run", "small.toml"]);
    assert_eq!(first.status.code(), Some(0), "{}", err(&first));
    assert!(place.path("results/small/results.json").exists());
    let second = place.dpx(&["run", "small.toml"]);
    assert!(err(&second).contains("0 ran, 3 cached"), "{}", err(&second));
    place.write(
        "small.toml",
        &EXPERIMENT.replace("[stage.base]", "# a remark\n[stage.base]"),
    );
    let third = place.dpx(&["run", "small.toml"]);
    assert!(err(&third).contains("0 ran, 3 cached"), "{}", err(&third));

    let status = place.dpx(&["status"]);
    assert!(
        out(&status).starts_with("small is done"),
        "{}",
        out(&status)
    );
    let list = place.dpx(&["cache", "ls"]);
    assert!(out(&list).contains("3 records"), "{}", out(&list));
    assert_eq!(place.dpx(&["cache", "verify"]).status.code(), Some(0));
    flip(&place.path("cache"));
    let found = place.dpx(&["cache", "verify"]);
    assert_eq!(found.status.code(), Some(1));
    assert!(out(&found).contains("must be rebuilt"), "{}", out(&found));
    assert_eq!(place.dpx(&["run", "small.toml"]).status.code(), Some(0));
    assert_eq!(place.dpx(&["cache", "verify"]).status.code(), Some(0));

    let refused = place.dpx(&["cache", "gc"]);
    assert_eq!(refused.status.code(), Some(2), "nothing goes without roots");
    let shown = place.dpx(&["cache", "gc", "small.toml"]);
    assert!(
        out(&shown).contains("nothing was deleted"),
        "{}",
        out(&shown)
    );
    assert!(
        place
            .dpx(&["cache", "gc", "small.toml", "--yes"])
            .status
            .success()
    );
    let last = place.dpx(&["run", "small.toml"]);
    assert!(err(&last).contains("0 ran, 3 cached"), "{}", err(&last));
}

#[test]
fn wrong_arguments_are_refused_before_anything_runs() {
    let place = Place::new();
    for wrong in [
        &["run", "small.toml", "--only", "trian"][..],
        &["run", "small.toml", "--force", "trian"],
        &["run", "small.toml", "--jobs", "0"],
        &["run", "small.toml", "--device", "tpu"],
        &["run", "missing.toml"],
    ] {
        let output = place.dpx(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", err(&output));
    }
    let records = std::fs::read_dir(place.path("cache/records")).map_or(0, Iterator::count);
    assert_eq!(records, 0);
}

/// A file of the user where results go once was found when the whole study had run.
#[test]
fn a_file_in_the_way_of_texts_is_named_before_anything_runs() {
    let place = Place::new();
    let sample = r#"
[stage.counts]
kind = "counts"
needs = ["preprocess"]
epsilon = 1
keywords = "builtin:words"

[stage.sample]
kind = "sample"
needs = ["counts"]
labels = "uniform"
count = 4
"#;
    place.write("small.toml", &format!("{EXPERIMENT}{sample}"));
    let mine = place.path("results/small/synthetic/study.csv");
    std::fs::create_dir_all(mine.parent().unwrap()).unwrap();
    std::fs::write(&mine, "mine").unwrap();
    let output = place.dpx(&["run", "small.toml"]);
    let told = err(&output).replace('\n', " ");
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(
        told.contains("`synthetic/study.csv`") && told.contains("--results"),
        "{told}"
    );
    let records = std::fs::read_dir(place.path("cache/records")).map_or(0, Iterator::count);
    assert_eq!(records, 0);
    assert_eq!(std::fs::read_to_string(&mine).unwrap(), "mine");
}

#[cfg(target_os = "linux")]
#[test]
fn events_that_cannot_be_written_are_a_failure() {
    let place = Place::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let mut run = place.command(&["run", "small.toml", "--only", "preprocess", "--json"]);
    let output = run.stdout(full.unwrap()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).contains("events (`--json`)"),
        "{}",
        err(&output)
    );
}

/// Data that once was read with swapped labels: a number beyond the labels was the name of one.
#[test]
fn data_that_would_be_read_wrongly_are_refused_with_their_lines() {
    let place = Place::new();
    let study = EXPERIMENT.replace(
        "labels = [\"joy\", \"sadness\"]",
        "labels = [\"1\", \"2\"]\nlabels_by = \"index\"",
    );
    place.write("small.toml", &study);
    place.write("texts.csv", "text,label\na,1\nb,2\nc,0\nd,1\n");
    let run = &["run", "small.toml", "--only", "preprocess"];
    let told = err(&place.dpx(run));
    assert!(
        told.contains("texts.csv:3: ") && told.contains("no index from 0 to 1"),
        "{told}"
    );
    // Numbers beside a card that counts them in another order.
    let card = "---\ndataset_info:\n  features:\n  - name: label\n    dtype: {class_label: {names: [sadness, joy]}}\n---\n";
    place.write("README.md", card);
    place.write("small.toml", EXPERIMENT);
    place.write("texts.csv", "text,label\na,1\nb,0\nc,0\nd,1\n");
    let told = err(&place.dpx(run));
    assert!(
        told.contains("its labels are numbers") && told.contains("README.md"),
        "{told}"
    );
}

#[test]
fn a_failure_ends_with_one_and_says_how_to_go_on() {
    let place = Place::new();
    place.write("texts.csv", "text,label\nhello,anger\n");
    let output = place.dpx(&["run", "small.toml", "--only", "benchmark"]);
    assert_eq!(output.status.code(), Some(1));
    let told = err(&output);
    assert!(told.contains("texts.csv:2: unknown label"), "{told}");
    assert!(
        told.contains("again: dpx run small.toml --only preprocess"),
        "{told}"
    );
    assert!(told.contains("1 not run (benchmark)"), "{told}");
}

#[test]
fn an_edit_of_the_file_during_a_run_leaks_into_nothing() {
    let place = Place::new();
    let (mut run, mut lines) = place.begin();
    place.write(
        "small.toml",
        &EXPERIMENT.replace("\"sadness\"]", "\"sadness\"]\nlimit = 20"),
    );
    std::io::copy(&mut lines, &mut std::io::sink()).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(0));
    place.write("small.toml", EXPERIMENT);
    let again = place.dpx(&["run", "small.toml"]);
    assert!(err(&again).contains("0 ran, 3 cached"), "{}", err(&again));
}

#[test]
fn an_edit_of_the_data_during_a_run_is_refused() {
    let place = Place::new();
    let (mut run, mut lines) = place.begin();
    place.write("texts.csv", &Place::texts("fine"));
    let mut told = String::new();
    std::io::Read::read_to_string(&mut lines, &mut told).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(1), "{told}");
    assert!(told.contains("changed since the run began"), "{told}");
    assert_eq!(place.dpx(&["run", "small.toml"]).status.code(), Some(0));
}
