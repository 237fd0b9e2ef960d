//! What can be wrong with a question put to an accountant.

/// A parameter outside its range, or a target that cannot be met.
///
/// Accountants never answer NaN: a mechanism without a guarantee costs an infinite epsilon.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AccountantError {
    /// A number that is out of range or not a number.
    #[error("`{name}` is {value}, expected {expected}")]
    OutOfRange {
        /// The parameter in words, such as `sampling rate`.
        name: &'static str,
        /// The value that was given; may be NaN.
        value: f64,
        /// The allowed range in words, such as `a number from 0 to 1`.
        expected: &'static str,
    },
    /// No value of the sought parameter meets the target.
    #[error("no {sought} reaches epsilon {epsilon}: {reason}")]
    Unreachable {
        /// The parameter in words, such as `noise multiplier`.
        sought: &'static str,
        /// The target epsilon.
        epsilon: f64,
        /// What stands in the way, and where it helps, what to change.
        reason: String,
    },
}

impl AccountantError {
    /// Checks one number against a condition.
    pub(crate) const fn check(
        name: &'static str,
        value: f64,
        holds: bool,
        expected: &'static str,
    ) -> Result<(), Self> {
        if holds {
            Ok(())
        } else {
            Err(Self::OutOfRange {
                name,
                value,
                expected,
            })
        }
    }
}

/// A probability of taking part in a step.
pub(crate) fn check_sampling_rate(value: f64) -> Result<(), AccountantError> {
    let holds = (0.0..=1.0).contains(&value);
    AccountantError::check("sampling rate", value, holds, "a number from 0 to 1")
}

/// A noise multiplier; 0 means no noise, hence no guarantee.
pub(crate) fn check_noise_multiplier(value: f64) -> Result<(), AccountantError> {
    let holds = value >= 0.0 && value.is_finite();
    AccountantError::check(
        "noise multiplier",
        value,
        holds,
        "a finite number of at least 0",
    )
}

/// The delta of a question; 0 and 1 are legal edges.
pub(crate) fn check_delta(value: f64) -> Result<(), AccountantError> {
    let holds = (0.0..=1.0).contains(&value);
    AccountantError::check("delta", value, holds, "a number from 0 to 1")
}

/// The delta of a guarantee: one of 0 asks too much of Gaussian noise, one of 1 promises nothing.
pub(crate) fn check_open_delta(value: f64) -> Result<(), AccountantError> {
    let holds = value > 0.0 && value < 1.0;
    AccountantError::check("delta", value, holds, "a number above 0 and below 1")
}
