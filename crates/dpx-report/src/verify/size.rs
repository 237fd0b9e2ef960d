//! How much is computed for a claim: whoever writes a statement must not decide how long its readers wait.

use super::Failures;
use crate::release::GROUPS;
use dpx_accounting::{Claim, DpEvent, MAX_GROUP};
use std::collections::{BTreeMap, BTreeSet};

/// Steps of all events of a claim together, and repetitions of others.
const MOST_STEPS: u64 = 10_000_000;
/// Events that differ from one another.
const MOST_EVENTS: usize = 200;
/// What all claims of a statement and its groups may take together, in events that differ: an ordinary release takes some tens.
const MOST_WORK: u64 = 3_000;
/// Records of a mixture that take as long as one event more: the pair of a group has a component for each.
const MIXTURE: u64 = 50;
/// Entries of all claims together, and of one run in a claim: they are compared with one another.
const MOST_ENTRIES: usize = 100_000;
const MOST_OF_ONE_RUN: usize = 100;

/// The claim costs more to compute than is computed here; that has been told.
pub(super) struct TooLarge;

/// Refuses a claim of more steps or of more different events than are computed again.
pub(super) fn check(what: &str, claim: &Claim, failures: &mut Failures) -> Result<(), TooLarge> {
    let (steps, different) = contents(claim);
    if steps <= MOST_STEPS && different.len() <= MOST_EVENTS {
        return Ok(());
    }
    failures.add(format!(
        "{what}: it composes {steps} steps of {} different events, at most {MOST_STEPS} of {MOST_EVENTS} are computed again: its \
         epsilon was not checked",
        different.len()
    ));
    Err(TooLarge)
}

/// Refuses statements whose claims, all of them and the groups of the last, are more than is computed, and those in which so many
/// entries have to be compared with one another that even this takes long.
pub(super) fn together<'a>(
    claims: impl Iterator<Item = &'a Claim> + Clone,
    failures: &mut Failures,
) {
    let entries: usize = claims.clone().map(|claim| claim.events().len()).sum();
    let mut of_one_run = 0;
    for claim in claims.clone() {
        let mut runs: BTreeMap<&str, usize> = BTreeMap::new();
        for name in claim.events().keys() {
            let count = runs.entry(super::runs::run(name)).or_default();
            *count += 1;
            of_one_run = of_one_run.max(*count);
        }
    }
    if entries > MOST_ENTRIES || of_one_run > MOST_OF_ONE_RUN {
        return failures.add(format!(
            "the claims have {entries} entries together, {of_one_run} of one run: at most {MOST_ENTRIES} and {MOST_OF_ONE_RUN} are \
             compared, and nothing was computed again"
        ));
    }
    let mut work: u64 = 0;
    let mut last = None;
    let mut done = BTreeSet::new();
    for claim in claims {
        let (_, different) = contents(claim);
        if done.insert(identity(claim)) {
            work = work.saturating_add(cost(&different, 1));
        }
        last = Some(different);
    }
    for group in GROUPS {
        work = work.saturating_add(last.as_ref().map_or(0, |total| cost(total, group)));
    }
    failures.unless(work <= MOST_WORK, || {
        format!(
            "the claims and their groups take {work} times as long as one event, at most {MOST_WORK} times are computed: no epsilon was \
             checked"
        )
    });
}

/// What tells whether two claims are one question with one answer: all but the names of what ran.
pub(super) fn identity(claim: &Claim) -> String {
    let mut events: Vec<String> = claim.events().values().map(name).collect();
    events.sort_unstable();
    format!("{:?} {:?} {events:?}", claim.delta(), claim.certified())
}

/// What a claim with these events takes for groups of so many units, in events.
fn cost(different: &BTreeMap<String, u32>, group: u32) -> u64 {
    let of_each = different.values().map(|&records| {
        let records = u64::from(group) * u64::from(records);
        // Beyond that all records are taken to be in every step, which is one component.
        let mixture = if records > u64::from(MAX_GROUP) {
            0
        } else {
            records
        };
        1 + mixture / MIXTURE
    });
    1 + of_each.sum::<u64>()
}

/// The steps of a claim, and its different events with the records of one unit that each of them samples one by one (0 where
/// all of them are in every step).
fn contents(claim: &Claim) -> (u64, BTreeMap<String, u32>) {
    let mut different = BTreeMap::new();
    let mut steps: u64 = 0;
    for event in claim.events().values() {
        steps = steps.saturating_add(read(event, 1, &mut different));
    }
    (steps, different)
}

