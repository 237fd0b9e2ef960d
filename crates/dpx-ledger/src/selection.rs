//! What choosing among rows costs: whoever takes the best of several by a figure on real data has learned from all of them.

use crate::entry::alike;
use crate::history::History;
use crate::joint::compose_under;
use crate::{LedgerError, RunEntry};
use dpx_accounting::{Adjacency, Claim, DpEvent};
use dpx_schema::PrivacyRecord;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// A row that could have been released.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its name, as in [`ReleaseRequest::rows`](crate::ReleaseRequest::rows).
    pub row: String,
    /// The name that it had when it ran, where another run has that name now.
    pub earlier: Option<String>,
    /// Records of the private instances behind it.
    pub records: Vec<PrivacyRecord>,
}

/// A [`Candidate`] with what the ledger knows of it.
#[derive(Debug, Clone)]
pub struct Considered<'a> {
    /// See [`Candidate::row`].
    pub row: String,
    /// See [`Candidate::earlier`].
    pub earlier: Option<String>,
    /// The private runs behind it.
    pub runs: Vec<&'a RunEntry>,
}

/// The name of something that the study no longer asks for, as it may stand in a release: a value with a path in it tells of the
/// publisher, and the stage alone is named.
pub(crate) fn plain(name: &str) -> String {
    match name.split_once('@') {
        Some((stage, values)) if values.contains(['/', '\\']) => stage.to_owned(),
        _ => name.to_owned(),
    }
}

/// The name of a candidate beside others, and its own where that is taken: a row of one name that ran anew is another row.
pub fn apart(name: &str, is_taken: impl Fn(&str) -> bool) -> (String, Option<String>) {
    if !is_taken(name) {
        return (name.to_owned(), None);
    }
    let mut number = 1;
    loop {
        let other = format!("{name} (earlier {number})");
        if !is_taken(&other) {
            return (other, Some(name.to_owned()));
        }
        number += 1;
    }
}

/// Names runs that [`Book::only_entered`](crate::Book::only_entered) found as candidates: nobody knows whether they were scored,
/// so they count as if they were. `names` are taken, and are added to.
pub fn lost<'a>(
    runs: impl Iterator<Item = &'a RunEntry>,
    names: &mut BTreeSet<String>,
) -> Vec<Considered<'a>> {
    let mut found = Vec::new();
    for run in runs {
        let instance = plain(&run.instance);
        let mut name = format!("{instance} (not in the cache)");
        let mut number = 1;
        while !names.insert(name.clone()) {
            number += 1;
            name = format!("{instance} (not in the cache, {number})");
        }
        found.push(Considered {
            row: name,
            earlier: None,
            runs: vec![run],
        });
    }
    found
}

/// How the released rows were chosen, and what that costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Selection {
    /// There was nothing to choose among rows under a guarantee: every one that was scored on real data is released, or costs
    /// nothing.
    None {
        /// Rows without a guarantee that were scored as well: a choice that looked at them is not covered.
        unprotected: Vec<String>,
    },
    /// The released rows were named in `[privacy] selection` before any run behind them or the other candidates began, and
    /// none of them ran twice.
    Declared {
        /// The rows that were named, released or not.
        rows: Vec<String>,
    },
    /// Chosen when all candidates had been scored on real data.
    Undeclared {
        /// Every row that was scored, the released ones among them.
        candidates: Vec<String>,
        /// The claim of all of them together.
        claim: Claim,
        /// Rows without a guarantee that were scored as well: a choice that looked at them is not covered.
        unprotected: Vec<String>,
    },
}

impl fmt::Display for Selection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None { unprotected } if unprotected.is_empty() => {
                formatter.write_str("no choice among rows was made by their scores on real data")
            }
            Self::None { unprotected } => write!(
                formatter,
                "no other row under a guarantee was scored on real data; rows without one were ({}), and a choice that looked at \
                 their scores is not covered",
                unprotected.join("; ")
            ),
            Self::Declared { rows } => write!(
                formatter,
                "the rows to release ({}) were named before any of them was trained",
                rows.join("; ")
            ),
            Self::Undeclared {
                candidates,
                claim,
                unprotected,
            } => {
                write!(
                    formatter,
                    "chosen among {} rows that were scored on real data ({}); with that choice the guarantee is {claim:.4}",
                    candidates.len(),
                    candidates.join("; ")
                )?;
                if unprotected.is_empty() {
                    return Ok(());
                }
                write!(
                    formatter,
                    ", provided that the choice did not look at the scores of rows without a guarantee ({})",
                    unprotected.join("; ")
                )
            }
        }
    }
}

