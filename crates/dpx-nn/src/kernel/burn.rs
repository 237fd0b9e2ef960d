//! The kernels in burn's operations, for arrays on devices; on burn's processor backend they serve tests alone.
//!
//! Tensors are `[rows, width]` and never empty: `kernels.rs` settles before what has no values. Rows of one example never reach those of
//! another by arithmetic, not even times zero: where rows are left out or padded, they are selected, as 0 x NaN is NaN.

mod activation;
mod attention;
mod decode;
mod disentangled;
mod elementwise;
mod example;
mod kernels;
mod loss;
mod norm;
mod padding;
mod precise;
mod rotary;
mod rounded;
mod upload;

#[cfg(test)]
mod tests;

pub(crate) use kernels::DeviceKernels;
pub(crate) use padding::Padding;
