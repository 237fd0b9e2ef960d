//! An accountant of its own, for tests: privacy losses on a grid, rounded to the nearest point, added up one by one. It shares
//! no code with `dpx-accounting` and is good to a few hundredths of epsilon, which is far less than any run costs.

use std::collections::BTreeMap;

/// Spacing of the grid of losses.
const STEP: f64 = 0.02;
/// Losses beyond this many standard deviations are left out.
const REACH: f64 = 9.0;

/// Equal steps of a Gaussian mechanism: sampling rate, noise multiplier, how many.
pub(super) type Steps = (f64, f64, u64);

/// Probability of each loss, by its number of steps of the grid.
type Losses = BTreeMap<i64, f64>;

/// Epsilon of all steps together at `delta`, the worse of adding and removing.
pub(super) fn epsilon(steps: &[Steps], delta: f64) -> f64 {
    // Plain Gaussians are one Gaussian whose 1/sigma^2 is their sum.
    let plain: f64 = steps
        .iter()
        .filter(|(rate, ..)| *rate == 1.0)
        .map(|(_, sigma, count)| *count as f64 / (sigma * sigma))
        .sum();
    let mut all: Vec<Steps> = steps
        .iter()
        .copied()
        .filter(|(rate, ..)| *rate < 1.0)
        .collect();
    if plain > 0.0 {
        all.push((1.0, plain.sqrt().recip(), 1));
    }
    [true, false]
        .into_iter()
        .map(|removed| {
            let mut total = vec![(0, 1.0)];
            for &(rate, sigma, count) in &all {
                let one: Vec<(i64, f64)> = losses(rate, sigma, removed).into_iter().collect();
                for _ in 0..count {
                    total = added(&total, &one);
                }
            }
            solve(&total, delta)
        })
        .fold(0.0, f64::max)
}

/// The losses of one step: of removing under the mixture, of adding under the noise alone.
fn losses(rate: f64, sigma: f64, removed: bool) -> Losses {
    let cells = 8000;
    let (low, high) = (-REACH * sigma, REACH * sigma + 1.0);
    let width = (high - low) / f64::from(cells);
    let density = |x: f64| (-0.5 * (x / sigma).powi(2)).exp();
    let mut found = Losses::new();
    let mut total = 0.0;
    for cell in 0..cells {
        let x = low + (f64::from(cell) + 0.5) * width;
        let ratio = (1.0 - rate) + rate * ((2.0 * x - 1.0) / (2.0 * sigma * sigma)).exp();
        let (mass, loss) = if removed {
            let mixture = (1.0 - rate) * density(x) + rate * density(x - 1.0);
            (mixture, ratio.ln())
        } else {
            (density(x), -ratio.ln())
        };
        total += mass;
        *found.entry((loss / STEP).round() as i64).or_default() += mass;
    }
    found.retain(|_, mass| *mass > 1e-13 * total);
    for mass in found.values_mut() {
        *mass /= total;
    }
    found
}

fn added(one: &[(i64, f64)], other: &[(i64, f64)]) -> Vec<(i64, f64)> {
    let first = one[0].0 + other[0].0;
    let last = one[one.len() - 1].0 + other[other.len() - 1].0;
    let mut sums = vec![0.0; (last - first + 1) as usize];
    for &(a, p) in one {
        for &(b, q) in other {
            sums[(a + b - first) as usize] += p * q;
        }
    }
    let sums = sums.into_iter().zip(first..).map(|(mass, at)| (at, mass));
    sums.filter(|(_, mass)| *mass > 1e-14).collect()
}

/// The epsilon at which the expected excess of the losses is `delta`.
fn solve(losses: &[(i64, f64)], delta: f64) -> f64 {
    let excess = |epsilon: f64| -> f64 {
        let terms = losses.iter().map(|&(at, mass)| {
            let loss = at as f64 * STEP;
            mass * (1.0 - (epsilon - loss).exp()).max(0.0)
        });
        terms.sum()
    };
    let (mut low, mut high) = (0.0, 200.0);
    if excess(low) <= delta {
        return 0.0;
    }
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if excess(middle) > delta {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// By Google's dp_accounting 0.5 (connect the dots, interval 1e-4).
#[test]
fn it_agrees_with_dp_accounting() {
    for (steps, delta, expected) in DP_ACCOUNTING {
        let found = epsilon(steps, *delta);
        assert!(
            (found - expected).abs() < 0.03,
            "{steps:?}: {found} {expected}"
        );
    }
}

const DP_ACCOUNTING: &[(&[Steps], f64, f64)] = &[
    (&[(0.25, 1.0, 8)], 5e-4, 3.7567),
    (&[(1.0, 2.0, 1)], 5e-4, 1.4633),
    (&[(1.0, 4.0, 3), (0.1, 1.5, 10)], 5e-4, 1.4972),
    (
        &[(0.25, 2.0, 8), (0.05, 0.8, 4), (1.0, 10.0, 1)],
        1e-5,
        2.7618,
    ),
];
