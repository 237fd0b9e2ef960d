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
fn the_run_ends_with_one_table_that_fits_and_names_what_does_not() {
    let study = RealStudy::get();
    let printed = &study.printed;
    for line in printed
        .lines()
        .take_while(|line| !line.starts_with("fidelity, "))
    {
        assert!(line.chars().count() <= 100, "{line}");
    }
    // One table: a column is there, or is named below it.
    for heading in [
        "guarantee",
        "certified",
        "accuracy ↑",
        "verdict",
        "similarity →",
        "MAUVE ↑",
        "audit",
        "PRV",
        "RDP",
        "noise",
    ] {
        assert!(printed.contains(heading), "{heading}: {printed}");
    }
    assert_eq!(printed.matches("\n epsilon=3 ").count(), 1, "{printed}");
    assert!(printed.contains("not shown at 100 columns"), "{printed}");
    assert!(
        printed.contains("240 training texts") || printed.contains(" training texts"),
        "numbers of texts: {printed}"
    );
    // Texts of a model that saw next to nothing are offered to nobody.
    assert!(printed.contains("is not fit for use"), "{printed}");
    assert!(
        printed.contains("report.html") && printed.contains("no row is offered for release"),
        "{printed}"
    );
    assert!(printed.contains("encoder builtin:encoder"), "{printed}");
    let words = printed.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("under stage:base, the model that training started from"),
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
        let base = ["_sd", "_n", "_low", "_high", "_ceiling"]
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
    // In the folder of the results the last whole page stays.
    let whole = std::fs::read(study.results("report.html")).unwrap();
    let told = study
        .command(&["report", "real.toml", "--set", "sweep.replicate=[1, 2, 3]"])
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(shown.contains("report-partial.html"), "{shown}");
    let note = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(note.contains("stay as they are"), "{note}");
    assert_eq!(std::fs::read(study.results("report.html")).unwrap(), whole);
    study.dpx(&["report", "real.toml"]);
    assert!(!study.results("report-partial.html").exists());
}

