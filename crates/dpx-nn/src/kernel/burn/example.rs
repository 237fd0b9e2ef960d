//! Per-example reductions: sums over an example's rows, squared norms of its gradient.
//!
//! Examples are padded to the longest, as many at a time as fit a bound on memory.

use super::Padding;
use super::precise::{self, RowSums};
use super::upload::{indices, mask, scaled};
use crate::device::Tensor;
use std::ops::Range;

/// Most values of one intermediate tensor.
const MAX_VALUES: usize = 1 << 26;

/// `[batch, width]`: for each example the sum of its rows.
pub(crate) fn column_sums(padding: &Padding, x: Tensor<2>) -> Tensor<2> {
    let (batch, width) = (padding.batch, x.dims()[1]);
    padding
        .zeroed(padding.pad(x), 0..batch)
        .sum_dim(1)
        .reshape([batch, width])
}

/// `out + sum over examples of factor * x[example]`; `None` leaves an example out.
pub(crate) fn weighted_sum(out: Tensor<2>, x: Tensor<2>, factors: &[Option<f32>]) -> Tensor<2> {
    out + scaled(x, factors).sum_dim(0)
}

/// Squared norms as they stand on a device.
#[derive(Debug)]
pub(crate) struct SquaredNorms {
    /// `[examples, parts]`: what adds up to the squared norm.
    pub(crate) parts: Tensor<2>,
    /// `[examples, 1]`: the lengths of the terms of the gradient, added up; none where the terms do not cancel.
    pub(crate) lengths: Option<Tensor<2>>,
    /// Error of the parts as a share of the squared lengths, or of the squared norm where there are none.
    pub(crate) error: f64,
}

pub(crate) fn row_squared_norms(x: Tensor<2>) -> SquaredNorms {
    let sums = RowSums::of(x.clone() * x);
    SquaredNorms {
        parts: sums.partial,
        lengths: None,
        error: sums.error,
    }
}

/// The examples in groups of equal size, of which each needs at most [`MAX_VALUES`] values: a last one of another shape could
/// be computed by another kernel.
fn groups(batch: usize, values_per_example: usize) -> impl Iterator<Item = Range<usize>> {
    let most = (MAX_VALUES / values_per_example.max(1)).clamp(1, batch.max(1));
    let divides = |size: &usize| batch.is_multiple_of(*size);
    let size = (1..=most).rev().find(divides).unwrap_or(1);
    (0..batch)
        .step_by(size)
        .map(move |start| start..(start + size).min(batch))
}

/// Sums of rows made group by group.
fn gathered(parts: Vec<RowSums>) -> (Tensor<2>, f64) {
    let error = parts.iter().map(|sums| sums.error).fold(0.0, f64::max);
    let mut parts: Vec<Tensor<2>> = parts.into_iter().map(|sums| sums.partial).collect();
    let sums = if parts.len() == 1 {
        parts.swap_remove(0)
    } else {
        Tensor::cat(parts, 0)
    };
    (sums, error)
}

/// Length of each row, `[rows, 1]`.
fn row_lengths(x: Tensor<2>) -> Tensor<2> {
    (x.clone() * x).sum_dim(1).sqrt()
}

/// Squared norm of each example's `input^T gradient`.
pub(crate) fn linear_squared_norms(
    padding: &Padding,
    input: Tensor<2>,
    gradient: Tensor<2>,
) -> SquaredNorms {
    let (inputs, outputs) = (input.dims()[1], gradient.dims()[1]);
    let length = padding.max_seq_len;
    // Gram matrices take T^2 (i + o) multiplications, the product T i o.
    let gram = length * (inputs + outputs) <= inputs * outputs;
    let largest = if gram {
        length * inputs.max(outputs).max(length)
    } else {
        inputs * outputs
    };
    let part = |range: Range<usize>| {
        let count = range.len();
        let padded = |x: &Tensor<2>| {
            let part = padding.pad_part(x.clone(), range.clone());
            padding.zeroed(part, range.clone())
        };
        let (a, g) = (padded(&input), padded(&gradient));
        let terms = if gram {
            // |A^T G|^2 = sum over i, j of (A A^T)_ij (G G^T)_ij.
            let square = |x: Tensor<3>| precise::matmul(x.clone(), x.swap_dims(1, 2));
            (square(a) * square(g)).reshape([count, length * length])
        } else {
            let product = precise::matmul(a.swap_dims(1, 2), g);
            (product.clone() * product).reshape([count, inputs * outputs])
        };
        RowSums::of(terms)
    };
    let parts = groups(padding.batch, largest).map(part).collect();
    let (parts, error) = gathered(parts);
    let lengths = row_lengths(input) * row_lengths(gradient);
    SquaredNorms {
        parts,
        lengths: Some(column_sums(padding, lengths)),
        error,
    }
}

