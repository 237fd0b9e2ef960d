//! Differential privacy: clipping, noise, Poisson sampling, the private step, accountants, calibration.

pub mod key;
pub mod noise;
pub mod sampling;
pub mod softmax;
mod vector;
