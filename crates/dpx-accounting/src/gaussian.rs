//! The plain Gaussian mechanism in closed form (Balle and Wang 2018, "Improving the Gaussian mechanism", theorem 8).

use super::normal::{ln_survival, survival};

/// delta(epsilon) of one Gaussian mechanism with this noise multiplier.
pub fn gaussian_delta(noise_multiplier: f64, epsilon: f64) -> f64 {
    let mu = 1.0 / noise_multiplier;
    let first = epsilon / mu - mu / 2.0;
    // exp(epsilon) P(Z > epsilon/mu + mu/2), in logarithms: its exponent would overflow.
    let second = (epsilon + ln_survival(epsilon / mu + mu / 2.0)).exp();
    (survival(first) - second).max(0.0)
}

/// The epsilon of one Gaussian mechanism at `delta`, by bisection; the upper end.
pub fn gaussian_epsilon(noise_multiplier: f64, delta: f64) -> f64 {
    let mu = 1.0 / noise_multiplier;
    if gaussian_delta(noise_multiplier, 0.0) <= delta {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, mu * mu / 2.0 + 40.0 * mu);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if gaussian_delta(noise_multiplier, middle) > delta {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The noise multiplier of the plain Gaussian mechanism with this epsilon at `delta`, by bisection; the upper end.
pub fn gaussian_noise_multiplier(epsilon: f64, delta: f64) -> f64 {
    let (mut low, mut high) = (-30.0_f64, 30.0_f64);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if gaussian_delta(middle.exp(), epsilon) > delta {
            low = middle;
        } else {
            high = middle;
        }
    }
    high.exp()
}
