//! Attention, rotary positions, attention over a cache.

use super::{Heads, backend};
use crate::{Array, PackedLayout};

/// Attention inside each example. `qkv` is `[rows, heads.qkv_width()]`; `bias`, of `[heads, size, size]`, is added to the
/// scaled scores of sequences up to `size` long.
///
/// Returns the output `[rows, heads.out_width()]` and the probabilities, which [`attention_backward`] needs.
pub fn attention(
    heads: &Heads,
    rows: &PackedLayout,
    qkv: &Array,
    bias: Option<&Array>,
) -> (Array, Array) {
    assert_eq!(
        [qkv.rows(), qkv.width()],
        [rows.count(), heads.qkv_width()],
        "queries, keys and values"
    );
    backend(qkv).attention(heads, rows, qkv, bias).into()
}

/// Gradient of `qkv`, of its shape, from that of the output and the probabilities of the forward pass.
pub fn attention_backward(
    heads: &Heads,
    rows: &PackedLayout,
    qkv: &Array,
    probabilities: &Array,
    gradient: &Array,
) -> Array {
    assert_eq!(
        gradient.len(),
        rows.count() * heads.out_width(),
        "gradient of attention"
    );
    backend(qkv).attention_backward(heads, rows, qkv, probabilities, gradient)
}

/// Stores the keys and values of whole prompts at the start of each row of a cache. `qkv` is `[rows, heads.qkv_width()]`,
/// `keys` and `values` are `[batch, capacity, kv_heads * head_dim]`.
pub(crate) fn store_prompts(
    heads: &Heads,
    rows: &PackedLayout,
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
        backend(qkv).store_prompts(heads, rows, qkv, part, cached);
    }
}

/// Attention of one new token in each row over the row's cached keys and values, to which it is appended.
///
/// `qkv` is `[batch, heads.qkv_width()]`, `keys` and `values` are `[batch, capacity, kv_heads * head_dim]` (on the host there may
/// be more rows), and `lengths` says how many tokens each row had before. Returns `[batch, heads.out_width()]`.
pub(crate) fn attention_step(
    heads: &Heads,
    lengths: &[usize],
    qkv: &Array,
    keys: &mut Array,
    values: &mut Array,
) -> Array {
    assert_eq!(qkv.rows(), lengths.len(), "one new token a row");
    let capacity = keys.shape()[1];
    assert!(
        lengths.iter().all(|&length| length < capacity),
        "a row of the cache is full"
    );
    backend(qkv).attention_step(heads, lengths, qkv, keys, values)
}

/// Keeps the named rows of cached keys or values `[batch, capacity, kv_heads * head_dim]`, in order, of which `lengths` tokens
/// are in use. On the host there may be more rows behind them afterwards.
pub(crate) fn keep_rows(cached: &mut Array, rows: &[usize], lengths: &[usize]) {
    backend(cached).keep_rows(cached, rows, lengths);
}

/// Rotates queries and keys by their positions, or back when `inverse`: the transpose, so also the backward pass.
///
/// `cosines` and `sines` are `[positions, half]`; value i of a head turns with value i + half (Llama's layout), values from
/// `2 half` on stay.
pub fn rotate(
    heads: &Heads,
    qkv: &mut Array,
    positions: &[u32],
    cosines: &Array,
    sines: &Array,
    inverse: bool,
) {
    assert_eq!(qkv.rows(), positions.len(), "a position for each row");
    assert!(2 * cosines.width() <= heads.head_dim, "angles of a head");
    let sign = if inverse { -1.0 } else { 1.0 };
    backend(qkv).rotate(heads, qkv, positions, [cosines, sines], sign);
}
