//! Every epsilon, computed again from the events.

use super::Failures;
use super::recheck::{Recheck, Whose};
use super::runs::Runs;
use crate::release::{GROUPS, Run, Selection, Statement};
use dpx_accounting::{Adjacency, Claim, DpEvent};
use dpx_schema::{NoiseSource, Unit, UnitSampling};
use std::collections::BTreeSet;

/// The claim of the release itself, and that it speaks of the runs behind the texts.
pub(super) fn claim(statement: &Statement, recheck: &Recheck, failures: &mut Failures) {
    recheck.tell(&[Whose::Release], failures);
    let behind: BTreeSet<&String> = statement
        .texts
        .iter()
        .flat_map(|texts| &texts.runs)
        .chain(statement.models.iter().flat_map(|model| &model.runs))
        .collect();
    let runs: BTreeSet<&String> = statement.runs.keys().collect();
    failures.unless(behind == runs, || {
        "`runs` are not those behind the texts and models".to_owned()
    });
    let Some(claim) = &statement.claim else {
        failures.unless(statement.runs.is_empty(), || {
            "there are private runs and no claim".to_owned()
        });
        return;
    };
    failures.unless(
        claim.events().keys().collect::<BTreeSet<_>>() == runs,
        || "the events of the claim are not those of `runs`".to_owned(),
    );
    failures.unless(!runs.is_empty(), || "the claim has no event".to_owned());
    let sets: BTreeSet<u64> = statement.runs.values().map(|run| run.data_set).collect();
    failures.unless(sets.iter().copied().eq(1..=sets.len() as u64), || {
        let sets: Vec<String> = sets.iter().map(u64::to_string).collect();
        format!(
            "the runs read the data sets {}: they are counted from 1, without a gap",
            sets.join(", ")
        )
    });
    for (name, run) in &statement.runs {
        failures.unless(run.kind.spends(), || {
            format!("`{name}`: no stage of kind `{}` runs a mechanism", run.kind)
        });
        failures.unless(run.noise == NoiseSource::Secure, || {
            format!(
                "`{name}`: its noise follows from a seed, and whoever has the seed can subtract it"
            )
        });
        failures.unless(
            run.examples.is_some() == (run.adjacency == Adjacency::ZeroOut),
            || format!("`{name}`: the number of records is public under zero-out adjacency, and under no other"),
        );
        failures.unless(
            run.adjacency == claim.adjacency() || claim.adjacency() == Adjacency::ZeroOut,
            || format!("`{name}`: it was calibrated under zero-out adjacency, and the claim is under another"),
        );
        people(name, run, claim, failures);
        let examples = run.examples.unwrap_or(u64::MAX);
        failures.unless(run.canaries < examples, || {
            format!("`{name}`: {} canaries of {examples} records", run.canaries)
        });
        failures.unless(
            run.examples
                .is_none_or(|examples| claim.delta().value() * (examples as f64) < 1.0),
            || format!("`{name}`: delta {} is not below 1 over {examples} records: publishing one of them whole would meet it", claim.delta()),
        );
        failures.unless(claim.delta().value() <= run.calibrated_for_delta, || {
            format!("`{name}`: the claim's delta is above the one that it was calibrated for")
        });
        let sound = |value: f64| value.is_finite() && value >= 0.0;
        failures.unless(
            sound(run.max_grad_norm) && run.max_grad_norm > 0.0 && sound(run.rounding_allowance),
            || format!("`{name}`: a bound is no number above 0"),
        );
    }
}

/// The rows of a release are those that it says were named before.
fn declared(statement: &Statement, failures: &mut Failures) {
    if let Selection::Declared { rows } = &statement.selection {
        let named: BTreeSet<String> = rows.iter().cloned().collect();
        let released: BTreeSet<String> = statement.released().into_iter().collect();
        failures.unless(named == released, || {
            "the rows of the selection are not those that are released".to_owned()
        });
    }
}

