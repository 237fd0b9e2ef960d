#![doc = include_str!("../README.md")]
// How it is built:
//
// | file | subject |
// |---|---|
// | `event` | what was done, as a value; `composition` flattens, merges and sorts it |
// | `bound`, `serde_inf` | upper bounds that print rounded up; infinity in JSON |
// | `sampling`, `mechanism` | sampling rate and steps; the parameters of one run of DP-SGD |
// | `rdp` | Renyi accountant: integer and fractional orders, conversion to (epsilon, delta) |
// | `dominating_pair` | the pair of distributions one step is about, its privacy loss and the inverse |
// | `cells` | that pair cut along a lattice of privacy losses, with masses of full relative accuracy |
// | `lattice` | distributions on the lattice: PRV's rounding, the pessimistic connect-the-dots |
// | `saddle` | where the tail that decides epsilon lies: exponential tilt and window of the transform |
// | `compose` | tilted FFT composition with a bound on its own rounding error |
// | `prv`, `connect_the_dots` | the two accountants over it, and `directions`: adding and removing a record apart |
// | `certified` | the least of the upper bounds, and which accountant it came from |
// | `memo` | bounds of claims, computed once |
// | `claim` | a set of events as one guarantee that can be checked again |
// | `calibration`, `budget` | the inverse: noise, rates and steps for a target; one epsilon for several mechanisms |
// | `batch` | batch size from the noise-to-batch ratio, before anything runs |
// | `people` | people with several records: sampling them, or their records as groups |
// | `audit` | the other side: lower bounds from canaries |

pub mod audit;
mod batch;
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
mod least;
mod mechanism;
pub mod memo;
mod normal;
mod people;
mod prv;
mod rdp;
mod saddle;
mod sampling;
mod serde_inf;
#[cfg(test)]
mod tests;

pub use batch::{
    BatchBound, BatchChoice, BatchQuestion, FEWEST_STEPS, choose_batch, noise_of_mean,
    noise_to_batch,
};
pub use bound::{DeltaBound, EpsilonBound};
pub use certified::{Accountant, Certified, MAX_GROUP};
pub use claim::{Claim, ClaimError, ClaimPart};
pub use directions::{Directions, epsilon_by_direction};
pub use error::AccountantError;
pub use event::DpEvent;
pub use gaussian::{gaussian_delta, gaussian_epsilon, gaussian_noise_multiplier};
pub use mechanism::{Adjacency, Mechanism};
pub use people::{PeopleRun, PricedSampling, SamplingComparison, compare_sampling};
pub use prv::{PRV_ERROR, Prv, prv};
pub use rdp::{RdpOverSteps, delta_rdp, epsilon_rdp};
pub use sampling::{
    Sampling, SamplingPlan, check_delta_for, default_delta, quantized_rate, sampling_plan,
};
