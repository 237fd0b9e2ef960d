//! The accountants against published implementations, closed forms, quadrature and each other.

use super::rdp::divergence;
use super::*;
use crate::fault::{self, Fault};

const REFERENCE: &str = include_str!("../tests/data/published.csv");

fn run(noise_multiplier: f64, sampling_rate: f64, steps: u64) -> DpEvent {
    DpEvent::poisson_sampled_gaussian(sampling_rate, noise_multiplier, steps).unwrap()
}

fn all(events: &[DpEvent]) -> DpEvent {
    DpEvent::composed(events.iter().cloned())
}

/// Figures of Google dp-accounting, Opacus and Microsoft prv_accountant.
#[test]
fn every_reference_row_agrees() {
    let mut rows = 0;
    for line in REFERENCE.lines().skip(1) {
        let row: Vec<f64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
        let [sigma, rate, steps, delta, rdp, opacus, _, low, middle, high] = row[..] else {
            panic!("{line}");
        };
        let found = run(sigma, rate, steps as u64).certified(delta).unwrap();
        let Prv {
            lower,
            estimate,
            upper,
        } = found.prv;
        assert!(lower <= high && upper >= low, "{line}: {found:?}");
        assert!((estimate - middle).abs() < 0.01, "{line}: {found:?}");
        let near = |figure: f64| (found.rdp.value() / figure - 1.0).abs() < 0.005;
        let tighter = found.rdp < rdp && found.rdp > middle;
        assert!(near(rdp) || near(opacus) || tighter, "{line}: {found:?}");
        assert!(found.epsilon >= lower && found.epsilon <= upper, "{line}");
        assert!(found.connect_the_dots >= middle - 2e-3, "{line}: {found:?}");
        rows += 1;
    }
    assert_eq!(rows, 50);
}

/// E_Q[(P/Q)^order] by the trapezoid rule, whose error is far below f64 for Gaussians; less one, without cancellation.
fn divergence_by_quadrature(sigma: f64, rate: f64, order: f64) -> f64 {
    let mu = 1.0 / sigma;
    let step = 0.01_f64.min(0.05 * sigma);
    let end = order * mu + 40.0;
    let count = ((end + 40.0) / step) as usize;
    let exponents: Vec<(f64, f64)> = (0..=count)
        .map(|index| {
            let z = -40.0 + step * index as f64;
            let shift = mu * z - 0.5 * mu * mu;
            let loss = if shift > 30.0 {
                rate.ln() + shift + ((1.0 - rate) / rate * (-shift).exp()).ln_1p()
            } else {
                (rate * shift.exp_m1()).ln_1p()
            };
            let base = -0.5 * z * z - 0.5 * (2.0 * std::f64::consts::PI).ln() + step.ln();
            (base, loss)
        })
        .collect();
    let anchor = exponents
        .iter()
        .map(|(base, loss)| base + order * loss)
        .fold(0.0, f64::max);
    if anchor == 0.0 {
        let excess: f64 = exponents
            .iter()
            .map(|(base, loss)| {
                if order * loss > 500.0 {
                    (base + order * loss).exp()
                } else {
                    base.exp() * ((order * loss).exp_m1() - order * loss.exp_m1())
                }
            })
            .sum();
        return excess.ln_1p() / (order - 1.0);
    }
    let sum: f64 = exponents
        .iter()
        .map(|(base, loss)| (base + order * loss - anchor).exp())
        .sum();
    (anchor + sum.ln()) / (order - 1.0)
}

#[test]
fn no_order_is_below_quadrature() {
    let mut kept = 0;
    for sigma in [0.3, 0.6, 1.0, 3.0, 12.0, 100.0] {
        for rate in [1e-6, 1e-3, 0.016, 0.1, 0.4, 0.9, 0.999] {
            for order in [1.1, 1.5, 2.0, 3.7, 8.0, 23.4, 58.75, 128.0, 512.0] {
                let found = divergence(sigma, rate, order);
                let exact = divergence_by_quadrature(sigma, rate, order);
                assert!(
                    found >= exact - 1e-9 - 1e-11 * exact,
                    "{sigma} {rate} {order}: {found} < {exact}"
                );
                if found.is_finite() {
                    kept += 1;
                    assert!(
                        found <= exact * (1.0 + 1e-5) + 1e-6,
                        "{sigma} {rate} {order}: {found} > {exact}"
                    );
                }
            }
        }
    }
    assert!(kept > 300, "only {kept} orders of 378 were summed");
}

/// The order at which a series that stops at an absolute term of exp(-30) is lost: ln A = -30 for 2.09.
pub(super) fn a_small_first_term_is_no_end() -> bool {
    let moment = divergence(12.0, 0.4, 58.75) * 57.75;
    moment > 2.0 && moment < 2.2
}

