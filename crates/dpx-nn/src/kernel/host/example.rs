//! Per-example reductions: sums over an example's rows, squared norms of its gradient by Gram matrices or by the product itself.

use super::level::multiversion;
use super::math::{dot, dot_f64};
use super::matmul::{Matrix, Threads, matmul};
use super::split_by;
use crate::kernel::SquaredNorm;
use rayon::prelude::*;

multiversion! {
    fn column_sums_rows(x: &[f32], out: &mut [f32]) {
        out.fill(0.0);
        for row in x.chunks_exact(out.len()) {
            for (y, x) in out.iter_mut().zip(row) {
                *y += x;
            }
        }
    }
}

/// `out[example] = sum over its rows of x`.
pub(crate) fn column_sums(offsets: &[usize], x: &[f32], width: usize, out: &mut [f32]) {
    out.par_chunks_exact_mut(width)
        .zip(split_by(x, offsets, width))
        .for_each(|(out, x)| column_sums_rows(x, out));
}

multiversion! {
    fn product_sums_rows(x: &[f32], y: &[f32], out: &mut [f32]) {
        out.fill(0.0);
        let width = out.len();
        for (x, y) in x.chunks_exact(width).zip(y.chunks_exact(width)) {
            for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
                *out += x * y;
            }
        }
    }
}

/// `out[example] = sum over its rows of x * y`.
pub(crate) fn product_sums(offsets: &[usize], [x, y]: [&[f32]; 2], width: usize, out: &mut [f32]) {
    out.par_chunks_exact_mut(width)
        .zip(split_by(x, offsets, width))
        .zip(split_by(y, offsets, width))
        .for_each(|((out, x), y)| product_sums_rows(x, y, out));
}

multiversion! {
    fn square_f64(x: &[f32]) -> f64 {
        dot_f64(x, x)
    }
}

pub(crate) fn row_squared_norms(x: &[f32], width: usize) -> Vec<f64> {
    x.par_chunks_exact(width).map(square_f64).collect()
}

multiversion! {
    fn product_f64(x: &[f32], y: &[f32]) -> f64 {
        dot_f64(x, y)
    }
}

/// Squared norm of each example's `input^T gradient`.
pub(crate) fn linear_squared_norms(
    offsets: &[usize],
    [input, gradient]: [&[f32]; 2],
    [inputs, outputs]: [usize; 2],
) -> Vec<SquaredNorm> {
    split_by(input, offsets, inputs)
        .into_par_iter()
        .zip(split_by(gradient, offsets, outputs))
        .map(|(input, gradient)| {
            let length = input.len() / inputs;
            // Gram matrices take T^2 (i + o) multiplications, the product T i o.
            if length * (inputs + outputs) <= inputs * outputs {
                gram_square(length, [input, gradient], [inputs, outputs])
            } else {
                product_square(length, [input, gradient], [inputs, outputs])
            }
        })
        .collect()
}

/// |A^T G|^2 = sum over i, j of (A A^T)_ij (G G^T)_ij.
fn gram_square(length: usize, [a, g]: [&[f32]; 2], [inputs, outputs]: [usize; 2]) -> SquaredNorm {
    let mut input_gram = vec![0.0_f32; length * length];
    let mut output_gram = vec![0.0_f32; length * length];
    let (rows, columns) = (Matrix::new(a, inputs), Matrix::transposed(a, inputs));
    matmul(
        [length, inputs, length],
        rows,
        columns,
        &mut input_gram,
        length,
        false,
        Threads::One,
    );
    let (rows, columns) = (Matrix::new(g, outputs), Matrix::transposed(g, outputs));
    matmul(
        [length, outputs, length],
        rows,
        columns,
        &mut output_gram,
        length,
        false,
        Threads::One,
    );
    let lengths: f64 = (0..length)
        .map(|i| i * (length + 1))
        .map(|i| {
            (f64::from(input_gram[i]) * f64::from(output_gram[i]))
                .max(0.0)
                .sqrt()
        })
        .sum();
    SquaredNorm {
        value: product_f64(&input_gram, &output_gram),
        magnitude: lengths * lengths,
        error: 0.0,
    }
}