/// Whether releasing some rows of several is a choice that has to be paid for.
#[derive(Debug, Clone, PartialEq)]
pub enum Choice<'a> {
    /// Nothing but the released rows was scored under a guarantee.
    None,
    /// Every run behind the released rows and behind the candidates named these rows when it began.
    Declared,
    /// Chosen when all had been scored: the runs behind the candidates, which are charged beside those of the released rows.
    Undeclared(Vec<&'a RunEntry>),
}

/// How rows were chosen, given the runs behind them (`own`) and behind each candidate. Of a model that is released alone, the
/// rows that are made with it are given too (`made`).
pub fn choice<'a>(
    (rows, made): (&[String], &BTreeSet<String>),
    own: &[&'a RunEntry],
    candidates: &[Considered<'a>],
) -> Choice<'a> {
    let identities: BTreeSet<&String> = own.iter().map(|run| &run.run).collect();
    let is_new = |run: &&RunEntry| !identities.contains(&run.run);
    let is_choice = candidates
        .iter()
        .filter(|other| !rows.contains(&other.row) && !made.contains(&other.row))
        .any(|other| other.runs.iter().any(is_new));
    if !is_choice {
        return Choice::None;
    }
    // Those behind the scores of the released model's own texts as well: they were compared with the others.
    let others: Vec<&RunEntry> = candidates
        .iter()
        .flat_map(|other| other.runs.iter().copied())
        .filter(is_new)
        .collect();
    let wanted: BTreeSet<&String> = rows.iter().collect();
    let names = |run: &RunEntry| {
        let named: BTreeSet<&String> = run.selection.iter().collect();
        named == wanted || (!named.is_empty() && named.iter().all(|row| made.contains(*row)))
    };
    // A declaration names a row, not one of several runs of it: which of these is released was not said before.
    let is_released = |name: &String| rows.contains(name) || made.contains(name);
    let ran_again = candidates
        .iter()
        .any(|other| other.earlier.as_ref().is_some_and(is_released))
        || others
            .iter()
            .any(|other| own.iter().any(|run| run.instance == other.instance));
    // What counts is what each run said when it began: a declaration that came later names what is known to be best.
    let declared = own
        .iter()
        .chain(&others)
        .all(|run| !run.adopted && names(run));
    if declared && !ran_again {
        Choice::Declared
    } else {
        Choice::Undeclared(others)
    }
}

/// What the choice costs; see [`choice`].
pub(crate) fn selection(
    (rows, made): (&[String], &BTreeSet<String>),
    own: &[&RunEntry],
    candidates: &[Considered<'_>],
    unprotected: &[String],
    (delta, adjacency): (f64, Option<Adjacency>),
) -> Result<Selection, LedgerError> {
    let none = || Selection::None {
        unprotected: unprotected.to_vec(),
    };
    let others = match choice((rows, made), own, candidates) {
        Choice::None => return Ok(none()),
        Choice::Declared => {
            return Ok(Selection::Declared {
                rows: rows.to_vec(),
            });
        }
        Choice::Undeclared(others) => others,
    };
    let all = own.iter().chain(&others).copied();
    let Some(claim) = compose_under(all, delta, adjacency)? else {
        return Ok(none());
    };
    let mut names: BTreeSet<String> = rows.iter().cloned().collect();
    let others = candidates.iter().map(|other| &other.row);
    names.extend(others.filter(|row| !made.contains(*row)).cloned());
    Ok(Selection::Undeclared {
        candidates: names.into_iter().collect(),
        claim,
        unprotected: unprotected.to_vec(),
    })
}

/// The entries of the private runs among `records`; each must be in the ledger, and say what the record says.
pub(crate) fn entries<'a>(
    folder: &std::path::Path,
    history: &'a History,
    records: &[PrivacyRecord],
) -> Result<Vec<&'a RunEntry>, LedgerError> {
    let mut found: Vec<&RunEntry> = Vec::new();
    for run in records.iter().filter_map(PrivacyRecord::private) {
        let known: Vec<&RunEntry> = history
            .runs()
            .iter()
            .filter(|entry| entry.run == run.run)
            .collect();
        if known.is_empty() {
            return Err(LedgerError::NoEntry {
                folder: folder.to_owned(),
                instance: run.instance.to_string(),
                run: run.run.clone(),
            });
        }
        let agrees = |entry: &&&RunEntry| {
            // A mechanism that drew nothing did less than was entered.
            (alike(&entry.event, &run.event) || run.event == DpEvent::composed([]))
                && entry.adjacency == run.adjacency
                && entry.unit == run.unit
                && entry.noise == run.noise
        };
        if !known.iter().any(|entry| agrees(&entry)) {
            return Err(LedgerError::Disagrees {
                folder: folder.to_owned(),
                instance: run.instance.to_string(),
                run: run.run.clone(),
            });
        }
        for entry in known {
            if !found.iter().any(|other| std::ptr::eq(*other, entry)) {
                found.push(entry);
            }
        }
    }
    Ok(found)
}
