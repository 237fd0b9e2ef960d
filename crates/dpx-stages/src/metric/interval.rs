//! How sure a figure is: shares with Wilson intervals, means with standard deviations.

use serde::{Deserialize, Serialize};

/// A share with its 95% Wilson score interval (Wilson 1927; Brown, Cai, DasGupta 2001, equation 4).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Share {
    pub count: u64,
    pub total: u64,
    /// `count / total`; 0 without trials.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// The 0.975 quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

impl Share {
    /// The share of `count` in `total`. Without trials nothing is known: the interval is everything.
    pub fn of(count: u64, total: u64) -> Self {
        if total == 0 {
            return Self {
                count,
                total,
                value: 0.0,
                low: 0.0,
                high: 1.0,
            };
        }
        let n = total as f64;
        let value = count as f64 / n;
        let denominator = 1.0 + Z * Z / n;
        let centre = (value + Z * Z / (2.0 * n)) / denominator;
        let half = Z / denominator * (value * (1.0 - value) / n + Z * Z / (4.0 * n * n)).sqrt();
        Self {
            count,
            total,
            value,
            low: if count == 0 {
                0.0
            } else {
                (centre - half).max(0.0)
            },
            high: if count >= total {
                1.0
            } else {
                (centre + half).min(1.0)
            },
        }
    }
}

/// Mean, sample standard deviation and number of values: how replicates are told.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Spread {
    pub mean: f64,
    /// Standard deviation with `n - 1` in the denominator; nothing for a single value.
    pub sd: Option<f64>,
    /// How many values it is of.
    pub n: u64,
}

impl Spread {
    /// The spread of values; nothing where there is none. A value of 0 counts like any other.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        if values.is_empty() {
            return None;
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let sd = (values.len() > 1).then(|| {
            (values
                .iter()
                .map(|value| (value - mean).powi(2))
                .sum::<f64>()
                / (n - 1.0))
                .sqrt()
        });
        Some(Self {
            mean,
            sd,
            n: values.len() as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figures of `statsmodels.stats.proportion.proportion_confint(method="wilson")`.
    #[test]
    fn wilson_agrees_with_the_closed_form() {
        let share = Share::of(10, 100);
        assert!((share.low - 0.055_229_137).abs() < 1e-8, "{share:?}");
        assert!((share.high - 0.174_365_658).abs() < 1e-8, "{share:?}");
        let none = Share::of(0, 50);
        assert_eq!(none.low, 0.0);
        assert!((none.high - 0.071_347_6).abs() < 1e-6, "{none:?}");
        assert_eq!(Share::of(50, 50).high, 1.0);
        assert_eq!((Share::of(0, 0).low, Share::of(0, 0).high), (0.0, 1.0));
    }

    #[test]
    fn a_value_of_zero_stays_in_the_mean() {
        let spread = Spread::of([0.0, 1.0]).unwrap();
        assert_eq!((spread.mean, spread.n), (0.5, 2));
        assert!((spread.sd.unwrap() - 0.5_f64.sqrt()).abs() < 1e-12);
        assert_eq!(Spread::of([3.0]).unwrap().sd, None);
        assert!(Spread::of([]).is_none());
    }
}
