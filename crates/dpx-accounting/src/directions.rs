//! Epsilon of adding and of removing a record, each composed on its own over the whole event.

use super::composition::Composition;
use super::error::check_delta;
use super::lattice::Direction;
use super::prv::{PRV_ERROR, Plan};
use super::{AccountantError, DpEvent, EpsilonBound};

/// Certified upper bounds (connect-the-dots) of epsilon in both directions. What is claimed is the larger one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Directions {
    /// The record is in the data, the neighbor is without it.
    pub remove: EpsilonBound,
    /// The record is not in the data, the neighbor has it.
    pub add: EpsilonBound,
}

/// Epsilon of each direction at `delta`.
///
/// # Errors
/// A parameter is out of range.
pub fn epsilon_by_direction(event: &DpEvent, delta: f64) -> Result<Directions, AccountantError> {
    check_delta(delta)?;
    let both = |epsilon| Directions {
        remove: epsilon,
        add: epsilon,
    };
    Ok(match Composition::new(event, 1)? {
        Composition::Free => both(EpsilonBound::ZERO),
        _ if delta == 1.0 => both(EpsilonBound::ZERO),
        Composition::Unbounded => both(EpsilonBound::INFINITE),
        _ if delta == 0.0 => both(EpsilonBound::INFINITE),
        Composition::Pairs { repeated, .. } => {
            let mut found = both(EpsilonBound::INFINITE);
            for (direction, epsilon) in
                Plan::for_delta(&repeated, delta, PRV_ERROR).connect_the_dots_directions()
            {
                let epsilon = EpsilonBound::certified(epsilon);
                match direction {
                    Direction::Remove => found.remove = epsilon,
                    Direction::Add => found.add = epsilon,
                }
            }
            found
        }
    })
}
