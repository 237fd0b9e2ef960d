//! Auditing in one training run (Steinke, Nasr, Jagielski 2023, "Privacy auditing with one (1) training run").
//!
//! m canaries are each included by a fair coin; the auditor guesses r of the coins and abstains on the rest; v guesses are
//! right. Under (epsilon, delta)-DP the number of right guesses is stochastically at most Binomial(r, p) with
//! p = e^eps / (1 + e^eps), plus a correction for delta: theorem 5.2 gives
//! P(right >= v) <= P(B >= v) + 2 m delta max_{1 <= i <= v} P(v - i <= B < v) / i.

/// The lower bound of epsilon that a one-run audit found, and the highest that it could have found.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Audit {
    /// Epsilon is not below this, with the stated confidence.
    pub epsilon_lower: f64,
    /// What the audit could at most have shown: every guess right.
    pub largest_possible: f64,
}

/// Guesses for the surest canaries: `included` for those with the highest scores, `excluded` for as many with the lowest
/// (one fewer where `guesses` is odd). The number made, and how many are right.
///
/// The guesses depend on the scores alone; `included` only marks them.
pub fn guess(scores: &[f64], included: &[bool], guesses: u64) -> (u64, u64) {
    let made = (guesses as usize).min(scores.len()).min(included.len());
    let mut order: Vec<usize> = (0..scores.len().min(included.len())).collect();
    order.sort_by(|&one, &other| scores[other].total_cmp(&scores[one]));
    let (high, low) = (made.div_ceil(2), made / 2);
    let right = order[..high].iter().filter(|&&at| included[at]).count()
        + order[order.len() - low..]
            .iter()
            .filter(|&&at| !included[at])
            .count();
    (made as u64, right as u64)
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
    use crate::gaussian_noise_multiplier;

    /// Twice the canaries times delta has to be small beside the chance of being wrong.
    const DELTA: f64 = 1e-9;

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

    /// Randomized response at epsilon, the mechanism for which the bound is tight: its expected count of right guesses.
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

    /// The example in appendix D of the paper: at least 0.673 from 75 right ones of 100 guesses about 1,000 canaries.
    #[test]
    fn the_published_example_comes_out() {
        let found = one_run(1000, 100, 75, 1e-4, 0.95).epsilon_lower;
        assert!((found - 0.672_984_66).abs() < 1e-6, "{found}");
        assert!((p_value(1000, 100, 75, 0.5, 1e-4) - 0.014_587_207_65).abs() < 1e-10);
    }

    #[test]
    fn the_surest_are_guessed_from_both_ends() {
        let scores = [3.0, -1.0, 0.1, 9.0, -4.0];
        let included = [true, false, true, true, true];
        assert_eq!(guess(&scores, &included, 3), (3, 2));
        assert_eq!(guess(&scores, &included, 99), (5, 4));
        assert_eq!(guess(&scores, &included, 0), (0, 0));
    }

    /// What an auditor finds who sees coordinate i as `gain` times the coin of canary i plus noise: at gain 1 the exact
    /// Gaussian mechanism of sensitivity 1.
    fn audited(noise_multiplier: f64, gain: f64, confidence: f64, seed: u64) -> f64 {
        const CANARIES: usize = 20_000;
        // SplitMix64 (Steele, Lea, Flood 2014).
        let mut state = seed;
        let mut uniform = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (((z ^ (z >> 31)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        let included: Vec<bool> = (0..CANARIES).map(|_| uniform() < 0.5).collect();
        let scores: Vec<f64> = included
            .iter()
            .map(|&planted| {
                let normal =
                    (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
                gain * f64::from(u8::from(planted)) + noise_multiplier * normal
            })
            .collect();
        let (guesses, right) = guess(&scores, &included, CANARIES as u64 / 20);
        one_run(CANARIES as u64, guesses, right, DELTA, confidence).epsilon_lower
    }

    /// Never above the truth at a confidence of one in a million, and there at least 0.05 of it; 0.25 of it at 95 percent.
    #[test]
    fn exact_gaussian_mechanisms_are_bounded_from_below() {
        for epsilon in [1.0, 2.0, 4.0, 8.0] {
            let noise_multiplier = gaussian_noise_multiplier(epsilon, DELTA);
            for seed in 0..3 {
                let found = audited(noise_multiplier, 1.0, 1.0 - 1e-6, seed);
                assert!(
                    found <= epsilon && found >= 0.05 * epsilon,
                    "{found} {epsilon}"
                );
                let usual = audited(noise_multiplier, 1.0, 0.95, seed);
                assert!(usual >= 0.25 * epsilon, "{usual} {epsilon}");
            }
        }
    }

    #[test]
    fn mechanisms_without_clip_or_noise_are_caught_at_epsilon_one() {
        let noise_multiplier = gaussian_noise_multiplier(1.0, DELTA);
        let unclipped = audited(noise_multiplier, 10.0, 1.0 - 1e-6, 1);
        assert!(unclipped > 1.0, "{unclipped}");
        let silent = audited(0.0, 1.0, 1.0 - 1e-6, 1);
        assert!(silent > 1.0, "{silent}");
    }
}
