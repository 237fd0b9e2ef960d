//! Which runs claims speak of, and what each did: the last digits of a number apart, since the ledger holds what was entered
//! before a run and a record what it did in the end.

use dpx_accounting::{Claim, DpEvent};
use dpx_ledger::alike;
use std::collections::BTreeMap;

/// What ran, by the name of the run. One that is said to have done two things has done both.
#[derive(Debug, Default)]
pub(super) struct Runs<'a>(BTreeMap<&'a str, Vec<&'a DpEvent>>);

impl<'a> Runs<'a> {
    /// Adds the runs of a claim; what is known already counts once.
    pub(super) fn add(&mut self, claim: &'a Claim) {
        for (name, event) in claim.events() {
            let known = self.0.entry(run(name)).or_default();
            if !known.iter().any(|other| alike(other, event)) {
                known.push(event);
            }
        }
    }

    pub(super) fn of(claim: &'a Claim) -> Self {
        let mut runs = Self::default();
        runs.add(claim);
        runs
    }

    /// Whether these are among others.
    pub(super) fn are_in(&self, others: &Self) -> bool {
        self.0.iter().all(|(name, events)| {
            let others = others.0.get(name).map_or(&[][..], Vec::as_slice);
            events
                .iter()
                .all(|event| others.iter().any(|other| alike(event, other)))
        })
    }
}

/// The name without the number that the ledger puts behind the second event of one run.
pub(super) fn run(name: &str) -> &str {
    let digits = |number: &str| !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
    match name.rsplit_once('+') {
        Some((run, number)) if digits(number) && run.contains('#') => run,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::fixture::{claim, gaussian, run as ran};

    #[test]
    fn runs_are_told_apart_but_for_rounding() {
        let part = |name: &str, sigma: f64| {
            let mut part = ran("train", gaussian(sigma)).part();
            part.instance = name.to_owned();
            part
        };
        let one = claim(&[part("train#ab", 3.0)]);
        let same = claim(&[part("train#ab", 3.0 * (1.0 + 1e-15))]);
        let other = claim(&[part("train#ab", 2.0)]);
        let both = claim(&[part("train#ab", 3.0), part("train#ab+2", 2.0)]);
        let sweep = claim(&[part("train@x=1+2", 3.0)]);
        let within = |a: &Claim, b: &Claim| Runs::of(a).are_in(&Runs::of(b));
        assert!(within(&one, &same) && within(&same, &one));
        assert!(!within(&one, &other) && !within(&sweep, &one));
        assert!(within(&one, &both) && within(&other, &both) && !within(&both, &one));
        let mut together = Runs::of(&one);
        together.add(&other);
        assert!(together.are_in(&Runs::of(&both)) && Runs::of(&both).are_in(&together));
    }
}
