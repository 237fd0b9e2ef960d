//! Attention of one new token per row over a key/value cache.

use super::attention::softmax_row;
use super::level::multiversion;
use super::math::dot;
use crate::kernel::Heads;
use rayon::prelude::*;

multiversion! {
    fn scores_row(query: &[f32], keys: &[f32], stride: usize, scores: &mut [f32]) {
        for (score, key) in scores.iter_mut().zip(keys.chunks(stride)) {
            *score = dot(query, &key[..query.len()]);
        }
    }
}

multiversion! {
    fn weighted_rows(weights: &[f32], values: &[f32], stride: usize, out: &mut [f32]) {
        out.fill(0.0);
        for (weight, value) in weights.iter().zip(values.chunks(stride)) {
            for (y, v) in out.iter_mut().zip(value) {
                *y += weight * v;
            }
        }
    }
}

/// Copies the keys (part 0) or values (part 1) of packed prompts to the start of each row of `cached`.
pub(crate) fn store(
    heads: &Heads,
    offsets: &[usize],
    qkv: &[f32],
    part: usize,
    cached: &mut [f32],
) {
    let batch = offsets.len() - 1;
    if batch == 0 {
        return;
    }
    let (width, start) = (heads.kv_heads * heads.head_dim, heads.out_width());
    let per_row = cached.len() / batch;
    for (example, range) in offsets.windows(2).enumerate() {
        for (position, row) in (range[0]..range[1]).enumerate() {
            let from = row * heads.qkv_width() + start + part * width;
            let to = example * per_row + position * width;
            cached[to..to + width].copy_from_slice(&qkv[from..from + width]);
        }
    }
}

/// Moves what is in use of the kept rows, in ascending order, into the place of dropped ones; rows that nobody needs stay
/// behind them. `cached` is `[batch or more, capacity, width]`, `lengths` counts the tokens of each row.
pub(crate) fn move_up(
    cached: &mut [f32],
    rows: &[usize],
    lengths: &[usize],
    [capacity, width]: [usize; 2],
) {
    for (to, &from) in rows.iter().enumerate().filter(|(to, from)| to != *from) {
        let start = from * capacity * width;
        cached.copy_within(start..start + lengths[from] * width, to * capacity * width);
    }
}

/// Appends each row's key and value at `lengths[row]` of its cache and attends over all of them.
///
/// `qkv` is `[batch, qkv width]`; `keys` and `values` are `[batch or more, capacity, kv_heads * head_dim]`; `lengths` counts
/// the cached tokens before this one.
pub(crate) fn step(
    heads: &Heads,
    lengths: &[usize],
    qkv: &[f32],
    [keys, values]: [&mut [f32]; 2],
    capacity: usize,
    out: &mut [f32],
) {
    let dim = heads.head_dim;
    let stride = heads.kv_heads * dim;
    let per_row = capacity * stride;
    out.par_chunks_exact_mut(heads.out_width())
        .zip(qkv.par_chunks_exact(heads.qkv_width()))
        .zip(keys.par_chunks_exact_mut(per_row))
        .zip(values.par_chunks_exact_mut(per_row))
        .zip(lengths)
        .for_each(|((((out, qkv), keys), values), &length)| {
            let key_columns = heads.heads * dim;
            let place = length * stride..(length + 1) * stride;
            keys[place.clone()].copy_from_slice(&qkv[key_columns..key_columns + stride]);
            values[place].copy_from_slice(&qkv[key_columns + stride..]);
            let seen = heads.seen(length, length + 1);
            let mut scores = vec![0.0_f32; seen.len()];
            let first = seen.start * stride;
            for (head, out) in out.chunks_exact_mut(dim).enumerate() {
                let column = first + head / heads.group() * dim;
                let query = &qkv[head * dim..(head + 1) * dim];
                scores_row(query, &keys[column..], stride, &mut scores);
                softmax_row(&mut scores, heads.scale);
                weighted_rows(&scores, &values[column..], stride, out);
            }
        });
}
