//! The ledger through the real binary: releases that know of one another, budgets, selection, damage, adoption, sharing.

use crate::binary::{command, dpx, succeeds, text};
use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Output;

/// Bags of words from a private histogram: a private stage, texts, and a score of each row.
const STUDY: &str = r#"
[experiment]
name = "small"

[sweep]
epsilon = [4, 2]
PRIVACY
[stage.preprocess]
kind = "preprocess"
dataset = "texts.csv"
labels = ["joy", "sadness"]

[stage.counts]
kind = "counts"
needs = ["preprocess"]
epsilon = "$epsilon"
delta = 1e-4
keywords = "builtin:words"
keywords_per_text = 5
length_edges = [4, 8, 12]

[stage.sample]
kind = "sample"
needs = ["counts"]
labels = "uniform"
count = 40

[stage.classify]
kind = "classify"
needs = ["sample", "preprocess"]
model = "bag-of-words"
"#;

struct Place(tempfile::TempDir);

impl Place {
    fn new(privacy: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let mut texts = "text,label\n".to_owned();
        for row in 0..200 {
            writeln!(
                texts,
                "a good and happy day of person {row},joy\na bad and lonely day of person {row},sadness"
            )
            .unwrap();
        }
        std::fs::write(place.path("texts.csv"), texts).unwrap();
        place.study("small.toml", privacy);
        place
    }

    fn study(&self, name: &str, privacy: &str) {
        let privacy = if privacy.is_empty() {
            String::new()
        } else {
            format!("[privacy]\n{privacy}\n")
        };
        std::fs::write(self.path(name), STUDY.replace("PRIVACY", &privacy)).unwrap();
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        text(&succeeds(self.root(), arguments).stdout)
    }

    /// What is said where it is refused.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = dpx(self.root(), arguments);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        told
    }

    fn release(&self, row: &str, out: &str) -> Output {
        dpx(
            self.root(),
            &["release", "small.toml", "--row", row, "--out", out],
        )
    }

    fn ledger(&self) -> Value {
        serde_json::from_str(&self.succeeds(&["ledger", "--json"])).unwrap()
    }
}

fn epsilon(claim: &Value) -> f64 {
    claim["certified"]["epsilon"].as_f64().unwrap()
}

