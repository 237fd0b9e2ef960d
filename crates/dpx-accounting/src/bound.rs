//! Upper bounds that print rounded up: what is read on a page is never less than what was certified.

use crate::AccountantError;
use crate::serde_inf;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Decimals of a printed epsilon where no precision is asked for.
const EPSILON_DECIMALS: usize = 2;
/// Decimals of a printed delta, in scientific notation, where no precision is asked for.
const DELTA_DECIMALS: usize = 1;
/// The same where it is to be told apart from others and has more digits than that.
const TELLING_DECIMALS: usize = 4;

/// An upper bound of epsilon: at least 0, infinite where there is no guarantee.
///
/// Printed, it is rounded up: `{}` gives two decimals, `{:.4}` four, `{:.2e}` scientific notation; infinity is `inf`.
/// In JSON it is a number, or the string `"inf"`.
///
/// ```
/// let bound = dpx_accounting::EpsilonBound::new(2.99914)?;
/// assert_eq!(format!("{bound} {bound:.3} {bound:.1e}"), "3.00 3.000 3.0e0");
/// # Ok::<(), dpx_accounting::AccountantError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct EpsilonBound(f64);

/// An upper bound of delta, from 0 to 1.
///
/// Printed, it is rounded up: `{}` gives two significant digits in scientific notation, `{:#}` five where it has more than two,
/// so that two deltas can be told apart, `{:.4}` four decimals.
///
/// ```
/// let bound = dpx_accounting::DeltaBound::new(4.134e-5)?;
/// assert_eq!(format!("{bound} {bound:#} {bound:.5} {bound:.2e}"), "4.2e-5 4.1340e-5 0.00005 4.14e-5");
/// # Ok::<(), dpx_accounting::AccountantError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct DeltaBound(f64);

impl EpsilonBound {
    /// Epsilon 0: what is released does not depend on the data.
    pub const ZERO: Self = Self(0.0);
    /// No guarantee: unprotected data, no noise, or a cost that no accountant could bound.
    pub const INFINITE: Self = Self(f64::INFINITY);

    /// A bound of at least 0.
    ///
    /// # Errors
    /// The value is negative or not a number.
    pub fn new(value: f64) -> Result<Self, AccountantError> {
        AccountantError::check("epsilon", value, value >= 0.0, "a number of at least 0")?;
        // A negative zero would print its sign.
        Ok(Self(value.abs()))
    }

    /// What an accountant found; what it could not bound is infinite.
    pub(crate) const fn certified(value: f64) -> Self {
        if value.is_nan() {
            Self::INFINITE
        } else {
            Self(value.max(0.0).abs())
        }
    }

    /// The bound as a number, not rounded.
    pub const fn value(self) -> f64 {
        self.0
    }

    /// Whether there is a guarantee, however weak.
    pub const fn is_finite(self) -> bool {
        self.0.is_finite()
    }
}

impl DeltaBound {
    /// A bound from 0 to 1.
    ///
    /// # Errors
    /// The value is not a number from 0 to 1.
    pub fn new(value: f64) -> Result<Self, AccountantError> {
        crate::error::check_delta(value)?;
        Ok(Self(value.abs()))
    }

    /// What an accountant found; what it could not bound is 1.
    pub(crate) const fn certified(value: f64) -> Self {
        if value.is_nan() {
            Self(1.0)
        } else {
            Self(value.clamp(0.0, 1.0).abs())
        }
    }

    /// The bound as a number, not rounded.
    pub const fn value(self) -> f64 {
        self.0
    }
}

impl fmt::Display for EpsilonBound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = formatter.precision().unwrap_or(EPSILON_DECIMALS);
        formatter.pad_integral(true, "", &fixed_up(self.0, decimals))
    }
}

impl fmt::LowerExp for EpsilonBound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = formatter.precision().unwrap_or(DELTA_DECIMALS);
        formatter.pad_integral(true, "", &scientific_up(self.0, decimals))
    }
}

impl fmt::Display for DeltaBound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = scientific_up(self.0, DELTA_DECIMALS);
        let text = if let Some(decimals) = formatter.precision() {
            fixed_up(self.0, decimals)
        } else if formatter.alternate() && short.parse() != Ok(self.0) {
            scientific_up(self.0, TELLING_DECIMALS)
        } else {
            short
        };
        formatter.pad_integral(true, "", &text)
    }
}

