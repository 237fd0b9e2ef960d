//! Tilted FFT composition with a bound on its own rounding error, and the curve delta(epsilon) that results.
//!
//! Each distribution is multiplied by exp(theta x) and normalized, transformed, raised to the number of its steps,
//! multiplied with the others and transformed back; the composed mass at x is exp(K(theta) - theta x) times the result.
//! Errors of the transform are absolute for the tilted law, hence relative to Chernoff's bound for the tail: delta of
//! 1e-12 keeps its digits. Everything that is not exact is bounded: mass outside, mass above the window, wrap-around,
//! relative errors of masses, errors of losses, and the transform's rounding, which grows with the number of steps.

#[cfg(test)]
pub(crate) mod tests;

use super::cells::MASS_ERROR;
use super::lattice::Distribution;
use super::normal::UNIT;
use super::saddle::Window;
use crate::fault::fault;
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use std::cell::RefCell;

/// Rounding error of a transform's entry over the sum of the inputs, per binary level: butterfly, product with a rounded
/// twiddle factor. Measured errors are a hundred times smaller.
const TRANSFORM_ERROR_PER_LEVEL: f64 = 10.0 * UNIT;
/// Entries whose power is below exp(-NEGLIGIBLE) count as zero.
const NEGLIGIBLE: f64 = 60.0;
/// The transform's error may take this share of delta; above, the answer is refused.
const LARGEST_ERROR_SHARE: f64 = 0.01;

thread_local! {
    static PLANNER: RefCell<RealFftPlanner<f64>> = RefCell::new(RealFftPlanner::new());
}

/// The shortest transform of at least `least` points among those with small factors.
pub(super) fn transform_length(least: f64) -> usize {
    let mut length = 1024;
    while (length as f64) < least {
        if 1.5 * length as f64 >= least {
            return length / 2 * 3;
        }
        length *= 2;
    }
    length
}

/// A composed privacy loss within a window.
#[derive(Debug)]
pub(super) struct Composed {
    spacing: f64,
    theta: f64,
    /// Lattice index of the window's lower end.
    first: i64,
    /// Tilted mass by lattice index modulo the length.
    values: Vec<f64>,
    /// K(theta).
    ln_scale: f64,
    /// Bound on the Euclidean norm of the error of `values`.
    noise: f64,
    shift: f64,
    /// Mass outside the lattice.
    pub(super) outside: f64,
    /// Bound on mass above the window.
    pub(super) above: f64,
    /// Bound on what wrapped around into the window.
    pub(super) wrapped: f64,
    /// Bound on the error of the composed loss.
    pub(super) loss_error: f64,
    /// Bound on the relative error of every mass.
    pub(super) relative_error: f64,
}

/// What a bound should do with the transform's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounding {
    /// Epsilon is not below the true one.
    Up,
    /// No bound.
    Ignore,
    /// Epsilon is not above the true one.
    Down,
}

/// Where delta(epsilon) meets a target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Crossing {
    /// At this epsilon.
    At(f64),
    /// Below the window.
    Below,
    /// The transform's error is too large a share of the target.
    Uncertain,
}

