//! Differential privacy: clipping, noise, Poisson sampling, the private step, accountants, calibration.

pub mod grid;
pub mod key;
pub mod noise;
pub mod optimizer;
pub mod privatise;
pub mod sampling;
pub mod softmax;
pub mod sum;
pub(crate) mod twin;
mod vector;
