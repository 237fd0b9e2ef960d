//! The PRV accountant (Gopi, Lee, Wutschitz 2021, "Numerical composition of differential privacy").
//!
//! Each step's loss is rounded to the middle of its cell and shifted so that the mean stays. The rounding errors of k
//! steps are independent, have mean zero and width h each, so that their sum exceeds `error` with probability at most
//! 2 exp(-2 error^2 / (k h^2)) (Hoeffding); that probability, truncation, wrap-around, the transform's rounding and
//! errors of masses and losses all stand in the bounds.

use super::cells::Cells;
use super::compose::{Composed, Crossing, Rounding, transform_length};
use super::composition::{Composition, RepeatedPair};
use super::error::check_delta;
use super::lattice::{Direction, Distribution, round_to_middle};
use super::saddle::{Cumulant, Tilt, Window};
use super::{AccountantError, DpEvent, EpsilonBound};
use crate::fault::fault;
use serde::{Deserialize, Serialize};

/// The error of epsilon that the PRV accountant is asked for where nothing else is said.
pub const PRV_ERROR: f64 = 0.01;
/// For groups, whose epsilon may be in the millions, the error grows to this share of it.
const GROUP_ERROR_SHARE: f64 = 5e-4;
/// Share of delta for losses cut off and for sums of rounding errors beyond `error`.
const TAIL_SHARE: f64 = 1e-6;
const ROUNDING_SHARE: f64 = 1e-3;
/// Largest and smallest length of a transform.
const MAX_LENGTH: f64 = 2_097_152.0;
const MIN_LENGTH: f64 = 32_768.0;
/// Largest tilt between neighboring lattice points.
const MAX_TILT: f64 = 0.25;
/// Largest number of cells of one step.
const MAX_CELLS: f64 = 4_194_304.0;

/// Epsilon by the PRV accountant. Infinite bounds where none could be certified.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Prv {
    /// Certified: the true epsilon is not below.
    #[serde(with = "super::serde_inf")]
    pub lower: f64,
    /// Epsilon without the error terms: near the truth and not certified.
    #[serde(with = "super::serde_inf")]
    pub estimate: f64,
    /// Certified: the true epsilon is not above.
    pub upper: EpsilonBound,
}

impl Prv {
    pub(super) const fn exactly(epsilon: f64) -> Self {
        Self {
            lower: epsilon,
            estimate: epsilon,
            upper: EpsilonBound::certified(epsilon),
        }
    }
}

/// Epsilon of an event at `delta`, for add or remove of one record, whichever is worse.
///
/// `error` is the half-width asked for; it grows where a transform of two million points cannot hold it.
///
/// # Errors
/// A parameter is out of range.
pub fn prv(event: &DpEvent, delta: f64, error: f64) -> Result<Prv, AccountantError> {
    check_delta(delta)?;
    AccountantError::check("error", error, error > 0.0, "a number above 0")?;
    match Composition::new(event, 1)? {
        Composition::Free => Ok(Prv::exactly(0.0)),
        _ if delta == 1.0 => Ok(Prv::exactly(0.0)),
        Composition::Unbounded => Ok(Prv::exactly(f64::INFINITY)),
        _ if delta == 0.0 => Ok(Prv::exactly(f64::INFINITY)),
        Composition::Pairs { repeated, .. } => Ok(Plan::for_delta(&repeated, delta, error).prv()),
    }
}

/// Lattice, cells, tilts and windows for one question; PRV and connect-the-dots share them.
pub(super) struct Plan<'a> {
    repeated: &'a [RepeatedPair],
    cells: Vec<Cells>,
    spacing: f64,
    sides: Vec<(Direction, Cumulant, Tilt)>,
    delta: f64,
}

impl<'a> Plan<'a> {
    pub(super) fn for_delta(repeated: &'a [RepeatedPair], delta: f64, error: f64) -> Self {
        Self::new(repeated, delta, (error, 0.0), |cumulant| {
            cumulant.tilt_for_delta(delta)
        })
    }

