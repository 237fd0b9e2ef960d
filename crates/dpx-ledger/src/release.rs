//! A release and the ledger: what it costs on top of everything before, refused or entered before it becomes visible.

use crate::chain::Chain;
use crate::entry::{Entry, ReleaseEntry, RunEntry};
use crate::history::{Book, History};
use crate::joint::{adjacency, compose, compose_under, nothing};
use crate::people::check;
use crate::selection::{Candidate, Considered, Selection, apart, entries, lost, plain, selection};
use crate::{LedgerError, ledger};
use dpx_accounting::{Adjacency, Claim, EpsilonBound};
use dpx_schema::{Budget, Guarantee, PrivacyRecord};
use serde::Serialize;
use std::collections::BTreeSet;

/// What is to be released, with everything that its cost depends on.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct ReleaseRequest {
    pub experiment: String,
    /// What is released: names of `sample` instances, such as `sample@epsilon=3`; of a model alone that of its instance.
    pub rows: Vec<String>,
    /// Where a model is released alone: every set of texts of the study that is made with it. Those are no other choice than the
    /// model, and a choice that names some of them before it is trained names the model.
    pub made: BTreeSet<String>,
    /// Records of the private instances behind them.
    pub records: Vec<PrivacyRecord>,
    /// Every row that may be released and was scored on real data.
    pub candidates: Vec<Candidate>,
    /// Rows without a guarantee that were scored on real data.
    pub unprotected: Vec<String>,
    /// Runs whose results the cache holds, scored or not; of those without a guarantee, whose records name no run, the keys.
    /// Every other run of this experiment and these people may have been scored, and is a candidate. Nothing where no cache was
    /// asked.
    pub held: Option<BTreeSet<String>>,
    /// The delta of its claims, the same for all rows of the study.
    pub delta: f64,
    /// What releases of these people may spend together.
    pub budget: Option<Budget>,
}

impl ReleaseRequest {
    /// Adds rows that were scored and that the study no longer asks for.
    pub fn add_candidates(&mut self, candidates: Vec<Candidate>, unprotected: &[String]) {
        let runs = |candidate: &Candidate| -> BTreeSet<String> {
            let private = candidate.records.iter().filter_map(PrivacyRecord::private);
            private.map(|run| run.run.clone()).collect()
        };
        for mut more in candidates {
            let known = |known: &&Candidate| runs(known) == runs(&more);
            if self.candidates.iter().find(known).is_some() {
                continue;
            }
            (more.row, more.earlier) = apart(&plain(&more.row), |name| {
                self.rows.iter().any(|row| row == name)
                    || self.made.contains(name)
                    || self.candidates.iter().any(|known| known.row == name)
            });
            self.candidates.push(more);
        }
        let unprotected = unprotected.iter().map(|name| plain(name));
        self.unprotected.extend(unprotected);
        self.unprotected.sort();
        self.unprotected.dedup();
    }
}

/// An earlier release of the same people.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct PriorRelease {
    /// When it was entered, RFC 3339.
    pub date: String,
    pub experiment: String,
    /// Names of what was released, as in [`ReleaseRequest::rows`].
    pub rows: Vec<String>,
    /// Name of the folder, without its parents.
    pub folder: String,
    /// Its claim alone, the choice of rows included, at the delta of the release that is prepared; nothing where it used no
    /// private data.
    pub claim: Option<Claim>,
}

/// A release that may be written. The ledger stays locked until it is committed or dropped, so that two releases at once
/// know of each other.
pub struct PreparedRelease {
    chain: Chain,
    entry: ReleaseEntry,
    own: Guarantee,
    selection: Selection,
    prior: Vec<PriorRelease>,
    joint: Option<Claim>,
    ever_run: Option<Claim>,
    rebuilt: bool,
}

impl std::fmt::Debug for PreparedRelease {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("PreparedRelease")
            .field("entry", &self.entry)
            .finish_non_exhaustive()
    }
}

