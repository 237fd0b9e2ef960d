//! What a run can have been: its event, its numbers and its kind belong together.

use super::Failures;
use crate::release::{Run, Statement};
use dpx_accounting::{Claim, DpEvent};
use dpx_schema::Kind;

/// Largest share by which rounding may exceed the bound on one record: a trainer whose sums round more widely is refused.
const MOST_ROUNDING: f64 = 0.1;
/// Two ways of writing one sampling rate differ by less, relatively.
const SAME_RATE: f64 = 1e-9;

/// Every run with the event that the claim has of it.
pub(super) fn runs(statement: &Statement, failures: &mut Failures) {
    let Some(claim) = &statement.claim else {
        return;
    };
    for (name, run) in &statement.runs {
        numbers(name, run, failures);
        if let Some(event) = claim.events().get(name) {
            fits(name, run, event, failures);
        }
    }
}

fn numbers(name: &str, run: &Run, failures: &mut Failures) {
    failures.unless(
        (0.0..=MOST_ROUNDING).contains(&run.rounding_allowance),
        || {
            format!(
                "`{name}`: rounding by {} of the bound is more than any run of dpx has",
                run.rounding_allowance
            )
        },
    );
    failures.unless(run.kind != Kind::Select || run.max_grad_norm == 1.0, || {
        format!(
            "`{name}`: a vote has norm 1, the run has a bound of {}",
            run.max_grad_norm
        )
    });
    let delta = run.calibrated_for_delta;
    let most = run.examples.map_or(1.0, |examples| 1.0 / examples as f64);
    failures.unless(delta > 0.0 && delta < most, || {
        format!("`{name}`: it was calibrated for delta {delta:e}, which lets a record be published whole")
    });
}

/// A language model is trained on a Poisson sample in each step; counts, votes and teachers look at all records. Counts and votes
/// are looked at once, and each unit has one vote of norm 1.
fn fits(name: &str, run: &Run, event: &DpEvent, failures: &mut Failures) {
    match event {
        // A run that drew nothing, or several of the kind.
        DpEvent::Composed { events, .. } => {
            for event in events {
                fits(name, run, event, failures);
            }
        }
        DpEvent::SelfComposed { event, .. } => {
            failures.unless(run.kind != Kind::Select, || {
                format!("`{name}`: votes are counted once, its event repeats")
            });
            fits(name, run, event, failures);
        }
        DpEvent::PoissonSampledGaussian { sampling_rate, .. } => {
            failures.unless(run.kind == Kind::Train, || {
                format!(
                    "`{name}`: its event looks at samples, a stage of kind `{}` at all records",
                    run.kind
                )
            });
            // Where records of people are sampled, as many as there are, those of canaries included.
            let records = run.bounds.and_then(|bounds| {
                let canaries = run.canaries.saturating_mul(bounds.max_per_unit);
                Some(bounds.records?.saturating_add(canaries))
            });
            let Some(examples) = records.or(run.examples) else {
                return;
            };
            let Some(batch) = run.expected_batch_size else {
                return failures.add(format!(
                    "`{name}`: no `expected_batch_size` is stated, from which the sampling rate of its event has to follow"
                ));
            };
            let rate = batch as f64 / examples as f64;
            failures.unless((sampling_rate - rate).abs() <= SAME_RATE * rate, || {
                format!(
                    "`{name}`: batches of {batch} from {examples} records are a sampling rate of {rate}, its event has {sampling_rate}"
                )
            });
        }
        DpEvent::Gaussian { .. } => failures.unless(run.kind != Kind::Train, || {
            format!("`{name}`: training looks at samples, its event at all records")
        }),
        // A claim with such an event is refused as a whole.
        DpEvent::NonPrivate => {}
    }
}

/// Whether the figures of the PRV accountant stand in their order.
pub(super) fn estimate(what: &str, claim: &Claim, failures: &mut Failures) {
    let prv = &claim.certified().prv;
    failures.unless(
        prv.lower <= prv.estimate && prv.estimate <= prv.upper.value(),
        || format!("{what}: the PRV estimate is not between its bounds"),
    );
}
