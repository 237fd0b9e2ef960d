//! Softmax cross-entropy.

use super::burn::loss as remote;
use super::host::loss as host;
use crate::Array;
use crate::array::read;

/// Turns logits `[rows, classes]` into the gradient of the weighted sum of losses; returns each row's weighted loss.
pub fn cross_entropy_with_gradient(
    logits: &mut Array,
    targets: &[u32],
    weights: &[f32],
) -> Vec<f32> {
    assert_eq!(logits.rows(), targets.len(), "a target for each row");
    assert_eq!(targets.len(), weights.len(), "a weight for each target");
    if logits.is_remote() {
        let mut losses = Vec::new();
        logits.change(|logits| {
            let (gradient, of_rows) = remote::with_gradient(logits, targets, weights);
            losses = read(of_rows.into_data());
            gradient
        });
        return losses;
    }
    let mut losses = vec![0.0; targets.len()];
    host::with_gradient(logits.host_mut(), targets, weights, &mut losses);
    losses
}

/// Minus the log-probability of each row's target.
pub fn cross_entropy(logits: &Array, targets: &[u32]) -> Vec<f32> {
    assert_eq!(logits.rows(), targets.len(), "a target for each row");
    if logits.is_remote() {
        if logits.is_empty() {
            return Vec::new();
        }
        return read(remote::without_gradient(logits.tensor(), targets).into_data());
    }
    let mut losses = vec![0.0; targets.len()];
    host::without_gradient(logits.host(), targets, &mut losses);
    losses
}
