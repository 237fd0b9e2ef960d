//! GELU (tanh and erf forms), SwiGLU, ReLU, tanh.

use super::level::multiversion;
use super::math::{erf, exp, flushed, sigmoid};
use super::rows_per_task;
use rayon::prelude::*;

/// 2 sqrt(2 / pi).
const TWO_ROOT: f32 = 1.595_769;
/// 1 / sqrt(2 pi).
const NORMAL: f32 = 0.398_942_3;

multiversion! {
    fn gelu_tanh_slice(x: &[f32], y: &mut [f32]) {
        for (x, y) in x.iter().zip(y) {
            // tanh(u) = 2 sigmoid(2u) - 1, so x (1 + tanh(u)) / 2 = x sigmoid(2u)
            *y = flushed(x * sigmoid(TWO_ROOT * (x + 0.044_715 * x * x * x)));
        }
    }
}

multiversion! {
    fn gelu_tanh_backward_slice(x: &[f32], gradient: &mut [f32]) {
        for (x, g) in x.iter().zip(gradient) {
            let square = x * x;
            let s = sigmoid(TWO_ROOT * (x + 0.044_715 * square * x));
            let slope = s + x * s * (1.0 - s) * TWO_ROOT * (1.0 + 0.134_145 * square);
            *g = flushed(*g * slope);
        }
    }
}

multiversion! {
    fn gelu_erf_slice(x: &[f32], y: &mut [f32]) {
        for (x, y) in x.iter().zip(y) {
            *y = flushed(0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2)));
        }
    }
}

multiversion! {
    fn gelu_erf_backward_slice(x: &[f32], gradient: &mut [f32]) {
        for (x, g) in x.iter().zip(gradient) {
            let cumulative = 0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
            *g = flushed(*g * (cumulative + x * NORMAL * exp(-0.5 * x * x)));
        }
    }
}

multiversion! {
    fn swiglu_slice(gate: &[f32], up: &[f32], y: &mut [f32]) {
        for ((gate, up), y) in gate.iter().zip(up).zip(y) {
            *y = flushed(gate * sigmoid(*gate) * up);
        }
    }
}

multiversion! {
    fn swiglu_backward_slice(gate: &[f32], up: &[f32], gradient: &[f32], gate_gradient: &mut [f32], up_gradient: &mut [f32]) {
        let outputs = gate_gradient.iter_mut().zip(up_gradient);
        for (((gate, up), g), (dgate, dup)) in gate.iter().zip(up).zip(gradient).zip(outputs) {
            let s = sigmoid(*gate);
            *dgate = flushed(g * up * s * (1.0 + gate * (1.0 - s)));
            *dup = flushed(g * gate * s);
        }
    }
}

multiversion! {
    fn tanh_slice(x: &mut [f32]) {
        for x in x {
            *x = 2.0 * sigmoid(2.0 * *x) - 1.0;
        }
    }
}

multiversion! {
    fn tanh_backward_slice(y: &[f32], gradient: &mut [f32]) {
        for (y, g) in y.iter().zip(gradient) {
            *g *= 1.0 - y * y;
        }
    }
}

fn chunk(length: usize) -> usize {
    rows_per_task(length).max(1024)
}

pub(crate) fn gelu(x: &[f32], y: &mut [f32], tanh_form: bool) {
    let f = if tanh_form {
        gelu_tanh_slice
    } else {
        gelu_erf_slice
    };
    let chunk = chunk(x.len());
    x.par_chunks(chunk)
        .zip(y.par_chunks_mut(chunk))
        .for_each(|(x, y)| f(x, y));
}

/// `x += bias` on every row, then `y = gelu(x)`.
pub(crate) fn bias_gelu(x: &mut [f32], bias: &[f32], y: &mut [f32], tanh_form: bool) {
    let f = if tanh_form {
        gelu_tanh_slice
    } else {
        gelu_erf_slice
    };
    let width = bias.len();
    let chunk = rows_per_task(x.len() / width) * width;
    x.par_chunks_mut(chunk)
        .zip(y.par_chunks_mut(chunk))
        .for_each(|(x, y)| {
            for (x, y) in x.chunks_exact_mut(width).zip(y.chunks_exact_mut(width)) {
                for (x, b) in x.iter_mut().zip(bias) {
                    *x += b;
                }
                f(x, y);
            }
        });
}

