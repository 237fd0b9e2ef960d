//! The pessimistic connect-the-dots bound (Doroshenko, Ghazi, Kamath, Kumar, Manurangsi 2022).

use super::composition::RepeatedPair;
use super::prv::Plan;

/// Upper bound of delta at `epsilon`, where delta is about `guess`.
pub(super) fn delta(repeated: &[RepeatedPair], epsilon: f64, guess: f64, error: f64) -> f64 {
    Plan::for_epsilon(repeated, epsilon, guess, error).connect_the_dots_delta(epsilon)
}
