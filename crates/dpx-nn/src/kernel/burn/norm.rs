//! Layer norm and RMS norm, forward and backward.

use crate::device::Tensor;

/// Output, normalised input and inverse deviations `[rows, 1]`.
pub(crate) struct Forward {
    pub(crate) output: Tensor<2>,
    pub(crate) normalised: Tensor<2>,
    pub(crate) inverse: Tensor<2>,
}

/// `weight * (x - mean) / sqrt(variance + epsilon) + bias` per row; without a bias the mean stays in: RMS norm.
pub(crate) fn forward(
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Option<Tensor<2>>,
    epsilon: f32,
) -> Forward {
    let centred = match bias {
        Some(_) => x.clone() - x.mean_dim(1),
        None => x,
    };
    let square = (centred.clone() * centred.clone()).mean_dim(1);
    let inverse = (square + epsilon).sqrt().recip();
    let normalised = centred * inverse.clone();
    let scaled = normalised.clone() * weight;
    Forward {
        output: match bias {
            Some(bias) => scaled + bias,
            None => scaled,
        },
        normalised,
        inverse,
    }
}

/// What a backward pass of a norm reads.
pub(crate) struct Backward {
    pub(crate) gradient: Tensor<2>,
    pub(crate) normalised: Tensor<2>,
    pub(crate) inverse: Tensor<2>,
    pub(crate) weight: Tensor<2>,
    pub(crate) centred: bool,
}

/// Gradient of the norm's input, plus the residual.
pub(crate) fn backward(saved: Backward, residual: Option<Tensor<2>>) -> Tensor<2> {
    let scaled = saved.gradient * saved.weight;
    let slope = (scaled.clone() * saved.normalised.clone()).mean_dim(1);
    let centred = if saved.centred {
        scaled.clone() - scaled.mean_dim(1)
    } else {
        scaled
    };
    let dx = (centred - saved.normalised * slope) * saved.inverse;
    match residual {
        Some(residual) => dx + residual,
        None => dx,
    }
}