impl PreparedRelease {
    pub(crate) fn new(chain: Chain, request: &ReleaseRequest) -> Result<Self, LedgerError> {
        let history = History::new(&chain.state().entries, chain.state().torn);
        let folder = chain.folder();
        check(folder, chain.secret(), &history)?;
        let own_runs = entries(folder, &history, &request.records)?;
        let mut candidates = request
            .candidates
            .iter()
            .map(|candidate| {
                Ok(Considered {
                    row: candidate.row.clone(),
                    earlier: candidate.earlier.clone(),
                    runs: entries(folder, &history, &candidate.records)?,
                })
            })
            .collect::<Result<Vec<_>, LedgerError>>()?;
        let people: BTreeSet<String> = own_runs
            .iter()
            .chain(candidates.iter().flat_map(|other| &other.runs))
            .flat_map(|run| run.people.iter().cloned())
            .collect();
        let book = history.book(&people);
        let mut unprotected = request.unprotected.clone();
        forgotten(&book, request, &own_runs, &mut candidates, &mut unprotected);
        // One delta for everything that is said here: below one over the records of every data set in it.
        let released = book.released_runs();
        let delta = released
            .iter()
            .map(|run| run.delta)
            .fold(request.delta, f64::min);
        let considered = candidates.iter().flat_map(|other| &other.runs);
        let adjacency = adjacency(released.iter().chain(&own_runs).chain(considered).copied());
        let own = Guarantee::under(&request.records, delta, adjacency)?;
        match &own {
            Guarantee::NoPrivateData | Guarantee::Private(_) => {}
            Guarantee::Seeded(_) | Guarantee::None => {
                return Err(LedgerError::NotPrivate(
                    "what ran behind these texts has no guarantee that holds against whoever has the seed".to_owned(),
                ));
            }
        }
        let selection = selection(
            (&request.rows, &request.made),
            &own_runs,
            &candidates,
            &unprotected,
            (delta, adjacency),
        )?;
        let mut charged = own_runs.clone();
        if let Selection::Undeclared { .. } = selection {
            charged.extend(candidates.iter().flat_map(|other| &other.runs));
        }
        let prior = book
            .releases
            .iter()
            .map(|release| prior(&book, release, delta, adjacency))
            .collect::<Result<Vec<_>, LedgerError>>()?;
        let all = || released.iter().chain(&charged).copied();
        if let Some(budget) = request.budget {
            within(&budget, &book, &charged, &selection, all())?;
        }
        let joint = compose_under(all(), delta, adjacency)?;
        let alone = compose(charged.iter().copied(), delta)?;
        let ever_run = book.run(delta)?;
        let entry = ReleaseEntry {
            id: ledger::random()?,
            experiment: request.experiment.clone(),
            date: ledger::now(),
            rows: request.rows.clone(),
            folder: String::new(),
            content: String::new(),
            people: people.into_iter().collect(),
            runs: charged
                .iter()
                .map(|run| run.run.clone())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            delta,
            epsilon: alone.map_or(EpsilonBound::ZERO, |claim| claim.epsilon()),
        };
        Ok(Self {
            chain,
            entry,
            own,
            selection,
            prior,
            joint,
            ever_run,
            rebuilt: book.runs.iter().any(|run| run.adopted),
        })
    }

    /// The guarantee of the released rows alone, at [`PreparedRelease::delta`].
    pub const fn own(&self) -> &Guarantee {
        &self.own
    }

    /// How the rows were chosen, and what that costs.
    pub const fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Earlier releases of the same people, oldest first.
    pub fn prior(&self) -> &[PriorRelease] {
        &self.prior
    }

    /// The claim of everything that was ever released of these people, this release and every choice of rows included;
    /// nothing where no private data were used at all.
    pub const fn joint(&self) -> Option<&Claim> {
        self.joint.as_ref()
    }

    /// The claim of every run with a guarantee that was ever started on these people, whether or not it is released: an upper
    /// bound whatever was chosen among them.
    pub const fn ever_run(&self) -> Option<&Claim> {
        self.ever_run.as_ref()
    }

