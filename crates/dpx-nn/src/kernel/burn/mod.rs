//! The same kernels in burn's operations, for arrays on devices; on the host they serve tests alone.
//!
//! Tensors are `[rows, width]` and never empty: what has no values is settled before. Rows of one example never reach those of
//! another by arithmetic, not even times zero: where rows are left out or padded, they are selected, as 0 x NaN is NaN.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod decode;
pub(crate) mod elementwise;
pub(crate) mod example;
pub(crate) mod loss;
pub(crate) mod norm;
mod padding;
pub(crate) mod precise;
pub(crate) mod rotary;
mod upload;

#[cfg(test)]
mod tests;

pub(crate) use padding::Padding;
