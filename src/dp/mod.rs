//! Differential privacy: clipping, noise, Poisson sampling, the private step, accountants, calibration.

pub mod softmax;
