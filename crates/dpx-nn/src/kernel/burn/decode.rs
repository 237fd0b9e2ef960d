//! Attention of one new token per row over a key/value cache.

use super::Padding;
use super::attention::prompts;
use super::upload::{indices, mask};
use crate::device::Tensor;
use crate::kernel::Heads;
use burn::tensor::activation::softmax;

/// Cached positions are read in blocks of this many, so that a step does not have a shape of its own.
const BLOCK: usize = 16;

/// Puts the keys (part 0) or values (part 1) of whole prompts at the start of each row of `cached`, `[batch * capacity, width]`.
pub(crate) fn store(
    heads: &Heads,
    padding: &Padding,
    qkv: Tensor<2>,
    part: usize,
    cached: Tensor<2>,
) -> Tensor<2> {
    let prompts = prompts(heads, padding, qkv, part);
    let [batch, max_seq_len, width] = prompts.dims();
    let dims = cached.dims();
    cached
        .reshape([batch, dims[0] / batch, width])
        .slice_assign([0..batch, 0..max_seq_len, 0..width], prompts)
        .reshape(dims)
}

/// One new row of `qkv` for each row of the cache, appended at `lengths[row]`: the output `[batch, out_width]`, keys, values.
pub(crate) fn step(
    heads: &Heads,
    lengths: &[usize],
    qkv: Tensor<2>,
    keys: Tensor<2>,
    values: Tensor<2>,
) -> [Tensor<2>; 3] {
    let (device, batch) = (qkv.device(), lengths.len());
    let (out, shared) = (heads.out_width(), heads.kv_heads * heads.head_dim);
    let dims = keys.dims();
    let capacity = dims[0] / batch;
    let all = [batch, capacity, shared];
    let place = indices(lengths.iter().map(|row| row % capacity), &device).reshape([batch, 1]);
    let positions = indices(0..capacity, &device).reshape([1, capacity]);
    let here = positions
        .expand([batch, capacity])
        .equal(place.expand([batch, capacity]))
        .reshape([batch, capacity, 1])
        .expand(all);
    let append = |cached: Tensor<2>, from: usize| {
        let new = qkv.clone().narrow(1, from, shared);
        let new = new.reshape([batch, 1, shared]).expand(all);
        cached.reshape(all).mask_where(here.clone(), new)
    };
    let (keys, values) = (append(keys, out), append(values, out + shared));
    let max_seq_len = lengths.iter().max().map_or(1, |length| length + 1);
    let read = max_seq_len.next_multiple_of(BLOCK).min(capacity);
    // [batch, kv_heads, read, head_dim]
    let split = |cached: Tensor<3>| {
        let part = cached.narrow(1, 0, read);
        part.reshape([batch, read, heads.kv_heads, heads.head_dim])
            .swap_dims(1, 2)
    };
    let query = qkv.narrow(1, 0, out);
    let query = query.reshape([batch, heads.kv_heads, heads.group(), heads.head_dim]);
    let scores = query.matmul(split(keys.clone()).swap_dims(2, 3)) * heads.scale;
    let unseen = lengths.iter().flat_map(|&length| {
        let seen = heads.seen(length, length + 1);
        (0..read).map(move |position| !seen.contains(&position))
    });
    let unseen = mask(unseen.collect(), [batch, 1, 1, read], &device);
    let scores_dims = scores.dims();
    let scores = scores.mask_fill(unseen.expand(scores_dims), super::attention::UNSEEN);
    let attended = softmax(scores, 3).matmul(split(values.clone()));
    [
        attended.reshape([batch, out]),
        keys.reshape(dims),
        values.reshape(dims),
    ]
}
