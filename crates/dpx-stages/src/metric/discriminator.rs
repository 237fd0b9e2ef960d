//! How well a linear classifier tells real from synthetic texts (classifier two-sample test, Lopez-Paz and Oquab 2017).

use super::Embeddings;
use super::choose::Stream;
use dpx_sgd::vector::vectorized;

/// Area under the ROC curve of a logistic regression that tells the two sets apart: trained on one half of each, tested
/// on the other, then the halves exchanged, and the mean of both. 0.5: it cannot tell; 1: it always can. Lower is better.
///
/// Nothing where a side has fewer than 4 texts. Sets of one size make the figure comparable.
pub(crate) fn discriminator_auc(first: &Embeddings, second: &Embeddings, seed: u64) -> Option<f64> {
    if first.len() < 4 || second.len() < 4 || first.width() != second.width() {
        return None;
    }
    let mut stream = Stream::new(seed);
    let mut halves = [Vec::new(), Vec::new()];
    for (set, class) in [(first, 0_u8), (second, 1)] {
        let mut rows: Vec<usize> = (0..set.len()).collect();
        for index in (1..rows.len()).rev() {
            rows.swap(index, stream.below(index + 1));
        }
        let middle = rows.len() / 2;
        for (position, row) in rows.into_iter().enumerate() {
            halves[usize::from(position >= middle)].push((set.row(row), class));
        }
    }
    let [a, b] = &halves;
    let (one, other) = rayon::join(|| fit_and_test(a, b), || fit_and_test(b, a));
    Some(f64::midpoint(one, other))
}

type Labelled<'a> = Vec<(&'a [f32], u8)>;

/// Accelerated gradient descent on standardised features with a small ridge; the AUC on the other half.
fn fit_and_test(train: &Labelled<'_>, test: &Labelled<'_>) -> f64 {
    const ITERATIONS: usize = 200;
    const RIDGE: f64 = 1e-2;
    let width = train[0].0.len();
    let n = train.len() as f64;
    let mut mean = vec![0.0; width];
    let mut deviation = vec![0.0; width];
    for (row, _) in train {
        for (sum, &x) in mean.iter_mut().zip(*row) {
            *sum += f64::from(x) / n;
        }
    }
    for (row, _) in train {
        for ((sum, &x), mean) in deviation.iter_mut().zip(*row).zip(&mean) {
            *sum += (f64::from(x) - mean).powi(2) / n;
        }
    }
    let scale: Vec<f64> = deviation
        .iter()
        .map(|variance| {
            if *variance > 1e-12 {
                variance.sqrt().recip()
            } else {
                0.0
            }
        })
        .collect();
    let standard = |row: &[f32]| -> Vec<f64> {
        row.iter()
            .zip(&mean)
            .zip(&scale)
            .map(|((&x, mean), scale)| (f64::from(x) - mean) * scale)
            .collect()
    };
    let rows = Rows {
        values: train.iter().flat_map(|(row, _)| standard(row)).collect(),
        classes: train.iter().map(|(_, class)| f64::from(*class)).collect(),
        width,
    };
    // The logistic loss of unit-variance features has curvature of at most width / 4, and far less in practice where
    // features are uncorrelated; the step below is safe for any correlation.
    let step = 4.0 / (width as f64 + 1.0);
    let mut weights = vec![0.0; width + 1];
    let mut ahead = weights.clone();
    let mut gradient = weights.clone();
    for iteration in 0..ITERATIONS {
        gradient.fill(0.0);
        vectorized(Gradient {
            rows: &rows,
            weights: &ahead,
            sums: &mut gradient,
        });
        let momentum = iteration as f64 / (iteration as f64 + 3.0);
        for index in 0..=width {
            let ridge = if index < width {
                RIDGE * ahead[index]
            } else {
                0.0
            };
            let next = ahead[index] - step * (gradient[index] + ridge);
            ahead[index] = next + momentum * (next - weights[index]);
            weights[index] = next;
        }
    }
    let scores: Vec<(f64, u8)> = test
        .iter()
        .map(|(row, class)| (dot(&standard(row), &weights[..width]), *class))
        .collect();
    auc(scores)
}

/// Standardised rows `[n, width]` with their classes, 0 or 1.
struct Rows {
    values: Vec<f64>,
    classes: Vec<f64>,
    width: usize,
}

/// Adds the gradient of the mean logistic loss, the intercept's last.
struct Gradient<'a> {
    rows: &'a Rows,
    weights: &'a [f64],
    sums: &'a mut [f64],
}

/// Rows whose scores are summed side by side: each sum waits for its last term, and another can go on meanwhile.
const BESIDE: usize = 8;

