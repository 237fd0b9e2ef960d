//! The pessimistic connect-the-dots bound (Doroshenko, Ghazi, Kamath, Kumar, Manurangsi 2022).

use super::phase::Repeated;
use super::prv::Plan;

/// Upper bound of delta at `epsilon`, where delta is about `guess`.
pub(super) fn delta(repeated: &[Repeated], epsilon: f64, guess: f64, error: f64) -> f64 {
    Plan::for_epsilon(repeated, epsilon, guess, error).dots_delta(epsilon)
}