pub(crate) fn gelu_backward(x: &[f32], gradient: &mut [f32], tanh_form: bool) {
    let f = if tanh_form {
        gelu_tanh_backward_slice
    } else {
        gelu_erf_backward_slice
    };
    let chunk = chunk(x.len());
    x.par_chunks(chunk)
        .zip(gradient.par_chunks_mut(chunk))
        .for_each(|(x, g)| f(x, g));
}

/// `y = silu(gate) * up`.
pub(crate) fn swiglu(gate: &[f32], up: &[f32], y: &mut [f32]) {
    let chunk = chunk(y.len());
    y.par_chunks_mut(chunk)
        .zip(gate.par_chunks(chunk))
        .zip(up.par_chunks(chunk))
        .for_each(|((y, gate), up)| swiglu_slice(gate, up, y));
}

/// Gradients of `silu(gate) * up`.
pub(crate) fn swiglu_backward(
    [gate, up, gradient]: [&[f32]; 3],
    gate_gradient: &mut [f32],
    up_gradient: &mut [f32],
) {
    let chunk = chunk(gradient.len());
    gate_gradient
        .par_chunks_mut(chunk)
        .zip(up_gradient.par_chunks_mut(chunk))
        .zip(gate.par_chunks(chunk))
        .zip(up.par_chunks(chunk))
        .zip(gradient.par_chunks(chunk))
        .for_each(|((((dgate, dup), gate), up), g)| swiglu_backward_slice(gate, up, g, dgate, dup));
}

/// `x = max(x, 0)`.
pub(crate) fn relu(x: &mut [f32]) {
    for x in x {
        *x = x.max(0.0);
    }
}

/// Keeps the gradient where y is above 0, y being the output of [`relu`].
pub(crate) fn relu_backward(y: &[f32], gradient: &mut [f32]) {
    for (y, g) in y.iter().zip(gradient) {
        if *y <= 0.0 {
            *g = 0.0;
        }
    }
}

pub(crate) fn tanh(x: &mut [f32]) {
    tanh_slice(x);
}

/// `gradient *= 1 - y^2` for `y = tanh(x)`.
pub(crate) fn tanh_backward(y: &[f32], gradient: &mut [f32]) {
    tanh_backward_slice(y, gradient);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// -24 to 24 in steps of 0.01: the tails of every form run out of the normal numbers.
    fn inputs() -> Vec<f32> {
        (-2400..=2400).map(|i| i as f32 * 0.01).collect()
    }

    fn assert_normal_or_zero(values: &[f32], what: &str) {
        let subnormal = values.iter().find(|x| **x != 0.0 && !x.is_normal());
        assert_eq!(subnormal, None, "{what}");
        assert!(values.iter().any(|x| *x != 0.0), "{what}");
    }

    #[test]
    fn gelu_leaves_no_subnormal_numbers() {
        let x = inputs();
        for tanh_form in [false, true] {
            let (mut y, mut gradient) = (vec![0.0; x.len()], vec![1e-3; x.len()]);
            gelu(&x, &mut y, tanh_form);
            gelu_backward(&x, &mut gradient, tanh_form);
            assert_normal_or_zero(&y, "gelu");
            assert_normal_or_zero(&gradient, "its gradient");
        }
    }

    #[test]
    fn swiglu_leaves_no_subnormal_numbers() {
        let gate: Vec<f32> = inputs().iter().map(|x| 5.0 * x).collect();
        let up = vec![1e-3; gate.len()];
        let [mut y, mut dgate, mut dup] = [0; 3].map(|_| vec![0.0; gate.len()]);
        swiglu(&gate, &up, &mut y);
        swiglu_backward([&gate, &up, &up], &mut dgate, &mut dup);
        assert_normal_or_zero(&y, "swiglu");
        assert_normal_or_zero(&dgate, "gradient of the gate");
        assert_normal_or_zero(&dup, "gradient of the other factor");
    }
}
