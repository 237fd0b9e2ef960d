//! In which arithmetic a device multiplies activations by weights.

/// Arithmetic of products with weights. Everything else, clipping and updates above all, is computed in f32 (norms and sums of
/// gradients in more than that): the weights themselves are f32 and are rounded for each product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arithmetic {
    /// Single precision, or TF32 where a CUDA device prefers it.
    #[default]
    F32,
    /// Factors and product in bfloat16, sums inside a product in f32.
    Bf16,
}
