//! The Rényi accountant of the Poisson-subsampled Gaussian (Mironov, Talwar, Zhang 2019, "Rényi differential privacy of
//! the sampled Gaussian mechanism") with the conversion of Balle et al. 2020 and Canonne, Kamath, Steinke 2020.
//!
//! All sums are in logarithms with a bound on their rounding error added. An order whose series does not converge, or
//! loses its digits, is dropped: it never counts as zero. The divergence of P from Q is the larger of the two directions
//! (ibid., theorem 5), so one order bounds add and remove alike.

use super::composition::{Composition, EqualSteps};
use super::error::check_delta;
use super::normal::{UNIT, ln_survival};
use super::{AccountantError, DeltaBound, DpEvent, EpsilonBound};
use crate::fault::fault;

/// Largest number of terms of a series.
const MAX_TERMS: u32 = 3_000;
/// Largest integer order that is summed.
const LARGEST_ORDER: f64 = 20_000.0;
/// An order is dropped if its rounding error exceeds this share of the sum.
const LARGEST_ERROR_SHARE: f64 = 1e-6;
/// A series ends when its terms fall and are below this share of the partial sum,
const LAST_TERM_SHARE: f64 = 1e-14;
/// or, after the most terms, below this one; the last term is added as error in both cases.
const WORST_LAST_TERM_SHARE: f64 = 1e-8;

/// The orders, from just above 1 to where tiny losses need them.
fn orders() -> impl Iterator<Item = f64> {
    let fractional = (1..100)
        .filter(|tenth| tenth % 10 != 0)
        .map(|tenth| 1.0 + f64::from(tenth) / 10.0);
    let near_one = [1.01, 1.02, 1.05].into_iter();
    let integers = (2..=64).map(f64::from);
    let sparse = (9..=32).map(|eighth| f64::from(eighth * 8));
    let far = [
        288, 320, 384, 448, 512, 640, 768, 1024, 1536, 2048, 4096, 8192, 16_384, 65_536, 262_144,
        1_048_576,
    ]
    .into_iter()
    .map(f64::from);
    near_one
        .chain(fractional)
        .chain(integers)
        .chain(sparse)
        .chain(far)
}

/// Epsilon at `delta` by the Rényi accountant: an upper bound.
///
/// # Errors
/// A parameter is out of range.
pub fn epsilon_rdp(event: &DpEvent, delta: f64) -> Result<EpsilonBound, AccountantError> {
    check_delta(delta)?;
    match Composition::new(event, 1)? {
        Composition::Free => Ok(EpsilonBound::ZERO),
        _ if delta == 1.0 => Ok(EpsilonBound::ZERO),
        Composition::Unbounded => Ok(EpsilonBound::INFINITE),
        Composition::Pairs { parts, .. } => Ok(EpsilonBound::certified(epsilon_of(&parts, delta))),
    }
}

/// Delta at `epsilon` by the Rényi accountant: an upper bound.
///
/// # Errors
/// A parameter is out of range.
pub fn delta_rdp(event: &DpEvent, epsilon: f64) -> Result<DeltaBound, AccountantError> {
    AccountantError::check("epsilon", epsilon, epsilon >= 0.0, "a number of at least 0")?;
    match Composition::new(event, 1)? {
        Composition::Free => Ok(DeltaBound::certified(0.0)),
        Composition::Unbounded => Ok(DeltaBound::certified(1.0)),
        Composition::Pairs { parts, .. } => {
            let delta = orders()
                .map(|order| {
                    let divergence = composed(&parts, order);
                    let exponent = (order - 1.0) * (divergence + (-1.0 / order).ln_1p() - epsilon)
                        - order.ln();
                    exponent.exp()
                })
                .filter(|delta| delta.is_finite())
                .fold(1.0, f64::min);
            Ok(DeltaBound::certified(delta))
        }
    }
}

