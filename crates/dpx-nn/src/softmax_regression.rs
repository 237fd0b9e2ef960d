//! The linear model under every softmax regression here, in f64: bag-of-words classifiers are fitted to it by L-BFGS, the
//! private teacher (`dpx_sgd::softmax`) by noisy gradient descent.

/// Adds the scores of a sparse row to `scores`, `[classes]`; `weights` are `[width, classes]`, row-major.
pub fn add_scores(row: impl Iterator<Item = (usize, f64)>, weights: &[f64], scores: &mut [f64]) {
    let classes = scores.len();
    for (column, value) in row {
        let own = &weights[column * classes..][..classes];
        for (score, weight) in scores.iter_mut().zip(own) {
            *score += value * weight;
        }
    }
}

/// Scores to probabilities, in place; gives the logarithm of the normalizer.
pub fn softmax(scores: &mut [f64]) -> f64 {
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut total = 0.0;
    for score in &mut *scores {
        *score = (*score - highest).exp();
        total += *score;
    }
    for score in scores {
        *score /= total;
    }
    highest + total.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_and_their_normalizer_are_those_of_the_definition() {
        let weights = [1.0, 2.0, 0.0, 0.0, -1.0, 0.5];
        let mut scores = [0.25, 0.0];
        add_scores([(0, 2.0), (2, 1.0)].into_iter(), &weights, &mut scores);
        assert_eq!(scores, [1.25, 4.5]);
        let normalizer = softmax(&mut scores);
        assert!((normalizer - (1.25_f64.exp() + 4.5_f64.exp()).ln()).abs() < 1e-12);
        assert!((scores[1] - (4.5 - normalizer).exp()).abs() < 1e-12);
        // Neither overflows.
        let mut far = [1000.0, 0.0];
        assert!((softmax(&mut far) - 1000.0).abs() < 1e-9);
        assert_eq!(far, [1.0, 0.0]);
    }
}
