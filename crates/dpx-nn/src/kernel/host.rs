//! Kernels on slices of f32: rayon over rows or examples, loops that the compiler vectorizes for the instruction set found at run time.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod decode;
pub(crate) mod disentangled;
pub(crate) mod elementwise;
pub(crate) mod embedding;
pub(crate) mod example;
mod kernels;
pub(crate) mod level;
pub(crate) mod loss;
pub(crate) mod math;
pub(crate) mod matmul;
pub(crate) mod norm;
pub(crate) mod rotary;
pub(crate) mod rounded;
mod split;

pub(crate) use kernels::HostKernels;
pub(crate) use split::{rows_per_task, split_by, split_by_mut};