/// A run that protects people says by which bounds, and its event counts as many of their records as these allow.
fn people(name: &str, run: &Run, claim: &Claim, failures: &mut Failures) {
    let of_people = claim.unit() == Unit::User.name();
    failures.unless(run.bounds.is_some() == of_people, || {
        format!(
            "`{name}`: people are protected where bounds on their records stand, and nowhere else"
        )
    });
    let sampled = run
        .bounds
        .filter(|bounds| bounds.unit_sampling == Some(UnitSampling::Examples));
    let allowed = sampled.map_or(1, |bounds| bounds.max_per_unit);
    let counted = claim
        .events()
        .get(name)
        .map_or(1, DpEvent::records_per_unit);
    failures.unless(u64::from(counted) == allowed, || {
        format!("`{name}`: a person may have {allowed} records that are sampled one by one, and the event counts {counted}")
    });
    if let Some(bounds) = run.bounds {
        let few = bounds.examples_per_unit.unwrap_or(1);
        failures.unless(
            bounds.max_per_unit > 0 && few > 0 && few <= bounds.max_per_unit,
            || format!("`{name}`: its bounds on the records of a person contradict one another"),
        );
        failures.unless(bounds.records.is_none() || sampled.is_some(), || {
            format!("`{name}`: the number of records is public where records are sampled, and nowhere else")
        });
    }
}

/// The claims of selection and earlier releases, and that the total is that of everything together.
pub(super) fn composition(statement: &Statement, recheck: &Recheck, failures: &mut Failures) {
    recheck.tell(&[Whose::Selection, Whose::Prior, Whose::Total], failures);
    declared(statement, failures);
    let mut all: Vec<(&str, &Claim)> = Vec::new();
    all.extend(statement.claim.iter().map(|claim| ("this release", claim)));
    if let Selection::Undeclared { claim, .. } = &statement.selection {
        all.push(("the selection", claim));
        failures.unless(
            statement
                .claim
                .as_ref()
                .is_none_or(|own| Runs::of(own).are_in(&Runs::of(claim))),
            || "the candidates of the selection do not contain the released rows".to_owned(),
        );
    }
    let prior = statement
        .prior
        .iter()
        .filter_map(|prior| prior.claim.as_ref());
    all.extend(prior.map(|claim| ("an earlier release", claim)));
    let Some(total) = &statement.total else {
        failures.unless(all.is_empty(), || {
            "there are claims and no total of them".to_owned()
        });
        return;
    };
    let mut together = Runs::default();
    for (whose, claim) in all {
        failures.unless(claim.delta() == total.delta(), || {
            format!("the claim of {whose} is made at another delta than the total")
        });
        failures.unless(
            claim.adjacency() == total.adjacency() && claim.unit() == total.unit(),
            || format!("the claim of {whose} has another adjacency or unit than the total: no theorem composes them"),
        );
        together.add(claim);
    }
    let of_total = Runs::of(total);
    failures.unless(together.are_in(&of_total) && of_total.are_in(&together), || {
        "the events of the total are not those of this release, the selection and the earlier releases together".to_owned()
    });
}

pub(super) fn groups(statement: &Statement, recheck: &Recheck, failures: &mut Failures) {
    let Some(total) = &statement.total else {
        failures.unless(statement.groups.is_empty(), || {
            "there are groups and no total".to_owned()
        });
        return;
    };
    let sizes: Vec<u32> = statement.groups.iter().map(|group| group.records).collect();
    // Whoever writes a statement does not choose how large the groups are, nor how many.
    if sizes != GROUPS {
        let shown: Vec<u32> = sizes.iter().copied().take(2 * GROUPS.len()).collect();
        return failures.add(format!(
            "`groups` has {} entries, those of {shown:?} records first, expected those of {GROUPS:?}",
            sizes.len()
        ));
    }
    let rises = |pair: &[crate::release::Group]| pair[0].epsilon <= pair[1].epsilon;
    if !statement.groups.windows(2).all(rises) {
        return failures.add("epsilon falls as groups grow");
    }
    if !recheck.goes_on("the groups", failures) {
        return;
    }
    for group in &statement.groups {
        let what = format!("for {} records", group.records);
        failures.of(&what, total.recheck_group(group.records, group.epsilon));
    }
}