/// Rules 51, 52, 53: two studies of the same people, differently prompted, from two files and caches.
#[test]
fn releases_of_the_same_people_know_of_one_another() {
    let place = Place::new("");
    place.succeeds(&["run", "small.toml"]);
    let first = place.release("epsilon=2", "first");
    assert!(first.status.success(), "{}", text(&first.stderr));
    let said = text(&first.stdout);
    assert!(
        said.contains("chosen among 2 rows") && !said.contains("earlier"),
        "{said}"
    );

    // Another cache, another file of the same texts in another order, another prompt: the same people.
    let csv = std::fs::read_to_string(place.path("texts.csv")).unwrap();
    let mut lines: Vec<&str> = csv.lines().skip(1).collect();
    lines.reverse();
    std::fs::write(
        place.path("copy.csv"),
        format!("text,label\n{}\n", lines.join("\n")),
    )
    .unwrap();
    let study = STUDY
        .replace("PRIVACY", "")
        .replace("texts.csv\"", "copy.csv\"\nprompt = \"{label} | {text}\"")
        .replace("[4, 2]", "[1]")
        .replace("\"small\"", "\"other\"");
    std::fs::write(place.path("other.toml"), study).unwrap();
    let cache = ["--cache", "other-cache"];
    place.succeeds(&["run", "other.toml", cache[0], cache[1]]);
    let second = place.succeeds(&[
        "release",
        "other.toml",
        "--all",
        "--out",
        "second",
        cache[0],
        cache[1],
    ]);
    assert!(
        second.contains("with 1 earlier release of the same people"),
        "{second}"
    );

    let ledger = place.ledger();
    let books = ledger["books"].as_array().unwrap();
    assert_eq!(books.len(), 1, "{ledger}");
    let book = &books[0];
    assert_eq!(book["runs"].as_array().unwrap().len(), 3);
    let releases = book["releases"].as_array().unwrap();
    assert_eq!(releases.len(), 2);
    assert_eq!(releases[0]["folder"], "first");
    assert_eq!(
        releases[0]["runs"].as_array().unwrap().len(),
        2,
        "selection"
    );
    let (released, run) = (epsilon(&book["released"]), epsilon(&book["run"]));
    assert_eq!(released, run, "all three runs are behind the two releases");
    let alone: Vec<f64> = releases
        .iter()
        .map(|release| epsilon(&release["claim"]))
        .collect();
    assert!(
        released > alone[0] && released < alone[0] + alone[1],
        "{released} {alone:?}"
    );
    let words = place.succeeds(&["ledger"]);
    for word in [
        "book ",
        "small counts@epsilon=2",
        "other sample@epsilon=1 in `second`",
        "everything released: (",
        "(2 releases)",
        "everything run: (",
    ] {
        assert!(words.contains(word), "{word}: {words}");
    }
    let at = place.succeeds(&["ledger", "--delta", "1e-3"]);
    assert!(at.contains("1.0e-3)-DP"), "{at}");
    assert_ne!(at, words);
    // Two deltas that are alike in two digits are told apart.
    let near = place.succeeds(&["ledger", "--delta", "0.00099123"]);
    assert!(near.contains("9.9123e-4)-DP"), "{near}");

    // Nothing of the ledger is in a release.
    let secret = std::fs::read_to_string(place.path("state/ledger/secret")).unwrap();
    let id = book["id"].as_str().unwrap();
    for entry in std::fs::read_dir(place.path("second")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let bytes = String::from_utf8_lossy(&bytes);
            for word in [id, &secret[20..52], releases[0]["id"].as_str().unwrap()] {
                assert!(!bytes.contains(word), "{}", path.display());
            }
        }
    }
}

/// Rule 53.
#[test]
fn a_row_that_was_named_before_is_released_at_its_own_cost() {
    let place = Place::new("selection = [\"epsilon=2\"]");
    place.succeeds(&["run", "small.toml"]);
    let named = place.release("epsilon=2", "named");
    let said = text(&named.stdout);
    assert!(
        said.contains("were named before any of them was trained"),
        "{said}"
    );
    let other = place.release("epsilon=4", "other");
    assert!(text(&other.stdout).contains("chosen among 2 rows"));
    let ledger = place.ledger();
    let releases = ledger["books"][0]["releases"].as_array().unwrap();
    assert_eq!(releases[0]["runs"].as_array().unwrap().len(), 1);
    assert_eq!(releases[1]["runs"].as_array().unwrap().len(), 2);

    // Named after the runs: too late.
    let late = Place::new("");
    late.succeeds(&["run", "small.toml"]);
    late.study("small.toml", "selection = [\"epsilon=2\"]");
    let said = text(&late.release("epsilon=2", "late").stdout);
    assert!(said.contains("chosen among 2 rows"), "{said}");
    late.study("small.toml", "selection = [\"epsilon=7\"]");
    let told = late.refused(&["run", "small.toml"]);
    assert!(told.contains("epsilon=7"), "{told}");
}

