//! Accountants for compositions of (subsampled) Gaussian mechanisms: what a run costs.
//!
//! | file | subject |
//! |---|---|
//! | `phase` | what was done: noise multiplier, sampling rate, steps; checks and merging |
//! | `rdp` | Rényi accountant: integer and fractional orders, conversion to (epsilon, delta) |
//! | `pair` | the pair of distributions one step is about, its privacy loss and the inverse |
//! | `cells` | that pair cut along a lattice of privacy losses, with masses of full relative accuracy |
//! | `lattice` | distributions on the lattice: PRV's rounding, the pessimistic connect-the-dots |
//! | `saddle` | where the tail that decides epsilon lies: exponential tilt and window of the transform |
//! | `compose` | tilted FFT composition with a bound on its own rounding error |
//! | `prv` | the PRV accountant: certified lower bound, estimate, certified upper bound |
//! | `dots` | the connect-the-dots upper bound |
//! | `directions` | epsilon of adding and of removing a record, each composed on its own |
//! | `certified` | the least of the upper bounds, and which accountant it came from |
//! | `gaussian` | the plain Gaussian mechanism in closed form |
//! | `written` | epsilon in files, where it may be infinite |
//!
//! Adding and removing a record are composed separately over all phases; the maximum is taken after.

pub mod audit;
pub mod budget;
pub mod calibration;
mod cells;
mod certified;
mod compose;
mod directions;
mod dots;
mod error;
mod fault;
#[cfg(test)]
mod fault_table;
mod gaussian;
pub mod group;
mod lattice;
pub mod mechanism;
mod normal;
mod pair;
mod phase;
mod prv;
mod rdp;
mod saddle;
pub mod statement;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod written;

pub use certified::certified_group;
pub use certified::{Accountant, Certified, certified_delta, certified_upper};
pub use directions::{Directions, epsilon_by_direction};
pub use error::AccountantError;
pub use gaussian::{gaussian_delta, gaussian_epsilon, gaussian_noise_multiplier};
pub use mechanism::{Adjacency, Mechanism};
pub use phase::Phase;
pub use prv::{PRV_ERROR, Prv, prv};
pub use rdp::{delta_rdp, epsilon_rdp};
