//! What a ledger says: its books, one per group of people.

use crate::LedgerError;
use crate::entry::{DataSet, Entry, Protected, ReleaseEntry, RunEntry};
use crate::joint::compose;
use dpx_accounting::Claim;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that a ledger says, verified.
#[derive(Debug, Clone, Default)]
pub struct History {
    data_sets: Vec<DataSet>,
    /// Data sets by keyed digest of the file of training texts that was made from them.
    artifacts: BTreeMap<String, BTreeSet<String>>,
    runs: Vec<RunEntry>,
    releases: Vec<ReleaseEntry>,
    torn: usize,
    entries: usize,
}

/// What one group of people has spent.
#[derive(Debug, Clone)]
pub struct Book {
    /// The identity of its first data set.
    pub id: String,
    /// The data sets that are one account.
    pub data_sets: Vec<DataSet>,
    /// Runs that were started, oldest first.
    pub runs: Vec<RunEntry>,
    /// Oldest first.
    pub releases: Vec<ReleaseEntry>,
}

impl History {
    pub(crate) fn new(entries: &[Entry], torn: usize) -> Self {
        let mut history = Self {
            torn,
            entries: entries.len(),
            ..Self::default()
        };
        for entry in entries {
            match entry.clone() {
                Entry::DataSet(set) => history.data_sets.push(set),
                Entry::Artifact { artifact, people } => {
                    history
                        .artifacts
                        .entry(artifact)
                        .or_default()
                        .insert(people);
                }
                Entry::Run(run) => history.runs.push(run),
                Entry::Release(release) => history.releases.push(release),
            }
        }
        history
    }

    /// The data sets, in the order in which they were first seen.
    pub fn data_sets(&self) -> &[DataSet] {
        &self.data_sets
    }

    /// All runs of the ledger, of whatever people, oldest first.
    pub fn runs(&self) -> &[RunEntry] {
        &self.runs
    }

    /// All releases of the ledger, of whatever people, oldest first.
    pub fn releases(&self) -> &[ReleaseEntry] {
        &self.releases
    }

    /// Length of the chain: data sets, runs, ends and releases together.
    pub const fn entries(&self) -> usize {
        self.entries
    }

    /// Bytes that an append left that died before it counted; the next append cuts them off.
    pub const fn torn(&self) -> usize {
        self.torn
    }

    pub(crate) fn of_artifact(&self, artifact: &str) -> BTreeSet<String> {
        self.artifacts.get(artifact).cloned().unwrap_or_default()
    }

    /// The group of each data set: data sets that share people, that one file was made from, or that one run read.
    fn groups(&self) -> BTreeMap<&str, usize> {
        let mut group: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, set) in self.data_sets.iter().enumerate() {
            group.insert(&set.id, index);
        }
        let mut join = |members: &[&str]| {
            let of = |id: &&str| group.get(id).copied();
            let Some(least) = members.iter().filter_map(of).min() else {
                return;
            };
            let old: BTreeSet<usize> = members.iter().filter_map(of).collect();
            for value in group.values_mut().filter(|value| old.contains(value)) {
                *value = least;
            }
        };
        for set in &self.data_sets {
            for overlap in set.overlaps.iter().filter(|overlap| overlap.joined) {
                join(&[&set.id, &overlap.with]);
            }
        }
        let sets = self.artifacts.values().map(|sets| sets.iter().collect());
        let runs = self.runs.iter().map(|run| run.people.iter().collect());
        for members in sets.chain(runs) {
            let members: Vec<&String> = members;
            join(&members.iter().map(|id| id.as_str()).collect::<Vec<_>>());
        }
        group
    }

    /// One book per group of people, in the order of their first data sets.
    pub fn books(&self) -> Vec<Book> {
        let groups = self.groups();
        let all: BTreeSet<usize> = groups.values().copied().collect();
        all.into_iter()
            .map(|group| self.collect(&groups, &BTreeSet::from([group])))
            .collect()
    }

    /// The book of everybody in these data sets. Those that the ledger does not know have spent nothing.
    pub fn book<'a>(&self, people: impl IntoIterator<Item = &'a String>) -> Book {
        let groups = self.groups();
        let wanted: BTreeSet<usize> = people
            .into_iter()
            .filter_map(|id| groups.get(id.as_str()).copied())
            .collect();
        self.collect(&groups, &wanted)
    }

    fn collect(&self, groups: &BTreeMap<&str, usize>, wanted: &BTreeSet<usize>) -> Book {
        let is_in = |id: &String| {
            groups
                .get(id.as_str())
                .is_some_and(|at| wanted.contains(at))
        };
        let data_sets: Vec<DataSet> = self
            .data_sets
            .iter()
            .filter(|set| is_in(&set.id))
            .cloned()
            .collect();
        let runs = self.runs.iter().filter(|run| run.people.iter().any(is_in));
        let releases = self
            .releases
            .iter()
            .filter(|release| release.people.iter().any(is_in));
        Book {
            id: data_sets
                .first()
                .map(|set| set.id.clone())
                .unwrap_or_default(),
            runs: runs.cloned().collect(),
            releases: releases.cloned().collect(),
            data_sets,
        }
    }
}