    /// The delta of all claims here: the least of the study's own and those of earlier releases.
    pub const fn delta(&self) -> f64 {
        self.entry.delta
    }

    /// Whether runs of these people were entered anew from a cache: releases before that are not known.
    pub const fn rebuilt(&self) -> bool {
        self.rebuilt
    }

    /// When the release is entered, RFC 3339.
    pub fn date(&self) -> &str {
        &self.entry.date
    }

    /// Enters the release. To be called once everything is written and just before the folder becomes visible: a crash before
    /// leaves nothing, one after it counts a release that nobody saw. `folder` is the name of the folder, `content` a digest of
    /// what is in it; both stay in the ledger.
    ///
    /// # Errors
    /// The ledger cannot be written: nothing may be released then.
    pub fn commit(mut self, folder: &str, content: &str) -> Result<(), LedgerError> {
        folder.clone_into(&mut self.entry.folder);
        content.clone_into(&mut self.entry.content);
        self.chain.append(vec![Entry::Release(self.entry)])
    }
}

/// Adds the runs of this experiment and these people of which nothing but the ledger knows: they may have been scored before
/// the cache forgot them, or in another cache.
fn forgotten<'a>(
    book: &'a Book,
    request: &ReleaseRequest,
    own: &[&'a RunEntry],
    candidates: &mut Vec<Considered<'a>>,
    unprotected: &mut Vec<String>,
) {
    let Some(held) = &request.held else {
        return;
    };
    let told: BTreeSet<&String> = own
        .iter()
        .chain(candidates.iter().flat_map(|other| &other.runs))
        .map(|run| &run.run)
        .collect();
    let runs = book.only_entered(&request.experiment, held, &told);
    let mut names: BTreeSet<String> = candidates.iter().map(|other| other.row.clone()).collect();
    let covered = |is_covered: bool| {
        let runs = runs.iter().copied();
        runs.filter(move |run| run.is_covered() == is_covered)
    };
    candidates.extend(lost(covered(true), &mut names));
    unprotected.extend(
        lost(covered(false), &mut names)
            .into_iter()
            .map(|other| other.row),
    );
}

fn prior(
    book: &Book,
    release: &ReleaseEntry,
    delta: f64,
    adjacency: Option<Adjacency>,
) -> Result<PriorRelease, LedgerError> {
    let runs = book.runs_of(release);
    Ok(PriorRelease {
        date: release.date.clone(),
        experiment: release.experiment.clone(),
        rows: release.rows.clone(),
        folder: release.folder.clone(),
        claim: compose_under(runs, delta, adjacency)?,
    })
}

/// Refuses what would exceed the budget.
fn within<'a>(
    budget: &Budget,
    book: &Book,
    charged: &[&RunEntry],
    selection: &Selection,
    all: impl Iterator<Item = &'a RunEntry>,
) -> Result<(), LedgerError> {
    let largest = book.data_sets.iter().map(|set| set.units).max();
    if let Some(records) = largest.filter(|&records| budget.delta * records as f64 >= 1.0) {
        return Err(LedgerError::BudgetDelta {
            budget: *budget,
            records,
        });
    }
    let Some(together) = compose(all, budget.delta)? else {
        return Ok(());
    };
    if together.epsilon().value() <= budget.epsilon {
        return Ok(());
    }
    let empty = nothing(&together)?;
    let or_nothing = |claim: Option<Claim>| Box::new(claim.unwrap_or_else(|| empty.clone()));
    Err(LedgerError::OverBudget {
        budget: *budget,
        before: or_nothing(book.released(budget.delta)?),
        alone: or_nothing(compose(charged.iter().copied(), budget.delta)?),
        together: Box::new(together),
        advice: match selection {
            Selection::Undeclared { .. } => {
                "this release is charged for every row that was scored, since one was chosen by its score: \
                 name the rows to release in `[privacy] selection` before they are trained, or raise the budget"
            }
            Selection::None { .. } | Selection::Declared { .. } => {
                "release fewer rows, or raise the budget"
            }
        },
    })
}
