//! GELU (tanh and erf forms), SwiGLU, ReLU, tanh: the formulas of the host, operation by operation.

use crate::device::Tensor;
use crate::kernel::Gelu;

/// 2 sqrt(2 / pi).
const TWO_ROOT: f32 = 1.595_769;
/// 1 / sqrt(2 pi).
const NORMAL: f32 = 0.398_942_3;

/// 1 / (1 + e^-x): finite wherever x is.
fn sigmoid(x: Tensor<2>) -> Tensor<2> {
    (x.neg().exp() + 1.0).recip()
}

/// The error function, absolute error below 1e-6 in f32 (Abramowitz and Stegun 7.1.26).
fn erf(x: Tensor<2>) -> Tensor<2> {
    let a = x.clone().abs();
    let t = (a.clone() * 0.327_591_1 + 1.0).recip();
    let p = t.clone() * 1.061_405_4 - 1.453_152;
    let p = p * t.clone() + 1.421_413_7;
    let p = p * t.clone() - 0.284_496_74;
    let p = p * t.clone() + 0.254_829_6;
    (p * t * (a.clone() * a).neg().exp()).neg().add_scalar(1.0) * x.sign()
}

/// The share of x that GELU lets through.
fn gate(x: Tensor<2>, form: Gelu) -> Tensor<2> {
    match form {
        Gelu::Tanh => {
            let square = x.clone() * x.clone();
            sigmoid((square * 0.044_715 + 1.0) * x * TWO_ROOT)
        }
        Gelu::Erf => (erf(x * std::f32::consts::FRAC_1_SQRT_2) + 1.0) * 0.5,
    }
}

pub(crate) fn gelu(x: Tensor<2>, form: Gelu) -> Tensor<2> {
    x.clone() * gate(x, form)
}

pub(crate) fn gelu_backward(x: Tensor<2>, gradient: Tensor<2>, form: Gelu) -> Tensor<2> {
    let square = x.clone() * x.clone();
    let share = gate(x.clone(), form);
    let slope = match form {
        Gelu::Tanh => {
            let steepness = (square * 0.134_145 + 1.0) * TWO_ROOT;
            share.clone() + x * share.clone() * (share.neg() + 1.0) * steepness
        }
        Gelu::Erf => share + x * NORMAL * (square * -0.5).exp(),
    };
    gradient * slope
}

/// `silu(gate) * up`.
pub(crate) fn swiglu(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    gate.clone() * sigmoid(gate) * up
}

/// Gradients of gate and up.
pub(crate) fn swiglu_backward(
    gate: Tensor<2>,
    up: Tensor<2>,
    gradient: Tensor<2>,
) -> (Tensor<2>, Tensor<2>) {
    let s = sigmoid(gate.clone());
    let slope = s.clone() * (gate.clone() * (s.clone().neg() + 1.0) + 1.0);
    (gradient.clone() * up * slope, gradient * gate * s)
}

/// `max(x, 0)`.
pub(crate) fn relu(x: Tensor<2>) -> Tensor<2> {
    x.clamp_min(0.0)
}

/// The gradient where y is above 0, y being the output of [`relu`].
pub(crate) fn relu_backward(y: Tensor<2>, gradient: Tensor<2>) -> Tensor<2> {
    gradient.mask_fill(y.lower_equal_elem(0.0), 0.0)
}

pub(crate) fn tanh(x: Tensor<2>) -> Tensor<2> {
    sigmoid(x * 2.0) * 2.0 - 1.0
}

/// `gradient (1 - y^2)`.
pub(crate) fn tanh_backward(y: Tensor<2>, gradient: Tensor<2>) -> Tensor<2> {
    gradient * ((y.clone() * y).neg() + 1.0)
}
