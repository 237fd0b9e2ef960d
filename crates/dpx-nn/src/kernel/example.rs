//! What per-example gradients need: sums and squared norms over the rows of each example.

use super::burn::example as remote;
use super::host::example as host;
use crate::array::fetch;
use crate::pool::Buffer;
use crate::{Array, Rows};

/// A squared norm with what its rounding error is proportional to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Squared {
    /// The squared norm as computed.
    pub value: f64,
    /// The squared sum of the lengths of the terms that add up to the gradient: `value` when they are all parallel, larger
    /// when they cancel. Multiplied by the unit roundoff and a small constant it bounds the error of `value`.
    pub magnitude: f64,
    /// Error that sums in f32 on a device add to that, as a share of `magnitude`; 0 where sums are made in f64.
    pub error: f64,
}

/// A squared norm for each example. On a device it may still be under way: [`Squares::fetch`] waits for many at once.
#[derive(Debug)]
pub struct Squares(Pending);

#[derive(Debug)]
enum Pending {
    Known(Vec<Squared>),
    Device(Box<remote::Squares>),
}

impl Squares {
    /// Squared norms that are known.
    pub const fn known(squares: Vec<Squared>) -> Self {
        Self(Pending::Known(squares))
    }

    fn on_device(squares: remote::Squares) -> Self {
        Self(Pending::Device(Box::new(squares)))
    }

    /// The squared norms of these alone.
    #[cfg(test)]
    pub(crate) fn now(self) -> Vec<Squared> {
        Self::fetch(vec![self]).swap_remove(0)
    }

    /// The squared norms, fetched from their device all together.
    pub fn fetch(list: Vec<Self>) -> Vec<Vec<Squared>> {
        let tensors = list.iter().flat_map(|squares| match &squares.0 {
            Pending::Known(_) => Vec::new(),
            Pending::Device(squares) => {
                let parts = std::iter::once(&squares.parts);
                parts.chain(&squares.lengths).cloned().collect()
            }
        });
        let mut fetched = fetch(tensors.collect()).into_iter();
        let mut next = || fetched.next().expect("one for each that was asked for");
        list.into_iter()
            .map(|squares| match squares.0 {
                Pending::Known(squares) => squares,
                Pending::Device(squares) => {
                    let width = squares.parts.dims()[1];
                    let (parts, error) = (next(), squares.error);
                    let lengths = squares.lengths.map(|_| next());
                    let sums = parts.chunks_exact(width);
                    sums.enumerate()
                        .map(|(example, parts)| {
                            let value = parts.iter().copied().map(f64::from).sum();
                            let magnitude = lengths
                                .as_ref()
                                .map_or(value, |lengths| f64::from(lengths[example]).powi(2));
                            Squared {
                                value,
                                magnitude,
                                error,
                            }
                        })
                        .collect()
                }
            })
            .collect()
    }
}

/// `[batch, width]`: for each example the sum of its rows.
pub fn column_sums(rows: &Rows, x: &Array) -> Array {
    if x.is_remote() {
        let shape = [rows.batch(), x.width()];
        if x.is_empty() {
            return Array::zeros_on(&shape, x.device());
        }
        let x_tensor = x.tensor();
        let padding = rows.padding(&x_tensor.device());
        return x.beside(remote::column_sums(&padding, x_tensor), &shape);
    }
    let mut out = Buffer::stale(rows.batch() * x.width());
    host::column_sums(rows.offsets(), x.host(), x.width(), &mut out);
    Array::from_buffer(out, &[rows.batch(), x.width()])
}

/// `[batch, width]`: for each example the sum over its rows of `x * y`.
pub fn product_sums(rows: &Rows, x: &Array, y: &Array) -> Array {
    assert_eq!(x.len(), y.len(), "factors of a product");
    if x.is_remote() {
        return column_sums(rows, &x.map(|x| x * y.tensor()));
    }
    let mut out = Buffer::stale(rows.batch() * x.width());
    host::product_sums(rows.offsets(), [x.host(), y.host()], x.width(), &mut out);
    Array::from_buffer(out, &[rows.batch(), x.width()])
}