impl fmt::LowerExp for DeltaBound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = formatter.precision().unwrap_or(DELTA_DECIMALS);
        formatter.pad_integral(true, "", &scientific_up(self.0, decimals))
    }
}

impl PartialEq<f64> for EpsilonBound {
    fn eq(&self, other: &f64) -> bool {
        self.0 == *other
    }
}

impl PartialOrd<f64> for EpsilonBound {
    fn partial_cmp(&self, other: &f64) -> Option<std::cmp::Ordering> {
        self.0.partial_cmp(other)
    }
}

impl PartialEq<f64> for DeltaBound {
    fn eq(&self, other: &f64) -> bool {
        self.0 == *other
    }
}

impl PartialOrd<f64> for DeltaBound {
    fn partial_cmp(&self, other: &f64) -> Option<std::cmp::Ordering> {
        self.0.partial_cmp(other)
    }
}

impl Serialize for EpsilonBound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_inf::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for EpsilonBound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_inf::deserialize(deserializer)?;
        Self::new(value).map_err(serde::de::Error::custom)
    }
}

impl Serialize for DeltaBound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for DeltaBound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(deserializer)?;
        Self::new(value).map_err(serde::de::Error::custom)
    }
}

/// `value` in decimals, the last one rounded up unless all that follow are zero.
///
/// What is rounded is the shortest decimal that stands for the number: 1e-5, whose f64 is a little above, prints as such.
fn fixed_up(value: f64, decimals: usize) -> String {
    if value.is_finite() {
        cut_up(&format!("{value}"), decimals)
    } else {
        "inf".to_owned()
    }
}

/// `value` in scientific notation, the last decimal rounded up unless all that follow are zero.
fn scientific_up(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "inf".to_owned();
    }
    let shortest = format!("{value:e}");
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let up = cut_up(digits, decimals);
    if !up.starts_with("10") {
        return format!("{up}e{exponent}");
    }
    // 9.99 became 10.00: one more digit before the point than there may be.
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let one = cut_up("1", decimals);
    format!("{one}e{}", exponent + 1)
}

/// A decimal number with so many decimals: zeros added, or the last one kept rounded up.
fn cut_up(number: &str, decimals: usize) -> String {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let point = if decimals == 0 { "" } else { "." };
    if fraction.len() <= decimals {
        return format!("{whole}{point}{fraction:0<decimals$}");
    }
    let (kept, rest) = fraction.split_at(decimals);
    let kept = format!("{whole}{point}{kept}");
    if rest.bytes().all(|digit| digit == b'0') {
        kept
    } else {
        incremented(&kept)
    }
}

