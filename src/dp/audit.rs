//! Auditing in one training run (Steinke, Nasr, Jagielski 2023, "Privacy auditing with one (1) training run").
//!
//! m canaries are each included by a fair coin; the auditor guesses r of the coins and abstains on the rest; v guesses are
//! right. Under (epsilon, delta)-DP the number of right guesses is stochastically at most Binomial(r, p) with
//! p = e^eps / (1 + e^eps), plus a correction for delta: theorem 5.2 gives
//! P(right >= v) <= P(B >= v) + 2 m delta max_{1 <= i <= v} P(v - i <= B < v) / i.

/// What a one-run audit found.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Audit {
    /// Epsilon is not below this, with the stated confidence.
    pub epsilon_lower: f64,
    /// What the audit could at most have shown: every guess right.
    pub largest_possible: f64,
}

/// Lower bound of epsilon from `right` of `guesses` guesses about `canaries` canaries.
///
/// More guesses than canaries, or more right ones than guesses, count as the most that is possible.
pub fn one_run(canaries: u64, guesses: u64, right: u64, delta: f64, confidence: f64) -> Audit {
    let guesses = guesses.min(canaries);
    Audit {
        epsilon_lower: lower_bound(canaries, guesses, right.min(guesses), delta, confidence),
        largest_possible: lower_bound(canaries, guesses, guesses, delta, confidence),
    }
}

/// The largest epsilon that is refuted at this confidence, by bisection; the lower end.
fn lower_bound(canaries: u64, guesses: u64, right: u64, delta: f64, confidence: f64) -> f64 {
    let refuted =
        |epsilon: f64| p_value(canaries, guesses, right, epsilon, delta) < 1.0 - confidence;
    if right == 0 || !refuted(0.0) {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    while refuted(high) && high < 64.0 {
        low = high;
        high *= 2.0;
    }
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if refuted(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The probability of at least `right` right guesses under (epsilon, delta)-DP, at most.
pub fn p_value(canaries: u64, guesses: u64, right: u64, epsilon: f64, delta: f64) -> f64 {
    // ln of p and of 1 - p, for p = 1 / (1 + e^-epsilon).
    let ln_right = -(-epsilon).exp().ln_1p();
    let ln_wrong = ln_right - epsilon;
    let ln_choose = |count: u64| {
        libm::lgamma(guesses as f64 + 1.0)
            - libm::lgamma(count as f64 + 1.0)
            - libm::lgamma((guesses - count) as f64 + 1.0)
    };
    let mass = |count: u64| {
        (ln_choose(count) + count as f64 * ln_right + (guesses - count) as f64 * ln_wrong).exp()
    };
    // From the small end, so that a tiny tail keeps its digits.
    let tail: f64 = (right..=guesses).rev().map(mass).sum();
    let (mut below, mut worst) = (0.0, 0.0_f64);
    for distance in 1..=right {
        below += mass(right - distance);
        worst = worst.max(below / distance as f64);
    }
    (tail + 2.0 * canaries as f64 * delta * worst).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_right_gives_the_closed_form() {
        // p^r = 1 - confidence, so that epsilon = ln(p / (1 - p)) with p = 0.05^(1/r).
        let p = 0.05_f64.powf(0.01);
        let found = one_run(100, 100, 100, 0.0, 0.95);
        assert!((found.epsilon_lower - (p / (1.0 - p)).ln()).abs() < 1e-9);
        assert_eq!(found.epsilon_lower, found.largest_possible);
    }

    #[test]
    fn chance_shows_nothing_and_delta_weakens() {
        assert_eq!(one_run(1000, 500, 250, 0.0, 0.95).epsilon_lower, 0.0);
        let without = one_run(1000, 500, 450, 0.0, 0.95).epsilon_lower;
        let with = one_run(1000, 500, 450, 1e-4, 0.95).epsilon_lower;
        assert!(with < without && without < (0.9_f64 / 0.1).ln());
    }

    /// Randomised response at epsilon, the mechanism for which the bound is tight: its expected count of right guesses.
    #[test]
    fn the_bound_stays_below_the_truth_and_comes_near() {
        for epsilon in [0.5_f64, 1.0, 2.0, 4.0] {
            let share = 1.0 / (1.0 + (-epsilon).exp());
            let found = one_run(10_000, 10_000, (1e4 * share) as u64, 0.0, 0.95).epsilon_lower;
            assert!(
                found < epsilon && found > 0.8 * epsilon,
                "{found} {epsilon}"
            );
        }
    }
}
