//! The transform against an exact composition, and the bound on its rounding.

use super::*;
use crate::fault::{self, Fault};

/// Binomial(count, share) on `first..first + length`, from its mode outwards: every ratio of neighbors is exact to an ulp.
fn binomial(count: f64, share: f64, first: i64, length: usize) -> Vec<f64> {
    let mut masses = vec![0.0; length];
    let mode = (count * share) as i64 - first;
    let odds = share / (1.0 - share);
    masses[mode as usize] = 1.0;
    for index in mode as usize + 1..length {
        let k = (first + index as i64) as f64;
        masses[index] = masses[index - 1] * odds * (count - k + 1.0) / k;
    }
    for index in (0..mode as usize).rev() {
        let k = (first + index as i64) as f64;
        masses[index] = masses[index + 1] * (k + 1.0) / (odds * (count - k));
    }
    // Small terms first, from both ends.
    let (low, high) = masses.split_at(mode as usize);
    let total = low.iter().sum::<f64>() + high.iter().rev().sum::<f64>();
    for mass in &mut masses {
        *mass /= total;
    }
    masses
}

/// A loss of 0 or h, composed: its tilted law is binomial. Error of the transform, and what it is bounded by.
fn error_and_bound(steps: f64, length: usize) -> (f64, f64) {
    let (share, spacing, theta) = (0.3, 1e-3, 0.5_f64);
    let one = Distribution {
        first: 0,
        masses: vec![1.0 - share, share],
        outside: 0.0,
        shift: 0.0,
        loss_error: 0.0,
        weight_error: 0.0,
    };
    let lifted = share * (theta * spacing).exp();
    let tilted = lifted / (1.0 - share + lifted);
    let low = (steps * tilted - length as f64 / 2.0).floor();
    let window = Window {
        low: low * spacing,
        width: length as f64 * spacing,
        chernoff: 2.0 * theta,
        negligible: 0.0,
    };
    let composed = Composed::new(&[(one, steps)], spacing, theta, &window);
    assert_eq!(composed.values.len(), length);
    let exact = binomial(steps, tilted, composed.first, length);
    let square: f64 = exact
        .iter()
        .enumerate()
        .map(|(offset, exact)| {
            let place = (composed.first + offset as i64).rem_euclid(length as i64);
            (composed.values[place as usize] - exact).powi(2)
        })
        .sum();
    (square.sqrt(), composed.noise)
}

/// Whether what the transform gets wrong lies inside the bound that is added to delta.
pub(crate) fn rounding_is_bounded() -> bool {
    [(1e3, 4096), (1e5, 4096), (1e6, 16_384)]
        .into_iter()
        .all(|(steps, length)| {
            let (error, bound) = error_and_bound(steps, length);
            0.0 < error && error <= bound
        })
}

#[test]
fn the_transforms_rounding_is_inside_its_bound() {
    assert!(rounding_is_bounded());
    assert!(!fault::with(Fault::FftErrorOmitted, rounding_is_bounded));
    // The bound grows with the steps and stays useful.
    let (few, many) = (
        error_and_bound(1e3, 16_384).1,
        error_and_bound(1e6, 16_384).1,
    );
    assert!(many > 10.0 * few && many < 1e-6, "{few} {many}");
}
