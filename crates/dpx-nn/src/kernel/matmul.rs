//! Matrix products.

use super::backend;
use crate::Array;

/// Whether a factor is taken as it is or transposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub enum Side {
    Plain,
    Transposed,
}

/// A matrix as it enters a product.
#[derive(Clone, Copy)]
pub(crate) struct Factor<'a> {
    pub(super) array: &'a Array,
    pub(super) side: Side,
}

impl<'a> Factor<'a> {
    const fn new(array: &'a Array, side: Side) -> Self {
        Self { array, side }
    }

    /// Rows and columns.
    fn shape(&self) -> [usize; 2] {
        let [rows, width] = [self.array.rows(), self.array.width()];
        match self.side {
            Side::Plain => [rows, width],
            Side::Transposed => [width, rows],
        }
    }

    /// The dimensions `[m, k, n]` of a product.
    pub(super) fn times(&self, other: &Factor<'_>) -> [usize; 3] {
        let ([m, k], [inner, n]) = (self.shape(), other.shape());
        let (a, b) = (self.array, other.array);
        assert_eq!(k, inner, "inner dimensions of {a:?} and {b:?}");
        [m, k, n]
    }
}

/// From so many rows on the host computes each row of a product `[rows, outputs]` to the same bits however many there are and
/// wherever it stands, given the least number of outputs.
///
/// `gemm` takes other paths for vectors, for products of at most 256 values and for those of at most 64 rows and columns; beyond
/// them it cuts the inner dimension by that dimension alone. Tests compare the bits, and so does the check of a device before
/// a private run.
pub const fn rows_computed_alike(least_outputs: usize) -> usize {
    let beyond_small = 256 / if least_outputs == 0 { 1 } else { least_outputs } + 1;
    if beyond_small > 65 { beyond_small } else { 65 }
}

/// The product `[m, n]` of two factors; leading dimensions count as rows.
pub fn matmul(a: &Array, a_side: Side, b: &Array, b_side: Side) -> Array {
    backend(a).matmul(Factor::new(a, a_side), Factor::new(b, b_side))
}

/// [`matmul`] in true f32 on every device, for sums that a clipping bound is claimed of. On the host it is the same.
pub fn precise_matmul(a: &Array, a_side: Side, b: &Array, b_side: Side) -> Array {
    backend(a).precise_matmul(Factor::new(a, a_side), Factor::new(b, b_side))
}

/// Adds the product of two factors to `c`.
pub fn matmul_add(c: &mut Array, a: &Array, a_side: Side, b: &Array, b_side: Side) {
    let (a, b) = (Factor::new(a, a_side), Factor::new(b, b_side));
    let [m, _, n] = a.times(&b);
    assert_eq!([m, n], [c.rows(), c.width()], "shape of the sum");
    backend(c).matmul_add(c, a, b);
}
