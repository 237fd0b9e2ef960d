//! Rules 54 and 55: public inputs that hold private texts are refused before anything runs, or declared and then stated in every
//! claim.

use crate::binary::{dpx, succeeds, text};
use std::path::Path;

const EXPERIMENT: &str = r#"
[experiment]
name = "leaky"

[stage.base]
kind = "pretrain"
corpus = ["corpus.txt"]
vocabulary_size = 300
layers = 1
width = 16
heads = 2
context = 24
batch_size = 8
steps = 4
labels = ["joy", "fear"]
DECLARED

[stage.preprocess]
kind = "preprocess"
dataset = "private.csv"
labels = ["joy", "fear"]

[stage.train]
kind = "train"
needs = ["preprocess", "base"]
model = "stage:base"
epsilon = 4
epochs = 1
batch_size = 20
max_length = 16

[stage.sample]
kind = "sample"
needs = ["train"]
count = 6
max_new_tokens = 4

[stage.plain]
kind = "sample"
needs = ["base"]
count = 6
max_new_tokens = 4
"#;

const FIRST: &str = r#"
[experiment]
name = "first"

[stage.preprocess]
kind = "preprocess"
dataset = "first.csv"
labels = ["joy"]

[stage.counts]
kind = "counts"
needs = ["preprocess"]
epsilon = "inf"
keywords = "words.txt"

[stage.sample]
kind = "sample"
needs = ["counts"]
count = 60
"#;

const PRIVATE: &str =
    "on the ninth of march she told the doctor that her son had stopped eating again";

/// A study whose corpus holds one private text at its seventh line.
fn write(folder: &Path, corpus: &str, declared: &str) {
    let rows: Vec<String> = (0..80)
        .map(|row| {
            let label = ["joy", "fear"][row % 2];
            let words = ["amber", "birch", "cedar", "delta", "ember"];
            format!(
                "{} {} and {row} more,{label}",
                words[row % 5],
                words[row / 5 % 5]
            )
        })
        .collect();
    let data = format!("text,label\n{}\n{PRIVATE},fear\n", rows.join("\n"));
    std::fs::write(folder.join("private.csv"), data).unwrap();
    std::fs::write(folder.join("corpus.txt"), corpus).unwrap();
    let experiment = EXPERIMENT.replace("DECLARED", declared);
    std::fs::write(folder.join("leaky.toml"), experiment).unwrap();
}

fn clean() -> Vec<String> {
    (0..60)
        .map(|line| format!("nobody has seen line number {line} of this public file"))
        .collect()
}

#[test]
fn a_corpus_that_holds_private_texts_is_refused_or_declared() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut corpus = clean();
    corpus.insert(6, format!("as it says there: {PRIVATE}, and so on"));
    write(root, &corpus.join("\n"), "");
    let refused = dpx(root, &["run", "leaky.toml"]);
    let told = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{told}");
    for part in [
        "corpus.txt",
        "1 of its lines",
        "(7)",
        "`corpus` of `base`",
        "declared_overlap",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("doctor"), "no private word is said: {told}");
    assert!(
        !root.join("state/ledger").exists()
            || std::fs::read_dir(root.join("state/ledger"))
                .unwrap()
                .count()
                == 0,
        "nothing was spent"
    );
    let records = root.join("cache/records");
    assert!(
        std::fs::read_dir(records).unwrap().count() == 0,
        "nothing ran"
    );

    // Declared, the study runs, and every claim says so.
    write(root, &corpus.join("\n"), "declared_overlap = [\"corpus\"]");
    let run = succeeds(root, &["run", "leaky.toml"]);
    let said = "Declared overlap: the public input `corpus` of `base`";
    let printed = text(&run.stdout) + &text(&run.stderr);
    assert!(printed.contains("`declared_overlap` says so"), "{printed}");
    for (row, name) in [("train", "sample"), ("plain", "plain")] {
        succeeds(
            root,
            &["release", "leaky.toml", "--row", name, "--out", row],
        );
        let card = std::fs::read_to_string(root.join(row).join("README.md")).unwrap();
        assert!(card.contains(said), "{name}: {card}");
    }
    let page = std::fs::read_to_string(root.join("results/leaky/report.html")).unwrap();
    assert!(page.contains("Declared overlap"));
}