    /// For a group of several records.
    pub(super) fn for_group(repeated: &'a [RepeatedPair], delta: f64, error: f64) -> Self {
        Self::new(repeated, delta, (error, GROUP_ERROR_SHARE), |cumulant| {
            cumulant.tilt_for_delta(delta)
        })
    }

    /// For the delta of one epsilon, which is about `delta`.
    pub(super) fn for_epsilon(
        repeated: &'a [RepeatedPair],
        epsilon: f64,
        delta: f64,
        error: f64,
    ) -> Self {
        Self::new(repeated, delta, (error, 0.0), |cumulant| {
            cumulant.tilt_for_epsilon(epsilon)
        })
    }

    fn new(
        repeated: &'a [RepeatedPair],
        delta: f64,
        (error, share): (f64, f64),
        tilt: impl Fn(&Cumulant) -> Tilt,
    ) -> Self {
        let steps: f64 = repeated.iter().map(|part| part.steps).sum();
        let tail = TAIL_SHARE * delta / steps;
        let mut sides: Vec<(Direction, Cumulant, Tilt)> = Direction::BOTH
            .into_iter()
            .map(|direction| {
                let cumulant = Cumulant::new(repeated, direction, tail);
                let tilt = tilt(&cumulant);
                (direction, cumulant, tilt)
            })
            .collect();
        let width = sides
            .iter()
            .map(|(_, cumulant, tilt)| {
                cumulant
                    .window(tilt, start(tilt, 0), tilt.ln_delta.min(delta.ln()))
                    .width
            })
            .fold(0.0, f64::max);
        let error = sides
            .iter()
            .fold(error, |error, (.., tilt)| error.max(share * tilt.location));
        let range = repeated
            .iter()
            .map(|part| part.pair.loss_range(tail))
            .fold(0.0, f64::max);
        let hoeffding = error * (2.0 / (steps * (2.0 / (ROUNDING_SHARE * delta)).ln())).sqrt();
        let spacing = (0.97 * hoeffding)
            .min(width / MIN_LENGTH)
            .max(width / MAX_LENGTH)
            .max(range / MAX_CELLS);
        for (_, cumulant, tilt) in &mut sides {
            // A loss that hardly varies would be tilted so steeply that neighboring lattice points differ too much.
            if tilt.theta * spacing > MAX_TILT {
                *tilt = cumulant.tilt(MAX_TILT / spacing);
            }
        }
        let cells = repeated
            .iter()
            .map(|part| Cells::new(&part.pair, spacing, tail))
            .collect();
        Self {
            repeated,
            cells,
            spacing,
            sides,
            delta,
        }
    }

    fn steps(&self) -> f64 {
        self.repeated.iter().map(|part| part.steps).sum()
    }

    /// Composes one direction in a window; `attempt` widens it downwards.
    fn compose(
        &self,
        side: usize,
        attempt: u32,
        discretize: fn(&Cells, Direction) -> Distribution,
    ) -> Composed {
        let (direction, cumulant, tilt) = &self.sides[side];
        // Of a single step of these pairs, remove is the worse direction at every epsilon of at least 0.
        let direction = if fault!(DirectionsMaxed) {
            Direction::Remove
        } else {
            *direction
        };
        let parts: Vec<(Distribution, f64)> = self
            .cells
            .iter()
            .zip(self.repeated)
            .map(|(cells, part)| (discretize(cells, direction), part.steps))
            .collect();
        let low = start(tilt, attempt).max(-3.0 * self.spacing);
        let mut window: Window = cumulant.window(tilt, low, tilt.ln_delta.min(self.delta.ln()));
        window.width = (window.width * f64::from(1 << attempt))
            .max(1024.0 * self.spacing)
            .min(transform_length(4.0 * MAX_LENGTH) as f64 * self.spacing);
        Composed::new(&parts, self.spacing, tilt.theta, &window)
    }

    /// Runs `question` in ever wider windows until the answer lies inside one.
    fn ask<T>(
        &self,
        side: usize,
        discretize: fn(&Cells, Direction) -> Distribution,
        question: impl Fn(&Composed) -> Option<T>,
    ) -> Option<T> {
        (0..4).find_map(|attempt| question(&self.compose(side, attempt, discretize)))
    }