/// Epsilon by the Rényi accountant after each number of repetitions of one event: the divergences of one repetition are
/// summed once, so that a running mechanism can show what it has cost so far at every step.
///
/// ```
/// use dpx_accounting::{DpEvent, RdpOverSteps, epsilon_rdp};
/// let step = DpEvent::poisson_sampled_gaussian(0.01, 1.0, 1)?;
/// let curve = RdpOverSteps::new(&step, 1e-5)?;
/// let whole = DpEvent::poisson_sampled_gaussian(0.01, 1.0, 1000)?;
/// assert_eq!(curve.epsilon(1000), epsilon_rdp(&whole, 1e-5)?);
/// # Ok::<(), dpx_accounting::AccountantError>(())
/// ```
#[derive(Debug, Clone)]
pub struct RdpOverSteps {
    delta: f64,
    /// Order and divergence of one repetition; none where there is no guarantee.
    divergences: Option<Vec<(f64, f64)>>,
}

impl RdpOverSteps {
    /// Of repetitions of `event` at `delta`.
    ///
    /// # Errors
    /// A parameter is out of range.
    pub fn new(event: &DpEvent, delta: f64) -> Result<Self, AccountantError> {
        check_delta(delta)?;
        let parts = match Composition::new(event, 1)? {
            Composition::Free => Some(Vec::new()),
            Composition::Unbounded => None,
            Composition::Pairs { parts, .. } => Some(parts),
        };
        let divergences = parts.map(|parts| {
            let of = |order| (order, composed(&parts, order));
            orders().map(of).collect()
        });
        Ok(Self { delta, divergences })
    }

    /// An upper bound of epsilon after a number of repetitions.
    pub fn epsilon(&self, repetitions: u64) -> EpsilonBound {
        let Some(divergences) = &self.divergences else {
            return EpsilonBound::INFINITE;
        };
        if repetitions == 0 || self.delta == 1.0 || divergences.iter().all(|(_, one)| *one == 0.0) {
            return EpsilonBound::ZERO;
        }
        let least = divergences
            .iter()
            .filter_map(|(order, one)| convert(*order, repetitions as f64 * one, self.delta))
            .fold(f64::INFINITY, f64::min);
        EpsilonBound::certified(least)
    }
}

pub(super) fn epsilon_of(parts: &[EqualSteps], delta: f64) -> f64 {
    orders()
        .filter_map(|order| convert(order, composed(parts, order), delta))
        .fold(f64::INFINITY, f64::min)
}

/// Proposition 12 of Canonne, Kamath, Steinke 2020; none for a divergence that is not finite and positive.
fn convert(order: f64, divergence: f64, delta: f64) -> Option<f64> {
    if !(divergence.is_finite() && divergence >= 0.0) {
        return None;
    }
    let epsilon = divergence + (-1.0 / order).ln_1p() - (delta.ln() + order.ln()) / (order - 1.0);
    (!epsilon.is_nan()).then_some(epsilon.max(0.0))
}

fn composed(parts: &[EqualSteps], order: f64) -> f64 {
    parts
        .iter()
        .map(|part| {
            let part = part.at_once(1);
            part.steps as f64 * divergence(part.noise_multiplier, part.sampling_rate, order)
        })
        .sum()
}

/// Rényi divergence of one step at an order above 1: never below the true one; infinite if it could not be summed.
pub(super) fn divergence(noise_multiplier: f64, sampling_rate: f64, order: f64) -> f64 {
    if sampling_rate == 1.0 {
        return order / (2.0 * noise_multiplier * noise_multiplier);
    }
    let moment = if order.fract() == 0.0 {
        ln_moment_integer(noise_multiplier, sampling_rate, order)
    } else {
        ln_moment_fractional(noise_multiplier, sampling_rate, order).unwrap_or(f64::INFINITY)
    };
    moment / (order - 1.0)
}

/// ln E_Q[(P/Q)^order] for an integer order.
///
/// The binomial sum less one, term by term: sum over k >= 2 of C(order, k) q^k (1-q)^(order-k) (exp(k(k-1)/2s^2) - 1).
/// All terms are positive, so that a moment of 1 + 1e-30 keeps its digits.
fn ln_moment_integer(noise_multiplier: f64, sampling_rate: f64, order: f64) -> f64 {
    if order > LARGEST_ORDER {
        return f64::INFINITY;
    }
    let (ln_rate, ln_rest) = (sampling_rate.ln(), (-sampling_rate).ln_1p());
    let halved_precision = 0.5 / (noise_multiplier * noise_multiplier);
    let mut sum = LogSum::default();
    let mut ln_binomial = 0.0;
    for k in 1..=(order as u32) {
        let index = f64::from(k);
        ln_binomial += ((order - index + 1.0) / index).ln();
        if k == 1 {
            continue;
        }
        let exponent = index * (index - 1.0) * halved_precision;
        let parts = [
            ln_binomial,
            index * ln_rate,
            (order - index) * ln_rest,
            exponent + (-(-exponent).exp_m1()).ln(),
        ];
        sum.add(&parts, 1.0);
    }
    match sum.upper() {
        Some(less_one) if less_one > 0.0 => less_one + (-less_one).exp().ln_1p(),
        Some(less_one) => less_one.exp().ln_1p(),
        None => f64::INFINITY,
    }
}