/// The steps of an event that is done so many times; what it consists of is added to `different`.
fn read(event: &DpEvent, times: u64, different: &mut BTreeMap<String, u32>) -> u64 {
    match event {
        DpEvent::Composed { events, .. } => events.iter().fold(0, |steps, event| {
            u64::saturating_add(steps, read(event, times, different))
        }),
        DpEvent::SelfComposed { event, count, .. } => {
            read(event, times.saturating_mul(*count), different)
        }
        DpEvent::PoissonSampledGaussian {
            steps,
            records_per_unit,
            ..
        } => {
            different.insert(name(event), *records_per_unit);
            times.saturating_mul(*steps)
        }
        DpEvent::Gaussian { .. } | DpEvent::NonPrivate => {
            different.insert(name(event), 0);
            times
        }
    }
}

fn name(event: &DpEvent) -> String {
    format!("{event:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::fixture::{claim, gaussian, run};

    fn of(events: Vec<DpEvent>) -> Claim {
        let parts = events.into_iter().enumerate().map(|(number, event)| {
            let mut part = run("counts", event).part();
            part.instance = format!("counts#{number}");
            part
        });
        let parts: Vec<_> = parts.collect();
        claim(&parts)
    }

    #[test]
    fn steps_are_counted_through_every_composition() {
        let mut different = BTreeMap::new();
        let sampled = DpEvent::poisson_sampled_gaussian(0.1, 2.0, 7).unwrap();
        let event = DpEvent::composed([sampled.self_composed(3), gaussian(2.0), gaussian(2.0)]);
        assert_eq!(read(&event, 2, &mut different), 46);
        assert_eq!(different.len(), 2);
        let endless = gaussian(2.0).self_composed(u64::MAX).self_composed(3);
        assert_eq!(read(&endless, 1, &mut different), u64::MAX);
    }

    #[test]
    fn what_all_claims_take_together_is_bounded() {
        let told = |claims: &[Claim]| {
            let mut failures = Failures::default();
            together(claims.iter(), &mut failures);
            failures.0
        };
        let sampled = |records| DpEvent::poisson_sampled_records(0.1, 2.0, 7, records).unwrap();
        // People of 16 records each, and a release every day of five years.
        let ordinary = of(vec![sampled(16), gaussian(3.0)]);
        assert_eq!(told(&vec![ordinary; 1_800]), [""; 0]);
        // Events that differ in the last digit, so that no two claims are one question.
        let claims = (0..1_600).map(|number| {
            let text = serde_json::to_string(&of(vec![gaussian(2.0)])).unwrap();
            let other = format!("\"noise_multiplier\":2.{number:04}1");
            serde_json::from_str(&text.replace("\"noise_multiplier\":2.0", &other)).unwrap()
        });
        let claims: Vec<Claim> = claims.collect();
        assert!(told(&claims)[0].contains("no epsilon was checked"));
        assert_eq!(told(&claims[..100]), [""; 0]);
        assert_eq!(cost(&contents(&of(vec![sampled(100)])).1, 100), 2 + 200);
        assert_eq!(cost(&contents(&of(vec![sampled(100)])).1, 101), 2);
        // A run that did a hundred and one things.
        let mut parts = vec![run("counts", gaussian(2.0)).part(); 101];
        for (number, part) in parts.iter_mut().enumerate().skip(1) {
            part.instance = format!("{}+{number}", part.instance);
        }
        let many = claim(&parts);
        assert!(told(&[many])[0].contains("101 of one run"));
    }

    #[test]
    fn a_claim_that_nobody_can_wait_for_fails_and_says_so() {
        let ordinary = of(vec![gaussian(2.0), gaussian(3.0)]);
        let mut failures = Failures::default();
        assert!(check("the claim", &ordinary, &mut failures).is_ok() && failures.0.is_empty());
        let text = serde_json::to_string(&ordinary).unwrap();
        let small = r#"{"type":"gaussian","noise_multiplier":3.0}"#;
        assert!(text.contains(small), "{text}");
        let large = format!(r#"{{"type":"self-composed","event":{small},"count":1000000000}}"#);
        let large: Claim = serde_json::from_str(&text.replacen(small, &large, 1)).unwrap();
        assert!(check("the claim", &large, &mut failures).is_err());
        assert!(
            failures.0[0].contains("was not checked"),
            "{:?}",
            failures.0
        );
    }
}
