//! Certified privacy accounting for DP-SGD and other compositions of (subsampled) Gaussian mechanisms.

pub mod audit;
mod bound;
pub mod budget;
pub mod calibration;
mod cells;
mod certified;
mod claim;
mod compose;
mod composition;
mod connect_the_dots;
mod directions;
mod dominating_pair;
mod error;
mod event;
mod fault;
#[cfg(test)]
mod fault_table;
mod gaussian;
mod lattice;
mod mechanism;
mod normal;
mod prv;
mod rdp;
mod saddle;
mod sampling;
mod serde_inf;
#[cfg(test)]
mod tests;
#[doc(hidden)]
pub mod transition;

pub use bound::{DeltaBound, EpsilonBound};
pub use certified::{Accountant, Certified, MAX_GROUP};
pub use claim::{Claim, ClaimError, ClaimPart};
pub use directions::{Directions, epsilon_by_direction};
pub use error::AccountantError;
pub use event::DpEvent;
pub use gaussian::{gaussian_delta, gaussian_epsilon, gaussian_noise_multiplier};
pub use mechanism::{Adjacency, Mechanism};
pub use prv::{PRV_ERROR, Prv, prv};
pub use rdp::{delta_rdp, epsilon_rdp};
pub use sampling::{
    Sampling, SamplingPlan, check_delta_for, default_delta, quantized_rate, sampling_plan,
};
