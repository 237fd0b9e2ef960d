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

/// What pandas, surveys and exports call columns is a header all the same.
#[test]
fn headers_of_any_kind_are_read_by_init_and_check() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    for header in [
        ",text,label",
        "Unnamed: 0,text,label",
        "date (UTC),text,label",
        "How satisfied were you with the service that you had?,text,label",
        "#,text,label",
    ] {
        let rows = (0..60).map(|row| format!("{row},text number {row},{}\n", ["x", "y"][row % 2]));
        let csv = format!("{header}\n{}", rows.collect::<String>());
        std::fs::write(folder.join("texts.csv"), csv).unwrap();
        let init = ["init", "--force", "--data", "texts.csv", "mine.toml"];
        succeeds(folder, &init);
        succeeds(folder, &["check", "mine.toml", "--data"]);
    }
    // A file that is no JSON is told as that, with the line, and not as one without a header.
    std::fs::write(folder.join("texts.jsonl"), "{'text': 'a', 'label': 'x'}\n").unwrap();
    let refused = dpx(folder, &["init", "--data", "texts.jsonl", "other.toml"]);
    let told = text(&refused.stderr);
    assert!(
        told.contains("texts.jsonl:1") && !told.contains("header"),
        "{told}"
    );
}

/// Conversations of several people, without labels: an experiment that `check` accepts, by the keys that they need.
#[test]
fn init_knows_conversations_and_records_of_several_people() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let rows = (0..120).map(|row| {
        format!(
            "{{\"talk\": [\"hello {row}\", \"hi there\"], \"who\": [\"p{}\", \"p{}\"]}}\n",
            row % 40,
            (row * 7 + 1) % 40
        )
    });
    std::fs::write(folder.join("talks.jsonl"), rows.collect::<String>()).unwrap();
    let refused = dpx(
        folder,
        &[
            "init",
            "--data",
            "talks.jsonl",
            "--text",
            "talk",
            "--label",
            "",
            "mine.toml",
        ],
    );
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("--messages talk"),
        "{}",
        text(&refused.stderr)
    );
    let init = [
        "init",
        "--data",
        "talks.jsonl",
        "--messages",
        "talk",
        "--unit",
        "who",
        "mine.toml",
    ];
    succeeds(folder, &init);
    let file = std::fs::read_to_string(folder.join("mine.toml")).unwrap();
    for part in [
        "messages = \"talk\"",
        "label_column = \"\"",
        "unit_sampling = \"examples\"",
        "student_epochs",
    ] {
        assert!(file.contains(part), "{part}: {file}");
    }
    assert!(!file.contains("kind = \"classify\""), "{file}");
    succeeds(folder, &["check", "mine.toml", "--data"]);
    // People who cannot be sampled are found before anything runs.
    let users = file.replace("unit_sampling = \"examples\"", "unit_sampling = \"users\"");
    std::fs::write(folder.join("users.toml"), users).unwrap();
    let refused = dpx(folder, &["check", "users.toml", "--data"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("unit_sampling"),
        "{}",
        text(&refused.stderr)
    );
}

/// `check` counts what the study will protect, and compares what is declared with it.
#[test]
fn check_counts_people_and_compares_what_is_declared() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    tickets(folder);
    let told = text(&succeeds(folder, &[&INIT[..7], &["plain.toml"]].concat()).stderr);
    assert!(
        told.contains("`customer_id` looks like one of people"),
        "{told}"
    );
    succeeds(folder, &[&INIT[..], &["mine.toml"]].concat());
    let checked = succeeds(folder, &["check", "mine.toml", "--data"]);
    let told = text(&checked.stderr);
    assert!(
        told.contains("people with texts in train are few"),
        "{told}"
    );
    assert!(told.contains("a tenth of the people becomes one"), "{told}");
    let declared = [
        "check",
        "mine.toml",
        "--data",
        "--set",
        "stage.preprocess.examples=331",
    ];
    let refused = dpx(folder, &declared);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("declares 331 people"),
        "{}",
        text(&refused.stderr)
    );
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
