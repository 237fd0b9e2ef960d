//! Epsilon of adding and of removing a record, each composed on its own over all phases.

use super::lattice::Direction;
use super::phase::{Composition, check_delta};
use super::prv::{PRV_ERROR, Plan};
use super::{AccountantError, Phase};

/// Certified upper bounds (connect-the-dots) of epsilon in both directions. What is claimed is the larger one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Directions {
    /// The record is in the data, the neighbour is without it.
    pub remove: f64,
    /// The record is not in the data, the neighbour has it.
    pub add: f64,
}

/// Epsilon of each direction at `delta`.
///
/// # Errors
/// A parameter is out of range.
pub fn epsilon_by_direction(phases: &[Phase], delta: f64) -> Result<Directions, AccountantError> {
    check_delta(delta)?;
    let both = |epsilon| Directions {
        remove: epsilon,
        add: epsilon,
    };
    Ok(match Composition::new(phases, 1)? {
        Composition::Free => both(0.0),
        _ if delta == 1.0 => both(0.0),
        Composition::Unbounded => both(f64::INFINITY),
        _ if delta == 0.0 => both(f64::INFINITY),
        Composition::Pairs { repeated, .. } => {
            let mut found = both(f64::INFINITY);
            for (direction, epsilon) in
                Plan::for_delta(&repeated, delta, PRV_ERROR).dots_directions()
            {
                match direction {
                    Direction::Remove => found.remove = epsilon,
                    Direction::Add => found.add = epsilon,
                }
            }
            found
        }
    })
}
