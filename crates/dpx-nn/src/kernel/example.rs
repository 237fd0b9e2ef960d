//! What per-example gradients need: sums and squared norms over the rows of each example.

use super::backend;
use crate::{Array, PackedLayout};

/// A squared norm with what its rounding error is proportional to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct SquaredNorm {
    pub value: f64,
    /// The squared sum of the lengths of the terms that add up to the gradient: `value` when they are all parallel, larger
    /// when they cancel. Multiplied by the unit roundoff and a small constant it bounds the error of `value`.
    pub magnitude: f64,
    /// Error that sums in f32 on a device add to that, as a share of `magnitude`; 0 where sums are made in f64.
    pub error: f64,
}

/// A squared norm for each example. On a device it may still be under way: [`SquaredNorms::fetch`] waits for many at once.
#[derive(Debug)]
pub struct SquaredNorms(Pending);

#[derive(Debug)]
enum Pending {
    Known(Vec<SquaredNorm>),
    InParts {
        parts: Array,
        lengths: Option<Array>,
        error: f64,
    },
}

impl SquaredNorms {
    /// Squared norms that are computed already.
    pub const fn known(squares: Vec<SquaredNorm>) -> Self {
        Self(Pending::Known(squares))
    }

    /// Squared norms as a device leaves them: `parts`, of `[examples, parts]`, add up to them; `lengths`, of `[examples, 1]`,
    /// are the lengths of the terms of the gradient, added up (none where the terms do not cancel); `error` is the error of the
    /// sums made so far, as a share of the magnitude.
    pub const fn in_parts(parts: Array, lengths: Option<Array>, error: f64) -> Self {
        Self(Pending::InParts {
            parts,
            lengths,
            error,
        })
    }

    /// The squared norms of these alone.
    #[cfg(test)]
    pub(crate) fn now(self) -> Vec<SquaredNorm> {
        Self::fetch(vec![self]).swap_remove(0)
    }

    /// The squared norms, fetched from their device all together.
    pub fn fetch(list: Vec<Self>) -> Vec<Vec<SquaredNorm>> {
        let waiting = list.iter().flat_map(|squares| match &squares.0 {
            Pending::Known(_) => Vec::new(),
            Pending::InParts { parts, lengths, .. } => {
                std::iter::once(parts).chain(lengths).cloned().collect()
            }
        });
        let mut fetched = Array::all_on_host(&waiting.collect::<Vec<_>>()).into_iter();
        let mut next = || fetched.next().expect("one for each that waits");
        list.into_iter()
            .map(|squares| match squares.0 {
                Pending::Known(squares) => squares,
                Pending::InParts { lengths, error, .. } => {
                    let parts = next();
                    added_up(&parts, lengths.map(|_| next()).as_ref(), error)
                }
            })
            .collect()
    }
}

/// The squared norms whose parts are on the host.
fn added_up(parts: &Array, lengths: Option<&Array>, error: f64) -> Vec<SquaredNorm> {
    let sums = parts.host().chunks_exact(parts.width());
    sums.enumerate()
        .map(|(example, parts)| {
            let value = parts.iter().copied().map(f64::from).sum();
            let length = lengths.map(|lengths| f64::from(lengths.host()[example]));
            SquaredNorm {
                value,
                magnitude: length.map_or(value, |length| length.powi(2)),
                error,
            }
        })
        .collect()
}

/// `[batch, width]`: for each example the sum of its rows.
pub fn column_sums(rows: &PackedLayout, x: &Array) -> Array {
    backend(x).column_sums(rows, x)
}

/// `[batch, width]`: for each example the sum over its rows of `x * y`.
pub fn product_sums(rows: &PackedLayout, x: &Array, y: &Array) -> Array {
    assert_eq!(x.len(), y.len(), "factors of a product");
    backend(x).product_sums(rows, x, y)
}

/// Squared norm of each row. Terms of a squared norm do not cancel: `magnitude` is `value`.
pub fn row_squared_norms(x: &Array) -> SquaredNorms {
    backend(x).row_squared_norms(x)
}

/// Squared norm of each example's `input^T gradient`, which is never kept.
pub fn linear_squared_norms(rows: &PackedLayout, input: &Array, gradient: &Array) -> SquaredNorms {
    assert_eq!(input.rows(), rows.count(), "rows of the input");
    assert_eq!(gradient.rows(), rows.count(), "rows of the gradient");
    backend(input).linear_squared_norms(rows, input, gradient)
}

/// Squared norm of each example's embedding gradient.
pub fn embedding_squared_norms(rows: &PackedLayout, ids: &[u32], gradient: &Array) -> SquaredNorms {
    assert_eq!(ids.len(), rows.count(), "ids of the rows");
    backend(gradient).embedding_squared_norms(rows, ids, gradient)
}

/// Two uses of one weight `[vocabulary, width]`: as output layer and as embedding.
#[derive(Debug, Clone, Copy)]
pub struct Tied<'a> {
    /// Which rows of the output layer belong to whom.
    pub linear_rows: &'a PackedLayout,
    /// Its input `[rows, width]`.
    pub input: &'a Array,
    /// Gradient of the logits `[rows, vocabulary]`.
    pub logits_gradient: &'a Array,
    /// Which rows of the embedding belong to whom.
    pub embedding_rows: &'a PackedLayout,
    /// The token of each row of the embedding.
    pub ids: &'a [u32],
    /// Gradient of the embedded rows `[rows, width]`.
    pub embedding_gradient: &'a Array,
}

/// For each example the inner product of the two parts of the weight's gradient; it may be negative. `error` is a share of
/// the product of the lengths of the two parts' terms, which `magnitude` does not hold.
pub fn tied_products(tied: Tied<'_>) -> SquaredNorms {
    backend(tied.input).tied_products(tied)
}

/// `out += sum over examples of factor * x[example]`; `None` leaves an example out, whatever it holds.
pub fn weighted_sum(out: &mut Array, x: &Array, factors: &[Option<f32>]) {
    assert_eq!(x.rows(), factors.len(), "a factor for each example");
    assert_eq!(out.len(), x.width(), "length of the sum");
    backend(out).weighted_sum(out, x, factors);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_are_added_up_in_their_order() {
        let known = SquaredNorm {
            value: 7.0,
            magnitude: 8.0,
            error: 0.0,
        };
        let parts = Array::from_vec(vec![1.0, 2.0, 3.0, 4.0], &[2, 2]);
        let lengths = Array::from_vec(vec![3.0, 5.0], &[2, 1]);
        let fetched = SquaredNorms::fetch(vec![
            SquaredNorms::in_parts(parts.clone(), Some(lengths), 0.5),
            SquaredNorms::known(vec![known]),
            SquaredNorms::in_parts(parts, None, 0.25),
        ]);
        let squared = |value, magnitude, error| SquaredNorm {
            value,
            magnitude,
            error,
        };
        assert_eq!(
            fetched,
            [
                vec![squared(3.0, 9.0, 0.5), squared(7.0, 25.0, 0.5)],
                vec![known],
                vec![squared(3.0, 3.0, 0.25), squared(7.0, 7.0, 0.25)],
            ]
        );
    }
}