/// Squared norm of each row. Terms of a squared norm do not cancel: `magnitude` is `value`.
pub fn row_squares(x: &Array) -> Squares {
    if x.is_remote() {
        if x.is_empty() {
            return Squares::known(vec![Squared::default(); x.rows()]);
        }
        return Squares::on_device(remote::row_squares(x.tensor()));
    }
    let squares = host::row_squares(x.host(), x.width());
    let squared = |value| Squared {
        value,
        magnitude: value,
        error: 0.0,
    };
    Squares::known(squares.into_iter().map(squared).collect())
}

/// Squared norm of each example's `input^T gradient`, which is never kept.
pub fn linear_squares(rows: &Rows, input: &Array, gradient: &Array) -> Squares {
    assert_eq!(input.rows(), rows.count(), "rows of the input");
    assert_eq!(gradient.rows(), rows.count(), "rows of the gradient");
    if input.is_remote() {
        if input.is_empty() {
            return Squares::known(vec![Squared::default(); rows.batch()]);
        }
        let tensor = input.tensor();
        let padding = rows.padding(&tensor.device());
        let squares = remote::linear_squares(&padding, tensor, gradient.tensor());
        return Squares::on_device(squares);
    }
    Squares::known(host::linear_squares(
        rows.offsets(),
        [input.host(), gradient.host()],
        [input.width(), gradient.width()],
    ))
}

/// Squared norm of each example's embedding gradient.
pub fn embedding_squares(rows: &Rows, ids: &[u32], gradient: &Array) -> Squares {
    assert_eq!(ids.len(), rows.count(), "ids of the rows");
    if gradient.is_remote() {
        if gradient.is_empty() {
            return Squares::known(vec![Squared::default(); rows.batch()]);
        }
        let tensor = gradient.tensor();
        let padding = rows.padding(&tensor.device());
        let squares = remote::embedding_squares(&padding, rows.offsets(), ids, tensor);
        return Squares::on_device(squares);
    }
    let squares = host::embedding_squares(rows.offsets(), ids, gradient.host(), gradient.width());
    Squares::known(squares)
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

/// For each example the inner product of the two parts of the weight's gradient; it may be negative. `error` is a share of
/// the product of the lengths of the two parts' terms, which `magnitude` does not hold.
pub fn tied_products(tied: Tied<'_>) -> Squares {
    if tied.input.is_remote() {
        if tied.input.is_empty() || tied.embedding_gradient.is_empty() {
            return Squares::known(vec![Squared::default(); tied.linear_rows.batch()]);
        }
        let input = tied.input.tensor();
        let device = input.device();
        return Squares::on_device(remote::tied_products(remote::Tied {
            linear: &tied.linear_rows.padding(&device),
            linear_offsets: tied.linear_rows.offsets(),
            input,
            logits_gradient: tied.logits_gradient.tensor(),
            embedding: &tied.embedding_rows.padding(&device),
            embedding_offsets: tied.embedding_rows.offsets(),
            ids: tied.ids,
            embedding_gradient: tied.embedding_gradient.tensor(),
        }));
    }
    let products = host::tied_products(host::Tied {
        linear_offsets: tied.linear_rows.offsets(),
        input: tied.input.host(),
        logits_gradient: tied.logits_gradient.host(),
        embedding_offsets: tied.embedding_rows.offsets(),
        ids: tied.ids,
        embedding_gradient: tied.embedding_gradient.host(),
        width: tied.input.width(),
        vocabulary: tied.logits_gradient.width(),
    });
    let product = |value| Squared {
        value,
        ..Squared::default()
    };
    Squares::known(products.into_iter().map(product).collect())
}

/// `out += sum over examples of factor * x[example]`; `None` leaves an example out, whatever it holds.
pub fn weighted_sum(out: &mut Array, x: &Array, factors: &[Option<f32>]) {
    assert_eq!(x.rows(), factors.len(), "a factor for each example");
    assert_eq!(out.len(), x.width(), "length of the sum");
    if x.is_remote() {
        if !x.is_empty() {
            out.change(|out| remote::weighted_sum(out, x.tensor(), factors));
        }
        return;
    }
    host::weighted_sum(x.host(), x.width(), factors, out.host_mut());
}
