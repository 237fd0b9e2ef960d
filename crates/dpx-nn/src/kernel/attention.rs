//! Attention, rotary positions, attention over a cache.

use super::burn::{attention as remote, decode as remote_decode, rotary as remote_rotary};
use super::host::{attention as host, decode, rotary};
use super::{Heads, Padding};
use crate::pool::Buffer;
use crate::{Array, Rows};
use std::sync::Arc;

/// Attention inside each example. `qkv` is `[rows, heads.qkv_width()]`; `bias`, of `[heads, size, size]`, is added to the
/// scaled scores of sequences up to `size` long.
///
/// Returns the output `[rows, heads.out_width()]` and the probabilities, which [`attention_backward`] needs.
pub fn attention(heads: &Heads, rows: &Rows, qkv: &Array, bias: Option<&Array>) -> (Array, Array) {
    assert_eq!(
        [qkv.rows(), qkv.width()],
        [rows.count(), heads.qkv_width()],
        "queries, keys and values"
    );
    if qkv.is_remote() {
        let shape = [rows.count(), heads.out_width()];
        if qkv.is_empty() {
            return (Array::zeros_on(&shape, qkv.device()), qkv.clone());
        }
        let padding = padding(rows, qkv);
        let bias = bias.map(|bias| remote::ScoreBias {
            values: bias.tensor(),
            size: bias.width(),
        });
        let (out, probabilities) = remote::forward(heads, &padding, qkv.tensor(), bias);
        let dims = probabilities.dims();
        return (qkv.beside(out, &shape), qkv.beside(probabilities, &dims));
    }
    let offsets = rows.offsets();
    let count = host::probability_offsets(heads, offsets)
        .last()
        .copied()
        .unwrap_or(0);
    let mut out = Buffer::stale(rows.count() * heads.out_width());
    let mut probabilities = Buffer::stale(count);
    let bias = bias.map(|bias| host::ScoreBias {
        values: bias.host(),
        size: bias.width(),
    });
    host::forward(
        heads,
        offsets,
        qkv.host(),
        bias,
        &mut out,
        &mut probabilities,
    );
    (
        Array::from_buffer(out, &[rows.count(), heads.out_width()]),
        Array::from_buffer(probabilities, &[count]),
    )
}

/// Gradient of `qkv`.
pub fn attention_backward(
    heads: &Heads,
    rows: &Rows,
    qkv: &Array,
    probabilities: &Array,
    gradient: &Array,
) -> Array {
    assert_eq!(
        gradient.len(),
        rows.count() * heads.out_width(),
        "gradient of attention"
    );
    if qkv.is_remote() {
        return qkv.map(|values| {
            let (probabilities, gradient) = (probabilities.tensor(), gradient.tensor());
            remote::backward(heads, &padding(rows, qkv), values, probabilities, gradient)
        });
    }
    let mut dqkv = Buffer::stale(qkv.len());
    let inputs = [qkv.host(), probabilities.host(), gradient.host()];
    host::backward(heads, rows.offsets(), inputs, &mut dqkv);
    Array::from_buffer(dqkv, qkv.shape())
}

/// Stores the keys and values of whole prompts at the start of each row of a cache. `qkv` is `[rows, heads.qkv_width()]`,
/// `keys` and `values` are `[batch, capacity, kv_heads * head_dim]`.
pub fn store_prompts(
    heads: &Heads,
    rows: &Rows,
    qkv: &Array,
    keys: &mut Array,
    values: &mut Array,
) {
    let capacity = keys.shape()[1];
    assert!(
        rows.lengths().all(|length| length <= capacity),
        "a prompt is longer than the cache"
    );
    for (part, cached) in [keys, values].into_iter().enumerate() {
        if qkv.is_remote() {
            if !qkv.is_empty() {
                let padding = padding(rows, qkv);
                cached.change(|cached| {
                    remote_decode::store(heads, &padding, qkv.tensor(), part, cached)
                });
            }
            continue;
        }
        decode::store(heads, rows.offsets(), qkv.host(), part, cached.host_mut());
    }
}

/// Attention of one new token in each row over the row's cached keys and values, to which it is appended.
///
/// `qkv` is `[batch, heads.qkv_width()]`, `keys` and `values` are `[batch, capacity, kv_heads * head_dim]` (on the host there may
/// be more rows), and `lengths` says how many tokens each row had before.
pub fn attention_step(
    heads: &Heads,
    lengths: &[usize],
    qkv: &Array,
    keys: &mut Array,
    values: &mut Array,
) -> Array {
    let batch = lengths.len();
    assert_eq!(qkv.rows(), batch, "one new token a row");
    let capacity = keys.shape()[1];
    assert!(
        lengths.iter().all(|&length| length < capacity),
        "a row of the cache is full"
    );
    if qkv.is_remote() {
        return qkv_step(heads, lengths, qkv, keys, values);
    }
    let mut out = Buffer::stale(batch * heads.out_width());
    decode::step(
        heads,
        lengths,
        qkv.host(),
        [keys.host_mut(), values.host_mut()],
        capacity,
        &mut out,
    );
    Array::from_buffer(out, &[batch, heads.out_width()])
}

fn qkv_step(
    heads: &Heads,
    lengths: &[usize],
    qkv: &Array,
    keys: &mut Array,
    values: &mut Array,
) -> Array {
    let shape = [lengths.len(), heads.out_width()];
    if qkv.is_empty() {
        return Array::zeros_on(&shape, qkv.device());
    }
    let made = remote_decode::step(heads, lengths, qkv.tensor(), keys.tensor(), values.tensor());
    let [out, new_keys, new_values] = made;
    keys.change(|_| new_keys);
    values.change(|_| new_values);
    qkv.beside(out, &shape)
}

fn padding(rows: &Rows, array: &Array) -> Arc<Padding> {
    rows.padding(&array.tensor().device())
}

/// Rotates queries and keys by their positions, or back when `inverse`: the transpose, so also the backward pass.
///
/// `cosines` and `sines` are `[positions, head_dim / 2]`; value i turns with value i + head_dim / 2 (Llama's layout).
pub fn rotate(
    heads: &Heads,
    qkv: &mut Array,
    positions: &[u32],
    cosines: &Array,
    sines: &Array,
    inverse: bool,
) {
    assert_eq!(qkv.rows(), positions.len(), "a position for each row");
    let sign = if inverse { -1.0 } else { 1.0 };
    if qkv.is_remote() {
        let angles = [cosines.tensor(), sines.tensor()];
        return qkv.change(|qkv| remote_rotary::rotate(heads, qkv, positions, angles, sign));
    }
    let angles = [cosines.host(), sines.host()];
    rotary::rotate(heads, qkv.host_mut(), positions, angles, sign);
}
