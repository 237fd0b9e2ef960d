//! What per-example gradients need: sums and squared norms over the rows of each example.

use super::host::example as host;
use crate::nn::pool::Buffer;
use crate::nn::{Array, Rows};

/// A squared norm with what its rounding error is proportional to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Squared {
    /// The squared norm as computed.
    pub value: f64,
    /// The squared sum of the lengths of the terms that add up to the gradient: `value` when they are all parallel, larger
    /// when they cancel. Multiplied by the unit roundoff and a small constant it bounds the error of `value`.
    pub magnitude: f64,
}

/// `[batch, width]`: for each example the sum of its rows.
pub fn column_sums(rows: &Rows, x: &Array) -> Array {
    let mut out = Buffer::stale(rows.batch() * x.width());
    host::column_sums(rows.offsets(), x.host(), x.width(), &mut out);
    Array::from_buffer(out, &[rows.batch(), x.width()])
}

/// `[batch, width]`: for each example the sum over its rows of `x * y`.
pub fn product_sums(rows: &Rows, x: &Array, y: &Array) -> Array {
    assert_eq!(x.len(), y.len(), "factors of a product");
    let mut out = Buffer::stale(rows.batch() * x.width());
    host::product_sums(rows.offsets(), [x.host(), y.host()], x.width(), &mut out);
    Array::from_buffer(out, &[rows.batch(), x.width()])
}

/// Squared norm of each row, in f64.
pub fn row_squares(x: &Array) -> Vec<f64> {
    host::row_squares(x.host(), x.width())
}

/// Squared norm of each example's `input^T gradient`, which is never kept.
pub fn linear_squares(rows: &Rows, input: &Array, gradient: &Array) -> Vec<Squared> {
    assert_eq!(input.rows(), rows.count(), "rows of the input");
    assert_eq!(gradient.rows(), rows.count(), "rows of the gradient");
    host::linear_squares(
        rows.offsets(),
        [input.host(), gradient.host()],
        [input.width(), gradient.width()],
    )
}

/// Squared norm of each example's embedding gradient.
pub fn embedding_squares(rows: &Rows, ids: &[u32], gradient: &Array) -> Vec<Squared> {
    assert_eq!(ids.len(), rows.count(), "ids of the rows");
    host::embedding_squares(rows.offsets(), ids, gradient.host(), gradient.width())
}

/// Two uses of one weight `[vocabulary, width]`: as output layer and as embedding.
#[derive(Debug, Clone, Copy)]
pub struct Tied<'a> {
    /// Rows of the output layer.
    pub linear_rows: &'a Rows,
    /// Its input `[rows, width]`.
    pub input: &'a Array,
    /// Gradient of the logits `[rows, vocabulary]`.
    pub logits_gradient: &'a Array,
    /// Rows of the embedding.
    pub embedding_rows: &'a Rows,
    /// Their ids.
    pub ids: &'a [u32],
    /// Gradient of the embedded rows `[rows, width]`.
    pub embedding_gradient: &'a Array,
}

/// For each example the inner product of the two parts of the weight's gradient.
pub fn tied_products(tied: Tied<'_>) -> Vec<f64> {
    host::tied_products(host::Tied {
        linear_offsets: tied.linear_rows.offsets(),
        input: tied.input.host(),
        logits_gradient: tied.logits_gradient.host(),
        embedding_offsets: tied.embedding_rows.offsets(),
        ids: tied.ids,
        embedding_gradient: tied.embedding_gradient.host(),
        width: tied.input.width(),
        vocabulary: tied.logits_gradient.width(),
    })
}

/// `out += sum over examples of factor * x[example]`; `None` leaves an example out, whatever it holds.
pub fn weighted_sum(out: &mut Array, x: &Array, factors: &[Option<f32>]) {
    assert_eq!(x.rows(), factors.len(), "a factor for each example");
    assert_eq!(out.len(), x.width(), "length of the sum");
    host::weighted_sum(x.host(), x.width(), factors, out.host_mut());
}
