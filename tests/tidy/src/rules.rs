//! `docs/privacy-rules.md`: each rule names the symbols that keep it and the tests that fail when it is broken.

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its number, from 1.
    pub number: usize,
    /// What keeps it.
    pub kept_in: Vec<Name>,
    /// What fails when it is broken.
    pub tests: Vec<Name>,
}

/// A symbol of a file: `path::symbol`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The file, from the top of the repository.
    pub path: String,
    /// What it defines. Empty where the document names no symbol.
    pub symbol: String,
}

/// The rules in a document: rows of tables with three cells of which the first begins with a number and a dot.
///
/// # Errors
/// When a row of that form has not three cells.
pub fn rules(document: &str) -> Result<Vec<Rule>, String> {
    let mut rules = Vec::new();
    for line in document.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line
            .trim()
            .trim_matches('|')
            .split(" | ")
            .map(str::trim)
            .collect();
        let number = cells[0]
            .split_once(". ")
            .and_then(|(number, _)| number.parse().ok());
        let Some(number) = number else { continue };
        let [_, kept_in, tests] = cells.as_slice() else {
            return Err(format!(
                "rule {number}: {} cells instead of three",
                cells.len()
            ));
        };
        rules.push(Rule {
            number,
            kept_in: names(kept_in),
            tests: names(tests),
        });
    }
    Ok(rules)
}

/// What stands in backticks and looks like a file, with or without a symbol.
fn names(cell: &str) -> Vec<Name> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .filter(|quoted| quoted.contains('/'))
        .map(|quoted| {
            let (path, symbol) = quoted.split_once("::").unwrap_or((quoted, ""));
            Name {
                path: path.to_owned(),
                symbol: symbol.to_owned(),
            }
        })
        .collect()
}

/// What is wrong with the rules, where `read` gives the text of a file. `lengths` are the numbers of rules that the table may have.
pub fn unresolved(
    rules: &[Rule],
    lengths: &[usize],
    read: &dyn Fn(&str) -> Option<String>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    if !lengths.contains(&rules.len()) {
        wrong.push(format!("{} rules instead of {lengths:?}", rules.len()));
    }
    for (place, rule) in rules.iter().enumerate() {
        let number = rule.number;
        if number != place + 1 {
            wrong.push(format!(
                "rule {number} stands in the place of rule {}",
                place + 1
            ));
        }
        for (what, names) in [("symbol", &rule.kept_in), ("test", &rule.tests)] {
            if names.is_empty() {
                wrong.push(format!("rule {number} names no {what}"));
            }
            for Name { path, symbol } in names {
                let found = match read(path) {
                    None => Err("there is no such file"),
                    Some(_) if symbol.is_empty() => Err("it names no symbol"),
                    Some(text) if what == "test" && !crate::symbols::is_test(&text, symbol) => {
                        Err("no test of that name")
                    }
                    Some(text) if !crate::symbols::defines(&text, symbol) => {
                        Err("the file does not define it")
                    }
                    Some(_) => Ok(()),
                };
                if let Err(why) = found {
                    wrong.push(format!("rule {number}: `{path}::{symbol}`: {why}"));
                }
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "| Rule | Kept in | Tests |\n|---|---|---|\n| 1. One | `src/a.rs::Real` (how) | `src/a.rs::works` |\n\
                            | 2. Two | `src/a.rs::Real` | `src/a.rs::works`, `src/a.rs::works` |\n";

    fn read(path: &str) -> Option<String> {
        let text =
            "pub use other::Passed;\npub struct Real;\nfn helper() {}\n#[test]\nfn works() {}\n";
        (path == "src/a.rs").then(|| text.to_owned())
    }

    #[test]
    fn what_is_named_must_be_defined_there() {
        let good = rules(DOCUMENT).unwrap();
        assert_eq!(good.len(), 2);
        assert_eq!(unresolved(&good, &[2], &read), Vec::<String>::new());
        let broken = [
            (
                "`src/a.rs::Real` (how)",
                "`src/a.rs::Passed`",
                "does not define",
            ),
            ("`src/a.rs::Real` (how)", "`src/a.rs`", "names no symbol"),
            ("`src/a.rs::Real` (how)", "`src/b.rs::Real`", "no such file"),
            ("`src/a.rs::Real` (how)", "somewhere", "names no symbol"),
            (
                "(how) | `src/a.rs::works`",
                "(how) | `src/a.rs::helper`",
                "no test",
            ),
            ("(how) | `src/a.rs::works`", "(how) | none", "names no test"),
            ("| 2. ", "| 3. ", "in the place of rule 2"),
        ];
        for (from, to, why) in broken {
            let changed = rules(&DOCUMENT.replace(from, to)).unwrap();
            let wrong = unresolved(&changed, &[2], &read);
            assert!(
                wrong.len() == 1 && wrong[0].contains(why),
                "{to}: {wrong:?}"
            );
        }
        assert_eq!(unresolved(&good, &[45, 62], &read).len(), 1);
        assert!(rules("| 1. One | `a/b` |\n").is_err());
    }
}
