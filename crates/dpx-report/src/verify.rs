//! `dpx verify`: a release checked with nothing but its folder.
//!
//! Whoever publishes a release states what ran; everything else in the folder follows from that, and is computed again
//! here: checksums, epsilon by all accountants, composition with earlier releases, groups, every word of the two pages, and
//! the texts in each format against one another. Nothing in the folder is trusted: names are checked before they are
//! opened, sizes before they are read.

mod claims;
mod content;
mod folder;
mod mechanism;
mod recheck;
mod runs;
mod schema;
mod size;

use super::release::{STATEMENT_FILE, Statement};
use serde::Serialize;
use std::fmt::Display;
use std::io;
use std::path::Path;

/// The points, in the order in which they are checked.
pub(crate) const POINTS: [&str; 11] = [
    "folder",
    "checksums",
    "schema",
    "files",
    "claim",
    "composition",
    "groups",
    "PRIVACY.md",
    "README.md",
    "texts",
    "models",
];

/// One point, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Which of [`POINTS`] was checked.
    pub point: &'static str,
    /// Whether it could be checked at all: much follows from the statement, and without it nothing does.
    pub checked: bool,
    /// What is wrong; nothing where the point holds.
    pub failures: Vec<String>,
}

/// What checking a release found.
#[derive(Debug, Clone, PartialEq)]
pub struct Verification {
    /// One for each of [`POINTS`], in their order.
    pub checks: Vec<Check>,
    /// The statement, where it could be read.
    pub statement: Option<Statement>,
}

impl Verification {
    /// Whether everything was checked and nothing is wrong.
    pub fn holds(&self) -> bool {
        self.checks
            .iter()
            .all(|check| check.checked && check.failures.is_empty())
    }
}

/// What is wrong with a point.
#[derive(Debug, Default)]
struct Failures(Vec<String>);

impl Failures {
    fn add(&mut self, failure: impl Into<String>) {
        self.0.push(failure.into());
    }

    fn unless(&mut self, holds: bool, failure: impl FnOnce() -> String) {
        if !holds {
            self.0.push(failure());
        }
    }

    fn of<E: Display>(&mut self, what: &str, result: Result<(), E>) {
        if let Err(error) = result {
            self.0.push(format!("{what}: {error}"));
        }
    }
}

/// Checks a release.
///
/// # Errors
/// The folder cannot be read at all.
pub fn verify(root: &Path) -> io::Result<Verification> {
    let mut checks = Vec::new();
    let mut failures = Failures::default();
    let there = folder::walk(root, &mut failures)?;
    let mut done = |point: &'static str, failures: Failures| {
        checks.push(Check {
            point,
            checked: true,
            failures: failures.0,
        });
    };
    done("folder", failures);
    let mut failures = Failures::default();
    folder::checksums(root, &there, &mut failures);
    done("checksums", failures);
    let mut failures = Failures::default();
    let statement = schema::read(&root.join(STATEMENT_FILE), &mut failures);
    done("schema", failures);
    if let Some(statement) = &statement {
        let recheck = recheck::Recheck::new(statement);
        type Point<'a> = (&'static str, Box<dyn FnOnce(&mut Failures) + 'a>);
        let points: [Point<'_>; 8] = [
            (
                "files",
                Box::new(|failures| folder::files(&there, statement, failures)),
            ),
            (
                "claim",
                Box::new(|failures| {
                    claims::claim(statement, &recheck, failures);
                    mechanism::runs(statement, failures);
                }),
            ),
            (
                "composition",
                Box::new(|failures| claims::composition(statement, &recheck, failures)),
            ),
            (
                "groups",
                Box::new(|failures| claims::groups(statement, &recheck, failures)),
            ),
            (
                "PRIVACY.md",
                Box::new(|failures| content::officer(root, statement, failures)),
            ),
            (
                "README.md",
                Box::new(|failures| content::card(root, statement, failures)),
            ),
            (
                "texts",
                Box::new(|failures| content::texts(root, statement, failures)),
            ),
            (
                "models",
                Box::new(|failures| content::models(root, statement, failures)),
            ),
        ];
        for (point, check) in points {
            let mut failures = Failures::default();
            check(&mut failures);
            done(point, failures);
        }
    } else {
        let open = POINTS.iter().skip(checks.len());
        let unchecked: Vec<Check> = open
            .map(|point| Check {
                point,
                checked: false,
                failures: Vec::new(),
            })
            .collect();
        checks.extend(unchecked);
    }
    Ok(Verification { checks, statement })
}

#[cfg(test)]
mod tests;