impl Book {
    /// The least delta that any of its runs was calibrated for: below one over the number of records of each of them.
    pub fn delta(&self) -> Option<f64> {
        let runs = self.runs.iter().map(|run| run.delta);
        let releases = self.releases.iter().map(|release| release.delta);
        runs.chain(releases).reduce(f64::min)
    }

    /// What its runs with a guarantee protect, each unit once: guarantees of different units do not compose.
    pub fn units(&self) -> BTreeSet<Protected> {
        let covered = self.runs.iter().filter(|run| run.is_covered());
        covered.map(RunEntry::protected).collect()
    }

    /// The same with the runs that protect one unit alone, and those without a guarantee.
    #[must_use]
    pub fn of_unit(&self, unit: &Protected) -> Self {
        let mut book = self.clone();
        book.runs
            .retain(|run| run.protected() == *unit || !run.is_covered());
        book
    }

    /// Runs without a guarantee: epsilon is infinite for whoever sees their results.
    pub fn outside(&self) -> usize {
        self.runs.iter().filter(|run| !run.is_covered()).count()
    }

    /// The claim of everything that was run, as far as it has a guarantee.
    ///
    /// # Errors
    /// See [`compose`].
    pub fn run(&self, delta: f64) -> Result<Option<Claim>, LedgerError> {
        compose(&self.runs, delta)
    }

    /// Runs of a study of which nothing but the ledger knows, oldest first: they are neither among `held`, the runs and, of those
    /// without a guarantee, the keys whose results a cache has, nor among `told`. They may have been scored before their results
    /// were lost, so that whoever chooses among rows of the study has chosen among them, too.
    pub fn only_entered(
        &self,
        experiment: &str,
        held: &BTreeSet<String>,
        told: &BTreeSet<&String>,
    ) -> Vec<&RunEntry> {
        let of_study = self.runs.iter().filter(|run| run.experiment == experiment);
        of_study
            .filter(|run| !held.contains(&run.run) && !told.contains(&run.run))
            .filter(|run| run.is_covered() || !held.contains(&run.key))
            .collect()
    }

    /// The runs that releases compose, each once.
    pub fn released_runs(&self) -> Vec<&RunEntry> {
        let released: BTreeSet<&String> = self
            .releases
            .iter()
            .flat_map(|release| &release.runs)
            .collect();
        let runs = self.runs.iter();
        runs.filter(|run| released.contains(&run.run)).collect()
    }

    /// The claim of everything that was released, each run once.
    ///
    /// # Errors
    /// See [`compose`].
    pub fn released(&self, delta: f64) -> Result<Option<Claim>, LedgerError> {
        compose(self.released_runs(), delta)
    }

    /// The claim of one release alone.
    ///
    /// # Errors
    /// See [`compose`].
    pub fn release(
        &self,
        release: &ReleaseEntry,
        delta: f64,
    ) -> Result<Option<Claim>, LedgerError> {
        compose(self.runs_of(release), delta)
    }

    /// The runs that a release composes.
    pub(crate) fn runs_of<'a>(
        &'a self,
        release: &'a ReleaseEntry,
    ) -> impl Iterator<Item = &'a RunEntry> {
        let runs = self.runs.iter();
        runs.filter(|run| release.runs.contains(&run.run))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use dpx_accounting::{Adjacency, DpEvent, EpsilonBound};
    use dpx_schema::{NoiseSource, Unit};

    /// A run of one Gaussian mechanism.
    pub(crate) fn run(name: &str, noise_multiplier: f64) -> RunEntry {
        RunEntry {
            run: blake3::hash(name.as_bytes()).to_hex()[..32].to_owned(),
            key: "key".to_owned(),
            experiment: "study".to_owned(),
            instance: format!("train@row={name}"),
            date: "2026-11-30T00:00:00Z".to_owned(),
            people: Vec::new(),
            event: DpEvent::gaussian(noise_multiplier).unwrap(),
            unit: Unit::Example,
            unit_column: None,
            adjacency: Adjacency::ZeroOut,
            noise: NoiseSource::Secure,
            delta: 1e-5,
            epsilon: EpsilonBound::INFINITE,
            selection: Vec::new(),
            adopted: false,
        }
    }
}