impl pulp::NullaryFnOnce for Gradient<'_> {
    type Output = ();

    #[expect(
        clippy::inline_always,
        reason = "vector instructions reach only what is inlined"
    )]
    #[inline(always)]
    fn call(self) {
        let width = self.rows.width;
        let n = self.rows.classes.len() as f64;
        let (weights, intercept) = (&self.weights[..width], self.weights[width]);
        let (gradient, of_intercept) = self.sums.split_at_mut(width);
        let blocks = self.rows.values.chunks(BESIDE * width);
        for (values, classes) in blocks.zip(self.rows.classes.chunks(BESIDE)) {
            let mut scores = [0.0_f64; BESIDE];
            if classes.len() == BESIDE {
                let rows: [&[f64]; BESIDE] =
                    std::array::from_fn(|row| &values[row * width..(row + 1) * width]);
                for (index, weight) in weights.iter().enumerate() {
                    for (score, row) in scores.iter_mut().zip(rows) {
                        *score += row[index] * weight;
                    }
                }
            } else {
                for (score, row) in scores.iter_mut().zip(values.chunks_exact(width)) {
                    *score = dot(row, weights);
                }
            }
            let rows = values.chunks_exact(width);
            for ((row, class), score) in rows.zip(classes).zip(scores) {
                let error = ((1.0 + (-(score + intercept)).exp()).recip() - class) / n;
                for (sum, x) in gradient.iter_mut().zip(row) {
                    *sum += error * x;
                }
                of_intercept[0] += error;
            }
        }
    }
}

#[expect(
    clippy::inline_always,
    reason = "vector instructions reach only what is inlined"
)]
#[inline(always)]
fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}

/// Area under the ROC curve: the chance that one of class 1 scores above one of class 0, ties counted half.
fn auc(mut scores: Vec<(f64, u8)>) -> f64 {
    scores.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = scores.iter().filter(|(_, class)| *class == 1).count();
    let negatives = scores.len() - positives;
    if positives == 0 || negatives == 0 {
        return 0.5;
    }
    let mut rank_sum = 0.0;
    let mut start = 0;
    while start < scores.len() {
        let mut end = start;
        while end < scores.len() && scores[end].0 == scores[start].0 {
            end += 1;
        }
        let rank = f64::midpoint(start as f64 + 1.0, end as f64);
        rank_sum += rank
            * scores[start..end]
                .iter()
                .filter(|(_, class)| *class == 1)
                .count() as f64;
        start = end;
    }
    let positives = positives as f64;
    (rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figures of `sklearn.metrics.roc_auc_score`.
    #[test]
    fn auc_counts_ties_half() {
        assert!((auc(vec![(0.1, 0), (0.4, 0), (0.35, 1), (0.8, 1)]) - 0.75).abs() < 1e-12);
        assert!((auc(vec![(1.0, 0), (1.0, 1)]) - 0.5).abs() < 1e-12);
        assert_eq!(auc(vec![(1.0, 1)]), 0.5);
    }

    /// Rows side by side leave every sum as it was, to the last bit: the plain loop is beside it.
    #[test]
    fn rows_beside_each_other_change_no_bit() {
        let mut stream = Stream::new(5);
        for (n, width) in [(3, 5), (8, 16), (29, 33)] {
            let rows = Rows {
                values: (0..n * width).map(|_| stream.unit() - 0.5).collect(),
                classes: (0..n).map(|row| f64::from(row as u8 % 2)).collect(),
                width,
            };
            let weights: Vec<f64> = (0..=width).map(|_| stream.unit() - 0.5).collect();
            let mut plain = vec![0.0; width + 1];
            for (row, class) in rows.values.chunks(width).zip(&rows.classes) {
                let score = dot(row, &weights[..width]) + weights[width];
                let error = ((1.0 + (-score).exp()).recip() - class) / n as f64;
                for (sum, x) in plain.iter_mut().zip(row) {
                    *sum += error * x;
                }
                plain[width] += error;
            }
            let mut found = vec![0.0; width + 1];
            vectorized(Gradient {
                rows: &rows,
                weights: &weights,
                sums: &mut found,
            });
            assert_eq!(found, plain, "{n} x {width}");
        }
    }

    #[test]
    fn shifted_sets_are_told_apart_and_equal_ones_are_not() {
        let mut stream = Stream::new(3);
        let mut noise = |n: usize, shift: f32| {
            let values = (0..n * 4)
                .map(|_| (stream.unit() as f32 - 0.5) + shift)
                .collect();
            Embeddings::new(values, 4).unwrap()
        };
        let (a, b, c) = (noise(400, 0.0), noise(400, 0.0), noise(400, 0.6));
        let same = discriminator_auc(&a, &b, 1).unwrap();
        assert!((same - 0.5).abs() < 0.08, "{same}");
        let other = discriminator_auc(&a, &c, 1).unwrap();
        assert!(other > 0.98, "{other}");
    }
}
