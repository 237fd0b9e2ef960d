//! Every claim of a statement, computed again: what is cheap of all of them before what is expensive of any.
//!
//! An epsilon that a closed form or the Rényi accountant refutes, figures that contradict one another, and statements of more events
//! than are computed are refused within milliseconds for each different event; the numerical accountants run only where
//! everything else of every claim holds.

use super::Failures;
use super::mechanism;
use super::size;
use crate::release::{Selection, Statement};
use dpx_accounting::{Accountant, Claim};
use dpx_schema::Unit;
use std::collections::BTreeSet;

/// What a claim is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Release,
    Selection,
    Prior,
    Total,
}

impl Whose {
    const fn words(self) -> &'static str {
        match self {
            Self::Release => "the claim",
            Self::Selection => "the claim of the selection",
            Self::Prior => "the claim of an earlier release",
            Self::Total => "the total",
        }
    }
}

/// What is wrong with the claims of a statement.
#[derive(Debug, Default)]
pub(super) struct Recheck {
    found: Vec<(Whose, Failures)>,
    /// What is wrong with all of them together.
    together: Failures,
    /// Whether the numerical accountants were asked.
    is_plausible: bool,
}

impl Recheck {
    pub(super) fn new(statement: &Statement) -> Self {
        let claims = claims(statement);
        let mut together = Failures::default();
        size::together(claims.iter().map(|(_, claim)| *claim), &mut together);
        // Even what is cheap takes long for more events than are ever computed.
        if !together.0.is_empty() {
            return Self {
                together,
                ..Self::default()
            };
        }
        let found = claims.iter().map(|(whose, claim)| {
            let mut failures = Failures::default();
            cheap(whose.words(), claim, &mut failures);
            (*whose, failures)
        });
        let mut recheck = Self {
            found: found.collect(),
            ..Self::default()
        };
        recheck.is_plausible = recheck
            .found
            .iter()
            .all(|(_, failures)| failures.0.is_empty());
        let mut done: BTreeSet<String> = BTreeSet::new();
        for ((whose, claim), (_, failures)) in claims.iter().zip(&mut recheck.found) {
            if !recheck.is_plausible {
                failures.unless(!failures.0.is_empty(), || skipped(whose.words()));
            } else if done.insert(size::identity(claim)) {
                failures.of(whose.words(), claim.recheck());
            }
        }
        recheck
    }

    /// Tells what is wrong with the claims of these; with those of the release also what is wrong with all together.
    pub(super) fn tell(&self, of: &[Whose], failures: &mut Failures) {
        if of.contains(&Whose::Release) {
            failures.0.extend(self.together.0.iter().cloned());
        }
        let of_these = self.found.iter().filter(|(whose, _)| of.contains(whose));
        let told = of_these.flat_map(|(_, failures)| failures.0.iter().cloned());
        failures.0.extend(told);
    }

    /// Whether figures that follow from the claims are worth computing; where not, that is told.
    pub(super) fn goes_on(&self, what: &str, failures: &mut Failures) -> bool {
        failures.unless(self.is_plausible, || skipped(what));
        self.is_plausible
    }
}

fn skipped(what: &str) -> String {
    format!(
        "{what}: epsilon was not computed again, since what is quicker to check of the claims fails already"
    )
}

/// Every claim that a statement makes, each with whose it is.
fn claims(statement: &Statement) -> Vec<(Whose, &Claim)> {
    let mut all: Vec<(Whose, &Claim)> = Vec::new();
    all.extend(statement.claim.iter().map(|claim| (Whose::Release, claim)));
    if let Selection::Undeclared { claim, .. } = &statement.selection {
        all.push((Whose::Selection, claim));
    }
    let prior = statement
        .prior
        .iter()
        .filter_map(|prior| prior.claim.as_ref());
    all.extend(prior.map(|claim| (Whose::Prior, claim)));
    all.extend(statement.total.iter().map(|claim| (Whose::Total, claim)));
    all
}

/// A claim by itself: its figures against one another, and against what milliseconds tell of its events.
fn cheap(what: &str, claim: &Claim, failures: &mut Failures) {
    let certified = claim.certified();
    let of = |accountant| match accountant {
        Accountant::Prv => certified.prv.upper,
        Accountant::ConnectTheDots => certified.connect_the_dots,
        Accountant::Rdp => certified.rdp,
    };
    let all = [Accountant::Prv, Accountant::ConnectTheDots, Accountant::Rdp];
    failures.unless(
        of(certified.accountant) == certified.epsilon
            && all.iter().all(|&other| certified.epsilon <= of(other)),
        || format!("{what}: epsilon is not the least of the accountants' bounds, by the one that it names"),
    );
    mechanism::estimate(what, claim, failures);
    failures.unless(certified.epsilon.is_finite(), || {
        format!("{what}: epsilon is infinite, which is no guarantee")
    });
    failures.unless(Unit::named(claim.unit()).is_some(), || {
        format!(
            "{what}: `{}` is no unit of privacy that dpx knows",
            claim.unit()
        )
    });
    if size::check(what, claim, failures).is_ok() {
        failures.of(what, claim.recheck_quickly());
    }
}
