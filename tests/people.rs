//! Studies that protect people: what the file must say, what every output says, and that units are compared by the ledger.

use crate::binary::{dpx, succeeds, text};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;

const EXPERIMENT: &str = r#"
[experiment]
name = "tickets"

[sweep]
sampling = ["users", "examples"]

[privacy]
unit = "user"
split = { train = 0.8, counts = 0.1, teacher = 0.1 }

[stage.preprocess]
kind = "preprocess"
dataset = "tickets"
text_column = "message"
label_column = "category"
labels = ["refund", "delivery"]
unit_column = "customer_id"
max_per_unit = 5
validation_share = 0.0

[stage.base]
kind = "pretrain"
corpus = ["builtin:dialogue"]
vocabulary_size = 300
layers = 1
width = 16
heads = 2
context = 24
batch_size = 8
steps = 6

[stage.train]
kind = "train"
needs = ["preprocess", "base"]
model = "stage:base"
epsilon = 8
unit_sampling = "$sampling"
epochs = 2
batch_size = 10
max_length = 16

[stage.counts]
kind = "counts"
needs = ["preprocess"]
epsilon = 8

[stage.teacher]
kind = "teacher"
needs = ["preprocess"]
epsilon = 8
steps = 3

[stage.sample]
kind = "sample"
needs = ["train", "counts"]
labels = "private"
count = 40
max_new_tokens = 2
"#;

/// 40 people with 1 to 13 tickets, of whom customer 0 has 60 more, in train; 10 people in test.
fn tickets(root: &Path) {
    let folder = root.join("tickets");
    std::fs::create_dir_all(&folder).unwrap();
    let ticket = |person: usize, number: usize| {
        let category = ["refund", "delivery"][(person + number) % 2];
        format!(
            "the {category} of parcel {number} is late again for {person},{category},customer {person}\n"
        )
    };
    let header = "message,category,customer_id\n".to_owned();
    let mut train = header.clone();
    for person in 0..40 {
        for number in 0..=person % 13 {
            train += &ticket(person, number);
        }
    }
    for number in 20..80 {
        train += &ticket(0, number);
    }
    let mut test = header;
    for person in 100..110 {
        test += &ticket(person, 1);
        test += &ticket(person, 2);
    }
    std::fs::write(folder.join("train.csv"), train).unwrap();
    std::fs::write(folder.join("test.csv"), test).unwrap();
}

fn read(root: &Path, path: &str) -> String {
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn people_are_counted_from_the_file_to_the_release() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    tickets(root);
    std::fs::write(root.join("tickets.toml"), EXPERIMENT).unwrap();

    let inspected = text(
        &succeeds(
            root,
            &[
                "inspect",
                "tickets",
                "--text-column",
                "message",
                "--label-column",
                "category",
                "--unit",
                "customer_id",
            ],
        )
        .stdout,
    );
    for part in ["40 in `customer_id`", "to 61 of each"] {
        assert!(inspected.contains(part), "{part}: {inspected}");
    }
    let planned = text(&succeeds(root, &["plan", "tickets.toml"]).stdout);
    for part in [
        "Sampling people or their records",
        "40 people",
        "cheaper here",
    ] {
        assert!(planned.contains(part), "{part}: {planned}");
    }
    let priced = text(&succeeds(root, &["privacy", "--plan", "tickets.toml"]).stdout);
    assert!(
        priced.contains("40 people with at most 5 records each"),
        "{priced}"
    );
    // The comparison of samplings states the noise that is planned, to the last digit.
    let sampled = priced.lines().filter(|line| line.contains("Poisson"));
    let noises: Vec<&str> = sampled
        .map(|line| line.split("noise multiplier ").nth(1).unwrap())
        .map(|rest| rest.split(',').next().unwrap())
        .collect();
    assert_eq!(noises.len(), 2, "{priced}");
    for noise in noises {
        assert!(planned.contains(noise), "{noise}: {planned}");
    }

    let run = succeeds(root, &["run", "tickets.toml"]);
    let told = text(&run.stderr) + &text(&run.stdout);
    assert!(told.contains("the busiest has 61 records"), "{told}");

    let results = json(&read(root, "results/tickets/results.json"));
    let mut seen = Vec::new();
    let mut all = vec![&results];
    while let Some(value) = all.pop() {
        match value {
            Value::Object(object) => {
                if object.contains_key("event") && object.contains_key("unit") {
                    seen.push(value.clone());
                }
                all.extend(object.values());
            }
            Value::Array(list) => all.extend(list),
            _ => {}
        }
    }
    assert!(seen.len() >= 3, "{results}");
    for run in &seen {
        assert_eq!(
            (&run["unit"], &run["examples"]),
            (&"user".into(), &40.into()),
            "{run}"
        );
        assert_eq!(run["bounds"]["max_per_unit"], 5, "{run}");
        assert!(run["delta"].as_f64().unwrap() < 1.0 / 40.0);
    }
    let page = read(root, "results/tickets/report.html");
    for part in [
        "one person, with all of their records",
        "several people together",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("One person with several texts is a group"));

    succeeds(
        root,
        &["release", "tickets.toml", "--all", "--out", "shared"],
    );
    let officer = read(root, "shared/PRIVACY.md");
    for part in [
        "any one person",
        "Several people together",
        "at most 5 records",
        "40 people",
    ] {
        assert!(officer.contains(part), "{part}: {officer}");
    }
    for part in ["any one record", "records of one person"] {
        assert!(!officer.contains(part), "{part}: {officer}");
    }
    let card = read(root, "shared/README.md");
    assert!(
        card.contains("unit: one person with all of their records"),
        "{card}"
    );
    // Functions of the data stay inside.
    for page in ["PRIVACY.md", "README.md", "privacy.json"] {
        let page = read(root, &format!("shared/{page}"));
        assert!(!page.contains("61") || !page.contains("busiest"), "{page}");
    }
    succeeds(root, &["verify", "shared"]);
    let statement = json(&read(root, "shared/privacy.json"));
    assert_eq!(statement["claim"]["unit"], "user");
    let mut forged = statement.clone();
    for run in forged["runs"].as_object_mut().unwrap().values_mut() {
        run["bounds"]["max_per_unit"] = 50.into();
    }
    std::fs::write(root.join("shared/privacy.json"), format!("{forged:#}\n")).unwrap();
    assert_eq!(dpx(root, &["verify", "shared"]).status.code(), Some(1));
    std::fs::write(root.join("shared/privacy.json"), format!("{statement:#}\n")).unwrap();

    let ledger = text(&succeeds(root, &["ledger"]).stdout);
    assert!(ledger.contains("records of 40 people"), "{ledger}");

    // The same records by themselves: told what that means for people, and no guarantee of both together.
    let by_record = EXPERIMENT
        .replace("unit = \"user\"", "unit = \"example\"")
        .replace("unit_column = \"customer_id\"\nmax_per_unit = 5\n", "")
        .replace("unit_sampling = \"$sampling\"\n", "")
        .replace("[sweep]\nsampling = [\"users\", \"examples\"]\n", "")
        .replace("name = \"tickets\"", "name = \"records\"");
    std::fs::write(root.join("records.toml"), by_record).unwrap();
    let run = succeeds(root, &["run", "records.toml"]);
    let told = text(&run.stderr) + &text(&run.stdout);
    assert!(
        told.contains("`customer_id` looks like that of a person"),
        "{told}"
    );
    let page = read(root, "results/records/report.html");
    assert!(page.contains("for the one who has 61 records"));
    let ledger = text(&succeeds(root, &["ledger"]).stdout);
    for part in ["for one record", "for one person", "no theorem composes"] {
        assert!(ledger.contains(part), "{part}: {ledger}");
    }
    let refused = dpx(root, &["release", "records.toml", "--all", "--out", "both"]);
    assert!(!refused.status.success());
    assert!(
        text(&refused.stderr).contains("one unit"),
        "{}",
        text(&refused.stderr)
    );
}

