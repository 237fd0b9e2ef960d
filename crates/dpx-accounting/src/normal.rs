//! The standard normal distribution, with full relative accuracy in the tails.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Unit roundoff of f64.
pub(super) const UNIT: f64 = f64::EPSILON / 2.0;

/// P(Z > z).
pub(super) fn survival(z: f64) -> f64 {
    0.5 * libm::erfc(z * FRAC_1_SQRT_2)
}

/// P(Z <= z).
pub(super) fn cumulative(z: f64) -> f64 {
    survival(-z)
}

pub(super) fn density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * PI).sqrt()
}

/// ln P(Z > z), without underflow (asymptotic series beyond 30).
pub(super) fn ln_survival(z: f64) -> f64 {
    if z < 30.0 {
        return survival(z).ln();
    }
    let inverse_square = 1.0 / (z * z);
    let series = 1.0 - inverse_square * (1.0 - 3.0 * inverse_square * (1.0 - 5.0 * inverse_square));
    -0.5 * z * z - z.ln() - 0.5 * (2.0 * PI).ln() + series.ln()
}

/// P(lower < Z <= upper) by differences on the side where they keep their digits.
pub(super) fn interval(lower: f64, upper: f64) -> f64 {
    if lower > 0.0 {
        survival(lower) - survival(upper)
    } else if upper < 0.0 {
        cumulative(upper) - cumulative(lower)
    } else {
        1.0 - cumulative(lower) - survival(upper)
    }
}

/// Whether [`correction`] holds to 1e-15 for an interval of this width around this middle.
pub(super) fn is_narrow(middle: f64, width: f64) -> bool {
    (middle.abs() + 1.0) * width < 0.1
}

/// P(interval) over width times density at its middle: the Taylor series in the width, by Hermite polynomials.
pub(super) fn correction(middle: f64, width: f64) -> f64 {
    let m2 = middle * middle;
    let w2 = width * width;
    let second = (m2 - 1.0) / 24.0;
    let fourth = (m2 * (m2 - 6.0) + 3.0) / 1920.0;
    let sixth = (m2 * (m2 * (m2 - 15.0) + 45.0) - 15.0) / 322_560.0;
    1.0 + w2 * (second + w2 * (fourth + w2 * sixth))
}

/// The z with P(Z > z) = `tail`, by bisection; 0 < tail < 0.5.
pub(super) fn upper_quantile(tail: f64) -> f64 {
    let target = tail.ln();
    let (mut low, mut high) = (0.0, 1e3);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if ln_survival(middle) > target {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}
