//! What can be wrong with a question put to an accountant.

/// A parameter outside its range. Accountants never answer NaN: a mechanism without a guarantee costs infinity.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AccountantError {
    /// A number that is out of range or not a number.
    #[error("`{name}` is {value}, expected {expected}")]
    OutOfRange {
        /// The parameter's name.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What is allowed.
        expected: &'static str,
    },
    /// No value of the sought parameter meets the target.
    #[error("no {sought} reaches epsilon {epsilon}: {reason}")]
    Unreachable {
        /// The parameter that was sought.
        sought: &'static str,
        /// The target.
        epsilon: f64,
        /// Why.
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