#[test]
fn a_clean_corpus_and_the_private_file_itself() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, &clean().join("\n"), "");
    let data = std::fs::read_to_string(root.join("private.csv")).unwrap();
    // The corpus is the private file itself: the case that was once certified as epsilon 0.
    std::fs::write(root.join("corpus.txt"), data).unwrap();
    let refused = dpx(root, &["run", "leaky.toml"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("holds private texts"));
    write(root, &clean().join("\n"), "");
    succeeds(root, &["run", "leaky.toml"]);
    // What was compared is remembered by content.
    let known = std::fs::read_to_string(root.join("cache/overlaps.json")).unwrap();
    let known: serde_json::Value = serde_json::from_str(&known).unwrap();
    assert_eq!(known.as_object().unwrap().len(), 2);
}

fn told_of(root: &Path) -> String {
    let refused = dpx(root, &["run", "leaky.toml"]);
    let told = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{told}");
    assert!(!told.contains("doctor"), "no private word is said: {told}");
    told
}

/// By its place or its bytes, whatever stands in it.
#[test]
fn a_file_of_the_data_set_is_refused_by_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, &clean().join("\n"), "");
    // Texts so short that the comparison of words alone would call them a coincidence.
    let data = "text,label\nyes,joy\nno,fear\n".to_owned() + &"well,joy\n".repeat(40);
    std::fs::write(root.join("private.csv"), &data).unwrap();
    std::fs::write(root.join("corpus.txt"), &data).unwrap();
    let told = told_of(root);
    assert!(
        told.contains("of the data set that `preprocess` reads"),
        "{told}"
    );
    let experiment = std::fs::read_to_string(root.join("leaky.toml")).unwrap();
    let experiment = experiment.replace("corpus.txt", "./private.csv");
    std::fs::write(root.join("leaky.toml"), experiment).unwrap();
    assert!(told_of(root).contains("of the data set that `preprocess` reads"));
}

/// Labels and prompts reach models and releases as they stand.
#[test]
fn private_texts_in_the_experiment_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (from, to, place) in [
        (
            "dataset = \"private.csv\"\nlabels = [\"joy\", \"fear\"]",
            format!("dataset = \"private.csv\"\nlabels = [\"joy\", \"fear\", \"{PRIVATE}\"]"),
            "`labels[2]` of `[stage.preprocess]`",
        ),
        (
            "dataset = \"private.csv\"",
            format!("dataset = \"private.csv\"\nprompt = \"Like: {PRIVATE}. {{label}}: {{text}}\""),
            "`prompt` of `[stage.preprocess]`",
        ),
    ] {
        write(root, &clean().join("\n"), "");
        let experiment = std::fs::read_to_string(root.join("leaky.toml")).unwrap();
        assert!(experiment.contains(from));
        std::fs::write(root.join("leaky.toml"), experiment.replace(from, &to)).unwrap();
        let told = told_of(root);
        assert!(told.contains(place), "{told}");
    }
}

/// Rules 42 and 54: what dpx wrote from private data is no public corpus.
#[test]
fn results_of_a_study_are_no_public_corpus() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, &clean().join("\n"), "");
    // Bags of words: texts of real words, which the tiny model does not write.
    let words: Vec<String> = (0..60).map(|word| format!("word{word}")).collect();
    std::fs::write(root.join("words.txt"), words.join("\n")).unwrap();
    let rows: Vec<String> = (0..200)
        .map(|row| {
            let own = (0..12).map(|at| words[(row * 7 + at * (row % 5 * 2 + 7)) % 60].clone());
            format!("{},joy", own.collect::<Vec<_>>().join(" "))
        })
        .collect();
    std::fs::write(
        root.join("first.csv"),
        format!("text,label\n{}\n", rows.join("\n")),
    )
    .unwrap();
    std::fs::write(root.join("first.toml"), FIRST).unwrap();
    succeeds(root, &["run", "first.toml"]);
    let synthetic = root.join("results/first/synthetic");
    let tables = std::fs::read_dir(synthetic)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut tables: Vec<_> = tables
        .filter(|path| path.extension().is_some_and(|end| end == "csv"))
        .collect();
    tables.sort();
    let wrote = tables
        .iter()
        .find(|path| {
            !path
                .file_name()
                .unwrap()
                .to_string_lossy()
                .contains("plain")
        })
        .unwrap();
    std::fs::copy(wrote, root.join("corpus.txt")).unwrap();
    let told = told_of(root);
    assert!(told.contains("wrote from private data"), "{told}");
}
