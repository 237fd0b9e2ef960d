//! Layer norm and RMS norm.

use super::backend;
use crate::Array;

/// What the backward pass of a norm needs.
#[derive(Debug, Clone)]
pub struct Normalized {
    /// Normalized input `[rows, width]`, before scale and shift.
    pub values: Array,
    /// One over the deviation, or the root mean square, of each row.
    pub inverse: Array,
    /// Whether the mean was taken away.
    pub centered: bool,
}

/// `weight * (x - mean) / sqrt(variance + epsilon) + bias` per row.
pub(crate) fn layer_norm(
    x: &Array,
    weight: &Array,
    bias: &Array,
    epsilon: f32,
) -> (Array, Normalized) {
    assert_eq!(x.width(), weight.len(), "scale of {x:?}");
    assert_eq!(x.width(), bias.len(), "shift of {x:?}");
    backend(x).layer_norm(x, weight, bias, epsilon)
}

/// `weight * x / sqrt(mean square + epsilon)` per row.
pub(crate) fn rms_norm(x: &Array, weight: &Array, epsilon: f32) -> (Array, Normalized) {
    assert_eq!(x.width(), weight.len(), "scale of {x:?}");
    backend(x).rms_norm(x, weight, epsilon)
}

/// Gradient of a norm's input, plus `residual` where there is one.
pub(crate) fn norm_backward(
    saved: &Normalized,
    weight: &Array,
    gradient: &Array,
    residual: Option<&Array>,
) -> Array {
    assert_eq!(saved.values.len(), gradient.len(), "gradient of a norm");
    backend(gradient).norm_backward(saved, weight, gradient, residual)
}