/// Squared norm of each example's embedding gradient: rows of one id add up first.
#[expect(
    clippy::needless_pass_by_value,
    reason = "tensors are handed over in this module"
)]
pub(crate) fn embedding_squared_norms(
    padding: &Padding,
    offsets: &[usize],
    ids: &[u32],
    gradient: Tensor<2>,
) -> SquaredNorms {
    let (batch, length) = (padding.batch, padding.max_seq_len);
    let lengths = row_lengths(gradient.clone());
    let lengths = column_sums(padding, lengths);
    // One formula whether or not an id repeats: which one is taken must not depend on the rest of the batch.
    let part = |range: Range<usize>| {
        let count = range.len();
        let mut different = vec![true; count * length * length];
        for (example, own) in range.clone().enumerate() {
            let own_ids = &ids[offsets[own]..offsets[own + 1]];
            for (i, id) in own_ids.iter().enumerate() {
                let row = &mut different[(example * length + i) * length..];
                for (different, other) in row.iter_mut().zip(own_ids) {
                    *different = id != other;
                }
            }
        }
        let different = mask(different, [count, length, length], &padding.device);
        let padded = padding.pad_part(gradient.clone(), range.clone());
        let padded = padding.zeroed(padded, range);
        let gram = precise::matmul(padded.clone(), padded.swap_dims(1, 2));
        RowSums::of(
            gram.mask_fill(different, 0.0)
                .reshape([count, length * length]),
        )
    };
    let width = gradient.dims()[1];
    let parts = groups(batch, length * width.max(length))
        .map(part)
        .collect();
    let (parts, error) = gathered(parts);
    SquaredNorms {
        parts,
        lengths: Some(lengths),
        error,
    }
}

/// One weight used as output layer and as embedding.
pub(crate) struct Tied<'a> {
    pub(crate) linear: &'a Padding,
    pub(crate) linear_offsets: &'a [usize],
    pub(crate) input: Tensor<2>,
    pub(crate) logits_gradient: Tensor<2>,
    pub(crate) embedding: &'a Padding,
    pub(crate) embedding_offsets: &'a [usize],
    pub(crate) ids: &'a [u32],
    pub(crate) embedding_gradient: Tensor<2>,
}

/// Inner product of the output part and the embedding part of each example's gradient.
pub(crate) fn tied_products(tied: Tied<'_>) -> SquaredNorms {
    let Tied {
        linear, embedding, ..
    } = tied;
    let (outer, inner) = (linear.max_seq_len, embedding.max_seq_len);
    // For each row of the output layer the ids that its example embeds; padding takes id 0 and is zeroed below.
    let own_ids = |example: usize| {
        let range = tied.embedding_offsets[example]..tied.embedding_offsets[example + 1];
        (0..inner).map(move |position| {
            let place = range.start + position;
            range.contains(&place).then_some(place)
        })
    };
    let places = tied
        .linear_offsets
        .windows(2)
        .enumerate()
        .flat_map(|(example, pair)| (pair[0]..pair[1]).flat_map(move |_| own_ids(example)))
        .map(|place| place.map_or(0, |place| tied.ids[place] as usize));
    let rows = tied.input.dims()[0];
    let places = indices(places, &linear.device).reshape([rows, inner]);
    let picked = tied.logits_gradient.gather(1, places);
    let width = tied.input.dims()[1];
    let largest = (outer * inner).max(width * outer.max(inner));
    let part = |range: Range<usize>| {
        let count = range.len();
        let padded = |padding: &Padding, x: &Tensor<2>| {
            let part = padding.pad_part(x.clone(), range.clone());
            padding.zeroed(part, range.clone())
        };
        let hidden = padded(linear, &tied.input);
        let embedded = padded(embedding, &tied.embedding_gradient);
        let products = precise::matmul(hidden, embedded.swap_dims(1, 2));
        let terms = products * padded(linear, &picked);
        RowSums::of(terms.reshape([count, outer * inner]))
    };
    let parts = groups(linear.batch, largest).map(part).collect();
    let (parts, error) = gathered(parts);
    SquaredNorms {
        parts,
        lengths: None,
        error,
    }
}