impl Composed {
    pub(super) fn new(
        parts: &[(Distribution, f64)],
        spacing: f64,
        theta: f64,
        window: &Window,
    ) -> Self {
        let length = transform_length(window.width / spacing);
        let width = length as f64 * spacing;
        let error = TRANSFORM_ERROR_PER_LEVEL * (length as f64).log2();
        let (shift, outside, loss_error, steps) = parts.iter().fold(
            (0.0, 0.0, 0.0, 0.0),
            |(shift, outside, loss_error, total), (part, steps)| {
                (
                    shift + steps * part.shift,
                    outside + steps * part.outside,
                    loss_error + steps * part.loss_error,
                    total + steps,
                )
            },
        );
        let weight_error: f64 = parts
            .iter()
            .map(|(part, steps)| steps * part.weight_error)
            .sum();
        let first = ((window.low - shift) / spacing).floor();
        let low = first * spacing;

        let (forward, inverse) = PLANNER.with_borrow_mut(|planner| {
            (
                planner.plan_fft_forward(length),
                planner.plan_fft_inverse(length),
            )
        });
        let one = Entry {
            value: Complex::new(1.0, 0.0),
            bound: 1.0,
            relative: 0.0,
        };
        let mut product = vec![one; length / 2 + 1];
        let mut ln_scale = 0.0;
        for (part, steps) in parts {
            let (tilted, cumulant) = tilt(part, spacing, theta, length);
            ln_scale += steps * cumulant;
            raise(&transform(&*forward, tilted), *steps, error, &mut product);
        }
        let (mut square, mut error_square) = (0.0, 0.0);
        for (index, entry) in product.iter().enumerate() {
            let times = if index == 0 || index == length / 2 {
                1.0
            } else {
                2.0
            };
            square += times * entry.bound.powi(2);
            error_square += times * (entry.bound * entry.relative).powi(2);
        }
        let length_root = (length as f64).sqrt();
        let rounding = (error_square.sqrt() + error * square.sqrt()) / length_root;
        let noise = if fault!(FftErrorOmitted) {
            0.0
        } else {
            rounding
        };

        let mut spectrum: Vec<Complex<f64>> = product.iter().map(|entry| entry.value).collect();
        spectrum[0].im = 0.0;
        spectrum[length / 2].im = 0.0;
        let mut values = inverse.make_output_vec();
        inverse
            .process(&mut spectrum, &mut values)
            .expect("lengths are the plan's own, and both ends are real");
        let scale = 1.0 / length as f64;
        for value in &mut values {
            *value *= scale;
        }

        // Chernoff's bound holds for every t above theta. The coarse cumulants that chose one may have missed the best: then,
        // and only then, others are tried, since each costs a pass over the lattice.
        let (mut above, mut wrapped) = (f64::INFINITY, f64::INFINITY);
        for share in [1.0, 0.6, 0.3, 0.1] {
            let t = theta + share * (window.chernoff - theta);
            let chernoff: f64 = parts
                .iter()
                .map(|(part, steps)| steps * part.cumulant(t, spacing))
                .sum::<f64>()
                - t * low;
            let drop = (t - theta) * width;
            above = above.min((chernoff - t * width).exp());
            wrapped = wrapped.min((chernoff - drop).exp() / -(-drop).exp_m1());
            if above.max(wrapped) <= window.negligible {
                break;
            }
        }
        wrapped += geometric(-theta * width);
        Self {
            spacing,
            theta,
            first: first as i64,
            values,
            ln_scale,
            noise,
            shift,
            outside,
            above,
            wrapped,
            loss_error,
            relative_error: steps * (MASS_ERROR + 4.0 * UNIT) + weight_error,
        }
    }

    /// Lattice index (shift included) as a loss.
    fn loss(&self, index: i64) -> f64 {
        index as f64 * self.spacing + self.shift
    }

    /// Walks down from the window's top and calls `stop` with (index, delta there, mass at or above, error) before the
    /// mass at that index is counted, until it returns something.
    fn walk<T>(&self, mut stop: impl FnMut(&Point) -> Option<T>) -> Option<T> {
        const STRIDE: i64 = 64;
        let length = self.values.len() as i64;
        let decay = (-self.spacing).exp();
        let growth = -(-self.spacing).exp_m1();
        let ratio = (self.theta * self.spacing).exp();
        let (mut delta, mut mass, mut square, mut weight) = (0.0, 0.0, 0.0, 0.0);
        for index in (self.first..self.first + length).rev() {
            let point = Point {
                index,
                delta,
                mass,
                error: f64::sqrt(square) * self.noise,
            };
            if let Some(result) = stop(&point) {
                return Some(result);
            }
            if (self.first + length - 1 - index) % STRIDE == 0 {
                weight = (self.ln_scale - self.theta * (index as f64 * self.spacing)).exp();
            } else {
                weight *= ratio;
            }
            mass += weight * self.values[index.rem_euclid(length) as usize].max(0.0);
            square += weight * weight;
            delta = delta * decay + growth * mass;
        }
        None
    }

    /// The epsilon at which delta(epsilon) meets `target`.
    pub(super) fn crossing(&self, target: f64, rounding: Rounding) -> Crossing {
        let mut above = Point {
            index: 0,
            delta: 0.0,
            mass: 0.0,
            error: 0.0,
        };
        let aim = |error: f64| match rounding {
            Rounding::Up => target - error,
            Rounding::Ignore => target,
            Rounding::Down => target + error,
        };
        let found = self.walk(|point| {
            if point.delta >= aim(point.error) {
                return Some((*point, above));
            }
            above = *point;
            None
        });
        let Some((point, above)) = found else {
            return Crossing::Below;
        };
        if point.error > LARGEST_ERROR_SHARE * target {
            return Crossing::Uncertain;
        }
        // Between two lattice points delta(eps) = mass - (mass - delta_above) exp(eps - x_above).
        let aimed = aim(point.error).max(above.delta);
        let distance = ((point.mass - above.delta) / (point.mass - aimed)).ln();
        let upper = self.loss(point.index + 1);
        if distance.is_finite() {
            Crossing::At(upper - distance.clamp(0.0, self.spacing))
        } else {
            Crossing::At(match rounding {
                Rounding::Up => upper,
                _ => self.loss(point.index),
            })
        }
    }

