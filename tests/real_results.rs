//! The figures of a real run as people get them: on the terminal, as files, unfinished, and side by side.

use crate::real_study::RealStudy;
use serde_json::Value;
use std::fmt::Write;
use std::process::Output;

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn results(study: &RealStudy) -> Value {
    serde_json::from_slice(&std::fs::read(study.results("results.json")).unwrap()).unwrap()
}

#[test]
fn the_run_ends_with_a_table_that_fits_and_leaves_nothing_out() {
    let study = RealStudy::get();
    let printed = &study.printed;
    for line in printed
        .lines()
        .take_while(|line| !line.starts_with("fidelity, "))
    {
        assert!(line.chars().count() <= 100, "{line}");
    }
    for heading in [
        "guarantee",
        "accuracy ↑*",
        "similarity →*",
        "MAUVE ↑*",
        "audit",
        "PRV",
        "RDP",
        "noise",
    ] {
        assert!(printed.contains(heading), "{heading}: {printed}");
    }
    assert!(!printed.contains("not shown"), "{printed}");
    assert!(
        printed.contains("report.html")
            && printed.contains("dpx release real.toml --row epsilon=3")
    );
    assert!(printed.contains("encoder builtin:base"), "{printed}");
    assert!(
        printed.contains("under stage:base, the model that training started from"),
        "{printed}"
    );
}

