//! A claim: what may be said about everything that was done to one group of people, composed from what ran.

use crate::error::check_open_delta;
use crate::{
    AccountantError, Adjacency, Certified, DeltaBound, DpEvent, EpsilonBound, MAX_GROUP,
    epsilon_rdp, least, memo,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// How far a recomputed bound may exceed a stated one: other machines round the last digits otherwise.
const RECHECK_TOLERANCE: f64 = 1e-6;

/// Why there is no claim, or why one does not hold.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ClaimError {
    /// A parameter is out of range.
    #[error(transparent)]
    Accountant(#[from] AccountantError),
    /// A part was made under another adjacency: no composition theorem joins them.
    #[error(
        "`{instance}` holds under {found} adjacency and the claim is for {claimed}: a claim has one adjacency"
    )]
    MixedAdjacency {
        /// Name of the part that does not fit.
        instance: String,
        /// Adjacency of the part.
        found: Adjacency,
        /// Adjacency that the claim was asked for.
        claimed: Adjacency,
    },
    /// A part protects another unit of privacy: one example is not one user.
    #[error(
        "`{instance}` protects one {found} and the claim is for one {claimed}: a claim has one unit"
    )]
    MixedUnit {
        /// Name of the part that does not fit.
        instance: String,
        /// Unit of the part, such as `example`.
        found: String,
        /// Unit that the claim was asked for, such as `user`.
        claimed: String,
    },
    /// One name stands for two events.
    #[error("`{instance}` is given twice, with different events: which one ran?")]
    Conflict {
        /// The name that was given twice.
        instance: String,
    },
    /// The claim does not say what is protected.
    #[error("the unit of privacy is empty, expected what one unit is, such as `example` or `user`")]
    NoUnit,
    /// A stated bound is below what a part of the events costs alone.
    #[error(
        "the claim states {bound} {stated}, but what ran costs at least {least} (by a closed form, which no accountant can undercut)"
    )]
    Impossible {
        /// Which bound, as in [`ClaimError::Understated`].
        bound: &'static str,
        /// Epsilon as the claim states it.
        stated: f64,
        /// A lower bound of the true epsilon, above `stated`.
        least: f64,
    },
    /// A stated bound is below the one that follows from the events.
    #[error("the claim states {bound} {stated}, but its events cost {recomputed}")]
    Understated {
        /// Which bound, in words: `epsilon`, or that of one accountant, such as `the RDP epsilon`.
        bound: &'static str,
        /// Epsilon as the claim states it.
        stated: f64,
        /// Epsilon as the events cost it, above `stated`.
        recomputed: f64,
    },
}

/// One thing that ran: the part of a claim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimPart {
    /// Its name, by which it counts once, such as `train@epsilon=8`.
    pub instance: String,
    /// What was done to the data, with every parameter that its cost depends on.
    pub event: DpEvent,
    /// The adjacency under which its noise multiplier and sampling rate hold.
    pub adjacency: Adjacency,
    /// What it protects, such as `example` or `user`.
    pub unit: String,
}

/// An (epsilon, delta) guarantee of a set of events.
///
/// It is made by [`Claim::compose`] alone, from what ran. It prints as `(3.00, 4.2e-5)-DP`, both numbers rounded up, and
/// holds everything that is needed to check it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Claim {
    unit: String,
    adjacency: Adjacency,
    delta: DeltaBound,
    certified: Certified,
    events: BTreeMap<String, DpEvent>,
}

/// The JSON of a claim before its numbers are checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    unit: String,
    adjacency: Adjacency,
    delta: DeltaBound,
    certified: Certified,
    events: BTreeMap<String, DpEvent>,
}

impl TryFrom<Unchecked> for Claim {
    type Error = ClaimError;

    fn try_from(unchecked: Unchecked) -> Result<Self, ClaimError> {
        let Unchecked {
            unit,
            adjacency,
            delta,
            certified,
            events,
        } = unchecked;
        check(delta.value(), &unit)?;
        Ok(Self {
            unit,
            adjacency,
            delta,
            certified,
            events,
        })
    }
}

fn check(delta: f64, unit: &str) -> Result<(), ClaimError> {
    check_open_delta(delta)?;
    if unit.trim().is_empty() {
        return Err(ClaimError::NoUnit);
    }
    Ok(())
}

impl Claim {
    /// Composes everything in `parts`, each instance once, into one guarantee for one `unit` at `delta`.
    ///
    /// Without parts nothing private was used, and epsilon is 0.
    ///
    /// # Errors
    /// A part has another adjacency or unit, one instance has two different events, `delta` is not above 0 and below 1, or
    /// `unit` is empty.
    pub fn compose(
        parts: &[ClaimPart],
        delta: f64,
        adjacency: Adjacency,
        unit: &str,
    ) -> Result<Self, ClaimError> {
        check(delta, unit)?;
        let mut events: BTreeMap<String, DpEvent> = BTreeMap::new();
        for part in parts {
            if part.adjacency != adjacency {
                return Err(ClaimError::MixedAdjacency {
                    instance: part.instance.clone(),
                    found: part.adjacency,
                    claimed: adjacency,
                });
            }
            if part.unit != unit {
                return Err(ClaimError::MixedUnit {
                    instance: part.instance.clone(),
                    found: part.unit.clone(),
                    claimed: unit.to_owned(),
                });
            }
            match events.get(&part.instance) {
                None => {
                    events.insert(part.instance.clone(), part.event.clone());
                }
                Some(known) if *known == part.event => {}
                Some(_) => {
                    return Err(ClaimError::Conflict {
                        instance: part.instance.clone(),
                    });
                }
            }
        }
        let certified = memo::certified(&whole(&events), delta, 1)?;
        Ok(Self {
            unit: unit.to_owned(),
            adjacency,
            delta: DeltaBound::new(delta)?,
            certified,
            events,
        })
    }

