//! Softmax cross-entropy.

use super::backend;
use crate::Array;

/// Turns logits `[rows, classes]` into the gradient of the weighted sum of losses; returns each row's weighted loss.
pub fn cross_entropy_with_gradient(
    logits: &mut Array,
    targets: &[u32],
    weights: &[f32],
) -> Vec<f32> {
    assert_eq!(logits.rows(), targets.len(), "a target for each row");
    assert_eq!(targets.len(), weights.len(), "a weight for each target");
    backend(logits).cross_entropy_with_gradient(logits, targets, weights)
}

/// Minus the log-probability of each row's target.
pub(crate) fn cross_entropy(logits: &Array, targets: &[u32]) -> Vec<f32> {
    assert_eq!(logits.rows(), targets.len(), "a target for each row");
    backend(logits).cross_entropy(logits, targets)
}