#[test]
fn a_budget_is_shown_by_plan_and_held_by_release() {
    let place = Place::new("budget = { epsilon = 4.3, delta = 1e-4 }");
    let plan = place.succeeds(&["plan", "small.toml"]);
    for word in [
        "the budget is (4.3, 1e-4)-DP",
        "released before",
        "(0 releases)",
        "sample@epsilon=2",
        "any one of 2 rows",
        "all rows",
        "exceeds the budget",
    ] {
        assert!(plan.contains(word), "{word}: {plan}");
    }
    place.succeeds(&["run", "small.toml", "--only", "sample@epsilon=4"]);
    let before = place.release("epsilon=4", "four");
    assert!(before.status.success(), "{}", text(&before.stderr));
    let plan: Value =
        serde_json::from_str(&place.succeeds(&["plan", "small.toml", "--json"])).unwrap();
    let people = &plan["people"];
    assert_eq!(people["releases"], 1);
    let rows = people["rows"].as_array().unwrap();
    assert_eq!(
        (&rows[0]["exceeds"], &rows[1]["exceeds"]),
        (&Value::Bool(false), &Value::Bool(true))
    );
    // What is released already costs nothing more.
    assert_eq!(epsilon(&rows[0]["claim"]), epsilon(&people["released"]));
    place.succeeds(&["run", "small.toml", "--only", "sample@epsilon=2"]);
    let told = place.refused(&[
        "release",
        "small.toml",
        "--row",
        "epsilon=2",
        "--out",
        "two",
    ]);
    for word in ["budget", "released before (", "alone (", "together ("] {
        assert!(told.contains(word), "{word}: {told}");
    }
    assert!(!place.path("two").exists());
    let words = place.succeeds(&["privacy", "--plan", "small.toml"]);
    assert!(words.contains("released before"), "{words}");
}

#[test]
fn a_budget_of_runs_refuses_the_study_before_anything_runs() {
    let place = Place::new("budget = { epsilon = 4.3, delta = 1e-4 }\nenforce = \"train\"");
    let told = place.refused(&["run", "small.toml"]);
    assert!(
        told.contains("would cost (") && told.contains("nothing was run"),
        "{told}"
    );
    assert!(!place.path("state/ledger/ledger.jsonl").exists());
    place.study(
        "small.toml",
        "budget = { epsilon = 5, delta = 1e-4 }\nenforce = \"train\"",
    );
    place.succeeds(&["run", "small.toml"]);
    assert_eq!(
        place.ledger()["books"][0]["runs"].as_array().unwrap().len(),
        2
    );
    place.study("small.toml", "enforce = \"train\"");
    let told = place.refused(&["check", "small.toml"]);
    assert!(told.contains("there is no `budget`"), "{told}");
}