/// Other tickets of the same people are the same people, though no text is the same.
#[test]
fn other_texts_of_the_same_people_are_one_book() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    tickets(root);
    let small = EXPERIMENT
        .replace("[sweep]\nsampling = [\"users\", \"examples\"]\n", "")
        .replace("unit_sampling = \"$sampling\"\n", "");
    std::fs::write(root.join("one.toml"), &small).unwrap();
    succeeds(root, &["run", "one.toml"]);
    let mut later = "message,category,customer_id\n".to_owned();
    for person in 0..40 {
        let _ = writeln!(
            later,
            "a year later {person} has a question,refund,customer {person}"
        );
        let _ = writeln!(
            later,
            "and {person} has another one,delivery,customer {person}"
        );
    }
    std::fs::create_dir_all(root.join("later")).unwrap();
    std::fs::write(root.join("later/train.csv"), later).unwrap();
    std::fs::copy(root.join("tickets/test.csv"), root.join("later/test.csv")).unwrap();
    let other = small
        .replace("dataset = \"tickets\"", "dataset = \"later\"")
        .replace("name = \"tickets\"", "name = \"later\"");
    std::fs::write(root.join("two.toml"), other).unwrap();
    succeeds(root, &["run", "two.toml"]);
    let ledger = json(&text(&succeeds(root, &["ledger", "--json"]).stdout));
    let books = ledger["books"].as_array().unwrap();
    assert_eq!(books.len(), 1, "{ledger}");
    let overlap = &books[0]["data_sets"][1]["overlaps"][0];
    assert_eq!(
        (&overlap["shared"], &overlap["shared_people"]),
        (&0.into(), &40.into())
    );
}

#[test]
fn dpx_privacy_compares_both_ways_to_sample() {
    let folder = tempfile::tempdir().unwrap();
    let ask = |more: &[&str]| {
        let mut all = vec![
            "privacy",
            "--epsilon",
            "8",
            "--people",
            "1315",
            "--records",
            "7168",
            "--batch-size",
            "64",
            "--epochs",
            "10",
        ];
        all.extend(more);
        dpx(folder.path(), &all)
    };
    let answer = ask(&["--max-per-unit", "16", "--json"]);
    assert!(answer.status.success(), "{}", text(&answer.stderr));
    let answer = json(&text(&answer.stdout));
    assert_eq!(answer["cheaper"], "users");
    assert_eq!(answer["run"]["steps"], 205);
    let noise = |way: &str| answer[way]["relative_noise"].as_f64().unwrap();
    assert!(noise("users") < noise("examples"));
    let event = &answer["examples"]["event"];
    assert_eq!(event["records_per_unit"], 16);
    let few = ask(&["--max-per-unit", "2"]);
    assert_eq!(
        few.status.code(),
        Some(2),
        "7168 records are more than two of each"
    );
}
