//! What the rows of a study were compared with beside one another: rows that its file no longer asks for, and runs of which only the
//! ledger knows. A release is charged for both, and so is its forecast.

use crate::StudyError;
use crate::scored;
use dpx_accounting::Claim;
use dpx_engine::cache::Cache;
use dpx_engine::plan::Plan;
use dpx_ledger::{Choice, Considered, Ledger, LedgerError, RunEntry, apart, choice, lost};
use dpx_schema::{PrivacyRecord, counted};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Most names that a sentence lists.
const MOST_NAMES: usize = 4;

/// Candidates of a choice that are not in the plan, each with the runs behind it.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// Rows that the cache knows to have been scored and that the file no longer asks for.
    rows: Vec<Other>,
    /// Runs that only the ledger knows.
    lost: Vec<Other>,
    /// Runs without a guarantee that only the ledger knows.
    unprotected: Vec<String>,
    /// Runs that only the ledger knows and that protect another unit: nothing composes them with those of this study.
    other_unit: Vec<String>,
}

/// A candidate, with the runs behind it as the ledger has them.
#[derive(Debug)]
struct Other {
    row: String,
    /// See [`Considered::earlier`].
    earlier: Option<String>,
    runs: Vec<RunEntry>,
}

impl Others {
    /// Looks for them in a cache and a ledger; `people` are the data sets of everybody in the study, `planned` its own runs.
    pub(super) fn find(
        ledger: &Ledger,
        cache: &Cache,
        (plan, people): (&Plan, &BTreeSet<String>),
        planned: &[&RunEntry],
    ) -> Result<Self, StudyError> {
        let scored = scored::scored(ledger, cache, &plan.experiment, people)?;
        let book = ledger.history()?.book(people);
        let mut told: BTreeSet<&String> = planned.iter().map(|run| &run.run).collect();
        let mut names: BTreeSet<String> = plan
            .instances
            .iter()
            .map(|instance| instance.name.to_string())
            .collect();
        let mut others = Self::default();
        for candidate in &scored.covered {
            let done = candidate.records.iter().filter_map(PrivacyRecord::private);
            let done: BTreeSet<&String> = done.map(|run| &run.run).collect();
            if done.is_subset(&told) {
                continue;
            }
            // Of what the ledger does not know a release is refused, which tells of it then.
            let entries = book.runs.iter().filter(|run| done.contains(&run.run));
            let runs = entries.filter(|run| fits(run, planned)).cloned().collect();
            let (row, earlier) = apart(&candidate.row, |name| names.contains(name));
            names.insert(row.clone());
            others.rows.push(Other { row, earlier, runs });
        }
        let in_rows = others.rows.iter().flat_map(|other| &other.runs);
        told.extend(in_rows.map(|run| &run.run));
        let alone = book.only_entered(&plan.experiment, &scored.held, &told);
        let (mut charged, mut unprotected, mut other_unit) = (Vec::new(), Vec::new(), Vec::new());
        for Considered { row, earlier, runs } in lost(alone.into_iter(), &mut names) {
            if runs.iter().any(|run| !run.is_covered()) {
                unprotected.push(row);
            } else if runs.iter().all(|run| fits(run, planned)) {
                let runs = runs.into_iter().cloned().collect();
                charged.push(Other { row, earlier, runs });
            } else {
                other_unit.push(row);
            }
        }
        charged.sort_by(|one, other| one.row.cmp(&other.row));
        Ok(Self {
            lost: charged,
            unprotected,
            other_unit,
            ..others
        })
    }

    /// The candidates, as a choice takes them.
    pub(super) fn candidates(&self) -> Vec<Considered<'_>> {
        let all = self.rows.iter().chain(&self.lost);
        all.map(|other| Considered {
            row: other.row.clone(),
            earlier: other.earlier.clone(),
            runs: other.runs.iter().collect(),
        })
        .collect()
    }
}

/// Whether a run composes with those of a study.
fn fits(run: &RunEntry, planned: &[&RunEntry]) -> bool {
    let mut covered = planned.iter().filter(|planned| planned.is_covered());
    covered.all(|planned| {
        let (one, other) = (&run.unit_column, &planned.unit_column);
        run.unit == planned.unit && (one.is_none() || other.is_none() || one == other)
    })
}