/// A decimal number with one added to its last digit.
fn incremented(number: &str) -> String {
    let mut bytes = number.as_bytes().to_vec();
    for byte in bytes.iter_mut().rev() {
        match byte {
            b'.' => {}
            b'9' => *byte = b'0',
            _ => {
                *byte += 1;
                return String::from_utf8_lossy(&bytes).into_owned();
            }
        }
    }
    format!("1{}", String::from_utf8_lossy(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn epsilon(value: f64) -> EpsilonBound {
        EpsilonBound::new(value).unwrap()
    }

    #[test]
    fn what_was_seen_in_releases_is_rounded_up() {
        assert_eq!(format!("{:.4}", epsilon(2.99994)), "3.0000");
        let delta = DeltaBound::new(4.134e-5).unwrap();
        assert_eq!(format!("{delta}"), "4.2e-5");
        assert_eq!(format!("{delta:e}"), "4.2e-5");
        assert_eq!(format!("{delta:.3}"), "0.001");
        assert_eq!(DeltaBound::new(1e-5).unwrap().to_string(), "1.0e-5");
        // Two deltas that are alike in two digits.
        let found = [3.7e-3, 3.613_051e-3, 9.999_999e-4].map(|delta| {
            let delta = DeltaBound::new(delta).unwrap();
            format!("{delta} {delta:#}")
        });
        assert_eq!(
            found,
            ["3.7e-3 3.7e-3", "3.7e-3 3.6131e-3", "1.0e-3 1.0000e-3"]
        );
        assert_eq!(
            format!("{:.1} {:.2}", epsilon(0.1), epsilon(0.3)),
            "0.1 0.30"
        );
    }

    #[test]
    fn carries_edges_and_padding() {
        for (value, text) in [
            (0.0, "0.00 0 0.0e0"),
            (9.995, "10.00 10 1.0e1"),
            (99.999_9, "100.00 100 1.0e2"),
            (3.0, "3.00 3 3.0e0"),
            (0.25, "0.25 1 2.5e-1"),
            (1e-300, "0.01 1 1.0e-300"),
            (5e-324, "0.01 1 5.0e-324"),
            (f64::INFINITY, "inf inf inf"),
        ] {
            let bound = epsilon(value);
            assert_eq!(format!("{bound} {bound:.0} {bound:e}"), text);
        }
        assert_eq!(format!("{:.0e}", epsilon(9.6e-5)), "1e-4");
        assert_eq!(format!("[{:>8.1}]", epsilon(2.95)), "[     3.0]");
        assert_eq!(format!("[{:<8}]", epsilon(f64::INFINITY)), "[inf     ]");
        assert_eq!(format!("{}", epsilon(-0.0)), "0.00");
        assert_eq!(format!("{}", DeltaBound::new(0.0).unwrap()), "0.0e0");
    }

    #[test]
    fn nonsense_is_refused_also_from_a_file() {
        for bad in [f64::NAN, -1e-9, f64::NEG_INFINITY] {
            assert!(EpsilonBound::new(bad).is_err());
            assert!(DeltaBound::new(bad).is_err());
        }
        assert!(DeltaBound::new(1.1).is_err());
        let read = serde_json::from_str::<EpsilonBound>;
        assert_eq!(read("\"inf\"").unwrap(), EpsilonBound::INFINITE);
        assert_eq!(read("2.5").unwrap(), 2.5);
        assert!(read("-2.5").is_err() && read("\"much\"").is_err() && read("null").is_err());
        assert!(serde_json::from_str::<DeltaBound>("2").is_err());
        assert_eq!(
            serde_json::to_string(&EpsilonBound::INFINITE).unwrap(),
            "\"inf\""
        );
    }

    #[test]
    fn what_no_accountant_bounds_is_infinite() {
        assert_eq!(EpsilonBound::certified(f64::NAN), EpsilonBound::INFINITE);
        assert_eq!(EpsilonBound::certified(-1e-12), EpsilonBound::ZERO);
        assert_eq!(DeltaBound::certified(f64::NAN), 1.0);
        assert_eq!(DeltaBound::certified(1.5), 1.0);
    }

    fn digits(text: &str) -> usize {
        let mantissa = text.split('e').next().unwrap_or_default();
        mantissa.split_once('.').map_or(0, |(_, after)| after.len())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_prints_below_itself(
            value in prop_oneof![0.0..20.0f64, (-700.0..300.0f64).prop_map(f64::exp), (0..4000u32).prop_map(|n| f64::from(n) / 100.0)],
            decimals in 0usize..20,
        ) {
            let bound = epsilon(value);
            for text in [format!("{bound}"), format!("{bound:.4}"), format!("{bound:.2e}"), format!("{bound:e}"),
                format!("{bound:.decimals$}"), format!("{bound:.decimals$e}")]
            {
                let read: f64 = text.parse().unwrap();
                prop_assert!(read >= value, "{value} as {text}");
                // And never by more than one unit of the last digit.
                let unit = if text.contains('e') {
                    10f64.powi(read.log10().floor().max(-320.0) as i32 - digits(&text) as i32)
                } else {
                    10f64.powi(-(digits(&text) as i32))
                };
                prop_assert!(value < 1e-280 || read - value <= unit * (1.0 + 1e-9) + read * 1e-15, "{value} as {text}");
            }
        }

        #[test]
        fn no_delta_prints_below_itself(value in (-700.0..0.0f64).prop_map(f64::exp), decimals in 0usize..12) {
            let bound = DeltaBound::new(value).unwrap();
            for text in [format!("{bound}"), format!("{bound:.decimals$}"), format!("{bound:.decimals$e}"), format!("{bound:e}")] {
                prop_assert!(text.parse::<f64>().unwrap() >= value, "{value} as {text}");
            }
        }

        #[test]
        fn json_keeps_every_digit(value in (-700.0..300.0f64).prop_map(f64::exp)) {
            let json = serde_json::to_string(&epsilon(value)).unwrap();
            prop_assert_eq!(serde_json::from_str::<EpsilonBound>(&json).unwrap(), epsilon(value));
        }
    }
}
