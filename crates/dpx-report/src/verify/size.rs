//! How much is computed for a claim: whoever writes a statement must not decide how long its readers wait.

use super::Failures;
use dpx_accounting::{Claim, DpEvent};
use std::collections::BTreeSet;

/// Steps of all events of a claim together, and repetitions of others.
const MOST_STEPS: u64 = 10_000_000;
/// Events that differ from one another.
const MOST_EVENTS: usize = 200;

/// The claim costs more to compute than is computed here; that has been told.
pub(super) struct TooLarge;

/// Refuses a claim of more steps or of more different events than are computed again.
pub(super) fn check(what: &str, claim: &Claim, failures: &mut Failures) -> Result<(), TooLarge> {
    let mut different = BTreeSet::new();
    let mut steps: u64 = 0;
    for event in claim.events().values() {
        steps = steps.saturating_add(read(event, 1, &mut different));
    }
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

/// The steps of an event that is done so many times; what it consists of is added to `different`.
fn read(event: &DpEvent, times: u64, different: &mut BTreeSet<String>) -> u64 {
    match event {
        DpEvent::Composed { events, .. } => events.iter().fold(0, |steps, event| {
            u64::saturating_add(steps, read(event, times, different))
        }),
        DpEvent::SelfComposed { event, count, .. } => {
            read(event, times.saturating_mul(*count), different)
        }
        DpEvent::PoissonSampledGaussian { steps, .. } => {
            different.insert(name(event));
            times.saturating_mul(*steps)
        }
        DpEvent::Gaussian { .. } | DpEvent::NonPrivate => {
            different.insert(name(event));
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
        let mut different = BTreeSet::new();
        let sampled = DpEvent::poisson_sampled_gaussian(0.1, 2.0, 7).unwrap();
        let event = DpEvent::composed([sampled.self_composed(3), gaussian(2.0), gaussian(2.0)]);
        assert_eq!(read(&event, 2, &mut different), 46);
        assert_eq!(different.len(), 2);
        let endless = gaussian(2.0).self_composed(u64::MAX).self_composed(3);
        assert_eq!(read(&endless, 1, &mut different), u64::MAX);
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