fn product_square(
    length: usize,
    [a, g]: [&[f32]; 2],
    [inputs, outputs]: [usize; 2],
) -> SquaredNorm {
    let mut product = vec![0.0_f32; inputs * outputs];
    let (columns, rows) = (Matrix::transposed(a, inputs), Matrix::new(g, outputs));
    matmul(
        [inputs, length, outputs],
        columns,
        rows,
        &mut product,
        outputs,
        false,
        Threads::One,
    );
    let lengths: f64 = a
        .chunks_exact(inputs)
        .zip(g.chunks_exact(outputs))
        .map(|(a, g)| (square_f64(a) * square_f64(g)).sqrt())
        .sum();
    SquaredNorm {
        value: square_f64(&product),
        magnitude: lengths * lengths,
        error: 0.0,
    }
}

/// Rows of an example that share an id, added up: the ids, and one row for each.
fn merge_by_id(ids: &[u32], gradient: &[f32], width: usize) -> (Vec<u32>, Vec<f32>) {
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_key(|&row| ids[row]);
    let (mut unique, mut merged): (Vec<u32>, Vec<f32>) = (Vec::new(), Vec::new());
    for row in order {
        let x = &gradient[row * width..(row + 1) * width];
        if unique.last() == Some(&ids[row]) {
            let start = merged.len() - width;
            for (y, x) in merged[start..].iter_mut().zip(x) {
                *y += x;
            }
        } else {
            unique.push(ids[row]);
            merged.extend_from_slice(x);
        }
    }
    (unique, merged)
}

/// Squared norm of each example's embedding gradient: rows of one id add up first.
pub(crate) fn embedding_squared_norms(
    offsets: &[usize],
    ids: &[u32],
    gradient: &[f32],
    width: usize,
) -> Vec<SquaredNorm> {
    split_by(gradient, offsets, width)
        .into_par_iter()
        .zip(split_by(ids, offsets, 1))
        .map(|(gradient, ids)| {
            let (_, merged) = merge_by_id(ids, gradient, width);
            let lengths: f64 = gradient
                .chunks_exact(width)
                .map(|g| square_f64(g).sqrt())
                .sum();
            SquaredNorm {
                value: square_f64(&merged),
                magnitude: lengths * lengths,
                error: 0.0,
            }
        })
        .collect()
}

/// One weight `[vocabulary, width]` used as output layer (input, gradient of the logits) and as embedding (ids, gradient).
#[derive(Clone, Copy)]
pub(crate) struct Tied<'a> {
    pub(crate) linear_offsets: &'a [usize],
    pub(crate) input: &'a [f32],
    pub(crate) logits_gradient: &'a [f32],
    pub(crate) embedding_offsets: &'a [usize],
    pub(crate) ids: &'a [u32],
    pub(crate) embedding_gradient: &'a [f32],
    pub(crate) width: usize,
    pub(crate) vocabulary: usize,
}

/// Inner product of the output part and the embedding part of each example's gradient.
pub(crate) fn tied_products(tied: Tied<'_>) -> Vec<f64> {
    let Tied {
        width, vocabulary, ..
    } = tied;
    split_by(tied.input, tied.linear_offsets, width)
        .into_par_iter()
        .zip(split_by(
            tied.logits_gradient,
            tied.linear_offsets,
            vocabulary,
        ))
        .zip(split_by(
            tied.embedding_gradient,
            tied.embedding_offsets,
            width,
        ))
        .zip(split_by(tied.ids, tied.embedding_offsets, 1))
        .map(|(((input, logits_gradient), gradient), ids)| {
            let (unique, merged) = merge_by_id(ids, gradient, width);
            input
                .chunks_exact(width)
                .zip(logits_gradient.chunks_exact(vocabulary))
                .map(|(h, g)| {
                    unique
                        .iter()
                        .zip(merged.chunks_exact(width))
                        .map(|(&id, e)| f64::from(g[id as usize]) * f64::from(product(h, e)))
                        .sum::<f64>()
                })
                .sum()
        })
        .collect()
}

multiversion! {
    fn product(x: &[f32], y: &[f32]) -> f32 {
        dot(x, y)
    }
}

/// `out = sum over examples of factor * x[example]`; `None` leaves the example out.
pub(crate) fn weighted_sum(x: &[f32], width: usize, factors: &[Option<f32>], out: &mut [f32]) {
    for (x, factor) in x.chunks_exact(width).zip(factors) {
        if let Some(factor) = factor {
            for (y, x) in out.iter_mut().zip(x) {
                *y += factor * x;
            }
        }
    }
}
