//! Kernels: operations on [`Array`](super::Array) that layers are made of.

mod burn;
pub(crate) mod host;

mod activation;
mod attention;
mod elementwise;
mod embedding;
mod example;
mod heads;
mod loss;
mod matmul;
mod norm;

pub(super) use burn::Padding;

pub use activation::{
    Gelu, bias_gelu, gelu, gelu_backward, swiglu, swiglu_backward, tanh, tanh_backward,
};
pub use attention::{attention, attention_backward, attention_step, rotate, store_prompts};
pub use elementwise::{
    add, add_bias, add_bias_residual, gather_rows, join_columns, scale, scaled_rows, split_columns,
    spread_rows,
};
pub use embedding::{embedding, embedding_add, scatter_add};
pub use example::{
    Squared, Squares, Tied, column_sums, embedding_squares, linear_squares, product_sums,
    row_squares, tied_products, weighted_sum,
};
pub use heads::Heads;
pub use loss::{cross_entropy, cross_entropy_with_gradient};
pub use matmul::{Side, matmul, matmul_add, precise_matmul};
pub use norm::{Normalised, layer_norm, norm_backward, rms_norm};
