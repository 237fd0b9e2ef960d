//! Softmax cross-entropy, whose gradient takes the place of the logits.

use super::level::multiversion;
use super::math::{exp, flushed, max, sum};
use rayon::prelude::*;

multiversion! {
    /// Turns logits into the gradient of `weight * loss` and returns that loss.
    fn row_with_gradient(logits: &mut [f32], target: usize, weight: f32) -> f32 {
        let largest = max(logits);
        let at_target = logits[target] - largest;
        let mut lanes = [0.0_f32; 16];
        let mut chunks = logits.chunks_exact_mut(16);
        for chunk in &mut chunks {
            for i in 0..16 {
                chunk[i] = exp(chunk[i] - largest);
                lanes[i] += chunk[i];
            }
        }
        let mut total = sum(&lanes);
        for x in chunks.into_remainder() {
            *x = exp(*x - largest);
            total += *x;
        }
        let factor = weight / total;
        for x in logits.iter_mut() {
            *x = flushed(*x * factor);
        }
        logits[target] -= weight;
        weight * (total.ln() - at_target)
    }
}

multiversion! {
    fn row_without_gradient(logits: &[f32], target: usize) -> f32 {
        let largest = max(logits);
        let mut lanes = [0.0_f32; 16];
        let chunks = logits.chunks_exact(16);
        let rest = chunks.remainder();
        for chunk in chunks {
            for i in 0..16 {
                lanes[i] += exp(chunk[i] - largest);
            }
        }
        let mut total = sum(&lanes);
        for x in rest {
            total += exp(*x - largest);
        }
        total.ln() - (logits[target] - largest)
    }
}

/// Per row: the loss times its weight; `logits` become the gradient. A row of weight zero gets a gradient of zero.
pub(crate) fn with_gradient(
    logits: &mut [f32],
    targets: &[u32],
    weights: &[f32],
    losses: &mut [f32],
) {
    let width = logits.len() / targets.len().max(1);
    if width == 0 {
        return;
    }
    logits
        .par_chunks_exact_mut(width)
        .zip(targets)
        .zip(weights)
        .zip(losses)
        .for_each(|(((logits, &target), &weight), loss)| {
            if weight == 0.0 {
                logits.fill(0.0);
                *loss = 0.0;
            } else {
                *loss = row_with_gradient(logits, target as usize, weight);
            }
        });
}

/// Per row: minus the log-probability of the target.
pub(crate) fn without_gradient(logits: &[f32], targets: &[u32], losses: &mut [f32]) {
    let width = logits.len() / targets.len().max(1);
    if width == 0 {
        return;
    }
    logits
        .par_chunks_exact(width)
        .zip(targets)
        .zip(losses)
        .for_each(|((logits, &target), loss)| {
            *loss = row_without_gradient(logits, target as usize);
        });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaked_probabilities_leave_no_subnormal_numbers() {
        let mut gradient: Vec<f32> = (0..40).map(|i| -4.0 * i as f32).collect();
        let mut loss = [0.0];
        with_gradient(&mut gradient, &[1], &[0.01], &mut loss);
        assert!(gradient.iter().all(|x| *x == 0.0 || x.is_normal()));
        assert!(gradient[10] > 0.0 && gradient[39] == 0.0);
        assert!(gradient.iter().sum::<f32>().abs() < 1e-8);
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        let mut gradient = [0.5, f32::NAN, 0.25];
        let mut loss = [0.0];
        with_gradient(&mut gradient, &[0], &[1.0], &mut loss);
        assert!(loss[0].is_nan() && gradient.iter().all(|x| x.is_nan()));
    }
}
