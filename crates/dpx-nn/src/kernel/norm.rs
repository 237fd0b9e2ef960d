//! Layer norm and RMS norm.

use super::burn::norm as remote;
use super::host::norm as host;
use crate::Array;
use crate::pool::Buffer;

/// What the backward pass of a norm needs.
#[derive(Debug, Clone)]
pub struct Normalised {
    /// Normalised input `[rows, width]`, before scale and shift.
    pub values: Array,
    /// Inverse deviation of each row.
    pub inverse: Array,
    /// Whether the mean was taken away.
    pub centred: bool,
}

/// `weight * (x - mean) / sqrt(variance + epsilon) + bias` per row.
pub fn layer_norm(x: &Array, weight: &Array, bias: &Array, epsilon: f32) -> (Array, Normalised) {
    assert_eq!(x.width(), weight.len(), "scale of {x:?}");
    assert_eq!(x.width(), bias.len(), "shift of {x:?}");
    if x.is_remote() {
        return on_device(x, weight, Some(bias), epsilon);
    }
    let (mut values, mut y) = (Buffer::stale(x.len()), Buffer::stale(x.len()));
    let mut inverse = Buffer::stale(x.rows());
    let parameters = [weight.host(), bias.host()];
    host::layer_norm(
        x.host(),
        parameters,
        epsilon,
        &mut values,
        &mut inverse,
        &mut y,
    );
    (
        Array::from_buffer(y, x.shape()),
        normalised(x, values, inverse, true),
    )
}

/// `weight * x / sqrt(mean square + epsilon)` per row.
pub fn rms_norm(x: &Array, weight: &Array, epsilon: f32) -> (Array, Normalised) {
    assert_eq!(x.width(), weight.len(), "scale of {x:?}");
    if x.is_remote() {
        return on_device(x, weight, None, epsilon);
    }
    let (mut values, mut y) = (Buffer::stale(x.len()), Buffer::stale(x.len()));
    let mut inverse = Buffer::stale(x.rows());
    host::rms_norm(
        x.host(),
        weight.host(),
        epsilon,
        &mut values,
        &mut inverse,
        &mut y,
    );
    (
        Array::from_buffer(y, x.shape()),
        normalised(x, values, inverse, false),
    )
}

fn on_device(x: &Array, weight: &Array, bias: Option<&Array>, epsilon: f32) -> (Array, Normalised) {
    let centred = bias.is_some();
    if x.is_empty() {
        let saved = Normalised {
            values: x.clone(),
            inverse: Array::zeros_on(&[x.rows(), 1], x.device()),
            centred,
        };
        return (x.clone(), saved);
    }
    let made = remote::forward(
        x.tensor(),
        weight.tensor(),
        bias.map(Array::tensor),
        epsilon,
    );
    let saved = Normalised {
        values: x.beside(made.normalised, x.shape()),
        inverse: x.beside(made.inverse, &[x.rows(), 1]),
        centred,
    };
    (x.beside(made.output, x.shape()), saved)
}

fn normalised(x: &Array, values: Buffer, inverse: Buffer, centred: bool) -> Normalised {
    Normalised {
        values: Array::from_buffer(values, x.shape()),
        inverse: Array::from_buffer(inverse, &[x.rows()]),
        centred,
    }
}

/// Gradient of a norm's input, plus `residual` where there is one.
pub fn norm_backward(
    saved: &Normalised,
    weight: &Array,
    gradient: &Array,
    residual: Option<&Array>,
) -> Array {
    assert_eq!(saved.values.len(), gradient.len(), "gradient of a norm");
    if gradient.is_remote() {
        return gradient.map(|gradient| {
            let saved = remote::Backward {
                gradient,
                normalised: saved.values.tensor(),
                inverse: saved.inverse.tensor(),
                weight: weight.tensor(),
                centred: saved.centred,
            };
            remote::backward(saved, residual.map(Array::tensor))
        });
    }
    let mut dx = Buffer::stale(gradient.len());
    let saved_slices = host::Backward {
        gradient: gradient.host(),
        normalised: saved.values.host(),
        inverse: saved.inverse.host(),
        weight: weight.host(),
        centred: saved.centred,
    };
    host::backward(saved_slices, residual.map(Array::host), &mut dx);
    Array::from_buffer(dx, saved.values.shape())
}
