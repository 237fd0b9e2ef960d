//! Sets of embeddings `[n, d]`: unit length, dot products, nearest neighbours.

use pulp::{Simd, WithSimd};
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

    /// Numbers of each embedding: `d`.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All values, row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The numbers of one embedding, `[d]`.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    /// The numbers of each embedding, in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.width)
    }

    /// The embeddings of these rows, in this order.
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
    pub fn normalized(&self) -> Self {
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
    pub(crate) fn fold_dots<T: Send>(
        &self,
        others: &Self,
        fold: impl Fn(usize, &mut [f32]) -> T + Sync,
    ) -> Vec<T> {
        let (width, count) = (self.width, others.len());
        self.values
            .par_chunks(GROUP * width)
            .enumerate()
            .map_init(
                || vec![0.0_f32; GROUP * count],
                |dots, (group, vectors)| {
                    let rows = vectors.len() / width;
                    Dots {
                        vectors,
                        matrix: &others.values,
                        width,
                        products: &mut dots[..rows * count],
                    }
                    .compute();
                    (0..rows)
                        .map(|row| {
                            let own = &mut dots[row * count..(row + 1) * count];
                            fold(group * GROUP + row, own)
                        })
                        .collect::<Vec<T>>()
                },
            )
            .flatten_iter()
            .collect()
    }
}

/// Numbers that are multiplied at once.
const LANES: usize = 8;

/// Vectors that are compared with a few rows of the matrix before the next rows are read: these come from far more slowly.
const GROUP: usize = 8;

/// Rows of the matrix that are summed beside each other.
const ROWS: usize = 4;

/// Dot products of some vectors with every row of a matrix, `[vectors, rows]`.
struct Dots<'a> {
    vectors: &'a [f32],
    matrix: &'a [f32],
    width: usize,
    products: &'a mut [f32],
}

impl Dots<'_> {
    /// With the instructions that the processor has. A product is summed in eight lanes, the lanes in order, then what is left of
    /// the width: no bit of it depends on other rows, nor on the instructions.
    fn compute(self) {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            return Simd::vectorize(simd, self);
        }
        Simd::vectorize(pulp::Scalar256b, self);
    }
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[expect(
        clippy::inline_always,
        reason = "vector instructions reach only what is inlined"
    )]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.width;
        let count = self.matrix.len() / width;
        for (block, matrix) in self.matrix.chunks(ROWS * width).enumerate() {
            for (at, vector) in self.vectors.chunks_exact(width).enumerate() {
                let first = at * count + block * ROWS;
                if matrix.len() == ROWS * width {
                    let rows: [&[f32]; ROWS] =
                        std::array::from_fn(|row| &matrix[row * width..(row + 1) * width]);
                    let out = &mut self.products[first..first + ROWS];
                    out.copy_from_slice(&beside(simd, vector, rows));
                } else {
                    for (row, matrix) in matrix.chunks_exact(width).enumerate() {
                        [self.products[first + row]] = beside(simd, vector, [matrix]);
                    }
                }
            }
        }
    }
}

/// The products of a vector with a few rows of its length; a vector of the processor holds [`LANES`] numbers.
#[expect(
    clippy::inline_always,
    reason = "vector instructions reach only what is inlined"
)]
#[inline(always)]
fn beside<S: Simd, const N: usize>(simd: S, vector: &[f32], rows: [&[f32]; N]) -> [f32; N] {
    const { assert!(S::F32_LANES == LANES) };
    let (whole, rest) = S::as_simd_f32s(vector);
    // All of one length, so that no place has to be checked.
    let lanes = rows.map(|row| &S::as_simd_f32s(row).0[..whole.len()]);
    let mut sums = [simd.splat_f32s(0.0); N];
    for (at, &left) in whole.iter().enumerate() {
        for (sum, lanes) in sums.iter_mut().zip(lanes) {
            // No fused step: it would round another way.
            *sum = simd.add_f32s(*sum, simd.mul_f32s(left, lanes[at]));
        }
    }
    let mut dots = [0.0; N];
    for ((dot, sum), row) in dots.iter_mut().zip(sums).zip(rows) {
        let sum: [f32; LANES] = pulp::cast(sum);
        let tail = rest.iter().zip(&row[whole.len() * LANES..]);
        *dot = sum.iter().sum::<f32>() + tail.map(|(a, b)| a * b).sum::<f32>();
    }
    dots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_products_agree_with_the_slow_way_for_odd_sizes() {
        for (n, m, width) in [(3, 5, 11), (1, 4, 8), (2, 9, 3), (19, 13, 24)] {
            let value = |index: usize| ((index * 7919 % 101) as f32 - 50.0) / 50.0;
            let left = Embeddings::new((0..n * width).map(value).collect(), width).unwrap();
            let right =
                Embeddings::new((0..m * width).map(|i| value(i + 13)).collect(), width).unwrap();
            let dots = left.fold_dots(&right, |_, dots| dots.to_vec());
            // Alone or among others, a product has the same bits.
            for (row, dots) in dots.iter().enumerate() {
                for (other, dot) in dots.iter().enumerate() {
                    let alone = left.select(&[row]);
                    let alone = alone.fold_dots(&right.select(&[other]), |_, dots| dots[0]);
                    assert_eq!(alone[0].to_bits(), dot.to_bits());
                }
            }
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
        assert_eq!(set.normalized().values(), [0.6, 0.8, 0.0, 0.0, 0.0, 0.0]);
        assert!(Embeddings::new(vec![1.0], 2).is_none());
        assert!(Embeddings::new(vec![], 0).is_none());
    }
}
