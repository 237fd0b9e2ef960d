//! Differential privacy: clipping, noise, Poisson sampling, the private step, accountants, calibration.

pub mod checkpoint;
pub mod clip;
pub mod denoise;
pub mod device_check;
pub mod dp_optimizer;
pub mod grid;
pub mod key;
mod micro_batch;
mod noise;
pub mod optimizer;
pub mod privatize;
pub mod replicas;
pub mod sampling;
pub mod softmax;
pub mod sum;
pub mod trainer;
pub mod units;
pub mod vector;
pub mod whole_texts;

#[cfg(not(any(test, feature = "fault-injection")))]
mod fault;
#[cfg(any(test, feature = "fault-injection"))]
#[doc(hidden)]
pub mod fault;

#[cfg(test)]
mod fault_table;
