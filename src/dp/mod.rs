//! Differential privacy: clipping, noise, Poisson sampling, the private step, accountants, calibration.

pub mod accountant;
pub mod audit;
pub mod budget;
pub mod calibration;
pub mod checkpoint;
pub mod clip;
pub mod device_check;
pub mod grid;
pub mod group;
pub mod key;
pub mod learner;
pub mod mechanism;
pub mod noise;
pub mod optimizer;
pub mod privatise;
pub mod sampling;
pub mod softmax;
pub mod statement;
pub mod sum;
pub mod trainer;
mod vector;

pub(crate) mod twin;
pub use mechanism::{Adjacency, Mechanism};

#[cfg(test)]
mod twin_table;
