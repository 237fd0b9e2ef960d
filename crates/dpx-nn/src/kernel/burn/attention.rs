//! Attention over packed examples, forward and backward, on examples padded to the longest.

use super::Padding;
use crate::device::Tensor;
use crate::kernel::Heads;
use burn::tensor::activation::softmax;

/// What scores that may not count become: far below any score, and finite, as WGSL knows no infinity.
pub(super) const UNSEEN: f32 = -1e30;

/// `[batch, max_seq_len, heads * head_dim]` as `[batch, kv_heads, group * max_seq_len, head_dim]`: the queries that share a key stand
/// below one another.
fn queries(heads: &Heads, x: Tensor<3>) -> Tensor<4> {
    let [batch, max_seq_len, _] = x.dims();
    let (shared, group, dim) = (heads.kv_heads, heads.group(), heads.head_dim);
    if group == 1 {
        return keys(heads, x);
    }
    x.reshape([batch, max_seq_len, shared, group, dim])
        .permute([0, 2, 3, 1, 4])
        .reshape([batch, shared, group * max_seq_len, dim])
}

/// The inverse of [`queries`], as `[batch * max_seq_len, heads * head_dim]`.
fn from_queries(heads: &Heads, x: Tensor<4>, max_seq_len: usize) -> Tensor<2> {
    let [batch, shared, ..] = x.dims();
    let (group, dim) = (heads.group(), heads.head_dim);
    if group == 1 {
        return from_keys(x);
    }
    x.reshape([batch, shared, group, max_seq_len, dim])
        .permute([0, 3, 1, 2, 4])
        .reshape([batch * max_seq_len, heads.out_width()])
}

/// `[batch, max_seq_len, kv_heads * head_dim]` as `[batch, kv_heads, max_seq_len, head_dim]`.
pub(super) fn keys(heads: &Heads, x: Tensor<3>) -> Tensor<4> {
    let [batch, max_seq_len, _] = x.dims();
    x.reshape([batch, max_seq_len, heads.kv_heads, heads.head_dim])
        .swap_dims(1, 2)
}

/// The inverse of [`keys`], as `[batch * max_seq_len, kv_heads * head_dim]`.
pub(super) fn from_keys(x: Tensor<4>) -> Tensor<2> {
    let [batch, shared, max_seq_len, dim] = x.dims();
    x.swap_dims(1, 2)
        .reshape([batch * max_seq_len, shared * dim])
}

/// Queries, keys and values.
pub(super) fn split(heads: &Heads, padding: &Padding, qkv: Tensor<2>) -> [Tensor<4>; 3] {
    let padded = padding.pad(qkv);
    let (out, shared) = (heads.out_width(), heads.kv_heads * heads.head_dim);
    let query = padded.clone().narrow(2, 0, out);
    let key = padded.clone().narrow(2, out, shared);
    let value = padded.narrow(2, out + shared, shared);
    [queries(heads, query), keys(heads, key), keys(heads, value)]
}

/// An additive bias `[heads * size, size]` of scores.
pub(crate) struct ScoreBias {
    pub(crate) values: Tensor<2>,
    pub(crate) size: usize,
}

impl ScoreBias {
    /// For examples of `max_seq_len` tokens, `[1, kv_heads, group * max_seq_len, max_seq_len]`.
    fn of(self, heads: &Heads, max_seq_len: usize) -> Tensor<4> {
        self.values
            .reshape([heads.heads, self.size, self.size])
            .slice([0..heads.heads, 0..max_seq_len, 0..max_seq_len])
            .reshape([1, heads.kv_heads, heads.group() * max_seq_len, max_seq_len])
    }
}

/// The output `[rows, out_width]` and the probabilities `[batch * heads * max_seq_len, max_seq_len]`.
pub(crate) fn forward(
    heads: &Heads,
    padding: &Padding,
    qkv: Tensor<2>,
    bias: Option<ScoreBias>,
) -> (Tensor<2>, Tensor<2>) {
    let (batch, max_seq_len) = (padding.batch, padding.max_seq_len);
    let [query, key, value] = split(heads, padding, qkv);
    let mut scores = query.matmul(key.swap_dims(2, 3)) * heads.scale;
    let dims = scores.dims();
    if let Some(bias) = bias {
        scores = scores + bias.of(heads, max_seq_len);
    }
    if let Some(unseen) = padding.unseen(heads) {
        let unseen = unseen.reshape([1, 1, dims[2], dims[3]]);
        scores = scores.mask_fill(unseen.expand(dims), UNSEEN);
    }
    // Padding stands behind every token, so that none that looks back alone sees it.
    if !heads.causal
        && let Some(unseen) = padding.padding(0..batch)
    {
        let unseen = unseen.reshape([batch, 1, 1, max_seq_len]);
        scores = scores.mask_fill(unseen.expand(dims), UNSEEN);
    }
    let probabilities = softmax(scores, 3);
    let out = probabilities.clone().matmul(value);
    (
        padding.unpad(from_queries(heads, out, max_seq_len)),
        probabilities.reshape([dims[0] * dims[1] * dims[2], max_seq_len]),
    )
}

/// Gradient of `qkv` from the gradient of the output.
pub(crate) fn backward(
    heads: &Heads,
    padding: &Padding,
    qkv: Tensor<2>,
    probabilities: Tensor<2>,
    gradient: Tensor<2>,
) -> Tensor<2> {
    let (batch, max_seq_len) = (padding.batch, padding.max_seq_len);
    let [query, key, value] = split(heads, padding, qkv);
    let gradient = padding.zeroed(padding.pad(gradient), 0..batch);
    let gradient = queries(heads, gradient);
    let rows = heads.group() * max_seq_len;
    let p = probabilities.reshape([batch, heads.kv_heads, rows, max_seq_len]);
    let value_gradient = p.clone().swap_dims(2, 3).matmul(gradient.clone());
    let dp = gradient.matmul(value.swap_dims(2, 3));
    let mean = (dp.clone() * p.clone()).sum_dim(3);
    let ds = p * (dp - mean) * heads.scale;
    let query_gradient = ds.clone().matmul(key);
    let key_gradient = ds.swap_dims(2, 3).matmul(query);
    padding.unpad(Tensor::cat(
        vec![
            from_queries(heads, query_gradient, max_seq_len),
            from_keys(key_gradient),
            from_keys(value_gradient),
        ],
        1,
    ))
}

/// The keys (part 0) or values (part 1) of packed prompts, padded to the longest: `[batch, max_seq_len, kv_heads * head_dim]`.
pub(crate) fn prompts(heads: &Heads, padding: &Padding, qkv: Tensor<2>, part: usize) -> Tensor<3> {
    let shared = heads.kv_heads * heads.head_dim;
    let columns = qkv.narrow(1, heads.out_width() + part * shared, shared);
    padding.zeroed(padding.pad(columns), 0..padding.batch)
}
