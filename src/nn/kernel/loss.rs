//! Softmax cross-entropy.

use super::host::loss as host;
use crate::nn::Array;

/// Turns logits `[rows, classes]` into the gradient of the weighted sum of losses; returns each row's weighted loss.
pub fn cross_entropy_with_gradient(
    logits: &mut Array,
    targets: &[u32],
    weights: &[f32],
) -> Vec<f32> {
    assert_eq!(logits.rows(), targets.len(), "a target for each row");
    assert_eq!(targets.len(), weights.len(), "a weight for each target");
    let mut losses = vec![0.0; targets.len()];
    host::with_gradient(logits.host_mut(), targets, weights, &mut losses);
    losses
}

/// Minus the log-probability of each row's target.
pub fn cross_entropy(logits: &Array, targets: &[u32]) -> Vec<f32> {
    assert_eq!(logits.rows(), targets.len(), "a target for each row");
    let mut losses = vec![0.0; targets.len()];
    host::without_gradient(logits.host(), targets, &mut losses);
    losses
}
