//! Tables of injected faults name tests that exist.

use dpx_tidy::symbols;
use dpx_tidy::workspace::{File, files, root};

/// The tests that a table of faults names: the lines of its rows that are a string alone.
fn named(table: &str) -> Vec<&str> {
    table
        .lines()
        .filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\","))
        .collect()
}

#[test]
fn every_test_that_a_fault_table_names_exists() {
    let sources = files(&root(), &[".rs"]);
    let tables: Vec<&File> = sources
        .iter()
        .filter(|file| file.path.ends_with("/fault_table.rs"))
        .collect();
    assert!(tables.len() > 1, "only {} tables were found", tables.len());
    let mut wrong = Vec::new();
    for table in tables {
        let folder = table.path.trim_end_matches("fault_table.rs");
        let names = named(&table.text);
        assert!(names.len() > 1, "{}: read {names:?}", table.path);
        for name in names {
            let mut own = sources.iter().filter(|file| file.path.starts_with(folder));
            if !own.any(|file| symbols::is_test(&file.text, name)) {
                wrong.push(format!("{}: `{name}` is no test", table.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_check_sees() {
    let table = "    (\n        Fault::NoClip,\n        \"sums_are_bounded\",\n        tests::bounded,\n    ),\n";
    assert_eq!(named(table), ["sums_are_bounded"]);
}
