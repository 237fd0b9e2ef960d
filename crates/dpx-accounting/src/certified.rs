//! The least of the certified upper bounds, and which accountant it came from.

use super::composition::{Composition, EqualSteps};
use super::error::check_delta;
use super::prv::{PRV_ERROR, Plan, Prv};
use super::rdp::epsilon_of;
use super::{AccountantError, DeltaBound, DpEvent, EpsilonBound, connect_the_dots, delta_rdp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The largest group of records that is accounted for.
pub const MAX_GROUP: u32 = 10_000;

/// An accountant that gives certified upper bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accountant {
    /// Numerical composition of privacy loss random variables (Gopi, Lee, Wutschitz 2021).
    Prv,
    /// Pessimistic privacy loss distributions (Doroshenko et al. 2022).
    ConnectTheDots,
    /// Rényi differential privacy of the sampled Gaussian (Mironov, Talwar, Zhang 2019).
    Rdp,
}

impl fmt::Display for Accountant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Prv => "PRV",
            Self::ConnectTheDots => "connect-the-dots",
            Self::Rdp => "RDP",
        })
    }
}

/// A certified upper bound of epsilon, with what each accountant said.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certified {
    /// The least of the upper bounds.
    pub epsilon: EpsilonBound,
    /// The accountant that it came from.
    pub accountant: Accountant,
    /// The upper bound by the Rényi accountant; for a group it takes all of its records to be in every batch.
    pub rdp: EpsilonBound,
    /// The PRV accountant's two bounds and its estimate; the upper bound is infinite where rounding is too large a share of
    /// delta.
    pub prv: Prv,
    /// The upper bound by pessimistic connect-the-dots; infinite where none could be certified.
    pub connect_the_dots: EpsilonBound,
}

impl Certified {
    /// All accountants agree.
    const fn exactly(epsilon: f64) -> Self {
        let bound = EpsilonBound::certified(epsilon);
        Self {
            epsilon: bound,
            accountant: Accountant::Rdp,
            rdp: bound,
            prv: Prv::exactly(epsilon),
            connect_the_dots: bound,
        }
    }

    /// What to say where the PRV accountant certifies no bound and another one's is stated.
    pub fn note(&self) -> Option<String> {
        (self.epsilon.is_finite() && !self.prv.upper.is_finite()).then(|| {
            format!(
                "The PRV accountant certifies no bound here, as its rounding is too large a share of delta: the one stated is \
                 by {}.",
                self.accountant
            )
        })
    }
}

/// The certified upper bound of epsilon at `delta` for add or remove of `group` units, whichever is worse.
///
/// For more than one record the Rényi accountant takes all of them to be in every batch: never too small, finite where the
/// others find no bound.
pub(crate) fn certify(
    event: &DpEvent,
    delta: f64,
    group: u32,
) -> Result<Certified, AccountantError> {
    check_delta(delta)?;
    match Composition::new(event, group)? {
        Composition::Free => Ok(Certified::exactly(0.0)),
        _ if delta == 1.0 || group == 0 => Ok(Certified::exactly(0.0)),
        Composition::Unbounded => Ok(Certified::exactly(f64::INFINITY)),
        _ if delta == 0.0 => Ok(Certified::exactly(f64::INFINITY)),
        Composition::Pairs { repeated, parts } => {
            let single = group == 1 && parts.iter().all(|part| part.records == 1);
            let plan = if single {
                Plan::for_delta(&repeated, delta, PRV_ERROR)
            } else {
                Plan::for_group(&repeated, delta, PRV_ERROR)
            };
            let parts: Vec<EqualSteps> = parts.iter().map(|part| part.at_once(group)).collect();
            let rdp = EpsilonBound::certified(epsilon_of(&parts, delta));
            let prv = plan.prv();
            let connect_the_dots = EpsilonBound::certified(plan.connect_the_dots_epsilon());
            let (epsilon, accountant) = [
                (prv.upper, Accountant::Prv),
                (connect_the_dots, Accountant::ConnectTheDots),
            ]
            .into_iter()
            .fold((rdp, Accountant::Rdp), |best, candidate| {
                if candidate.0 < best.0 {
                    candidate
                } else {
                    best
                }
            });
            Ok(Certified {
                epsilon,
                accountant,
                rdp,
                prv,
                connect_the_dots,
            })
        }
    }
}

/// The certified upper bound of delta at `epsilon`: the lesser of connect-the-dots and RDP.
pub(crate) fn certify_delta(event: &DpEvent, epsilon: f64) -> Result<DeltaBound, AccountantError> {
    let rdp = delta_rdp(event, epsilon)?.value();
    match Composition::new(event, 1)? {
        Composition::Free => Ok(DeltaBound::certified(0.0)),
        Composition::Unbounded => Ok(DeltaBound::certified(1.0)),
        Composition::Pairs { repeated, .. } => {
            // Truncation is set for a delta of a hundredth of RDP's, which is seldom more than that above the truth.
            let guess = (0.01 * rdp).max(1e-290);
            let found = connect_the_dots::delta(&repeated, epsilon, guess, PRV_ERROR);
            Ok(DeltaBound::certified(found.min(rdp)))
        }
    }
}
