//! Layer norm and RMS norm, forward and backward.

use crate::device::Tensor;

/// Output, normalized input and inverse deviations `[rows, 1]`.
pub(crate) struct Forward {
    pub(crate) output: Tensor<2>,
    pub(crate) normalized: Tensor<2>,
    pub(crate) inverse: Tensor<2>,
}

/// `weight * (x - mean) / sqrt(variance + epsilon) + bias` per row; without a bias the mean stays in: RMS norm.
pub(crate) fn forward(
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Option<Tensor<2>>,
    epsilon: f32,
) -> Forward {
    let centered = match bias {
        Some(_) => x.clone() - x.mean_dim(1),
        None => x,
    };
    let square = (centered.clone() * centered.clone()).mean_dim(1);
    let inverse = (square + epsilon).sqrt().recip();
    let normalized = centered * inverse.clone();
    let scaled = normalized.clone() * weight;
    Forward {
        output: match bias {
            Some(bias) => scaled + bias,
            None => scaled,
        },
        normalized,
        inverse,
    }
}

/// What a backward pass of a norm reads.
pub(crate) struct Backward {
    pub(crate) gradient: Tensor<2>,
    pub(crate) normalized: Tensor<2>,
    pub(crate) inverse: Tensor<2>,
    pub(crate) weight: Tensor<2>,
    pub(crate) centered: bool,
}

/// Gradient of the norm's input, plus the residual.
pub(crate) fn backward(saved: Backward, residual: Option<Tensor<2>>) -> Tensor<2> {
    let scaled = saved.gradient * saved.weight;
    let slope = (scaled.clone() * saved.normalized.clone()).mean_dim(1);
    let centered = if saved.centered {
        scaled.clone() - scaled.mean_dim(1)
    } else {
        scaled
    };
    let dx = (centered - saved.normalized * slope) * saved.inverse;
    match residual {
        Some(residual) => dx + residual,
        None => dx,
    }
}