/// ln E_Q[(P/Q)^order] for a fractional order: the two series of ibid., section 3.3.
fn ln_moment_fractional(noise_multiplier: f64, sampling_rate: f64, order: f64) -> Option<f64> {
    let (ln_rate, ln_rest) = (sampling_rate.ln(), (-sampling_rate).ln_1p());
    let variance = noise_multiplier * noise_multiplier;
    let split = variance * (ln_rest - ln_rate) + 0.5;
    let mut sum = LogSum::default();
    let (mut ln_binomial, mut sign) = (0.0, 1.0);
    let mut before = f64::INFINITY;
    for i in 0..MAX_TERMS {
        let index = f64::from(i);
        let rest = order - index;
        let low = [
            ln_binomial,
            index * ln_rate,
            rest * ln_rest,
            (index * index - index) / (2.0 * variance),
            ln_survival((index - split) / noise_multiplier),
        ];
        let high = [
            ln_binomial,
            rest * ln_rate,
            index * ln_rest,
            (rest * rest - rest) / (2.0 * variance),
            ln_survival((split - rest) / noise_multiplier),
        ];
        let largest = sum.add(&low, sign).max(sum.add(&high, sign));
        if fault!(EarlyStoppedRdp) && largest < -30.0 {
            return Some(sum.ln_value());
        }
        // Terms alternate in sign beyond the order; the rest is then below the last term, which is added.
        let falls = largest < before;
        let share = if i + 1 == MAX_TERMS {
            WORST_LAST_TERM_SHARE
        } else {
            LAST_TERM_SHARE
        };
        if index > order && falls && largest < sum.ln_value() + share.ln() {
            sum.widen(largest);
            return sum.upper();
        }
        before = largest;
        sign *= (order - index).signum();
        ln_binomial += ((order - index).abs() / (index + 1.0)).ln();
    }
    None
}

/// A sum of signed exponentials with a bound on its rounding error.
#[derive(Debug, Clone, Copy)]
struct LogSum {
    anchor: f64,
    sum: f64,
    error: f64,
}

impl Default for LogSum {
    fn default() -> Self {
        Self {
            anchor: f64::NEG_INFINITY,
            sum: 0.0,
            error: 0.0,
        }
    }
}

impl LogSum {
    /// Adds `sign` times the exponential of the sum of `parts`; returns that sum.
    fn add(&mut self, parts: &[f64], sign: f64) -> f64 {
        let exponent: f64 = parts.iter().sum();
        let size: f64 = parts.iter().map(|part| part.abs()).sum();
        self.lift(exponent);
        if exponent > f64::NEG_INFINITY {
            let term = (exponent - self.anchor).exp();
            self.sum += sign * term;
            self.error += term * UNIT * 8.0 * (4.0 + size);
        }
        exponent
    }

    /// Adds the exponential of `exponent` to the error.
    fn widen(&mut self, exponent: f64) {
        self.lift(exponent);
        self.error += 2.0 * (exponent - self.anchor).exp();
    }

    fn lift(&mut self, exponent: f64) {
        if exponent > self.anchor {
            let scale = (self.anchor - exponent).exp();
            self.sum *= scale;
            self.error *= scale;
            self.anchor = exponent;
        }
    }

    fn ln_value(&self) -> f64 {
        self.anchor + self.sum.abs().ln()
    }

    /// The logarithm of the sum's upper bound; none if it is not known well enough.
    fn upper(&self) -> Option<f64> {
        let good = self.sum > 0.0 && self.error <= LARGEST_ERROR_SHARE * self.sum;
        let value = self.anchor + (self.sum + self.error).ln();
        (good && value.is_finite()).then_some(value)
    }
}
