//! Epsilon for several records of one person: it never falls as the group grows, and it is that of the mixture.

use dpx_accounting::{DpEvent, MAX_GROUP, gaussian_epsilon};

const DELTA: f64 = 1e-5;

fn run(sampling_rate: f64, noise_multiplier: f64, steps: u64) -> DpEvent {
    DpEvent::poisson_sampled_gaussian(sampling_rate, noise_multiplier, steps).unwrap()
}

/// About `count` group sizes from 1 to the largest, evenly spaced by their logarithm.
fn spaced(count: u32) -> Vec<u32> {
    let top = f64::from(MAX_GROUP).ln();
    let mut sizes: Vec<u32> = (0..=count)
        .map(|at| (top * f64::from(at) / f64::from(count)).exp().round() as u32)
        .collect();
    sizes.dedup();
    sizes
}

fn never_falls(event: &DpEvent, sizes: &[u32]) {
    let mut before = (0, 0.0);
    for &records in sizes {
        let found = event.group(DELTA, records).unwrap().epsilon.value();
        assert!(
            found >= before.1,
            "{event:?}: epsilon {found} for {records} records, {} for {}",
            before.1,
            before.0
        );
        before = (records, found);
    }
}

/// 0.016^181 is no f64: `dpx privacy --group` once gave 4,817 for 180 records and 0.000001 for 181.
#[test]
fn nothing_falls_where_the_weight_of_no_record_vanishes() {
    let sizes: Vec<u32> = (165..=195).collect();
    never_falls(&run(0.984, 1.0, 20), &sizes);
    let at = |records| {
        let found = run(0.984, 1.0, 20).group(DELTA, records).unwrap();
        found.epsilon.value()
    };
    let growth = at(181) / at(180);
    assert!(growth > 1.0 && growth < 1.03, "{growth}");
}

#[test]
fn epsilon_never_falls_up_to_the_largest_group() {
    for event in [
        run(0.016, 1.0, 188),
        run(0.984, 2.0, 20),
        run(0.3, 50.0, 5),
        run(1e-4, 0.7, 1000),
        DpEvent::composed([run(0.016, 3.0, 188), DpEvent::gaussian(30.0).unwrap()]),
    ] {
        never_falls(&event, &spaced(20));
    }
}

/// Where the plain bound once stood for 7,943 records: 64,868, above the 9,784 for 10,000.
#[test]
fn no_bound_is_missing_between_two_that_are_found() {
    let event = run(0.3, 50.0, 5);
    let sizes: Vec<u32> = (6_000..=10_000)
        .step_by(571)
        .chain([7_943, 10_000])
        .collect();
    let mut sizes = sizes;
    sizes.sort_unstable();
    never_falls(&event, &sizes);
    let found = event.group(DELTA, 7_943).unwrap();
    assert!(found.epsilon < 7_000.0, "{:?}", found.epsilon);
}

/// At a rate of 0.55 the weight of no record vanishes near 900.
#[test]
fn neighboring_sizes_are_ordered_where_weights_vanish() {
    let sizes: Vec<u32> = (880..=940).step_by(6).collect();
    never_falls(&run(0.55, 5.0, 10), &sizes);
}

/// K records in a plain Gaussian mechanism are one record with K times the sensitivity.
#[test]
fn plain_gaussians_follow_the_closed_form() {
    let event = DpEvent::gaussian(40.0).unwrap();
    for records in spaced(25) {
        let exact = gaussian_epsilon(40.0 / f64::from(records), DELTA);
        let found = event.group(DELTA, records).unwrap().epsilon.value();
        assert!(
            found >= exact * (1.0 - 1e-9),
            "{records}: {found} < {exact}"
        );
        assert!(
            found <= exact * 1.001 + 1e-4,
            "{records}: {found} > {exact}"
        );
    }
    never_falls(&event, &spaced(20));
}

