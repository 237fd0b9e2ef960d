//! Somebody's own data: `dpx init --data`, `dpx check --data`, and labels that are never taken unseen.

use crate::binary::{dpx, succeeds, text};
use std::fmt::Write;
use std::path::Path;

/// Tickets with a column of people, three labels and a rare one.
fn tickets(folder: &Path) {
    let mut rows = "customer_id,message,category\n".to_owned();
    for row in 0..330 {
        let label = ["billing", "login", "other \u{b7} misc"][row % 3];
        writeln!(
            rows,
            "{},please help me with my {label} today {row},{label}",
            row / 4
        )
        .unwrap();
    }
    rows.push_str("99,my own secret complaint,legal\n");
    std::fs::write(folder.join("chats.csv"), rows).unwrap();
}

const INIT: [&str; 9] = [
    "init",
    "--data",
    "chats.csv",
    "--text",
    "message",
    "--label",
    "category",
    "--unit",
    "customer_id",
];

#[test]
fn one_line_writes_an_experiment_that_runs_on_the_data() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    tickets(folder);
    let written = succeeds(folder, &[&INIT[..], &["mine.toml"]].concat());
    let told = text(&written.stderr);
    for part in [
        "4 of 4 labels have fewer than 100 people",
        "a tenth of the people becomes one",
        "`legal`",
        "no test split",
        "public from now on",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("secret"), "{told}");
    let file = std::fs::read_to_string(folder.join("mine.toml")).unwrap();
    for part in [
        "dataset = \"chats.csv\"",
        "text_column = \"message\"",
        "labels = [\"billing\", \"legal\", \"login\", \"other \u{b7} misc\"]",
        "model = \"bag-of-words\"",
        "unit = \"user\"",
        "unit_column = \"customer_id\"",
        "max_per_unit = 16",
    ] {
        assert!(file.contains(part), "{part}: {file}");
    }
    let checked = succeeds(folder, &["check", "mine.toml", "--data"]);
    assert!(text(&checked.stderr).contains("fewer than 100"));
    let advice = text(&succeeds(folder, &["plan", "mine.toml", "--advice"]).stdout);
    for part in [
        "noise/batch",
        "as written",
        "one run of each row",
        "`legal`",
    ] {
        assert!(advice.contains(part), "{part}: {advice}");
    }
    let (before, after) = advice.split_once("; delta is auto ").unwrap();
    let size = before.rsplit_once(" has ").unwrap().1;
    let number = |text: &str| {
        text.split_whitespace()
            .next()
            .unwrap()
            .parse::<f64>()
            .unwrap()
    };
    assert!(
        number(after) >= number(size).powf(-1.1),
        "rounded up: {advice}"
    );
    // A label that is missing in the file is found before anything runs.
    std::fs::write(folder.join("less.toml"), file.replace("\"legal\", ", "")).unwrap();
    let checked = dpx(folder, &["check", "less.toml", "--data"]);
    assert_eq!(checked.status.code(), Some(2));
    let told = text(&checked.stderr);
    assert!(
        told.contains("error:") && !told.contains("secret"),
        "{told}"
    );
}

/// `check --data` finds no fault with what `run` reads.
#[test]
fn data_without_labels_and_unusual_delimiters_are_no_mistakes() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let texts = |header: &str, rest: &str| {
        let rows = (0..40).map(|row| format!("text number {row}{rest}\n"));
        format!("{header}\n{}", rows.collect::<String>())
    };
    std::fs::write(folder.join("alone.csv"), texts("text", "")).unwrap();
    std::fs::write(folder.join("pipes.csv"), texts("text|label", "|chat")).unwrap();
    for (name, keys) in [
        ("alone", "labels = [\"text\"]"),
        ("pipes", "labels = [\"chat\"]\ndelimiter = \"|\""),
    ] {
        let study = format!(
            "[experiment]\nname = \"{name}\"\n\n[stage.preprocess]\nkind = \"preprocess\"\ndataset = \"{name}.csv\"\n{keys}\n"
        );
        std::fs::write(folder.join("study.toml"), study).unwrap();
        succeeds(folder, &["check", "study.toml", "--data"]);
    }
}

#[test]
fn a_wrong_column_and_labels_taken_unseen_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    tickets(folder);
    let refused = dpx(
        folder,
        &[
            "init",
            "--data",
            "chats.csv",
            "--text",
            "mesage",
            "mine.toml",
        ],
    );
    assert_eq!(refused.status.code(), Some(2));
    let told = text(&refused.stderr);
    assert!(
        told.contains("did you mean `message`?") && told.contains("`label`"),
        "{told}"
    );
    assert!(!folder.join("mine.toml").exists());
    succeeds(folder, &[&INIT[..], &["mine.toml"]].concat());
    let file = std::fs::read_to_string(folder.join("mine.toml")).unwrap();
    let start = file.find("labels = [").unwrap();
    let end = start + file[start..].find('\n').unwrap();
    let auto = format!("{}labels = \"auto\"{}", &file[..start], &file[end..]);
    std::fs::write(folder.join("auto.toml"), auto).unwrap();
    let refused = dpx(folder, &["check", "auto.toml"]);
    assert_eq!(refused.status.code(), Some(2));
    let told = text(&refused.stderr);
    assert!(told.contains("labels are public"), "{told}");
    assert!(
        told.contains("[\"billing\", \"legal\", \"login\""),
        "the list to paste: {told}"
    );
}