    /// The PRV bounds; infinite where none could be certified.
    pub(super) fn prv(&self) -> Prv {
        let delta = self.delta;
        let mut worst = Prv::exactly(0.0);
        for side in 0..self.sides.len() {
            let one = self
                .ask(side, round_to_middle, |composed| {
                    self.bounds(composed, delta)
                })
                .unwrap_or(Prv {
                    lower: 0.0,
                    estimate: f64::INFINITY,
                    upper: EpsilonBound::INFINITE,
                });
            worst.lower = worst.lower.max(one.lower);
            worst.estimate = worst.estimate.max(one.estimate);
            if one.upper > worst.upper {
                worst.upper = one.upper;
            }
        }
        worst
    }

    /// None if the window begins above the answer.
    fn bounds(&self, composed: &Composed, delta: f64) -> Option<Prv> {
        let at = |crossing: Crossing, shift: f64| match crossing {
            Crossing::At(epsilon) => Some((epsilon + shift).max(0.0)),
            Crossing::Below if composed.reaches_zero() => Some(shift.max(0.0)),
            Crossing::Below | Crossing::Uncertain => None,
        };
        let rounding = ROUNDING_SHARE * delta;
        let error = self.spacing * (self.steps() * (2.0 / rounding).ln() / 2.0).sqrt()
            + composed.loss_error;
        let lost = composed.outside + rounding;
        let less = (delta - lost - composed.above) * (1.0 - 2.0 * composed.relative_error);
        let more = (delta + lost + composed.wrapped) * (1.0 + 2.0 * composed.relative_error);
        let upper = composed.crossing(less, Rounding::Up);
        let lower = composed.crossing(more, Rounding::Down);
        let estimate = composed.crossing(delta, Rounding::Ignore);
        Some(Prv {
            upper: EpsilonBound::certified(at(upper, error)?),
            estimate: at(estimate, 0.0)?,
            lower: at(lower, -error)?,
        })
    }

    /// The connect-the-dots upper bound of epsilon, the worse of both directions; infinite if none could be certified.
    pub(super) fn connect_the_dots_epsilon(&self) -> f64 {
        self.connect_the_dots_directions()
            .map(|(_, epsilon)| epsilon)
            .fold(0.0, f64::max)
    }

    /// The connect-the-dots upper bound of epsilon in each direction.
    pub(super) fn connect_the_dots_directions(&self) -> impl Iterator<Item = (Direction, f64)> {
        self.sides
            .iter()
            .enumerate()
            .map(|(side, (direction, ..))| {
                let found = self.ask(side, super::lattice::connect_the_dots, |composed| {
                    let target = (self.delta - composed.outside - composed.above)
                        * (1.0 - 2.0 * composed.relative_error);
                    match composed.crossing(target, Rounding::Up) {
                        Crossing::At(epsilon) => Some((epsilon + composed.loss_error).max(0.0)),
                        Crossing::Below if composed.reaches_zero() => Some(composed.loss_error),
                        Crossing::Below | Crossing::Uncertain => None,
                    }
                });
                (*direction, found.unwrap_or(f64::INFINITY))
            })
    }

    /// The connect-the-dots upper bound of delta at one epsilon; 1 if none could be certified.
    pub(super) fn connect_the_dots_delta(&self, epsilon: f64) -> f64 {
        (0..self.sides.len())
            .map(|side| {
                self.ask(side, super::lattice::connect_the_dots, |composed| {
                    composed
                        .delta(epsilon)
                        .map(|delta| delta + composed.outside + composed.above)
                })
                .map_or(1.0, |delta| delta.clamp(0.0, 1.0))
            })
            .fold(0.0, f64::max)
    }
}

/// The window's lower end: the deeper, the later the attempt.
fn start(tilt: &Tilt, attempt: u32) -> f64 {
    let margin = (4.0 / tilt.theta)
        .max(tilt.spread)
        .max(0.1 * tilt.location.abs());
    match attempt {
        0 => tilt.location - margin,
        1 => tilt.location - 3.0 * margin,
        2 => (tilt.location - 9.0 * margin).min(0.0),
        _ => f64::NEG_INFINITY,
    }
}
