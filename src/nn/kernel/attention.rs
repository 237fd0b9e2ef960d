//! Attention, rotary positions, attention over a cache.

use super::Heads;
use super::host::{attention as host, decode, rotary};
use crate::nn::pool::Buffer;
use crate::nn::{Array, Rows};

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
        decode::store(heads, rows.offsets(), qkv.host(), part, cached.host_mut());
    }
}

/// Attention of one new token in each row over the row's cached keys and values, to which it is appended.
///
/// `qkv` is `[batch, heads.qkv_width()]`, `keys` and `values` are `[batch, capacity, kv_heads * head_dim]`, and `lengths`
/// says how many tokens each row had before.
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
    let mut out = Buffer::stale(batch * heads.out_width());
    decode::step(
        heads,
        lengths,
        qkv.host(),
        keys.host_mut(),
        values.host_mut(),
        &mut out,
    );
    Array::from_buffer(out, &[batch, heads.out_width()])
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
    let angles = [cosines.host(), sines.host()];
    rotary::rotate(heads, qkv.host_mut(), positions, angles, sign);
}