/// Rule 52: with another ledger nothing is released until the cache's runs are entered there; a damaged one is an error.
#[test]
fn a_lost_ledger_refuses_releases_until_it_is_adopted_and_a_damaged_one_is_told() {
    let place = Place::new("");
    place.succeeds(&["run", "small.toml"]);
    std::fs::rename(place.path("state/ledger"), place.path("lost")).unwrap();
    let told = place.refused(&["release", "small.toml", "--all", "--out", "out"]);
    assert!(
        told.contains("no entry for `counts@epsilon=4`") && told.contains("dpx ledger adopt"),
        "{told}"
    );
    assert!(!place.path("out").exists());
    let said = place.succeeds(&["ledger", "adopt", "small.toml"]);
    assert!(said.contains("2 runs entered, 0 there already"), "{said}");
    let said = place.succeeds(&["ledger", "adopt", "small.toml"]);
    assert!(said.contains("0 runs entered, 2 there already"), "{said}");
    place.succeeds(&["release", "small.toml", "--all", "--out", "out"]);
    assert!(place.succeeds(&["ledger"]).contains("(adopted)"));

    let path = place.path("state/ledger/ledger.jsonl");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    for arguments in [
        &["ledger"][..],
        &["ledger", "--json"],
        &["release", "small.toml", "--all", "--out", "again"],
    ] {
        let output = dpx(place.root(), arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let told = text(&output.stderr);
        assert!(
            told.contains("damaged in line") && told.contains("ledger.jsonl"),
            "{told}"
        );
        assert!(output.stdout.is_empty());
    }
}

/// A cache that was filled under another ledger: its data are told to the new one, without running `preprocess` again.
#[test]
fn a_ledger_may_be_shared_by_path_and_learns_of_cached_data() {
    let place = Place::new("");
    place.succeeds(&["run", "small.toml", "--only", "preprocess"]);
    place.study("small.toml", "ledger = \"shared/ledger\"");
    place.succeeds(&["run", "small.toml"]);
    assert!(place.path("shared/ledger/ledger.jsonl").is_file());
    let mut there = command(place.root(), &["ledger", "--json"]);
    there.env("DPX_LEDGER", place.path("shared/ledger"));
    let told = text(&there.output().unwrap().stdout);
    let shared: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(shared["books"][0]["runs"].as_array().unwrap().len(), 2);
    // The ledger of the state folder knows the data, and no run.
    assert_eq!(
        place.ledger()["books"][0]["runs"].as_array().unwrap().len(),
        0
    );
    let by_file: Value =
        serde_json::from_str(&place.succeeds(&["ledger", "small.toml", "--json"])).unwrap();
    assert_eq!(by_file["books"], shared["books"]);
    // Without the raw data nobody can be charged.
    std::fs::remove_file(place.path("texts.csv")).unwrap();
    let told = place.succeeds(&["ledger", "--ledger", "shared/ledger"]);
    assert!(told.contains("everything run: ("), "{told}");
}

/// Two runs of two people at once, in caches of their own, one ledger.
#[test]
fn two_runs_at_once_share_a_ledger() {
    let place = Place::new("ledger = \"shared\"");
    let start = |cache: &'static str| {
        let mut call = command(place.root(), &["run", "small.toml", "--cache", cache]);
        call.stdout(std::process::Stdio::null());
        call.stderr(std::process::Stdio::null());
        call.arg("--results").arg(format!("{cache}-results"));
        call.spawn().unwrap()
    };
    let runs = ["one", "two"].map(start);
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    let told = place.succeeds(&["ledger", "--ledger", "shared", "--json"]);
    let ledger: Value = serde_json::from_str(&told).unwrap();
    let books = ledger["books"].as_array().unwrap();
    assert_eq!(books.len(), 1);
    assert_eq!(books[0]["runs"].as_array().unwrap().len(), 4);
}