/// The runs that a release of some rows composes: those behind them and, where the choice among the candidates has to be paid
/// for, those of the candidates. The second is true where it has.
pub(super) fn charged<'a>(
    rows: &[String],
    own: &[&'a RunEntry],
    candidates: &[Considered<'a>],
) -> (Vec<&'a RunEntry>, bool) {
    let mut all = own.to_vec();
    match choice((rows, &BTreeSet::new()), own, candidates) {
        Choice::None | Choice::Declared => (all, false),
        Choice::Undeclared(others) => {
            all.extend(others);
            (all, true)
        }
    }
}

/// What [`Others`] cost, for people and programs.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Rows that the file no longer asks for, and everything released before with all of them.
    pub(super) rows: Option<Group>,
    /// Likewise runs that only the ledger knows.
    pub(super) lost: Option<Group>,
    unprotected: Vec<String>,
    other_unit: Vec<String>,
}

/// Candidates with the claim of all of them on top of what was released.
#[derive(Debug)]
pub(super) struct Group {
    names: Vec<String>,
    pub(super) claim: Option<Claim>,
}

impl Group {
    pub(super) fn len(&self) -> u64 {
        self.names.len() as u64
    }

    fn json(&self) -> Value {
        json!({ "names": self.names, "claim": self.claim })
    }
}

impl Told {
    pub(super) fn new(
        others: Others,
        with: impl Fn(&[&RunEntry]) -> Result<Option<Claim>, LedgerError>,
    ) -> Result<Self, LedgerError> {
        let group = |candidates: &[Other]| {
            if candidates.is_empty() {
                return Ok(None);
            }
            let runs: Vec<&RunEntry> = candidates.iter().flat_map(|other| &other.runs).collect();
            Ok::<_, LedgerError>(Some(Group {
                names: candidates.iter().map(|other| other.row.clone()).collect(),
                claim: with(&runs)?,
            }))
        };
        Ok(Self {
            rows: group(&others.rows)?,
            lost: group(&others.lost)?,
            unprotected: others.unprotected,
            other_unit: others.other_unit,
        })
    }

    /// What a reader of the figures has to know.
    pub(super) fn sentences(&self) -> String {
        let mut text = String::new();
        if let Some(rows) = &self.rows {
            let _ = writeln!(
                text,
                "The file no longer asks for {} that were scored ({}): a release counts them as candidates, and the lines above include \
                 them where it does.",
                counted(rows.len(), "row"),
                list(&rows.names)
            );
        }
        if let Some(lost) = &self.lost {
            let _ = writeln!(
                text,
                "Only the ledger knows {} of this study ({}): nobody can say whether they were scored, so that a release counts them as \
                 candidates, and the lines above include them where it does.",
                counted(lost.len(), "run"),
                list(&lost.names)
            );
        }
        if !self.unprotected.is_empty() {
            let _ = writeln!(
                text,
                "Only the ledger knows {} without a guarantee ({}): no line covers a choice that looked at their scores.",
                counted(self.unprotected.len() as u64, "run"),
                list(&self.unprotected)
            );
        }
        if !self.other_unit.is_empty() {
            let _ = writeln!(
                text,
                "Only the ledger knows {} that protect another unit ({}): no line includes them, and a release that would have to \
                 is refused.",
                counted(self.other_unit.len() as u64, "run"),
                list(&self.other_unit)
            );
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "no_longer_asked_for": self.rows.as_ref().map(Group::json),
            "only_in_ledger": self.lost.as_ref().map(Group::json),
            "only_in_ledger_without_guarantee": self.unprotected,
            "only_in_ledger_of_another_unit": self.other_unit,
        })
    }
}

fn list(names: &[String]) -> String {
    let shown = names.iter().take(MOST_NAMES).cloned();
    let mut shown: Vec<String> = shown.collect();
    if names.len() > MOST_NAMES {
        shown.push(format!("{} more", names.len() - MOST_NAMES));
    }
    shown.join(", ")
}