/// What `dpx report` writes into the results folder is of one state: other settings once left the csv and the texts of the last run
/// beside a new page.
#[test]
fn a_report_brings_all_files_of_the_results_up_to_date() {
    let study = RealStudy::get();
    let narrow = [
        "report",
        "real.toml",
        "--set",
        "sweep.epsilon=[8, 3]",
        "--set",
        "experiment.name=\"narrow\"",
    ];
    let report = |arguments: &[&str]| {
        let arguments: Vec<&str> = narrow.iter().chain(arguments).copied().collect();
        let output = study.command(&arguments).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), told)
    };
    let folder = study.folder().join("results/narrow");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let (code, told) = report(&["--format", "figures"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("wrote all files of `results/narrow`"),
        "{told}"
    );
    let chart = read("figures/utility-chart.svg");
    assert!(chart.contains("8") && read("results.csv").contains("epsilon=3"));
    let (_, told) = report(&[]);
    assert!(told.contains("holds exactly these results"), "{told}");
    // Without a row, and with a title.
    let (code, told) = report(&[
        "--set",
        "sweep.epsilon=[8]",
        "--set",
        "report.title=\"Fewer\"",
    ]);
    assert_eq!(code, Some(0), "{told}");
    for name in [
        "results.csv",
        "results.json",
        "summary.md",
        "experiment.toml",
    ] {
        assert!(!read(name).contains("epsilon=3"), "{name}");
    }
    assert!(read("report.html").contains("Fewer"));
    assert_ne!(read("figures/utility-chart.svg"), chart, "drawn again");
    let synthetic = std::fs::read_dir(folder.join("synthetic")).unwrap();
    let names: Vec<String> = synthetic
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        names.iter().all(|name| !name.contains("epsilon=3")),
        "{names:?}"
    );
    // Nothing else gets among them.
    for format in ["csv", "html", "figures"] {
        let (code, told) = report(&["--format", format, "--out", "results/narrow"]);
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains("of one state"), "{told}");
    }
    let (code, told) = report(&["--format", "latex", "--out", "results/narrow"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("`summary.tex` counts as your own file"),
        "{told}"
    );
    // The parts of an unfinished report are of one state as well.
    let wider = ["--set", "sweep.replicate=[1, 2, 3]"];
    let (_, told) = report(&[wider[0], wider[1], "--format", "figures"]);
    assert!(told.contains("incomplete: "), "{told}");
    let chart = read("figures-partial/utility-chart.svg");
    report(&[wider[0], wider[1], "--set", "sweep.epsilon=[8]"]);
    assert!(folder.join("report-partial.html").is_file());
    assert_ne!(read("figures-partial/utility-chart.svg"), chart);
    report(&[]);
    assert!(
        !folder.join("figures-partial").exists() && !folder.join("report-partial.html").exists()
    );
    assert!(folder.join("summary.tex").is_file());
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

#[test]
fn a_second_run_writes_nothing_and_its_file_is_all_cached() {
    let study = RealStudy::get();
    let place = tempfile::tempdir().unwrap();
    let file = study.results("experiment.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("# One file of several"), "{text}");
    let plan = out(&study.dpx(&["plan", "results/real/experiment.toml"]));
    let last = plan.lines().last().unwrap();
    assert!(last.contains(" 0 to run, 0 to re-run"), "{plan}");
    // A copy elsewhere, with another results folder, is the same study.
    std::fs::copy(study.results("report.html"), place.path().join("before")).unwrap();
    let when = |name: &str| {
        std::fs::metadata(study.results(name))
            .unwrap()
            .modified()
            .unwrap()
    };
    let before = when("results.json");
    let again = out(&study.dpx(&["run", "real.toml"]));
    assert_eq!(when("results.json"), before, "nothing was written anew");
    let table = |printed: &str| -> Vec<String> {
        printed
            .lines()
            .filter(|line| line.starts_with(" epsilon="))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(table(&again), table(&study.printed));
}

#[test]
fn a_paper_gets_its_table_its_figures_and_its_references() {
    let study = RealStudy::get();
    let table = out(&study.dpx(&["report", "real.toml", "--format", "latex"]));
    assert!(
        table.contains("\\toprule") && table.contains("\\pm"),
        "{table}"
    );
    let narrow = [
        "report",
        "real.toml",
        "--format",
        "latex",
        "--metrics",
        "accuracy,mauve",
    ];
    assert!(out(&study.dpx(&narrow)).contains("{lrrr}"));
    let wrong = study
        .command(&[
            "report",
            "real.toml",
            "--format",
            "long",
            "--metrics",
            "mauv",
        ])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(told.contains("did you mean `mauve`"), "{told}");
    for format in ["csv", "json", "html"] {
        let unheard = [
            "report",
            "real.toml",
            "--format",
            format,
            "--metrics",
            "mauve",
        ];
        let refused = study.command(&unheard).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{format}");
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            told.contains("`--metrics`") && told.contains("`--format long`"),
            "{told}"
        );
    }
    let label = [
        "report",
        "real.toml",
        "--format",
        "long",
        "--metrics",
        "f1.joy",
    ];
    let of_label = out(&study.dpx(&label));
    assert!(of_label.lines().count() > 1, "{of_label}");
    assert!(
        of_label
            .lines()
            .skip(1)
            .all(|line| line.contains(",f1.joy,")),
        "{of_label}"
    );
    let long = out(&study.dpx(&["report", "real.toml", "--format", "long"]));
    let header = long.lines().next().unwrap();
    assert_eq!(
        header,
        "row,epsilon,guarantee,epsilon_certified,delta,metric,replicate,value,low,high,ceiling"
    );
    let lines = long
        .lines()
        .filter(|line| line.starts_with("epsilon=8,") && line.contains(",accuracy,"));
    assert_eq!(lines.count(), 2, "one line per replicate");
    let references = out(&study.dpx(&["report", "real.toml", "--format", "bib"]));
    assert!(
        references.contains("@inproceedings{abadi2016deep"),
        "{references}"
    );
    study.dpx(&[
        "report",
        "real.toml",
        "--format",
        "figures",
        "--out",
        "paper",
    ]);
    let figures = study.folder().join("paper/figures");
    for name in [
        "utility-chart.svg",
        "utility-chart.pdf",
        "fidelity-chart.pdf",
    ] {
        assert!(figures.join(name).is_file(), "{name}");
    }
}

#[test]
fn real_texts_stand_beside_synthetic_ones_only_where_that_is_asked_for() {
    let study = RealStudy::get();
    study.dpx(&[
        "report",
        "real.toml",
        "--with-real-texts",
        "--out",
        "private",
    ]);
    let page = std::fs::read_to_string(study.folder().join("private/report.html")).unwrap();
    assert!(page.contains("nearest real text, cosine"));
    let page = std::fs::read_to_string(study.results("report.html")).unwrap();
    assert!(!page.contains("nearest real text, cosine"));
}

#[test]
fn what_never_ran_here_is_told() {
    let study = RealStudy::get();
    let wrong = |arguments: &[&str]| {
        let output = study.command(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let told = wrong(&["report", "real.toml", "--cache", "elsewhere"]);
    assert!(told.contains("there is no cache at `elsewhere`"), "{told}");
    let text = std::fs::read_to_string(study.folder().join("real.toml")).unwrap();
    let text = text.replace("name = \"real\"", "name = \"never\"\nseed = 77");
    std::fs::write(study.folder().join("never.toml"), text).unwrap();
    let told = wrong(&["compare", "real.toml", "never.toml"]);
    assert!(told.contains("`never.toml` has never run here"), "{told}");
    assert!(told.contains("dpx run never.toml"), "{told}");
}