    /// The certified epsilon, by whichever accountant bounds it best.
    pub const fn epsilon(&self) -> EpsilonBound {
        self.certified.epsilon
    }

    /// The delta at which epsilon is stated.
    pub const fn delta(&self) -> DeltaBound {
        self.delta
    }

    /// Which data sets count as neighbors.
    pub const fn adjacency(&self) -> Adjacency {
        self.adjacency
    }

    /// What is protected, such as `example` or `user`.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// Epsilon by each accountant, and which one certified it.
    pub const fn certified(&self) -> &Certified {
        &self.certified
    }

    /// The event of each instance, by the instance's name.
    pub const fn events(&self) -> &BTreeMap<String, DpEvent> {
        &self.events
    }

    /// All events composed into one, for which any accountant can be asked.
    pub fn event(&self) -> DpEvent {
        whole(&self.events)
    }

    /// Whether nothing private was used at all.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// What the same events promise to a person with `records` units in the data.
    ///
    /// # Errors
    /// `records` is not from 1 to [`MAX_GROUP`](crate::MAX_GROUP).
    pub fn group(&self, records: u32) -> Result<Certified, ClaimError> {
        AccountantError::check(
            "number of records",
            f64::from(records),
            (1..=MAX_GROUP).contains(&records),
            "a number from 1 to 10000",
        )?;
        Ok(memo::certified(&self.event(), self.delta.value(), records)?)
    }

    /// Computes the bounds again from the events.
    ///
    /// Other machines round the last digits otherwise, so that a bound that is low by less than a millionth still holds.
    ///
    /// # Errors
    /// Epsilon, or the figure of one accountant, is stated below what the events cost.
    pub fn recheck(&self) -> Result<(), ClaimError> {
        let found = self.event().certified(self.delta.value())?;
        let stated = &self.certified;
        for (bound, stated, recomputed) in [
            ("epsilon", stated.epsilon, found.epsilon),
            ("the RDP epsilon", stated.rdp, found.rdp),
            ("the upper PRV epsilon", stated.prv.upper, found.prv.upper),
            (
                "the connect-the-dots epsilon",
                stated.connect_the_dots,
                found.connect_the_dots,
            ),
        ] {
            not_below(bound, stated, recomputed)?;
        }
        Ok(())
    }

    /// Refuses figures that can be seen to be too low without the numerical accountants: below a lower bound of the true epsilon in
    /// closed form, or below the Rényi accountant's. It takes milliseconds for each different event, whatever the figures are; a
    /// claim that passes may still be refused by [`Claim::recheck`].
    ///
    /// # Errors
    /// Epsilon, or the figure of one accountant, is stated below what the events cost.
    pub fn recheck_quickly(&self) -> Result<(), ClaimError> {
        let (event, delta) = (self.event(), self.delta.value());
        let least = least::epsilon_at_least(&event, delta)?;
        let stated = &self.certified;
        for (bound, stated) in [
            ("epsilon", stated.epsilon),
            ("the RDP epsilon", stated.rdp),
            ("the upper PRV epsilon", stated.prv.upper),
            ("the connect-the-dots epsilon", stated.connect_the_dots),
        ] {
            if is_below(stated.value(), least) {
                return Err(ClaimError::Impossible {
                    bound,
                    stated: stated.value(),
                    least,
                });
            }
        }
        not_below("the RDP epsilon", stated.rdp, epsilon_rdp(&event, delta)?)
    }

    /// Computes again what the same events promise to a person with `records` units, and compares it with a stated bound,
    /// as [`Claim::recheck`] does.
    ///
    /// # Errors
    /// The bound is stated below what the events cost, or `records` is not from 1 to [`MAX_GROUP`](crate::MAX_GROUP).
    pub fn recheck_group(&self, records: u32, stated: EpsilonBound) -> Result<(), ClaimError> {
        let found = self.event().group(self.delta.value(), records)?;
        not_below("a group's epsilon", stated, found.epsilon)
    }
}

/// Whether a stated figure is below a bound by more than the rounding of another machine.
fn is_below(stated: f64, bound: f64) -> bool {
    stated < bound * (1.0 - RECHECK_TOLERANCE) - 1e-9
}

fn not_below(
    bound: &'static str,
    stated: EpsilonBound,
    recomputed: EpsilonBound,
) -> Result<(), ClaimError> {
    let (stated, recomputed) = (stated.value(), recomputed.value());
    if is_below(stated, recomputed) {
        return Err(ClaimError::Understated {
            bound,
            stated,
            recomputed,
        });
    }
    Ok(())
}

fn whole(events: &BTreeMap<String, DpEvent>) -> DpEvent {
    DpEvent::composed(events.values().cloned())
}

impl fmt::Display for Claim {
    /// `(3.00, 4.2e-5)-DP`; a precision sets the decimals of epsilon, `#` gives delta as many digits as tell it apart from others.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return formatter.write_str("no private data used (epsilon 0)");
        }
        let delta = if formatter.alternate() {
            format!("{:#}", self.delta)
        } else {
            self.delta.to_string()
        };
        match formatter.precision() {
            Some(decimals) => write!(formatter, "({:.decimals$}, {delta})-DP", self.epsilon()),
            None => write!(formatter, "({}, {delta})-DP", self.epsilon()),
        }
    }
}

#[cfg(test)]
mod tests;
