//! The pair of distributions one step is about, its privacy loss and the inverse.
//!
//! A group of k records of one person, each sampled with probability q, gives the pair
//! P = sum_j Binomial(k, q)(j) N(j, sigma^2) against Q = N(0, sigma^2), which dominates (Ganesh 2024, "Tight
//! group-level DP guarantees for DP-SGD with sampling via mixture of Gaussians"); k = 1 is the subsampled
//! Gaussian. In units of sigma the components stand at j * mu with mu = 1 / sigma. The privacy loss
//! l(z) = ln P(z)/Q(z) is increasing and convex in z. "Remove" is the law of l(Z) for Z ~ P, "add" that of
//! -l(Z) for Z ~ Q.

use super::fault::fault;
use super::normal::{UNIT, cumulative, density, survival};

/// Components of a group's mixture whose weight is below this share of the largest are left out.
const NEGLIGIBLE_WEIGHT: f64 = 1e-60;
/// Exponents beyond this are factored out of a sum before they overflow.
const MAX_EXPONENT: f64 = 600.0;
/// Exponents below this are factored out of a sum: times a weight of [`NEGLIGIBLE_WEIGHT`] their powers would vanish long before
/// they do alone.
const MIN_EXPONENT: f64 = -300.0;

/// One component of P apart from the one at zero.
#[derive(Debug, Clone, Copy)]
pub(super) struct Component {
    /// Its place in units of sigma.
    pub(super) place: f64,
    /// Its probability.
    pub(super) weight: f64,
}

/// P, a mixture of unit Gaussians, against Q, the one at zero.
#[derive(Debug, Clone)]
pub(super) struct DominatingPair {
    /// Probability of the component at zero.
    rest: f64,
    /// The other components, by place.
    components: Vec<Component>,
    /// Probability of the components left out above the last.
    left_out: f64,
    /// Bound on the relative error of the weights.
    weight_error: f64,
}

/// P over Q at a point: its logarithm and how fast that rises with z.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loss {
    pub(super) value: f64,
    pub(super) slope: f64,
}

impl DominatingPair {
    /// The pair for a group of `group` records; the sampling rate is above 0, the noise multiplier positive.
    pub(super) fn new(noise_multiplier: f64, sampling_rate: f64, group: u32) -> Self {
        let place = 1.0 / noise_multiplier;
        if sampling_rate == 1.0 {
            let component = Component {
                place: place * f64::from(group),
                weight: 1.0,
            };
            return Self {
                rest: 0.0,
                components: vec![component],
                left_out: 0.0,
                weight_error: 0.0,
            };
        }
        if group == 1 {
            let weight = (-sampling_rate).ln_1p().exp() * (sampling_rate / (1.0 - sampling_rate));
            return Self {
                rest: 1.0 - sampling_rate,
                components: vec![Component { place, weight }],
                left_out: 0.0,
                weight_error: 0.0,
            };
        }
        let Binomial {
            first,
            mut weights,
            left_out,
        } = Binomial::new(group, sampling_rate);
        let weight_error = 8.0 * UNIT * weights.len() as f64;
        let rest = if first == 0 { weights.remove(0) } else { 0.0 };
        let components = (first.max(1)..)
            .zip(weights)
            .map(|(count, weight)| Component {
                place: place * f64::from(count),
                weight,
            })
            .collect();
        Self {
            rest,
            components,
            left_out,
            weight_error,
        }
    }

    /// Whether the pair is a plain Gaussian one.
    fn is_plain(&self) -> bool {
        self.rest == 0.0 && self.components.len() == 1
    }

    /// Bound on the relative error of the weights, hence of the masses of P and of the loss.
    pub(super) const fn weight_error(&self) -> f64 {
        self.weight_error
    }

    pub(super) fn components(&self) -> &[Component] {
        &self.components
    }

    /// The largest component's place.
    pub(super) fn reach(&self) -> f64 {
        self.components.last().map_or(0.0, |last| last.place)
    }