#[test]
fn a_series_does_not_stop_early() {
    assert!(a_small_first_term_is_no_end());
    assert!(!fault::with(
        Fault::EarlyStoppedRdp,
        a_small_first_term_is_no_end
    ));
}

/// dp-accounting 0.6.0, connect-the-dots, discretization 1e-4: remove and add, each composed on its own.
pub(super) fn each_direction_is_its_own() -> bool {
    let first = run(0.8, 0.016, 500);
    let second = run(2.0, 0.1, 100);
    [
        (run(0.8, 0.016, 4000), 10.359_023, 8.029_675),
        (run(1.0, 0.016, 4000), 6.368_836, 5.503_083),
        (all(&[first.clone(), second.clone()]), 4.396_754, 3.079_382),
        (all(&[second, first]), 4.396_754, 3.079_382),
    ]
    .into_iter()
    .all(|(event, remove, add)| {
        let found = epsilon_by_direction(&event, 1e-5).unwrap();
        let near = |found: EpsilonBound, figure: f64| (found.value() - figure).abs() < 2e-3;
        near(found.remove, remove) && near(found.add, add)
    })
}

#[test]
fn add_and_remove_are_those_of_dp_accounting() {
    assert!(each_direction_is_its_own());
    assert!(!fault::with(
        Fault::DirectionsMaxed,
        each_direction_is_its_own
    ));
    let event = all(&[run(0.8, 0.016, 500), run(2.0, 0.1, 100)]);
    let found = epsilon_by_direction(&event, 1e-5).unwrap();
    let claimed = event.certified(1e-5).unwrap().connect_the_dots;
    assert_eq!(found.remove.value().max(found.add.value()), claimed.value());
}

#[test]
fn the_edges_of_both_directions() {
    let epsilon = |event: &DpEvent, delta| epsilon_by_direction(event, delta).unwrap().add;
    assert_eq!(epsilon(&all(&[]), 1e-5), 0.0);
    assert_eq!(epsilon(&run(1.0, 0.5, 1), 1.0), 0.0);
    assert_eq!(epsilon(&run(1.0, 0.5, 1), 0.0), f64::INFINITY);
    assert_eq!(epsilon(&run(0.0, 0.5, 1), 1e-5), f64::INFINITY);
    assert!(epsilon_by_direction(&run(1.0, 0.5, 1), f64::NAN).is_err());
}

/// Rows of a sweep, replicates, and noisy counts beside a run: what they cost together, by dp-accounting 0.6.0.
#[test]
fn what_is_released_together_costs_what_dp_accounting_says() {
    let row = |sigma| run(sigma, 0.016, 188);
    for (event, figure) in [
        (all(&[row(0.5), row(0.6), row(0.8)]), 11.281_605),
        (row(0.8).self_composed(5), 4.933_861),
        (
            all(&[row(0.8), DpEvent::gaussian(12.0).unwrap()]),
            2.648_237,
        ),
    ] {
        let found = event.epsilon(1e-5).unwrap().value();
        assert!((found - figure).abs() < 2e-3, "{found}, not {figure}");
    }
}

#[test]
fn plain_gaussians_agree_with_the_closed_form() {
    for steps in [1, 100, 10_000, 10_000_000] {
        for delta in [1e-4, 1e-8, 1e-12] {
            for total in [0.3, 2.0, 20.0] {
                let sigma = (steps as f64).sqrt() / total;
                let exact = gaussian_epsilon(1.0 / total, delta);
                let found = run(sigma, 1.0, steps).certified(delta).unwrap();
                assert!(
                    found.epsilon >= exact - 1e-9 * exact.max(1.0),
                    "{steps} {delta} {total}: {found:?} {exact}"
                );
                assert!(
                    found.epsilon <= exact * 1.001 + 1e-4,
                    "{steps} {delta} {total}: {found:?} {exact}"
                );
                assert!(found.prv.lower <= exact + 1e-9);
                let back = gaussian_noise_multiplier(exact, delta);
                assert!((back * total - 1.0).abs() < 1e-6);
            }
        }
    }
}

/// dp-accounting 0.6.0, mixture and Gaussian privacy losses, discretization 1e-4, connect-the-dots.
#[test]
fn groups_and_mixed_events_agree_with_dp_accounting() {
    for (sigma, group, steps, figure) in [
        (1.0, 1, 188, 1.440_966_819),
        (1.0, 2, 188, 3.084_603_949),
        (1.0, 5, 188, 8.596_277_252),
        (0.8, 2, 500, 8.047_687_921),
    ] {
        let found = run(sigma, 0.016, steps).group(1e-5, group).unwrap();
        assert!(
            (found.epsilon.value() - figure).abs() < 1e-3,
            "{found:?} {figure}"
        );
    }
    let mixed = [
        run(0.8, 0.016, 188),
        DpEvent::gaussian(3.0).unwrap().self_composed(10),
        run(1.2, 0.05, 50),
    ];
    let found = all(&mixed).certified(1e-5).unwrap();
    assert!(
        (found.epsilon.value() - 5.539_667_822).abs() < 1e-3,
        "{found:?}"
    );
    let turned = DpEvent::composed(mixed.into_iter().rev());
    assert_eq!(turned.certified(1e-5).unwrap(), found);
}