/// With a new ledger and a new run of the same people, the cache's earlier runs are missed.
#[test]
fn a_ledger_that_lacks_runs_of_the_cache_releases_nothing() {
    let place = Place::new("");
    place.succeeds(&["run", "small.toml"]);
    std::fs::remove_dir_all(place.path("state/ledger")).unwrap();
    let study = STUDY.replace("PRIVACY", "").replace("[4, 2]", "[1]");
    std::fs::write(place.path("again.toml"), study).unwrap();
    place.succeeds(&["run", "again.toml", "--results", "again"]);
    let arguments = ["release", "again.toml", "--all", "--out", "out"];
    let told = place.refused(&arguments);
    for word in ["2 private runs", "`counts@epsilon=", "dpx ledger adopt"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    assert!(!place.path("out").exists());
    place.succeeds(&["ledger", "adopt", "small.toml"]);
    place.succeeds(&arguments);
}

/// Another column of the same file is another text of the same person.
#[test]
fn titles_and_bodies_of_one_file_are_one_account() {
    let place = Place::new("");
    let mut rows = "title,body,label\n".to_owned();
    for row in 0..200 {
        writeln!(rows, "title of joy {row},a good day of person {row},joy").unwrap();
        writeln!(rows, "title of woe {row},a bad day of person {row},sadness").unwrap();
    }
    std::fs::write(place.path("tickets.csv"), rows).unwrap();
    for column in ["title", "body"] {
        let dataset = format!("tickets.csv\"\ntext_column = \"{column}\"");
        let study = STUDY
            .replace("PRIVACY", "")
            .replace("[4, 2]", "[2]")
            .replace("texts.csv\"", &dataset);
        std::fs::write(place.path("small.toml"), study).unwrap();
        place.succeeds(&["run", "small.toml"]);
        let released = place.release("epsilon=2", column);
        assert!(released.status.success(), "{}", text(&released.stderr));
        let told = text(&released.stdout);
        assert_eq!(
            told.contains("with 1 earlier release"),
            column == "body",
            "{told}"
        );
    }
}

#[test]
fn a_choice_that_saw_rows_without_a_guarantee_is_told() {
    let place = Place::new("");
    let study = STUDY
        .replace("PRIVACY", "")
        .replace("[4, 2]", "[\"inf\", 2]");
    std::fs::write(place.path("small.toml"), study).unwrap();
    place.succeeds(&["run", "small.toml"]);
    let said = text(&place.release("epsilon=2", "out").stdout);
    assert!(said.contains("(sample@epsilon=inf)"), "{said}");
    let page = std::fs::read_to_string(place.path("out/PRIVACY.md")).unwrap();
    assert!(
        page.contains("without a guarantee: `sample@epsilon=inf`")
            && !page.contains("Nothing was chosen"),
        "{page}"
    );
    place.succeeds(&["verify", "out"]);
}

/// What `plan` shows is what `release` charges.
#[test]
fn a_plan_shows_what_a_choice_costs() {
    let place = Place::new("budget = { epsilon = 4.2, delta = 1e-4 }");
    let plan: Value =
        serde_json::from_str(&place.succeeds(&["plan", "small.toml", "--json"])).unwrap();
    let chosen = epsilon(&plan["people"]["chosen"]);
    assert!(chosen > 4.2, "{chosen}");
    let chosen = (chosen * 100.0).ceil() / 100.0;
    place.succeeds(&["run", "small.toml"]);
    let told = text(&place.release("epsilon=2", "two").stderr);
    assert!(
        told.contains(&format!("alone ({chosen:.2}")) && told.contains("`[privacy] selection`"),
        "{chosen}: {told}"
    );
    place.study("small.toml", "budget = { epsilon = 9, delta = 0.01 }");
    for arguments in [
        &["plan", "small.toml"][..],
        &[
            "release",
            "small.toml",
            "--row",
            "epsilon=2",
            "--out",
            "two",
        ],
    ] {
        let told = place.refused(arguments);
        assert!(
            told.contains("not below one over the 326 records"),
            "{told}"
        );
    }
}

#[test]
fn names_that_tell_of_the_publisher_are_not_released_and_data_sets_are_counted() {
    let place = Place::new("");
    std::fs::copy(place.path("texts.csv"), place.path("more.csv")).unwrap();
    let study = |first: &str| {
        STUDY
            .replace("PRIVACY", &format!("data = [\"{first}\", \"more.csv\"]\n"))
            .replace("[4, 2]", "[2]")
            .replace("dataset = \"texts.csv\"", "dataset = \"$data\"")
    };
    let path = place.path("texts.csv").display().to_string();
    std::fs::write(place.path("small.toml"), study(&path)).unwrap();
    place.succeeds(&["run", "small.toml"]);
    let told = place.refused(&["release", "small.toml", "--all", "--out", "out"]);
    assert!(told.contains("names of rows are public"), "{told}");
    std::fs::write(place.path("small.toml"), study("texts.csv")).unwrap();
    place.succeeds(&["run", "small.toml"]);
    place.succeeds(&["release", "small.toml", "--all", "--out", "out"]);
    let page = std::fs::read_to_string(place.path("out/PRIVACY.md")).unwrap();
    assert!(
        page.contains("2 private data sets (326 private records; 326 private records)"),
        "{page}"
    );
    place.succeeds(&["verify", "out"]);
}

/// Narrowing a sweep to its best row does not undo the choice; a ledger that was put back does not undo a release.
#[test]
fn a_narrowed_sweep_and_an_older_ledger_forget_nothing() {
    let place = Place::new("");
    place.succeeds(&["run", "small.toml"]);
    let narrowed = STUDY.replace("PRIVACY", "").replace("[4, 2]", "[2]");
    std::fs::write(place.path("small.toml"), narrowed).unwrap();
    place.succeeds(&["run", "small.toml"]);
    let kept = place.path("kept");
    let copy = |from: &Path, to: &Path| {
        std::fs::create_dir_all(to.join("units")).unwrap();
        for file in ["head", "ledger.jsonl", "secret", "lock"] {
            std::fs::copy(from.join(file), to.join(file)).unwrap();
        }
        for unit in std::fs::read_dir(from.join("units")).unwrap() {
            let unit = unit.unwrap();
            std::fs::copy(unit.path(), to.join("units").join(unit.file_name())).unwrap();
        }
    };
    copy(&place.path("state/ledger"), &kept);
    let said = text(&place.release("epsilon=2", "two").stdout);
    assert!(
        said.contains("chosen among 2 rows") && said.contains("sample@epsilon=4"),
        "{said}"
    );
    copy(&kept, &place.path("state/ledger"));
    let told = text(&place.release("epsilon=2", "again").stderr);
    assert!(told.contains("is an older copy of itself"), "{told}");
    let told = text(&dpx(place.root(), &["run", "small.toml"]).stderr);
    assert!(told.contains("is an older copy of itself"), "{told}");
}

/// A declaration names a row, not the best of several runs of it.
#[test]
fn the_best_of_several_runs_of_a_named_row_costs_all_of_them() {
    let place = Place::new("selection = [\"epsilon=2\"]");
    let narrowed = STUDY
        .replace("PRIVACY", "[privacy]\nselection = [\"epsilon=2\"]\n")
        .replace("[4, 2]", "[2]");
    std::fs::write(place.path("small.toml"), narrowed).unwrap();
    for seed in ["1", "2", "3"] {
        let set = format!("experiment.seed={seed}");
        place.succeeds(&["run", "small.toml", "--set", &set]);
    }
    let arguments = [
        "release",
        "small.toml",
        "--set",
        "experiment.seed=2",
        "--row",
        "epsilon=2",
        "--out",
        "two",
    ];
    let said = place.succeeds(&arguments);
    assert!(
        said.contains("chosen among 3 rows") && said.contains("in all"),
        "{said}"
    );
    let page = std::fs::read_to_string(place.path("two/PRIVACY.md")).unwrap();
    assert!(!page.contains("the choice costs nothing"), "{page}");
    let verified = place.succeeds(&["verify", "two"]);
    assert!(
        verified.contains("with the choice of rows and earlier releases"),
        "{verified}"
    );
}

/// What the cache has forgotten, or another one knew, may have been scored.
#[test]
fn a_cache_that_forgot_rows_makes_no_choice_cheaper() {
    let place = Place::new("");
    place.succeeds(&["run", "small.toml"]);
    let narrowed = STUDY.replace("PRIVACY", "").replace("[4, 2]", "[2]");
    std::fs::write(place.path("small.toml"), narrowed).unwrap();
    place.succeeds(&[
        "run",
        "small.toml",
        "--cache",
        "other",
        "--results",
        "there",
    ]);
    let said = place.succeeds(&[
        "release",
        "small.toml",
        "--all",
        "--cache",
        "other",
        "--out",
        "out",
    ]);
    // The two of the first cache and this one.
    assert!(
        said.contains("chosen among 3 rows")
            && said.contains("counts@epsilon=4 (not in the cache)"),
        "{said}"
    );
    let page = std::fs::read_to_string(place.path("out/PRIVACY.md")).unwrap();
    assert!(
        page.contains("only the ledger knows count as scored"),
        "{page}"
    );
    place.succeeds(&["verify", "out"]);
}

/// What `plan` shows is what `release` charges, also of runs whose results are gone and of rows that the file no longer asks for.
#[test]
fn a_plan_shows_runs_that_only_the_ledger_knows() {
    let place = Place::new("");
    place.succeeds(&["run", "small.toml"]);
    let narrowed = STUDY
        .replace(
            "PRIVACY",
            "[privacy]\nbudget = { epsilon = 9, delta = 1e-4 }\n",
        )
        .replace("[4, 2]", "[2]");
    std::fs::write(place.path("small.toml"), narrowed).unwrap();
    let plan = |cache: &str| -> Value {
        let told = place.succeeds(&["plan", "small.toml", "--json", "--cache", cache]);
        serde_json::from_str::<Value>(&told).unwrap()["people"].take()
    };
    // Here the results are still there: the row of epsilon 4 is one that was scored.
    let here = plan("cache");
    let rows = &here["others"]["no_longer_asked_for"];
    assert_eq!(
        rows["names"],
        serde_json::json!(["sample@epsilon=4"]),
        "{here}"
    );
    assert_eq!(here["others"]["only_in_ledger"], Value::Null, "{here}");
    assert!(epsilon(&here["chosen"]) > epsilon(&rows["claim"]), "{here}");
    let out = ["--cache", "other", "--results", "there"];
    place.succeeds(&[&["run", "small.toml"], &out[..]].concat());
    let there = plan("other");
    let lost = &there["others"]["only_in_ledger"];
    let names = [
        "counts@epsilon=2 (not in the cache)",
        "counts@epsilon=4 (not in the cache)",
    ];
    assert_eq!(lost["names"], serde_json::json!(names), "{there}");
    for arguments in [
        &["plan", "small.toml", "--cache", "other"][..],
        &["privacy", "--plan", "small.toml", "--cache", "other"],
    ] {
        let told = place.succeeds(arguments);
        assert!(
            told.contains("only in the ledger")
                && told.contains("counts@epsilon=4 (not in the cache)"),
            "{told}"
        );
    }
    // Naming the row now does not undo what those runs may have told.
    let charged = epsilon(&there["rows"][0]["claim"]);
    assert!(charged > epsilon(&lost["claim"]), "{there}");
    place.succeeds(&[
        "release",
        "small.toml",
        "--all",
        "--cache",
        "other",
        "--out",
        "out",
    ]);
    let released = std::fs::read(place.path("out/privacy.json")).unwrap();
    let released: Value = serde_json::from_slice(&released).unwrap();
    let total = epsilon(&released["total"]);
    for figure in ["chosen", "all", "any"] {
        let told = epsilon(&there[figure]);
        assert!((told - total).abs() < 1e-6, "{figure}: {told} {total}");
    }
    assert!((charged - total).abs() < 1e-6, "{charged} {total}");
}

/// Rule 52: with a second ledger over one cache, the first one's people cannot be told from others.
#[test]
fn a_second_ledger_over_one_cache_forgets_no_release() {
    let place = Place::new("");
    place.succeeds(&["run", "small.toml", "--ledger", "l1"]);
    place.succeeds(&[
        "release",
        "small.toml",
        "--all",
        "--out",
        "one",
        "--ledger",
        "l1",
    ]);
    let csv = std::fs::read_to_string(place.path("texts.csv")).unwrap();
    let mut lines: Vec<&str> = csv.lines().skip(1).collect();
    lines.reverse();
    let copy = format!("text,label\none more day,joy\n{}\n", lines.join("\n"));
    std::fs::write(place.path("copy.csv"), copy).unwrap();
    let study = STUDY
        .replace("PRIVACY", "")
        .replace("texts.csv", "copy.csv")
        .replace("\"small\"", "\"other\"");
    std::fs::write(place.path("other.toml"), study).unwrap();
    place.succeeds(&["run", "other.toml", "--ledger", "l2"]);
    let arguments = [
        "release",
        "other.toml",
        "--all",
        "--out",
        "two",
        "--ledger",
        "l2",
    ];
    let told = place.refused(&arguments);
    assert!(
        told.contains("another ledger knows") && told.contains("dpx ledger adopt"),
        "{told}"
    );
    assert!(!place.path("two").exists());
    place.succeeds(&["ledger", "adopt", "small.toml", "--ledger", "l2"]);
    place.succeeds(&arguments);
}

/// Models without texts are a choice, too, also where the file no longer asks for them.
#[test]
fn narrowing_a_sweep_of_audited_models_does_not_undo_the_choice() {
    let place = Place::new("");
    let study = |sweep: &str| {
        format!(
            r#"
[experiment]
name = "audited"
[sweep]
epsilon = {sweep}
[stage.preprocess]
kind = "preprocess"
dataset = "texts.csv"
labels = ["joy", "sadness"]
[stage.base]
kind = "pretrain"
corpus = ["builtin:dialogue"]
vocabulary_size = 300
layers = 1
width = 16
heads = 2
context = 24
batch_size = 8
steps = 4
[stage.train]
kind = "train"
needs = ["preprocess", "base"]
model = "stage:base"
epsilon = "$epsilon"
epochs = 0.4
canaries = 30
batch_size = 48
max_length = 16
[stage.audit]
kind = "audit"
needs = ["train"]
"#
        )
    };
    for sweep in ["[4, 8]", "[8]"] {
        std::fs::write(place.path("audited.toml"), study(sweep)).unwrap();
        place.succeeds(&["run", "audited.toml"]);
    }
    let said = place.succeeds(&[
        "export",
        "audited.toml",
        "--row",
        "epsilon=8",
        "--out",
        "model",
    ]);
    assert!(
        said.contains("chosen among 2 rows") && said.contains("train@epsilon=4"),
        "{said}"
    );
}

#[test]
fn a_folder_without_a_ledger_is_told_and_a_delta_that_protects_nobody() {
    let place = Place::new("");
    let told = place.succeeds(&["ledger", "--ledger", "none"]);
    assert!(told.contains("there is no ledger at none"), "{told}");
    place.succeeds(&["run", "small.toml"]);
    let told = place.succeeds(&["ledger", "--delta", "0.5"]);
    assert!(told.contains("is not below one over the"), "{told}");
    assert!(
        !place
            .succeeds(&["ledger"])
            .contains("is not below one over")
    );
}

#[test]
fn no_release_is_written_into_another_or_into_the_cache() {
    let place = Place::new("");
    place.succeeds(&["run", "small.toml"]);
    let release = |out: &str| {
        ["release", "small.toml", "--all", "--out"]
            .into_iter()
            .chain([out])
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let refused = |out: &str| {
        let arguments = release(out);
        place.refused(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let told = refused("cache/x");
    assert!(told.contains("lies in the cache"), "{told}");
    place.succeeds(&["release", "small.toml", "--all", "--out", "whole"]);
    let told = refused("whole/inner/deeper");
    assert!(told.contains("lies in another release"), "{told}");
    place.succeeds(&["verify", "whole"]);
}

/// Noise that follows from the seed is no guarantee, in the ledger as everywhere.
#[test]
fn seeded_runs_lie_outside_every_claim_and_budget() {
    let place = Place::new("noise = \"seeded\"");
    place.succeeds(&["run", "small.toml"]);
    let told = place.succeeds(&["ledger"]);
    assert!(
        told.contains("without guarantee (seeded noise)")
            && told.contains("everything run: nothing under a guarantee (0 runs)")
            && told.contains("without guarantee: 2 runs"),
        "{told}"
    );
    let held = "noise = \"seeded\"\nbudget = { epsilon = 50, delta = 1e-4 }\nenforce = \"train\"";
    place.study("held.toml", &held.replace("50", "60"));
    let told = place.refused(&["run", "held.toml", "--cache", "other", "--results", "there"]);
    assert!(told.contains("has no guarantee at all"), "{told}");
}