    /// The privacy loss from the logarithms of each component's density over Q's.
    ///
    /// Sums of positive terms, and ln(1 + x) around no loss: relative accuracy for losses of any size.
    pub(super) fn loss_of(&self, exponent: impl Fn(usize, &Component) -> f64) -> Loss {
        if self.is_plain() {
            let component = &self.components[0];
            return Loss {
                value: exponent(0, component),
                slope: component.place,
            };
        }
        let largest = self
            .components
            .iter()
            .enumerate()
            .map(|(index, component)| exponent(index, component))
            .fold(f64::NEG_INFINITY, f64::max);
        // Where all terms are far from one they are taken relative to the largest, that of the component at zero included.
        let at_zero = self.rest.ln();
        let vanishes = largest < MIN_EXPONENT && at_zero < MIN_EXPONENT;
        let anchor = if largest > MAX_EXPONENT || vanishes {
            largest.max(at_zero)
        } else {
            0.0
        };
        let (mut excess, mut total, mut moment) = (0.0, (at_zero - anchor).exp(), 0.0);
        for (index, component) in self.components.iter().enumerate() {
            let exponent = exponent(index, component) - anchor;
            let ratio_less_one = exponent.exp_m1();
            // Far below one the difference from one has lost the ratio itself.
            let ratio = if ratio_less_one < -0.5 {
                exponent.exp()
            } else {
                ratio_less_one + 1.0
            };
            let part = component.weight * ratio;
            excess += component.weight * ratio_less_one;
            total += part;
            moment += component.place * part;
        }
        let value = if anchor == 0.0 && excess > -0.5 {
            excess.ln_1p()
        } else {
            anchor + total.ln()
        };
        Loss {
            value,
            slope: moment / total,
        }
    }

    /// The privacy loss at `z`.
    pub(super) fn loss(&self, z: f64) -> Loss {
        self.loss_of(|_, component| component.place * (z - 0.5 * component.place))
    }

    /// The z with this privacy loss, negative infinity if there is none; `above` is a point with a larger loss.
    pub(super) fn inverse(&self, loss: f64, above: f64) -> f64 {
        if !self.is_plain() && loss <= self.rest.ln() {
            return f64::NEG_INFINITY;
        }
        if let [component] = self.components.as_slice() {
            let exponent = if self.is_plain() {
                loss
            } else if loss > 30.0 {
                loss - component.weight.ln() + (-self.rest * (-loss).exp()).ln_1p()
            } else {
                let ratio_less_one = loss.exp_m1() / component.weight;
                if ratio_less_one > -0.5 {
                    ratio_less_one.ln_1p()
                } else {
                    ((loss.exp() - self.rest) / component.weight).ln()
                }
            };
            let z = exponent / component.place + 0.5 * component.place;
            return if z.is_nan() { f64::NEG_INFINITY } else { z };
        }
        // Newton's method from the right falls monotonically, since the loss is convex and increasing.
        let mut z = above;
        for _ in 0..200 {
            let here = self.loss(z);
            let step = (here.value - loss) / here.slope;
            if !step.is_finite() || z - step < -60.0 {
                return f64::NEG_INFINITY;
            }
            z -= step;
            if step.abs() <= 1e-14 * z.abs().max(1.0) {
                break;
            }
        }
        z
    }

    /// P(Z > z) under P, what was left out included.
    pub(super) fn survival(&self, z: f64) -> f64 {
        self.left_out
            + self.rest * survival(z)
            + self
                .components
                .iter()
                .map(|component| component.weight * survival(z - component.place))
                .sum::<f64>()
    }

    /// P(Z <= z) under P.
    pub(super) fn cumulative(&self, z: f64) -> f64 {
        self.rest * cumulative(z)
            + self
                .components
                .iter()
                .map(|component| component.weight * cumulative(z - component.place))
                .sum::<f64>()
    }

    /// The density of P.
    pub(super) fn density(&self, z: f64) -> f64 {
        self.rest * density(z)
            + self
                .components
                .iter()
                .map(|component| component.weight * density(z - component.place))
                .sum::<f64>()
    }

    /// Probability of the component at zero.
    pub(super) const fn rest(&self) -> f64 {
        self.rest
    }

    /// Width of the losses that matter when at most `tail` of a component is left out at each end.
    pub(super) fn loss_range(&self, tail: f64) -> f64 {
        super::cells::support(self, tail)
            .into_iter()
            .map(|(low, high)| self.loss(high).value - self.loss(low).value)
            .sum()
    }
}

/// The binomial distribution around its mode.
///
/// What lies below the first weight that is kept counts as that one: more records sampled is a larger loss in both
/// directions (Choquette-Choo, Ganesh, Steinke, Thakurta 2024, "Privacy amplification for matrix mechanisms", lemma 4.5).
/// What lies above the last one is mass that no lattice holds.
struct Binomial {
    first: u32,
    weights: Vec<f64>,
    left_out: f64,
}