#[test]
fn edges_are_never_nan() {
    let epsilon = |sigma, rate, steps, delta| run(sigma, rate, steps).epsilon(delta).unwrap();
    assert_eq!(epsilon(1.0, 0.0, 10, 1e-5), 0.0);
    assert_eq!(epsilon(1.0, 0.5, 0, 1e-5), 0.0);
    assert_eq!(epsilon(0.0, 0.5, 1, 1e-5), f64::INFINITY);
    assert_eq!(epsilon(1.0, 0.5, 1, 0.0), f64::INFINITY);
    assert_eq!(epsilon(1.0, 0.5, 1, 1.0), 0.0);
    assert!(epsilon(1e300, 0.5, 1, 1e-5) < 1e-90);
    assert!(epsilon(1e300, 1.0, 1, 1e-5) < 1e-90);
    assert!(epsilon(1e-3, 0.5, 1, 1e-5) > 1e5);
    assert!(epsilon(100.0, 1e-6, 1, 1e-5) >= 0.0);
    assert!(run(1.0, 0.5, 1).certified(f64::NAN).is_err());
    assert!(run(1.0, 0.5, 1).delta(-1.0).is_err());
    assert!(run(1.0, 0.5, 1).delta(f64::NAN).is_err());
    for records in [0, MAX_GROUP + 1] {
        assert!(run(1.0, 0.5, 1).group(1e-5, records).is_err());
    }
}

/// Seeded random mechanisms (SplitMix64).
fn random(count: usize) -> Vec<((f64, f64, u64), f64)> {
    let mut state = 7_u64;
    let mut uniform = move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / 2f64.powi(53)
    };
    (0..count)
        .map(|_| {
            let sigma = 0.5 * 10f64.powf(uniform());
            let rate = 10f64.powf(-3.0 * uniform());
            let steps = 10f64.powf(3.0 * uniform()) as u64 + 1;
            ((sigma, rate, steps), 10f64.powf(-4.0 - 3.0 * uniform()))
        })
        .collect()
}

#[test]
fn random_mechanisms_are_monotone_and_ordered() {
    for (mechanism, delta) in random(10) {
        let (sigma, rate, steps) = mechanism;
        let cost = |event: &DpEvent, delta| event.certified(delta).unwrap();
        let found = cost(&run(sigma, rate, steps), delta);
        let epsilon = found.epsilon.value();
        let slack = 1e-9 + 1e-6 * epsilon;
        let more_noise = run(sigma * 1.05, rate, steps);
        let rarer = run(sigma, rate * 0.95, steps);
        let shorter = run(sigma, rate, steps - steps.div_ceil(20));
        for less in [more_noise, rarer, shorter] {
            assert!(
                cost(&less, delta).epsilon <= epsilon + slack,
                "{mechanism:?} {less:?}"
            );
        }
        assert!(cost(&run(sigma, rate, steps), delta * 1.2).epsilon <= epsilon + slack);
        assert!(
            found.rdp >= found.prv.estimate && found.rdp >= found.prv.lower,
            "{mechanism:?} {found:?}"
        );
        assert!(found.prv.lower <= epsilon && found.epsilon <= found.prv.upper);
        let (first, second) = (steps / 2, steps - steps / 2);
        let halves = all(&[run(sigma, rate, first), run(sigma, rate, second)]);
        assert_eq!(cost(&halves, delta), found);
        // Not merged, since the parameters differ in the last digit, yet nearly the same mechanism.
        let apart = all(&[
            run(sigma, rate, first),
            run(sigma * (1.0 + 1e-12), rate, second),
        ]);
        let apart = cost(&apart, delta).epsilon.value();
        assert!((apart - epsilon).abs() <= 1e-3 * epsilon + 1e-4);
    }
}

#[test]
fn a_finer_grid_never_contradicts_a_coarser_one() {
    for (mechanism, delta) in random(6) {
        let mut lower: f64 = 0.0;
        for error in [0.04, 0.02, 0.01] {
            let (sigma, rate, steps) = mechanism;
            let found = prv(&run(sigma, rate, steps), delta, error).unwrap();
            assert!(found.upper >= lower, "{mechanism:?} {found:?}");
            lower = lower.max(found.lower);
        }
    }
}

#[test]
fn delta_is_the_inverse_of_epsilon() {
    let event = run(0.8, 0.016, 500);
    let epsilon = event.epsilon(1e-5).unwrap().value();
    let delta = event.delta(epsilon).unwrap().value();
    assert!((delta / 1e-5 - 1.0).abs() < 1e-3, "{delta}");
}
