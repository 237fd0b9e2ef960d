//! GELU, SwiGLU, tanh.

use super::burn::activation as remote;
use super::host::activation as host;
use crate::Array;
use crate::pool::Buffer;

/// Which GELU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gelu {
    /// `x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`: GPT-2's `gelu_new`.
    Tanh,
    /// `x / 2 (1 + erf(x / sqrt 2))`: BERT's `gelu`.
    Erf,
}

/// `gelu(x)`.
pub fn gelu(x: &Array, form: Gelu) -> Array {
    if x.is_remote() {
        return x.map(|x| remote::gelu(x, form));
    }
    let mut y = Buffer::stale(x.len());
    host::gelu(x.host(), &mut y, form == Gelu::Tanh);
    Array::from_buffer(y, x.shape())
}

/// Adds the bias to every row of `x` and returns `gelu(x)`.
pub fn bias_gelu(x: &mut Array, bias: &Array, form: Gelu) -> Array {
    assert_eq!(x.width(), bias.len(), "bias of {x:?}");
    if x.is_remote() {
        x.change(|x| x + bias.tensor());
        return gelu(x, form);
    }
    let mut y = Buffer::stale(x.len());
    host::bias_gelu(x.host_mut(), bias.host(), &mut y, form == Gelu::Tanh);
    Array::from_buffer(y, x.shape())
}

/// Multiplies the gradient by the derivative of GELU at `x`.
pub fn gelu_backward(x: &Array, gradient: &mut Array, form: Gelu) {
    assert_eq!(x.len(), gradient.len(), "gradient of {x:?}");
    if x.is_remote() {
        return gradient.change(|gradient| remote::gelu_backward(x.tensor(), gradient, form));
    }
    host::gelu_backward(x.host(), gradient.host_mut(), form == Gelu::Tanh);
}

/// `silu(gate) * up`.
pub fn swiglu(gate: &Array, up: &Array) -> Array {
    assert_eq!(gate.len(), up.len(), "gate and up");
    if gate.is_remote() {
        return gate.map(|gate| remote::swiglu(gate, up.tensor()));
    }
    let mut y = Buffer::stale(gate.len());
    host::swiglu(gate.host(), up.host(), &mut y);
    Array::from_buffer(y, gate.shape())
}

/// Gradients of gate and up.
pub fn swiglu_backward(gate: &Array, up: &Array, gradient: &Array) -> (Array, Array) {
    assert_eq!(gate.len(), gradient.len(), "gradient of {gate:?}");
    if gate.is_remote() {
        if gate.is_empty() {
            return (gate.clone(), up.clone());
        }
        let gradient = gradient.tensor();
        let (dgate, dup) = remote::swiglu_backward(gate.tensor(), up.tensor(), gradient);
        return (
            gate.beside(dgate, gate.shape()),
            gate.beside(dup, gate.shape()),
        );
    }
    let (mut dgate, mut dup) = (Buffer::stale(gate.len()), Buffer::stale(gate.len()));
    let inputs = [gate.host(), up.host(), gradient.host()];
    host::swiglu_backward(inputs, &mut dgate, &mut dup);
    (
        Array::from_buffer(dgate, gate.shape()),
        Array::from_buffer(dup, gate.shape()),
    )
}

/// `x = tanh(x)`.
pub fn tanh(x: &mut Array) {
    if x.is_remote() {
        return x.change(remote::tanh);
    }
    host::tanh(x.host_mut());
}

/// Multiplies the gradient by `1 - y^2`, y being the output of [`tanh`].
pub fn tanh_backward(y: &Array, gradient: &mut Array) {
    assert_eq!(y.len(), gradient.len(), "gradient of {y:?}");
    if y.is_remote() {
        return gradient.change(|gradient| remote::tanh_backward(y.tensor(), gradient));
    }
    host::tanh_backward(y.host(), gradient.host_mut());
}