impl Binomial {
    /// Outwards from the mode, so that no weight is the product of a number that vanished.
    fn new(count: u32, share: f64) -> Self {
        if fault!(VanishingWeights) {
            return Self {
                first: 0,
                weights: vec![(1.0 - share).powf(f64::from(count)), 1.0],
                left_out: 0.0,
            };
        }
        let odds = share / (1.0 - share);
        let mode = (((f64::from(count) + 1.0) * share) as u32).min(count);
        let up = |j: u32| odds * f64::from(count - j) / f64::from(j + 1);
        let mut weights = Vec::new();
        let (mut weight, mut first) = (1.0, mode);
        while first > 0 {
            weight /= up(first - 1);
            if weight < NEGLIGIBLE_WEIGHT {
                break;
            }
            first -= 1;
            weights.push(weight);
        }
        weights.reverse();
        weights.push(1.0);
        let mut left_out = 0.0;
        weight = 1.0;
        for j in mode..count {
            weight *= up(j);
            if weight < NEGLIGIBLE_WEIGHT {
                // The ratios fall, so that the rest is less than a geometric series.
                left_out = 2.0 * weight / (1.0 - up(j + 1));
                break;
            }
            weights.push(weight);
        }
        // Small terms first, from both ends.
        let (low, high) = weights.split_at((mode - first) as usize);
        let total = low.iter().sum::<f64>() + high.iter().rev().sum::<f64>();
        for weight in &mut weights {
            *weight /= total;
        }
        Self {
            first,
            weights,
            left_out: left_out / total,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// ln of the binomial probability, by the gamma function.
    fn ln_binomial(count: u32, j: u32, share: f64) -> f64 {
        let ln_factorial = |n: u32| libm::lgamma(f64::from(n) + 1.0);
        ln_factorial(count) - ln_factorial(j) - ln_factorial(count - j)
            + f64::from(j) * share.ln()
            + f64::from(count - j) * (-share).ln_1p()
    }

    #[test]
    fn no_weight_vanishes_however_large_the_group() {
        assert!(weights_are_binomial());
    }

    pub(crate) fn weights_are_binomial() -> bool {
        let shares = [1e-9, 0.016, 0.3, 0.5, 0.984, 1.0 - 1e-12];
        shares.into_iter().all(|share| {
            [2, 5, 180, 181, 182, 1000, 10_000]
                .into_iter()
                .all(|count| {
                    let found = Binomial::new(count, share);
                    let total: f64 = found.weights.iter().sum();
                    let whole = (total - 1.0).abs() < 1e-13;
                    let none_lost = found.left_out < 1e-58 && found.left_out >= 0.0;
                    let mut each = (found.first..).zip(&found.weights);
                    whole
                        && none_lost
                        && each.all(|(j, weight)| {
                            let exact = ln_binomial(count, j, share);
                            *weight > 0.0 && (weight.ln() - exact).abs() < 1e-8
                        })
                })
        })
    }

    /// The loss by the gamma function and the largest exponent, term by term.
    fn plain_loss(pair: &DominatingPair, z: f64) -> f64 {
        let terms = pair
            .components
            .iter()
            .map(|one| one.weight.ln() + one.place * (z - 0.5 * one.place));
        let mut terms: Vec<f64> = terms.chain([pair.rest.ln()]).collect();
        terms.sort_by(f64::total_cmp);
        let largest = terms[terms.len() - 1];
        largest
            + terms
                .iter()
                .map(|term| (term - largest).exp())
                .sum::<f64>()
                .ln()
    }

    /// At 7,943 records, a rate of 0.3 and sigma 50 the first place is 34: powers of -580 are numbers, but not times a weight of
    /// 1e-60. The sum vanished, no accountant found a bound, and a plain one stood in its place.
    #[test]
    fn losses_keep_their_digits_where_powers_times_weights_vanish() {
        for group in (5_000..=10_000).step_by(173) {
            let pair = DominatingPair::new(50.0, 0.3, group);
            for part in -10..=20 {
                let z = f64::from(part) * 0.1 * (pair.reach() + 8.0);
                let (found, plain) = (pair.loss(z).value, plain_loss(&pair, z));
                let apart = (found - plain).abs();
                assert!(
                    apart < 1e-11 * plain.abs().max(1.0),
                    "{group} {z}: {found} {plain}"
                );
            }
        }
    }

    #[test]
    fn losses_rise_and_are_inverted_where_weights_would_vanish() {
        for (sigma, share, group) in [
            (1.0, 0.984, 400),
            (20.0, 0.5, 1_000),
            (0.7, 0.016, 30),
            (50.0, 0.3, 7_943),
        ] {
            let pair = DominatingPair::new(sigma, share, group);
            let mut before = f64::NEG_INFINITY;
            for part in -8..=20 {
                let z = f64::from(part) * (pair.reach() + 8.0) / 20.0;
                let loss = pair.loss(z);
                assert!(loss.value >= before && loss.slope > 0.0, "{z}: {loss:?}");
                before = loss.value;
                if part > 0 {
                    let back = pair.inverse(loss.value, pair.reach() + 40.0);
                    assert!((back - z).abs() < 1e-9 * z.max(1.0), "{back} {z}");
                }
            }
        }
    }
}
