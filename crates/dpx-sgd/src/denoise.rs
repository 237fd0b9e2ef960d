//! Noised gradients of matrices, shrunk to what stands above the noise.
//!
//! A matrix of independent noise has singular values up to about its standard deviation times sqrt(rows) + sqrt(columns), the edge of the
//! law of Marchenko and Pastur. What is above belongs to the gradient, and noise has lengthened and turned it by a known amount, since
//! the standard deviation of the noise is known exactly: the shrinkage that leaves the least expected error is that of Gavish and
//! Donoho (2017, "Optimal shrinkage of singular values"), applied to DP-SGD by Dadsetan and Rudzicz (2025, arXiv:2510.01137).
//!
//! It reads the noised gradient alone and is post-processing: the event of a step is what it was.

use dpx_nn::Array;
use dpx_nn::kernel::{Side, matmul};
use dpx_nn::symmetric::eigen;

/// Longest smaller side of a matrix whose singular values are computed: the time grows with its cube.
pub const MOST_SIDE: usize = 1024;

/// Deviations above its mean at which the largest singular value of pure noise practically never lies (Tracy and Widom 1996: once in
/// some ten thousand matrices).
const ABOVE: f64 = 4.0;

/// The gradient of a matrix `[rows, columns]` with noise of standard deviation `deviation` on each coordinate, shrunk. Where no
/// singular value stands above the noise, nothing is left to shrink to: then there is none.
pub(super) fn denoised(
    values: &[f32],
    [rows, columns]: [usize; 2],
    deviation: f64,
) -> Option<Vec<f32>> {
    let (small, large) = (rows.min(columns), rows.max(columns));
    if small == 0 || !(deviation > 0.0 && deviation.is_finite()) {
        return None;
    }
    let matrix = Array::from_vec(values.to_vec(), &[rows, columns]);
    let wide = rows <= columns;
    let gram = if wide {
        matmul(&matrix, Side::Plain, &matrix, Side::Transposed)
    } else {
        matmul(&matrix, Side::Transposed, &matrix, Side::Plain)
    };
    let gram = gram.host().iter().map(|&value| f64::from(value)).collect();
    let (squares, vectors) = eigen(gram, small);
    let unit = deviation * (large as f64).sqrt();
    let least = edge(small, large) * deviation;
    let mut left = vec![0.0_f64; small * small];
    let mut kept = 0;
    for (square, vector) in squares.iter().zip(&vectors) {
        let length = square.max(0.0).sqrt();
        // In falling order.
        if length <= least {
            break;
        }
        let share = shrunk(length / unit, small as f64 / large as f64) * unit / length;
        for (row, &own) in left.chunks_exact_mut(small).zip(vector) {
            for (value, other) in row.iter_mut().zip(vector) {
                *value += share * own * other;
            }
        }
        kept += 1;
    }
    if kept == 0 {
        return None;
    }
    let left = left.into_iter().map(|value| value as f32).collect();
    let left = Array::from_vec(left, &[small, small]);
    let product = if wide {
        matmul(&left, Side::Plain, &matrix, Side::Plain)
    } else {
        matmul(&matrix, Side::Plain, &left, Side::Plain)
    };
    Some(product.to_vec())
}

/// Where singular values of noise of standard deviation 1 end, with room for their fluctuation (Johnstone 2001).
fn edge(small: usize, large: usize) -> f64 {
    let (small, large) = ((small as f64).sqrt(), (large as f64).sqrt());
    let mean = (small + large).powi(2);
    let spread = (small + large) * (small.recip() + large.recip()).cbrt();
    (mean + ABOVE * spread).sqrt()
}

/// The shrinkage with the least expected squared error, of a singular value in units of the noise's standard deviation times the root
/// of the larger side; `aspect` is the smaller side over the larger.
fn shrunk(length: f64, aspect: f64) -> f64 {
    let root = (length * length - aspect - 1.0).powi(2) - 4.0 * aspect;
    if length <= 1.0 + aspect.sqrt() {
        return 0.0;
    }
    root.max(0.0).sqrt() / length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::noise::tests::standard_normal;

    #[test]
    fn the_shrinkage_is_that_of_the_paper() {
        // A square matrix: the root of y^2 - 4.
        for length in [2.0_f64, 2.5, 10.0] {
            let expected = (length * length - 4.0).sqrt();
            assert!((shrunk(length, 1.0) - expected).abs() < 1e-12);
        }
        assert_eq!(shrunk(1.5, 0.25), 0.0);
        assert_eq!(shrunk(1.0, 0.25), 0.0);
        assert!((shrunk(1e6, 0.25) - 1e6).abs() < 1e-5);
        // What it shrinks to rises with what it shrinks.
        let values: Vec<f64> = (150..400)
            .map(|hundredth| shrunk(f64::from(hundredth) / 100.0, 0.25))
            .collect();
        assert!(values.is_sorted());
    }

    fn noise(rows: usize, columns: usize, seed: u64) -> Vec<f64> {
        let mut draws = vec![0.0; rows * columns];
        standard_normal(&Key::seeded(seed, "denoise"), 0, 0, &mut draws);
        draws
    }

    /// Two directions far above the noise, in a wide matrix, a tall one and one of few rows, as adapters have.
    fn errors(rows: usize, columns: usize) -> (f64, f64) {
        let deviation = 0.3;
        let strength = 3.0 * deviation * ((rows as f64).sqrt() + (columns as f64).sqrt());
        let direction = |length: usize, phase: f64| -> Vec<f64> {
            let raw: Vec<f64> = (0..length).map(|at| (at as f64 * phase).sin()).collect();
            let norm = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
            raw.iter().map(|x| x / norm).collect()
        };
        let mut signal = vec![0.0; rows * columns];
        for (phase, times) in [(0.7, 1.0), (1.9, 0.8)] {
            let (left, right) = (direction(rows, phase), direction(columns, phase + 0.4));
            for (row, l) in signal.chunks_exact_mut(columns).zip(&left) {
                for (value, r) in row.iter_mut().zip(&right) {
                    *value += times * strength * l * r;
                }
            }
        }
        let noised: Vec<f32> = signal
            .iter()
            .zip(noise(rows, columns, 3))
            .map(|(value, noise)| (value + deviation * noise) as f32)
            .collect();
        let found = denoised(&noised, [rows, columns], deviation).unwrap();
        let error = |values: &[f32]| {
            let squares = values.iter().zip(&signal);
            squares
                .map(|(value, signal)| (f64::from(*value) - signal).powi(2))
                .sum::<f64>()
        };
        (error(&noised), error(&found))
    }

    #[test]
    fn directions_above_the_noise_come_out_of_it() {
        for (rows, columns, less) in [
            (60, 90, 10.0),
            (90, 60, 10.0),
            (4, 300, 1.5),
            (64, 64, 10.0),
        ] {
            let (before, after) = errors(rows, columns);
            assert!(
                after * less < before,
                "{rows} x {columns}: {before} {after}"
            );
        }
    }

    #[test]
    fn noise_alone_stays_as_it_is() {
        for (rows, columns) in [(60, 90), (90, 60), (1, 200), (8, 300), (40, 40)] {
            for seed in 0..20 {
                let values: Vec<f32> = noise(rows, columns, seed)
                    .iter()
                    .map(|value| (2.0 * value) as f32)
                    .collect();
                assert_eq!(denoised(&values, [rows, columns], 2.0), None);
                // Believed to be smaller than it is, it looks like a gradient.
                assert!(denoised(&values, [rows, columns], 1.0).is_some());
            }
        }
        assert_eq!(denoised(&[1.0; 6], [2, 3], 0.0), None);
    }
}
