//! Files with very many mistakes, very long names, and sources that cannot be read twice.

use super::suggest::MOST_SHOWN;
use super::*;
use std::fmt::Write;

const HEAD: &str = "[experiment]\nname = \"study\"\n\n";
const DATA: &str = "[stage.preprocess]\nkind = \"preprocess\"\ndataset = \"builtin:emotions\"\n";

fn loaded(text: &str) -> Loaded {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("study.toml");
    std::fs::write(&file, text).unwrap();
    load(&file, &[])
}

fn messages(loaded: &Loaded) -> Vec<&str> {
    let diagnostics = loaded.diagnostics.iter();
    diagnostics.map(|one| one.message.as_str()).collect()
}

#[test]
fn the_first_hundred_mistakes_are_shown_and_the_rest_is_counted() {
    let mut text = format!("{HEAD}{DATA}");
    for index in 0..250 {
        let _ = writeln!(text, "prompd_{index} = {index}");
    }
    let loaded = loaded(&text);
    assert_eq!(loaded.diagnostics.len(), 250);
    let helped = loaded.diagnostics.iter().filter(|one| !one.help.is_empty());
    assert_eq!(helped.count(), MOST_SHOWN);
    let shown = render(&loaded.diagnostics, &loaded.files);
    assert_eq!(shown.matches("unknown key").count(), MOST_SHOWN);
    assert!(
        shown.contains("and 150 more") && shown.ends_with("250 errors"),
        "{shown}"
    );
}

/// Rule 60: also where a delta is that of an axis, or is left to the number of records beside one that is stated.
#[test]
fn deltas_that_may_differ_behind_one_set_of_texts_are_refused() {
    let study = |train: &str, teacher: &str, sample: &str| {
        format!(
            "{HEAD}[sweep]\nd = [1e-6, 1e-7]\ne = [1e-6, 1e-7]\none = [1e-7]\n{DATA}\
             [stage.train]\nkind = \"train\"\nneeds = [\"preprocess\"]\nmodel = \"builtin:base\"\nepsilon = 8\n{train}\n\
             [stage.teacher]\nkind = \"teacher\"\nneeds = [\"preprocess\"]\nepsilon = 8\n{teacher}\n\
             [stage.sample]\nkind = \"sample\"\nneeds = [{sample}]\n"
        )
    };
    let both = "\"train\", \"teacher\"";
    for (train, teacher, expected) in [
        (
            "delta = \"$d\"",
            "delta = 1e-7",
            Some("`teacher` has delta 1e-7, but `train` behind the same texts has 1e-6 or 1e-7"),
        ),
        ("delta = \"$d\"", "delta = \"$e\"", Some("1e-6 or 1e-7")),
        (
            "delta = 1e-7",
            "delta = \"auto\"",
            Some("has delta \"auto\", but"),
        ),
        ("", "delta = 1e-7", Some("has \"auto\"")),
        ("delta = \"$d\"", "delta = \"$d\"", None),
        ("delta = \"$one\"", "delta = 1e-7", None),
        ("delta = \"auto\"", "", None),
    ] {
        let loaded = loaded(&study(train, teacher, both));
        let told = messages(&loaded);
        let mixed: Vec<&&str> = told
            .iter()
            .filter(|one| one.contains("behind the same texts"))
            .collect();
        match expected {
            Some(part) => assert!(
                mixed.len() == 1 && mixed[0].contains(part),
                "{train} {teacher}: {told:?}"
            ),
            None => assert!(mixed.is_empty(), "{train} {teacher}: {told:?}"),
        }
    }
    let apart = loaded(&study("delta = 1e-6", "delta = 1e-7", "\"train\""));
    assert!(
        messages(&apart)
            .iter()
            .all(|one| !one.contains("behind the same texts"))
    );
}

#[test]
fn an_axis_with_a_million_values_is_one_mistake() {
    let mut text = format!("{HEAD}[sweep]\nreplicate = [");
    for index in 0..1_000_000 {
        let _ = write!(text, "{index},");
    }
    let loaded = loaded(&format!("{text}]\n{DATA}"));
    let told = messages(&loaded);
    assert!(
        told.iter()
            .any(|one| one.contains("1000000 values: more than 20000")),
        "{told:?}"
    );
    assert!(told.len() < 3, "{told:?}");
}

