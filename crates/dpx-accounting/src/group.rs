//! Groups: epsilon for several records of one person (binomial mixture of Gaussians, see the accountant's `pair`).

use crate::{AccountantError, Certified, Phase, certified_group};

/// The certified upper bound of epsilon at `delta` for a person with `group` records.
///
/// The group's records are sampled independently, as Poisson sampling does; each is clipped on its own.
///
/// # Errors
/// A parameter is out of range; groups of more than 1,000 are refused.
pub fn group_epsilon(
    phases: &[Phase],
    delta: f64,
    group: u32,
) -> Result<Certified, AccountantError> {
    AccountantError::check(
        "group",
        f64::from(group),
        (1..=1000).contains(&group),
        "a number of records from 1 to 1000",
    )?;
    certified_group(phases, delta, group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_one_is_a_record() {
        let phase = Phase {
            noise_multiplier: 0.8,
            sampling_rate: 0.016,
            steps: 188,
        };
        let one = crate::certified_upper(&[phase], 1e-5).unwrap();
        assert_eq!(group_epsilon(&[phase], 1e-5, 1).unwrap(), one);
        assert!(group_epsilon(&[phase], 1e-5, 0).is_err());
    }

    #[test]
    fn a_group_of_a_plain_gaussian_is_one_with_less_noise() {
        let group = group_epsilon(&[Phase::gaussian(3.0)], 1e-5, 3).unwrap();
        let exact = crate::gaussian_epsilon(1.0, 1e-5);
        assert!(group.epsilon >= exact - 1e-9 && group.epsilon < exact + 1e-4);
    }
}
