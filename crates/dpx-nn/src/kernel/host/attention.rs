//! Attention over packed examples, forward and backward.

use super::level::multiversion;
use super::math::{dot, flushed, softmax};
use super::matmul::{Matrix, Threads, matmul};
use super::{split_by, split_by_mut};
use crate::kernel::Heads;
use rayon::prelude::*;

multiversion! {
    /// Softmax of `scale * row` in place.
    pub(crate) fn softmax_row(row: &mut [f32], scale: f32) {
        softmax(row, scale);
    }
}

multiversion! {
    pub(super) fn softmax_rows(scores: &mut [f32], length: usize, heads: &Heads) {
        for (i, row) in scores.chunks_exact_mut(length).enumerate() {
            let seen = heads.seen(i, length);
            let (row, after) = row.split_at_mut(seen.end);
            let (before, row) = row.split_at_mut(seen.start);
            softmax(row, heads.scale);
            before.fill(0.0);
            after.fill(0.0);
        }
    }
}

multiversion! {
    pub(super) fn softmax_backward_rows(gradient: &mut [f32], probabilities: &[f32], length: usize, scale: f32) {
        for (g, p) in gradient.chunks_exact_mut(length).zip(probabilities.chunks_exact(length)) {
            let mean = dot(g, p);
            for (g, p) in g.iter_mut().zip(p) {
                *g = flushed(p * (*g - mean) * scale);
            }
        }
    }
}

/// Additive bias of scores: `[heads, size, size]` for sequences up to `size`.
#[derive(Clone, Copy)]
pub(crate) struct ScoreBias<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) size: usize,
}

/// Offsets of each example's probabilities, `heads * length^2` values each.
pub(crate) fn probability_offsets(heads: &Heads, offsets: &[usize]) -> Vec<usize> {
    let mut ends = vec![0];
    let mut end = 0;
    for pair in offsets.windows(2) {
        end += heads.heads * (pair[1] - pair[0]).pow(2);
        ends.push(end);
    }
    ends
}

/// `out = softmax(scale * q k^T + bias) v` per example and head; `qkv` is `[rows, (heads + 2 kv_heads) * head_dim]`.
pub(crate) fn forward(
    heads: &Heads,
    offsets: &[usize],
    qkv: &[f32],
    bias: Option<ScoreBias<'_>>,
    out: &mut [f32],
    probabilities: &mut [f32],
) {
    let (width, out_width) = (heads.qkv_width(), heads.out_width());
    split_by_mut(out, offsets, out_width)
        .into_par_iter()
        .zip(split_by_mut(
            probabilities,
            &probability_offsets(heads, offsets),
            1,
        ))
        .zip(split_by(qkv, offsets, width))
        .for_each(|((out, probabilities), qkv)| {
            let length = qkv.len() / width;
            if length == 0 {
                return;
            }
            let dim = heads.head_dim;
            for (head, p) in probabilities.chunks_exact_mut(length * length).enumerate() {
                let [q, k, v] = heads.columns(head);
                let (query, key) = (
                    Matrix::new(&qkv[q..], width),
                    Matrix::transposed(&qkv[k..], width),
                );
                matmul(
                    [length, dim, length],
                    query,
                    key,
                    p,
                    length,
                    false,
                    Threads::One,
                );
                if let Some(bias) = bias {
                    add_bias(p, length, bias, head, heads.scale);
                }
                softmax_rows(p, length, heads);
                let (p, value) = (Matrix::new(p, length), Matrix::new(&qkv[v..], width));
                let out = &mut out[head * dim..];
                matmul(
                    [length, length, dim],
                    p,
                    value,
                    out,
                    out_width,
                    false,
                    Threads::One,
                );
            }
        });
}

/// Adds `bias / scale`, as the softmax multiplies by `scale`.
fn add_bias(scores: &mut [f32], length: usize, bias: ScoreBias<'_>, head: usize, scale: f32) {
    let bias_of_head = &bias.values[head * bias.size * bias.size..];
    for (row, bias) in scores
        .chunks_exact_mut(length)
        .zip(bias_of_head.chunks_exact(bias.size))
    {
        for (x, b) in row.iter_mut().zip(bias) {
            *x += b / scale;
        }
    }
}

/// Gradient of `qkv` from the gradient of the output.
pub(crate) fn backward(
    heads: &Heads,
    offsets: &[usize],
    [qkv, probabilities, gradient]: [&[f32]; 3],
    qkv_gradient: &mut [f32],
) {
    let (width, out_width) = (heads.qkv_width(), heads.out_width());
    split_by_mut(qkv_gradient, offsets, width)
        .into_par_iter()
        .zip(split_by(
            probabilities,
            &probability_offsets(heads, offsets),
            1,
        ))
        .zip(split_by(qkv, offsets, width))
        .zip(split_by(gradient, offsets, out_width))
        .for_each(|(((dqkv, probabilities), qkv), dy)| {
            let length = qkv.len() / width;
            if length == 0 {
                return;
            }
            let dim = heads.head_dim;
            let mut scores = vec![0.0_f32; length * length];
            for (head, p) in probabilities.chunks_exact(length * length).enumerate() {
                let [q, k, v] = heads.columns(head);
                // Heads that share keys and values add up their gradients.
                let add = head % heads.group() != 0;
                let dy = &dy[head * dim..];
                let view = |column: usize| Matrix::new(&qkv[column..], width);
                let value = Matrix::transposed(&qkv[v..], width);
                let square = [length, dim, length];
                let narrow = [length, length, dim];
                let dy_rows = Matrix::new(dy, out_width);
                matmul(
                    square,
                    dy_rows,
                    value,
                    &mut scores,
                    length,
                    false,
                    Threads::One,
                );
                let p_columns = Matrix::transposed(p, length);
                matmul(
                    narrow,
                    p_columns,
                    dy_rows,
                    &mut dqkv[v..],
                    width,
                    add,
                    Threads::One,
                );
                softmax_backward_rows(&mut scores, p, length, heads.scale);
                let (ds, ds_columns) = (
                    Matrix::new(&scores, length),
                    Matrix::transposed(&scores, length),
                );
                matmul(
                    narrow,
                    ds,
                    view(k),
                    &mut dqkv[q..],
                    width,
                    false,
                    Threads::One,
                );
                matmul(
                    narrow,
                    ds_columns,
                    view(q),
                    &mut dqkv[k..],
                    width,
                    add,
                    Threads::One,
                );
            }
        });
}
