//! Sets of embeddings `[n, d]`: unit length, dot products, nearest neighbours.

use dpx_sgd::vector::vectorized;
use rayon::prelude::*;

/// A set of embeddings, row-major `[n, d]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    values: Vec<f32>,
    width: usize,
}

impl Embeddings {
    /// Embeddings from their values, `n * width` of them.
    ///
    /// Returns nothing where the number of values is no multiple of the width, or the width is zero.
    pub fn new(values: Vec<f32>, width: usize) -> Option<Self> {
        (width > 0 && values.len().is_multiple_of(width)).then_some(Self { values, width })
    }

    /// Number of embeddings.
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Numbers per embedding.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All values, row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// One embedding.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    /// The embeddings in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.width)
    }

    /// Some of the embeddings.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let mut values = Vec::with_capacity(rows.len() * self.width);
        for &row in rows {
            values.extend_from_slice(self.row(row));
        }
        Self {
            values,
            width: self.width,
        }
    }

    /// These embeddings, then others of the same width.
    #[must_use]
    pub fn concat(&self, other: &Self) -> Self {
        let mut values = self.values.clone();
        values.extend_from_slice(&other.values);
        Self {
            values,
            width: self.width,
        }
    }

    /// Every embedding scaled to length 1; one of zeros, or with a value that is not finite, becomes zeros.
    #[must_use]
    pub fn normalised(&self) -> Self {
        let mut values = self.values.clone();
        for row in values.chunks_exact_mut(self.width) {
            let norm = row
                .iter()
                .map(|&value| f64::from(value).powi(2))
                .sum::<f64>()
                .sqrt();
            if norm.is_finite() && norm > 0.0 {
                for value in row {
                    *value = (f64::from(*value) / norm) as f32;
                }
            } else {
                row.fill(0.0);
            }
        }
        Self {
            values,
            width: self.width,
        }
    }

    /// For each embedding of `self`, folds its dot products with every embedding of `others`, in their order.
    ///
    /// `fold(row, dots)` gets the number of the row and its dot products `[others.len()]`. Rows run in parallel; the
    /// result is in order and does not depend on the number of threads.
    pub fn fold_dots<T: Send>(
        &self,
        others: &Self,
        fold: impl Fn(usize, &mut [f32]) -> T + Sync,
    ) -> Vec<T> {
        let count = others.len();
        (0..self.len())
            .into_par_iter()
            .map_init(
                || vec![0.0_f32; count],
                |dots, row| {
                    vectorized(Dots {
                        vector: self.row(row),
                        matrix: &others.values,
                        width: self.width,
                        dots,
                    });
                    fold(row, dots)
                },
            )
            .collect()
    }
}

const LANES: usize = 8;

/// Dot products of one vector with every row of a matrix.
struct Dots<'a> {
    vector: &'a [f32],
    matrix: &'a [f32],
    width: usize,
    dots: &'a mut [f32],
}

impl pulp::NullaryFnOnce for Dots<'_> {
    type Output = ();

    #[expect(
        clippy::inline_always,
        reason = "vector instructions reach only what is inlined"
    )]
    #[inline(always)]
    fn call(self) {
        dots_with(self.vector, self.matrix, self.width, self.dots);
    }
}

/// Four rows at a time, in lanes that vectorise. No row's bits depend on another, nor on the instructions.
#[expect(
    clippy::inline_always,
    reason = "vector instructions reach only what is inlined"
)]
#[inline(always)]
fn dots_with(vector: &[f32], matrix: &[f32], width: usize, dots: &mut [f32]) {
    let whole = width - width % LANES;
    for (block, out) in dots.chunks_mut(4).enumerate() {
        let start = block * 4 * width;
        if out.len() == 4 {
            let rows: [&[f32]; 4] =
                std::array::from_fn(|row| &matrix[start + row * width..start + (row + 1) * width]);
            let mut sums = [[0.0_f32; LANES]; 4];
            for at in (0..whole).step_by(LANES) {
                let left = &vector[at..at + LANES];
                for (sum, row) in sums.iter_mut().zip(rows) {
                    let right = &row[at..at + LANES];
                    for lane in 0..LANES {
                        sum[lane] += left[lane] * right[lane];
                    }
                }
            }
            for ((value, sum), row) in out.iter_mut().zip(sums).zip(rows) {
                *value = sum.iter().sum::<f32>() + tail(&vector[whole..], &row[whole..]);
            }
        } else {
            for (offset, value) in out.iter_mut().enumerate() {
                let row = &matrix[start + offset * width..start + (offset + 1) * width];
                let mut sum = [0.0_f32; LANES];
                for at in (0..whole).step_by(LANES) {
                    for lane in 0..LANES {
                        sum[lane] += vector[at + lane] * row[at + lane];
                    }
                }
                *value = sum.iter().sum::<f32>() + tail(&vector[whole..], &row[whole..]);
            }
        }
    }
}

#[expect(
    clippy::inline_always,
    reason = "vector instructions reach only what is inlined"
)]
#[inline(always)]
fn tail(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_products_agree_with_the_slow_way_for_odd_sizes() {
        for (n, m, width) in [(3, 5, 11), (1, 4, 8), (2, 9, 3)] {
            let value = |index: usize| ((index * 7919 % 101) as f32 - 50.0) / 50.0;
            let left = Embeddings::new((0..n * width).map(value).collect(), width).unwrap();
            let right =
                Embeddings::new((0..m * width).map(|i| value(i + 13)).collect(), width).unwrap();
            let dots = left.fold_dots(&right, |_, dots| dots.to_vec());
            for (row, dots) in left.rows().zip(&dots) {
                for (other, dot) in right.rows().zip(dots) {
                    let slow: f32 = row.iter().zip(other).map(|(a, b)| a * b).sum();
                    assert!((slow - dot).abs() < 1e-4);
                }
            }
        }
    }

    #[test]
    fn zeros_and_infinities_become_zeros() {
        let set = Embeddings::new(vec![3.0, 4.0, 0.0, 0.0, f32::INFINITY, 1.0], 2).unwrap();
        assert_eq!(set.normalised().values(), [0.6, 0.8, 0.0, 0.0, 0.0, 0.0]);
        assert!(Embeddings::new(vec![1.0], 2).is_none());
        assert!(Embeddings::new(vec![], 0).is_none());
    }
}
