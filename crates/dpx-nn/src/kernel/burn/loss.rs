//! Softmax cross-entropy.

use super::upload::{column, indices, mask};
use crate::device::Tensor;
use burn::tensor::{IndexingUpdateOp, Int};

/// Logits with the largest of each row taken off, and the places of the targets `[rows, 1]`.
fn shifted(logits: Tensor<2>, targets: &[u32]) -> (Tensor<2>, Tensor<2, Int>) {
    let device = logits.device();
    let largest = logits.clone().max_dim(1);
    let places = indices(targets.iter().map(|&target| target as usize), &device);
    (logits - largest, places.reshape([targets.len(), 1]))
}

/// The gradient of the weighted sum of losses, and each row's weighted loss `[rows, 1]`. A row of weight zero gets a gradient
/// of zero.
pub(crate) fn with_gradient(
    logits: Tensor<2>,
    targets: &[u32],
    weights: &[f32],
) -> (Tensor<2>, Tensor<2>) {
    let (device, dims) = (logits.device(), logits.dims());
    let (shifted, places) = shifted(logits, targets);
    let at_target = shifted.clone().gather(1, places.clone());
    let powers = shifted.exp();
    let total = powers.clone().sum_dim(1);
    let weight = column(weights.to_vec(), &device);
    let losses = (total.clone().log() - at_target) * weight.clone();
    let gradient =
        (powers * (weight.clone() / total)).scatter(1, places, weight.neg(), IndexingUpdateOp::Add);
    if weights.iter().all(|&weight| weight != 0.0) {
        return (gradient, losses);
    }
    let idle = weights.iter().map(|&weight| weight == 0.0).collect();
    let idle = mask(idle, [dims[0], 1], &device);
    (
        gradient.mask_fill(idle.clone().expand(dims), 0.0),
        losses.mask_fill(idle, 0.0),
    )
}

/// Minus the log-probability of each row's target, `[rows, 1]`.
pub(crate) fn without_gradient(logits: Tensor<2>, targets: &[u32]) -> Tensor<2> {
    let (shifted, places) = shifted(logits, targets);
    let at_target = shifted.clone().gather(1, places);
    shifted.exp().sum_dim(1).log() - at_target
}
