//! Kernels: operations on [`Array`] that layers are made of.
//!
//! A function here checks the shapes and leaves the rest to the [`Kernels`] of the place where its arrays are. An operation is
//! added in `kernels.rs`, `host/kernels.rs` and `burn/kernels.rs`; a test in `burn/tests.rs` holds the last two together.

#[cfg(feature = "burn")]
mod burn;
pub(crate) mod host;

mod activation;
mod attention;
mod disentangled;
mod elementwise;
mod embedding;
mod example;
mod heads;
mod kernels;
mod loss;
mod matmul;
mod norm;

use super::Array;
use disentangled::Disentangled;
use matmul::Factor;

#[cfg(feature = "burn")]
pub(super) use burn::{DeviceKernels, Padding};
pub(super) use host::HostKernels;
pub(super) use kernels::Kernels;

pub use activation::{
    Gelu, bias_gelu, gelu, gelu_backward, swiglu, swiglu_backward, tanh, tanh_backward,
};
pub(crate) use activation::{relu, relu_backward};
pub use attention::{attention, attention_backward, rotate};
pub(crate) use attention::{attention_step, keep_rows, store_prompts};
pub use disentangled::{Distances, disentangled, disentangled_backward};
pub use elementwise::{add, join_columns, scale, scaled_rows, split_columns};
pub(crate) use elementwise::{add_bias, add_bias_residual, gather_rows, multiply, scatter_rows};
pub use embedding::scatter_add;
pub(crate) use embedding::{embedding, embedding_add};
pub use example::{
    SquaredNorm, SquaredNorms, Tied, column_sums, embedding_squared_norms, linear_squared_norms,
    product_sums, row_squared_norms, tied_products, weighted_sum,
};
pub use heads::Heads;
pub(crate) use loss::cross_entropy;
pub use loss::cross_entropy_with_gradient;
pub use matmul::{Side, matmul, matmul_add, precise_matmul, rows_computed_alike};
pub use norm::Normalized;
pub(crate) use norm::{layer_norm, norm_backward, rms_norm};

/// The kernels of the place where an array is; all operands of a kernel are in one place.
fn backend(array: &Array) -> &'static dyn Kernels {
    array.kernels()
}
