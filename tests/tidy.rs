//! Rules of the house: file headers, sizes, and who may import whom.

use std::path::{Path, PathBuf};

/// Rooms from top to bottom: a room imports only from those below it.
const ROOMS: [&str; 17] = [
    "cli", "report", "run", "plan", "spec", "cache", "stage", "ledger", "metric", "scrub", "dp",
    "model", "nn", "text", "data", "device", "seed",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches"] {
        if root.join(folder).is_dir() {
            sources(&root.join(folder), &mut found);
        }
    }
    found.sort();
    found
        .into_iter()
        .map(|path| {
            (
                path.strip_prefix(root).unwrap().display().to_string(),
                std::fs::read_to_string(&path).unwrap(),
            )
        })
        .collect()
}

/// The part of a file before its test module.
fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod ")
        .map_or(text, |at| &text[..at])
}

fn is_test(path: &str) -> bool {
    !path.starts_with("src/")
        || path.ends_with("tests.rs")
        || path.ends_with("replay.rs")
        || path.contains("/tests/")
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<_> = all()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| path)
        .collect();
    assert!(
        silent.is_empty(),
        "these files do not open with `//!`: {silent:#?}"
    );
}

#[test]
fn files_are_short() {
    let files: Vec<_> = all()
        .into_iter()
        .filter(|(path, _)| !is_test(path))
        .collect();
    let long: Vec<_> = files
        .iter()
        .map(|(path, text)| (path, without_tests(text).lines().count()))
        .filter(|(_, lines)| *lines > 500)
        .collect();
    assert!(
        long.is_empty(),
        "split these files, none should have over 500 lines: {long:#?}"
    );
}

#[test]
fn rooms_import_only_from_rooms_below() {
    let place = |room: &str| ROOMS.iter().position(|&other| other == room);
    let mut wrong = Vec::new();
    for (path, text) in all() {
        let Some(room) = path
            .strip_prefix("src/")
            .and_then(|rest| rest.split(['/', '.']).next())
        else {
            continue;
        };
        let Some(own) = place(room) else { continue };
        if is_test(&path) {
            continue;
        }
        for (number, line) in without_tests(&text).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for (at, _) in code.match_indices("crate::") {
                let other: String = code[at + 7..]
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                if place(&other).is_some_and(|other| other < own) {
                    wrong.push(format!("{path}:{}: `{room}` imports `{other}`", number + 1));
                }
                if room == "dp"
                    && !["dp", "nn", "device"].contains(&other.as_str())
                    && place(&other).is_some()
                {
                    wrong.push(format!(
                        "{path}:{}: `dp` imports `{other}`: it may use nn and device alone",
                        number + 1
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn privacy_code_uses_no_simulation_generator() {
    let mut wrong = Vec::new();
    for (path, text) in all()
        .into_iter()
        .filter(|(path, _)| path.starts_with("src/dp/") && !is_test(path))
    {
        for word in [
            "distr::Distribution",
            "Distribution::Uniform",
            "Distribution::Normal",
            "StdRng",
            "thread_rng",
            "SmallRng",
            "Tensor::random",
        ] {
            if without_tests(&text)
                .lines()
                .any(|line| line.split("//").next().unwrap_or_default().contains(word))
            {
                wrong.push(format!("{path}: `{word}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_test_file_is_part_of_a_binary() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let main = std::fs::read_to_string(root.join("main.rs")).unwrap();
    for entry in std::fs::read_dir(&root).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().to_string();
        if path.extension().is_some_and(|extension| extension == "rs") && name != "main" {
            assert!(
                main.contains(&format!("mod {name};")),
                "tests/{name}.rs is not part of tests/main.rs"
            );
        }
    }
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_privacy_rule_names_files_and_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rules = std::fs::read_to_string(root.join("docs/privacy-rules.md")).unwrap();
    let mut rows = 0;
    for line in rules.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let number = cells[0].trim().split('.').next().unwrap_or_default();
        let (Ok(number), [_, kept, tests]) = (number.parse::<usize>(), cells.as_slice()) else {
            continue;
        };
        rows += 1;
        assert_eq!(number, rows, "rules come in order, each in a row");
        for path in quoted(kept) {
            assert!(root.join(path).exists(), "rule {number}: no `{path}`");
        }
        let mut named = 0;
        for (path, test) in quoted(tests).filter_map(|test| test.split_once("::")) {
            let text = std::fs::read_to_string(root.join(path)).unwrap_or_default();
            let mut before = "";
            let mut found = false;
            for line in text.lines() {
                let tested = before.trim().starts_with("#[");
                found |= tested && line.trim().starts_with(&format!("fn {test}("));
                before = line;
            }
            assert!(found, "rule {number}: `{test}` is no test of `{path}`");
            named += 1;
        }
        assert!(named > 0, "rule {number} has no test");
    }
    assert_eq!(rows, 45);
}