    /// Upper bound of delta at `epsilon`, without the masses outside and above; none if it cannot be had.
    pub(super) fn delta(&self, epsilon: f64) -> Option<f64> {
        let epsilon = epsilon - self.loss_error;
        let mut above = (0.0, 0.0);
        let (delta, error) = self.walk(|point| {
            if self.loss(point.index) <= epsilon {
                let distance = (self.loss(point.index + 1) - epsilon).clamp(0.0, self.spacing);
                let delta = point.mass - (point.mass - above.0) * (-distance).exp();
                return Some((delta, point.error));
            }
            above = (point.delta, point.mass);
            None
        })?;
        (error <= LARGEST_ERROR_SHARE * delta)
            .then_some((delta + error) * (1.0 + 2.0 * self.relative_error))
    }

    /// Whether the window begins at or below no loss at all.
    pub(super) fn reaches_zero(&self) -> bool {
        self.loss(self.first) <= 0.0
    }
}

#[derive(Debug, Clone, Copy)]
struct Point {
    index: i64,
    delta: f64,
    mass: f64,
    error: f64,
}

/// The sum of exp(m x) over m = 1, 2, ... for x < 0.
fn geometric(x: f64) -> f64 {
    x.exp() / -x.exp_m1()
}

/// The tilted, normalized distribution around the circle, and its cumulant at theta.
fn tilt(part: &Distribution, spacing: f64, theta: f64, length: usize) -> (Vec<f64>, f64) {
    let step = theta * spacing;
    let last = part.masses.len() - 1;
    let mut tilted = vec![0.0; length];
    let mut place = part.first.rem_euclid(length as i64) as usize;
    let mut total = 0.0;
    for (index, mass) in part.masses.iter().enumerate() {
        if *mass > 0.0 {
            let value = mass * (step * (index as f64 - last as f64)).exp();
            tilted[place] += value;
            total += value;
        }
        place += 1;
        if place == length {
            place = 0;
        }
    }
    let scale = 1.0 / total;
    for value in &mut tilted {
        *value *= scale;
    }
    (
        tilted,
        total.ln() + step * (part.first as f64 + last as f64),
    )
}

fn transform(plan: &dyn RealToComplex<f64>, mut input: Vec<f64>) -> Vec<Complex<f64>> {
    let mut output = plan.make_output_vec();
    plan.process(&mut input, &mut output)
        .expect("lengths are the plan's own");
    output
}

/// Multiplies `product` by the spectrum to the power of `steps`, with bounds on size and relative error.
///
/// |a^k - b^k| <= k |a - b| max(|a|, |b|)^(k-1), and every product rounds by a few units.
fn raise(spectrum: &[Complex<f64>], steps: f64, error: f64, product: &mut [Entry]) {
    let least = (-NEGLIGIBLE / steps).exp();
    let power = steps as u64;
    let least_square = (least - error).max(0.0).powi(2);
    for (base, entry) in spectrum.iter().zip(product) {
        let square = base.norm_sqr();
        if square < least_square {
            entry.value = Complex::default();
            entry.bound *= (-NEGLIGIBLE).exp();
            entry.relative = 1.0;
        } else {
            let size = square.sqrt() + error;
            entry.value *= integer_power(*base, power);
            entry.bound *= (steps * size.ln()).exp();
            entry.relative += steps * (error / size + 8.0 * UNIT);
        }
    }
}

/// One frequency of the composed law.
#[derive(Debug, Clone, Copy)]
struct Entry {
    value: Complex<f64>,
    /// Bound on the exact and the computed size.
    bound: f64,
    /// Error over `bound`.
    relative: f64,
}

fn integer_power(mut base: Complex<f64>, mut power: u64) -> Complex<f64> {
    let mut result = Complex::new(1.0, 0.0);
    while power > 0 {
        if power & 1 == 1 {
            result *= base;
        }
        base *= base;
        power >>= 1;
    }
    result
}
