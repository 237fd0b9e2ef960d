//! GELU, SwiGLU, ReLU, tanh.

use super::backend;
use crate::Array;

/// The two forms of GELU that models have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gelu {
    /// `x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`: GPT-2's `gelu_new`.
    Tanh,
    /// `x / 2 (1 + erf(x / sqrt 2))`: BERT's `gelu`.
    Erf,
}

/// `gelu(x)`.
pub fn gelu(x: &Array, form: Gelu) -> Array {
    backend(x).gelu(x, form)
}

/// Adds the bias to every row of `x` and returns `gelu(x)`.
pub fn bias_gelu(x: &mut Array, bias: &Array, form: Gelu) -> Array {
    assert_eq!(x.width(), bias.len(), "bias of {x:?}");
    backend(x).bias_gelu(x, bias, form)
}

/// Multiplies the gradient by the derivative of GELU at `x`.
pub fn gelu_backward(x: &Array, gradient: &mut Array, form: Gelu) {
    assert_eq!(x.len(), gradient.len(), "gradient of {x:?}");
    backend(x).gelu_backward(x, gradient, form);
}

/// `silu(gate) * up`.
pub fn swiglu(gate: &Array, up: &Array) -> Array {
    assert_eq!(gate.len(), up.len(), "gate and up");
    backend(gate).swiglu(gate, up)
}

/// Gradients of gate and up, for that of `silu(gate) * up`.
pub fn swiglu_backward(gate: &Array, up: &Array, gradient: &Array) -> (Array, Array) {
    assert_eq!(gate.len(), up.len(), "gate and up");
    assert_eq!(gate.len(), gradient.len(), "gradient of {gate:?}");
    backend(gate).swiglu_backward(gate, up, gradient).into()
}

/// `x = max(x, 0)`.
pub(crate) fn relu(x: &mut Array) {
    backend(x).relu(x);
}

/// Keeps the gradient where y is above 0, y being the output of [`relu`].
pub(crate) fn relu_backward(y: &Array, gradient: &mut Array) {
    assert_eq!(y.len(), gradient.len(), "gradient of {y:?}");
    backend(y).relu_backward(y, gradient);
}

/// `x = tanh(x)`.
pub fn tanh(x: &mut Array) {
    backend(x).tanh(x);
}

/// Multiplies the gradient by `1 - y^2`, y being the output of [`tanh`].
pub fn tanh_backward(y: &Array, gradient: &mut Array) {
    assert_eq!(y.len(), gradient.len(), "gradient of {y:?}");
    backend(y).tanh_backward(y, gradient);
}
