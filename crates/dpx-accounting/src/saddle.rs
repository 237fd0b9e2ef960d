//! Where the tail that decides epsilon lies: exponential tilt and window of the transform.
//!
//! The composed loss S has the cumulant function K(t) = ln E[exp(t S)]. Under the law tilted by exp(theta S) with
//! K'(theta) = epsilon, the tail beyond epsilon is no tail at all: a transform of the tilted law has errors relative to
//! Chernoff's bound of delta rather than to 1. A wrong theta or window costs accuracy, never validity: what leaves the
//! window is bounded from the lattice itself (`compose`). Here the cumulants are sums over some hundred points.

use super::cells::support;
use super::composition::RepeatedPair;
use super::lattice::Direction;
use super::normal::density;
use std::f64::consts::PI;

/// Loss that may leave the window, as a share of delta.
const SPILL: f64 = 1e-7;
/// Distance of the trapezoid's points, in standard deviations.
const STEP: f64 = 0.05;

/// The cumulant function of a composition, by the trapezoid rule.
#[derive(Debug, Clone)]
pub(super) struct Cumulant {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    steps: f64,
    losses: Vec<f64>,
    weights: Vec<f64>,
}

/// A cumulant function and its first two derivatives at one point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Jet {
    pub(super) value: f64,
    pub(super) mean: f64,
    pub(super) variance: f64,
}

/// The exponential tilt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tilt {
    pub(super) theta: f64,
    /// About where epsilon is.
    pub(super) location: f64,
    /// Standard deviation of the tilted loss.
    pub(super) spread: f64,
    /// About ln(delta) at `location`.
    pub(super) ln_delta: f64,
}

/// The window of losses that the transform holds, and the exponent for Chernoff's bound above it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) low: f64,
    pub(super) width: f64,
    pub(super) chernoff: f64,
    /// Mass outside the window that need not be bounded any closer.
    pub(super) negligible: f64,
}

impl Cumulant {
    pub(super) fn new(repeated: &[RepeatedPair], direction: Direction, tail: f64) -> Self {
        let parts = repeated
            .iter()
            .map(|RepeatedPair { pair, steps }| {
                let (mut losses, mut weights) = (Vec::new(), Vec::new());
                for (low, high) in support(pair, tail) {
                    let count = ((high - low) / STEP).ceil().max(1.0) as usize;
                    for index in 0..=count {
                        let z = low + (high - low) * index as f64 / count as f64;
                        let loss = pair.loss(z).value;
                        let (loss, weight) = match direction {
                            Direction::Remove => (loss, pair.density(z)),
                            Direction::Add => (-loss, density(z)),
                        };
                        losses.push(loss);
                        weights.push(weight);
                    }
                }
                let total: f64 = weights.iter().sum();
                for weight in &mut weights {
                    *weight /= total;
                }
                Part {
                    steps: *steps,
                    losses,
                    weights,
                }
            })
            .collect();
        Self { parts }
    }

    pub(super) fn at(&self, t: f64) -> Jet {
        let mut jet = Jet {
            value: 0.0,
            mean: 0.0,
            variance: 0.0,
        };
        for part in &self.parts {
            let one = part.at(t);
            jet.value += part.steps * one.value;
            jet.mean += part.steps * one.mean;
            jet.variance += part.steps * one.variance;
        }
        jet
    }

    /// Saddle-point approximation of ln(delta) at epsilon = K'(t) (Daniels 1954, with the hockey stick's kernel).
    fn ln_delta(&self, t: f64) -> (f64, Jet) {
        let jet = self.at(t);
        let scale = t.ln() + t.ln_1p() + 0.5 * (2.0 * PI * jet.variance).ln();
        (jet.value - t * jet.mean - scale.max(0.0), jet)
    }

    /// The tilt by a given theta.
    pub(super) fn tilt(&self, theta: f64) -> Tilt {
        let (ln_delta, jet) = self.ln_delta(theta);
        Tilt {
            theta,
            location: jet.mean,
            spread: jet.variance.sqrt(),
            ln_delta,
        }
    }

    fn unit(&self) -> f64 {
        let spread = self.at(0.0).variance.sqrt();
        if spread > 0.0 { 1.0 / spread } else { 1.0 }
    }

    /// The tilt under which the epsilon of this delta is the mean.
    pub(super) fn tilt_for_delta(&self, delta: f64) -> Tilt {
        let target = delta.ln();
        let unit = self.unit();
        self.tilt(first_crossing(1e-3 * unit, 1e4 * unit, |t| {
            self.ln_delta(t).0 <= target
        }))
    }

    /// The tilt under which this epsilon is the mean.
    pub(super) fn tilt_for_epsilon(&self, epsilon: f64) -> Tilt {
        let unit = self.unit();
        let theta = first_crossing(0.1 * unit, 1e4 * unit, |t| self.at(t).mean >= epsilon);
        self.tilt(theta)
    }

    /// The window for a tilt, from `low` upwards.
    ///
    /// It must be so wide that what wraps around from below (at most exp(-theta W)) and from above (at most
    /// exp(K(t) - t low - (t - theta) W) for every t > theta) is negligible.
    pub(super) fn window(&self, tilt: &Tilt, low: f64, ln_delta: f64) -> Window {
        let spill = -(SPILL.ln() + ln_delta);
        let width = |t: f64| (self.at(t).value + spill - t * low) / (t - tilt.theta);
        let start = 0.02 * tilt.theta.max(0.1 / tilt.spread.max(1e-300));
        let (mut best, mut best_width) = (start, f64::INFINITY);
        let mut gap = start;
        for _ in 0..48 {
            let candidate = width(tilt.theta + gap);
            if candidate < best_width {
                (best, best_width) = (gap, candidate);
            }
            gap *= 1.25;
        }
        Window {
            low,
            width: best_width.max(spill / tilt.theta),
            chernoff: tilt.theta + best,
            negligible: 100.0 * SPILL * ln_delta.exp(),
        }
    }
}

impl Part {
    fn at(&self, t: f64) -> Jet {
        let anchor = self
            .losses
            .iter()
            .fold(f64::NEG_INFINITY, |most, loss| most.max(t * loss));
        let anchor = if anchor < 1.0 { 0.0 } else { anchor };
        let (mut excess, mut total, mut first, mut second) = (0.0, 0.0, 0.0, 0.0);
        for (loss, weight) in self.losses.iter().zip(&self.weights) {
            let less_one = (t * loss - anchor).exp_m1();
            let mass = weight * (less_one + 1.0);
            excess += weight * less_one;
            total += mass;
            first += mass * loss;
            second += mass * loss * loss;
        }
        let mean = first / total;
        Jet {
            value: if anchor == 0.0 {
                excess.ln_1p()
            } else {
                anchor + total.ln()
            },
            mean,
            variance: (second / total - mean * mean).max(0.0),
        }
    }
}

/// The first t on a geometric scale for which `holds`, refined by bisection; `high` if none.
fn first_crossing(low: f64, high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    let (mut before, mut t) = (low, low);
    while t < high && !holds(t) {
        before = t;
        t *= 1.5;
    }
    for _ in 0..12 {
        let middle = (before * t).sqrt();
        if holds(middle) {
            t = middle;
        } else {
            before = middle;
        }
    }
    t
}