#[test]
fn every_format_has_mean_spread_and_number_of_the_replicates() {
    let study = RealStudy::get();
    let found = results(study);
    let row = found["rows"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["name"] == "epsilon=8")
        .unwrap();
    for name in [
        "accuracy",
        "accuracy_with_teacher",
        "accuracy_teacher_alone",
        "similarity",
        "mauve",
        "perplexity_held_out",
        "perplexity_synthetic",
        "copies_exact",
        "audit_lower",
        "f1.joy",
    ] {
        let figure = &row["figures"][name];
        assert_eq!(figure["n"], 2, "{name}");
        assert!(
            figure["sd"].as_f64().is_some_and(|sd| sd >= 0.0),
            "{name}: {figure}"
        );
    }
    let accuracy = &row["figures"]["accuracy"];
    let [mean, sd] = ["mean", "sd"].map(|part| accuracy[part].as_f64().unwrap());
    let brief = format!("{mean:.3} ±{sd:.3}");
    let markdown = out(&study.dpx(&["report", "real.toml", "--format", "md"]));
    let page = std::fs::read_to_string(study.results("report.html")).unwrap();
    for (what, text) in [
        ("terminal", &study.printed),
        ("markdown", &markdown),
        ("page", &page),
    ] {
        assert!(text.contains(&brief), "{what}: {brief}");
    }
    let csv = out(&study.dpx(&["report", "real.toml", "--format", "csv"]));
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let cells: Vec<&str> = lines
        .find(|line| line.starts_with("epsilon=8,"))
        .unwrap()
        .split(',')
        .collect();
    let cell = |name: &str| cells[header.iter().position(|own| *own == name).unwrap()];
    assert_eq!(cell("accuracy").parse::<f64>().unwrap(), mean);
    assert_eq!(cell("accuracy_sd").parse::<f64>().unwrap(), sd);
    assert_eq!(cell("accuracy_n"), "2");
    // Every column is told of in the documentation.
    let told = include_str!("../docs/results-format.md");
    for name in header {
        let base = ["_sd", "_n", "_ceiling"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(name);
        assert!(
            told.contains(&format!("`{base}`")),
            "{name} is not documented"
        );
    }
    for name in found
        .as_object()
        .unwrap()
        .keys()
        .chain(row.as_object().unwrap().keys())
    {
        assert!(
            told.contains(&format!("`{name}`")),
            "{name} is not documented"
        );
    }
}

#[test]
fn at_epsilon_0_no_figure_is_the_teachers() {
    let study = RealStudy::get();
    let found = results(study);
    let rows = found["rows"].as_array().unwrap();
    let zero = rows.iter().find(|row| row["name"] == "epsilon=0").unwrap();
    let names: Vec<&String> = zero["figures"].as_object().unwrap().keys().collect();
    assert!(names.iter().any(|name| *name == "accuracy"));
    assert!(
        names.iter().all(|name| !name.contains("teacher")),
        "{names:?}"
    );
    assert!(study.printed.contains("no teacher"), "{}", study.printed);
}

#[test]
fn an_unfinished_sweep_is_shown_as_such() {
    let study = RealStudy::get();
    let wider = [
        "report",
        "real.toml",
        "--set",
        "sweep.replicate=[1, 2, 3]",
        "--format",
        "md",
    ];
    let text = out(&study.dpx(&wider));
    assert!(
        text.contains("> Incomplete run; partial report: "),
        "{text}"
    );
    assert!(text.contains("epsilon=8 has 2 of 3 replicates"), "{text}");
    assert!(text.contains("epsilon=8 (incomplete)"), "{text}");
    let none = [
        "report",
        "real.toml",
        "--set",
        "experiment.seed=99",
        "--out",
        "none",
    ];
    study.dpx(&none);
    let page = std::fs::read_to_string(study.folder().join("none/report.html")).unwrap();
    assert!(page.contains("Incomplete run") && page.contains("No results yet"));
}

#[test]
fn files_folders_and_runs_are_compared() {
    let study = RealStudy::get();
    let run = std::fs::read_dir(study.folder().join("cache/runs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .next()
        .unwrap();
    let run = run.trim_end_matches(".jsonl").to_owned();
    for (old, new) in [
        ("real.toml", "results/real"),
        ("results/real", "results/real/results.json"),
        ("real.toml", run.as_str()),
        (run.as_str(), "results/real"),
    ] {
        let text = out(&study.dpx(&["compare", old, new]));
        assert_eq!(
            text, "No setting differs.\n\nNo figure differs.\n",
            "{old} and {new}"
        );
    }
    // Another data set of the same size: what differs, what it did, and a warning.
    let other = std::fs::read_to_string(study.folder().join("real.toml")).unwrap();
    let other = other
        .replace("name = \"real\"", "name = \"other\"")
        .replace(
            "preprocess.limit = 300",
            "preprocess = { dataset = \"texts.csv\", limit = 1000 }",
        )
        .replace("[\"inf\", 8, 3, 0]", "[0]")
        .replace("replicate = [1, 2]", "");
    std::fs::write(study.folder().join("other.toml"), other).unwrap();
    let mut texts = "text,label\n".to_owned();
    for row in 0..300 {
        let label = ["anger", "fear", "joy", "love", "sadness", "surprise"][row % 6];
        writeln!(texts, "this is day {row} of much {label},{label}").unwrap();
    }
    std::fs::write(study.folder().join("texts.csv"), texts).unwrap();
    study.dpx(&["run", "other.toml", "--only", "score", "--only", "classify"]);
    let text = out(&study.dpx(&["compare", "results/real", "other.toml"]));
    assert!(
        text.starts_with("! The data differ: stage `preprocess`"),
        "{text}"
    );
    assert!(text.contains("stage.preprocess.dataset"), "{text}");
    assert!(text.contains("not comparable"), "{text}");
    let json = out(&study.dpx(&["compare", "results/real", "other.toml", "--json"]));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["warnings"].as_array().unwrap().len(), 1);
    // Results of another version of the program.
    let old = std::fs::read_to_string(study.results("results.json")).unwrap();
    let version = format!("\"dpx_version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    std::fs::write(
        study.folder().join("old.json"),
        old.replace(&version, "\"dpx_version\": \"0.0.1\""),
    )
    .unwrap();
    let text = out(&study.dpx(&["compare", "old.json", "results/real"]));
    assert!(
        text.starts_with("! The versions of dpx differ: 0.0.1 and "),
        "{text}"
    );
    let missing = study
        .command(&["compare", "real.toml", "no-such-run"])
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn a_plan_estimates_time_from_earlier_records() {
    let study = RealStudy::get();
    let text = out(&study.dpx(&["plan", "real.toml", "--set", "sweep.replicate=[1, 2, 3]"]));
    let last = text.lines().last().unwrap();
    assert!(last.contains("to run") && last.contains("about"), "{last}");
    assert!(text.contains("Time by stage"), "{text}");
}