#[test]
fn what_is_no_experiment_file_is_not_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("long.toml");
    std::fs::write(&long, vec![0; 17 << 20]).unwrap();
    let mut paths = vec![long];
    if cfg!(unix) {
        paths.push("/dev/zero".into());
    }
    for path in paths {
        let found = load(&path, &[]);
        let told = messages(&found);
        assert!(told[0].contains("is it another file?"), "{told:?}");
    }
}

#[test]
fn labels_values_and_needs_that_stand_twice_name_the_first_place() {
    let twice = loaded(&format!(
        "{HEAD}[sweep]\nepsilon = [1, 2.0, 2]\n\n{DATA}labels = [\"a\", \"b\", \"a\"]\n\
         [stage.train]\nkind = \"train\"\nneeds = [\"preprocess\", \"preprocess\"]\nmodel = \"builtin:base\"\nepsilon = \"$epsilon\"\n"
    ));
    let told = messages(&twice);
    for part in ["the value 2 twice", "`preprocess` is among the needs twice"] {
        assert!(
            told.iter().any(|one| one.contains(part)),
            "{part}: {told:?}"
        );
    }
    for diagnostic in &twice.diagnostics {
        if let Some(first) = diagnostic.context.first() {
            let own = diagnostic.primary.as_ref().unwrap();
            assert!(first.origin < own.origin, "{diagnostic:?}");
        }
    }
    let labels = loaded(&format!(
        "{HEAD}{DATA}labels = [\"a\", \"b\", \"a\", \"a\"]\n"
    ));
    let told = messages(&labels);
    let doubled = told.iter().filter(|one| one.contains("declared twice"));
    assert_eq!(doubled.count(), 2, "{told:?}");
}

#[test]
fn names_that_no_file_system_takes_are_refused() {
    let long = "n".repeat(300);
    let name = loaded(&format!("[experiment]\nname = \"{long}\"\n{DATA}"));
    assert!(
        messages(&name)[0].contains("300 bytes"),
        "{:?}",
        messages(&name)
    );
    let stage = loaded(&format!(
        "{HEAD}[stage.{long}]\nkind = \"preprocess\"\ndataset = \"builtin:emotions\"\n"
    ));
    assert!(
        messages(&stage)[0].contains("longest name"),
        "{:?}",
        messages(&stage)
    );
    let value = loaded(&format!(
        "{HEAD}[sweep]\nprompt = [\"{{label}}: {{text}}\", \"{long} {{label}}: {{text}}\"]\n{DATA}prompt = \"$prompt\"\n"
    ));
    let told = messages(&value);
    assert!(
        told.iter().any(|one| one.contains("longest name")),
        "{told:?}"
    );
    let fine = loaded(&format!(
        "[experiment]\nname = \"{}\"\n{DATA}",
        "n".repeat(200)
    ));
    assert!(fine.experiment.is_some(), "{:?}", messages(&fine));
}

#[cfg(unix)]
#[test]
fn what_gives_its_content_only_once_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.csv");
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(made.success());
    for (source, what) in [
        (pipe.display().to_string(), "a pipe"),
        ("/dev/stdin".to_owned(), "a device"),
        ("/dev/zero".to_owned(), "a device"),
    ] {
        let text = format!(
            "{HEAD}[stage.preprocess]\nkind = \"preprocess\"\ndataset = \"{source}\"\nlabels = [\"a\", \"b\"]\n"
        );
        let found = loaded(&text);
        let told = messages(&found);
        assert!(
            told.iter().any(|one| one.contains(what)),
            "{source}: {told:?}"
        );
    }
    let mut digest = |_: &std::path::Path| panic!("it must not be opened");
    let told = |error: crate::plan::SourceError| error.to_string();
    let inside = crate::plan::content_identity(folder.path(), &mut digest).map_err(told);
    assert!(
        inside
            .as_ref()
            .is_err_and(|error| error.contains("pipe.csv")),
        "{inside:?}"
    );
    std::fs::remove_file(&pipe).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("link.csv")).unwrap();
    let dangling = crate::plan::content_identity(folder.path(), &mut digest).map_err(told);
    assert!(
        dangling
            .as_ref()
            .is_err_and(|error| error.contains("link.csv") && error.contains("leads to no file")),
        "{dangling:?}"
    );
}
