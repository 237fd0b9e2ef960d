//! The pair of distributions one step is about, its privacy loss and the inverse.
//!
//! A group of k records of one person, each sampled with probability q, gives the pair
//! P = sum_j Binomial(k, q)(j) N(j, sigma^2) against Q = N(0, sigma^2), which dominates (Ganesh 2024, "Tight
//! group-level DP guarantees for DP-SGD with sampling via mixture of Gaussians"); k = 1 is the subsampled
//! Gaussian. In units of sigma the components stand at j * mu with mu = 1 / sigma. The privacy loss
//! l(z) = ln P(z)/Q(z) is increasing and convex in z. "Remove" is the law of l(Z) for Z ~ P, "add" that of
//! -l(Z) for Z ~ Q.

use super::normal::{cumulative, density, survival};

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
            };
        }
        let rest = (f64::from(group) * (-sampling_rate).ln_1p()).exp();
        let odds = sampling_rate / (1.0 - sampling_rate);
        let mut weight = rest;
        let components = (1..=group)
            .map(|j| {
                weight *= odds * f64::from(group - j + 1) / f64::from(j);
                Component {
                    place: place * f64::from(j),
                    weight,
                }
            })
            .collect();
        Self {
            rest: if group == 1 {
                1.0 - sampling_rate
            } else {
                rest
            },
            components,
        }
    }

    /// Whether the pair is a plain Gaussian one.
    fn is_plain(&self) -> bool {
        self.rest == 0.0
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
        let anchor = if largest > 600.0 { largest } else { 0.0 };
        let (mut excess, mut total, mut moment) = (0.0, self.rest * (-anchor).exp(), 0.0);
        for (index, component) in self.components.iter().enumerate() {
            let exponent = exponent(index, component);
            let ratio_less_one = (exponent - anchor).exp_m1();
            let part = component.weight * (ratio_less_one + 1.0);
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

    /// P(Z > z) under P.
    pub(super) fn survival(&self, z: f64) -> f64 {
        self.rest * survival(z)
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