/// Binomial probabilities by the logarithms of factorials.
fn binomial(records: u32, share: f64) -> Vec<f64> {
    let mut ln_factorial = vec![0.0];
    for n in 1..=records {
        ln_factorial.push(ln_factorial[n as usize - 1] + f64::from(n).ln());
    }
    (0..=records)
        .map(|j| {
            let ways = ln_factorial[records as usize]
                - ln_factorial[j as usize]
                - ln_factorial[(records - j) as usize];
            (ways + f64::from(j) * share.ln() + f64::from(records - j) * (-share).ln_1p()).exp()
        })
        .collect()
}

fn tail(z: f64) -> f64 {
    0.5 * libm::erfc(z * std::f64::consts::FRAC_1_SQRT_2)
}

/// delta(epsilon) of one step: the mixture against the standard normal, cut where their ratio is exp(epsilon); the worse
/// direction.
fn exact_delta(weights: &[f64], sigma: f64, epsilon: f64) -> f64 {
    let ln_ratio = |z: f64| {
        let exponents = weights.iter().enumerate().map(|(j, weight)| {
            let place = j as f64 / sigma;
            weight.ln() + place * (z - 0.5 * place)
        });
        let largest = exponents.clone().fold(f64::NEG_INFINITY, f64::max);
        largest
            + exponents
                .map(|exponent| (exponent - largest).exp())
                .sum::<f64>()
                .ln()
    };
    let cut = |target: f64| {
        let (mut low, mut high) = (-1e3, 1e4);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if ln_ratio(middle) < target {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    };
    let above = |z: f64| -> f64 {
        let mixed = weights.iter().enumerate();
        mixed
            .map(|(j, weight)| weight * tail(z - j as f64 / sigma))
            .sum()
    };
    let below = |z: f64| -> f64 {
        let mixed = weights.iter().enumerate();
        mixed
            .map(|(j, weight)| weight * tail(j as f64 / sigma - z))
            .sum()
    };
    let remove = cut(epsilon);
    let add = cut(-epsilon);
    let removed = above(remove) - epsilon.exp() * tail(remove);
    let added = tail(-add) - epsilon.exp() * below(add);
    removed.max(added)
}

/// One step of a group is a mixture of Gaussians whose delta is known in closed form; k times epsilon would be far above.
#[test]
fn one_step_is_the_binomial_mixture() {
    for (rate, sigma, records) in [
        (0.016, 1.0, 2),
        (0.1, 2.0, 7),
        (0.016, 5.0, 60),
        (0.5, 30.0, 100),
        (0.984, 90.0, 200),
        (0.01, 20.0, 1000),
        (0.002, 8.0, 1_000),
    ] {
        let found = run(rate, sigma, 1).group(DELTA, records).unwrap();
        let epsilon = found.epsilon.value();
        let weights = binomial(records, rate);
        let at = |epsilon| exact_delta(&weights, sigma, epsilon);
        let name = format!("{records} records at {rate}, sigma {sigma}: {epsilon}");
        assert!(at(epsilon) <= DELTA * (1.0 + 1e-6), "{name} is too small");
        let looser = epsilon * (1.0 - 2e-3) - 1e-4;
        assert!(at(looser) > DELTA, "{name} is not tight");
        let lower = found.prv.lower;
        assert!(
            lower <= epsilon && (lower == 0.0 || at(lower) >= DELTA * (1.0 - 1e-6)),
            "{name}"
        );
    }
}

#[test]
fn a_group_of_one_is_a_record_and_a_group_of_none_is_refused() {
    let event = run(0.016, 0.8, 188);
    let one = event.group(DELTA, 1).unwrap();
    assert_eq!(one, event.certified(DELTA).unwrap());
    assert!(event.group(DELTA, 2).unwrap().epsilon > one.epsilon.value());
    assert!(event.group(DELTA, 0).is_err());
    assert!(event.group(DELTA, MAX_GROUP + 1).is_err());
}
