//! The least of the certified upper bounds, and which accountant it came from.

use super::phase::{Composition, check_delta};
use super::prv::{PRV_ERROR, Plan, Prv};
use super::rdp::epsilon_of;
use super::{AccountantError, Phase, delta_rdp, dots};
use serde::{Deserialize, Serialize};
use std::fmt;

/// An accountant that gives certified upper bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accountant {
    /// Gopi, Lee, Wutschitz 2021.
    Prv,
    /// Doroshenko et al. 2022.
    ConnectTheDots,
    /// Mironov, Talwar, Zhang 2019.
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
pub struct Certified {
    /// The least of the upper bounds.
    #[serde(with = "super::written")]
    pub epsilon: f64,
    /// The accountant that it came from.
    pub accountant: Accountant,
    /// By the Rényi accountant.
    #[serde(with = "super::written")]
    pub rdp: f64,
    /// By the PRV accountant.
    pub prv: Prv,
    /// By pessimistic connect-the-dots.
    #[serde(with = "super::written")]
    pub connect_the_dots: f64,
}

impl Certified {
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

/// The certified upper bound of epsilon at `delta` for add or remove of one record, whichever is worse.
///
/// # Errors
/// A parameter is out of range.
pub fn certified_upper(phases: &[Phase], delta: f64) -> Result<Certified, AccountantError> {
    certified_group(phases, delta, 1)
}

/// Likewise for `group` records of one person; the Rényi accountant has no figure for more than one.
pub fn certified_group(
    phases: &[Phase],
    delta: f64,
    group: u32,
) -> Result<Certified, AccountantError> {
    check_delta(delta)?;
    let same = |epsilon| {
        Ok(Certified {
            epsilon,
            accountant: Accountant::Rdp,
            rdp: epsilon,
            prv: Prv {
                lower: epsilon,
                estimate: epsilon,
                upper: epsilon,
            },
            connect_the_dots: epsilon,
        })
    };
    match Composition::new(phases, group)? {
        Composition::Free => same(0.0),
        _ if delta == 1.0 || group == 0 => same(0.0),
        Composition::Unbounded => same(f64::INFINITY),
        _ if delta == 0.0 => same(f64::INFINITY),
        Composition::Pairs { repeated, phases } => {
            let rdp = if group == 1 {
                epsilon_of(&phases, delta)
            } else {
                f64::INFINITY
            };
            let plan = Plan::for_delta(&repeated, delta, PRV_ERROR);
            let prv = plan.prv();
            let connect_the_dots = plan.dots_epsilon();
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
///
/// # Errors
/// A parameter is out of range.
pub fn certified_delta(phases: &[Phase], epsilon: f64) -> Result<f64, AccountantError> {
    let rdp = delta_rdp(phases, epsilon)?;
    match Composition::new(phases, 1)? {
        Composition::Free => Ok(0.0),
        Composition::Unbounded => Ok(1.0),
        Composition::Pairs { repeated, .. } => {
            // Truncation is set for a delta of a hundredth of RDP's, which is seldom more than that above the truth.
            let guess = (0.01 * rdp).max(1e-290);
            Ok(dots::delta(&repeated, epsilon, guess, PRV_ERROR).min(rdp))
        }
    }
}
