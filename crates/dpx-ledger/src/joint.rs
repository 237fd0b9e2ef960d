//! What runs cost together, as one claim.

use crate::entry::alike;
use crate::{LedgerError, RunEntry};
use dpx_accounting::{Adjacency, Claim, ClaimError, ClaimPart};
use std::collections::BTreeMap;

/// The claim of all of `runs` that have a guarantee, at `delta`; nothing where none has.
///
/// Runs under add/remove adjacency also hold under zero-out: a record that is replaced by a null one changes their sums as
/// its removal does, and nothing else of them depends on the number of records. Where both occur, zero-out is claimed.
///
/// # Errors
/// Runs of different units, or a number out of range.
pub fn compose<'a>(
    runs: impl IntoIterator<Item = &'a RunEntry>,
    delta: f64,
) -> Result<Option<Claim>, LedgerError> {
    compose_under(runs, delta, None)
}

/// The adjacency under which all of `runs` have a guarantee: zero-out where they differ; nothing where there are none.
pub(crate) fn adjacency<'a>(runs: impl IntoIterator<Item = &'a RunEntry>) -> Option<Adjacency> {
    runs.into_iter()
        .filter(|run| run.is_covered())
        .map(|run| run.adjacency)
        .reduce(|one, other| {
            if one == other {
                one
            } else {
                Adjacency::ZeroOut
            }
        })
}

/// Likewise under a stated adjacency, which has to be theirs or zero-out: that of claims which stand beside others.
pub(crate) fn compose_under<'a>(
    runs: impl IntoIterator<Item = &'a RunEntry>,
    delta: f64,
    stated: Option<Adjacency>,
) -> Result<Option<Claim>, LedgerError> {
    let mut parts: Vec<ClaimPart> = Vec::new();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut column: Option<&str> = None;
    for run in runs.into_iter().filter(|run| run.is_covered()) {
        match (column, run.unit_column.as_deref()) {
            (Some(one), Some(other)) if one != other => {
                return Err(LedgerError::TwoColumns {
                    instance: run.instance.clone(),
                    one: one.to_owned(),
                    other: other.to_owned(),
                });
            }
            (_, own) => column = own.or(column),
        }
        let mut part = run.part();
        let is_same = |other: &ClaimPart| {
            other.adjacency == part.adjacency
                && other.unit == part.unit
                && alike(&other.event, &part.event)
        };
        let own = part.instance.clone();
        let mut known = parts.iter().filter(|other| {
            let rest = other.instance.strip_prefix(&own);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('+'))
        });
        if known.any(is_same) {
            continue;
        }
        // One run that is said to have done two things has done both.
        let seen = names.entry(part.instance.clone()).or_default();
        *seen += 1;
        if *seen > 1 {
            part.instance = format!("{}+{seen}", part.instance);
        }
        parts.push(part);
    }
    let Some(first) = parts.first() else {
        return Ok(None);
    };
    let unit = first.unit.clone();
    let mut adjacency = stated.unwrap_or(first.adjacency);
    if parts.iter().any(|part| part.adjacency != adjacency) {
        adjacency = Adjacency::ZeroOut;
        for part in &mut parts {
            part.adjacency = adjacency;
        }
    }
    Ok(Some(Claim::compose(&parts, delta, adjacency, &unit)?))
}

/// The claim of nothing: epsilon 0.
pub(crate) fn nothing(like: &Claim) -> Result<Claim, ClaimError> {
    Claim::compose(&[], like.delta().value(), like.adjacency(), like.unit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::tests::run;
    use dpx_accounting::{DpEvent, gaussian_epsilon};
    use dpx_schema::Unit;

    #[test]
    fn runs_compose_once_each_and_those_without_noise_lie_outside() {
        let (a, b) = (run("a", 2.0), run("b", 2.0));
        let mut bare = run("c", 2.0);
        bare.event = DpEvent::NonPrivate;
        let claim = compose([&a, &b, &a, &bare], 1e-5).unwrap().unwrap();
        assert_eq!(claim.events().len(), 2);
        let exact = gaussian_epsilon(2.0 / 2f64.sqrt(), 1e-5);
        let epsilon = claim.epsilon().value();
        assert!(
            epsilon >= exact - 1e-9 && epsilon < exact + 1e-3,
            "{epsilon}"
        );
        assert!(compose([&bare], 1e-5).unwrap().is_none());
    }

    #[test]
    fn a_run_that_is_said_to_have_done_two_things_has_done_both() {
        let (a, mut other) = (run("a", 2.0), run("a", 3.0));
        other.instance.clone_from(&a.instance);
        let both = compose([&a, &other], 1e-5).unwrap().unwrap();
        assert_eq!(both.events().len(), 2);
        let one = compose([&a], 1e-5).unwrap().unwrap();
        assert!(both.epsilon() > one.epsilon().value());
    }

    #[test]
    fn people_of_two_columns_have_no_claim_together() {
        let people = |name: &str, column: &str| RunEntry {
            unit: Unit::User,
            unit_column: Some(column.to_owned()),
            ..run(name, 2.0)
        };
        let (a, b) = (people("a", "session"), people("b", "session"));
        assert!(compose([&a, &b], 1e-5).unwrap().is_some());
        let error = compose([&a, &b, &people("c", "customer")], 1e-5).unwrap_err();
        assert!(matches!(error, LedgerError::TwoColumns { .. }), "{error}");
    }

    #[test]
    fn add_remove_beside_zero_out_is_claimed_as_zero_out() {
        let (mut a, b) = (run("a", 2.0), run("b", 2.0));
        a.adjacency = Adjacency::AddRemove;
        let alone = compose([&a], 1e-5).unwrap().unwrap();
        assert_eq!(alone.adjacency(), Adjacency::AddRemove);
        let both = compose([&a, &b], 1e-5).unwrap().unwrap();
        assert_eq!(both.adjacency(), Adjacency::ZeroOut);
        assert_eq!(both.events().len(), 2);
    }
}
