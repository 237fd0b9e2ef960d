//! Rotary position embedding in the half-split layout of Llama, of a whole head or its first values.

use super::upload::indices;
use crate::device::Tensor;
use crate::kernel::Heads;

/// Rotates the queries and keys in `qkv`; `sign` is 1, or -1 for the backward pass. `angles` are cosines and sines,
/// `[positions, half]`.
pub(crate) fn rotate(
    heads: &Heads,
    qkv: Tensor<2>,
    positions: &[u32],
    angles: [Tensor<2>; 2],
    sign: f32,
) -> Tensor<2> {
    let (rows, half) = (positions.len(), angles[0].dims()[1]);
    let turned = heads.heads + heads.kv_heads;
    let places = indices(
        positions.iter().map(|&position| position as usize),
        &qkv.device(),
    );
    let [cosines, sines] =
        angles.map(|angle| angle.select(0, places.clone()).reshape([rows, 1, half]));
    let sines = sines * sign;
    let part = qkv.clone().narrow(1, 0, turned * heads.head_dim);
    let part = part.reshape([rows, turned, heads.head_dim]);
    let (first, second) = (
        part.clone().narrow(2, 0, half),
        part.clone().narrow(2, half, half),
    );
    let new_first = first.clone() * cosines.clone() - second.clone() * sines.clone();
    let new_second = second * cosines + first * sines;
    let mut parts = vec![new_first, new_second];
    let kept = heads.head_dim - 2 * half;
    if kept > 0 {
        parts.push(part.narrow(2, 2 * half, kept));
    }
    let part = Tensor::cat(parts, 2);
    let part = part.reshape([rows, turned * heads.head_dim]);
    let values = qkv.narrow(1, turned * heads.head_dim, heads.kv_heads * heads.head_dim);
    Tensor::cat(vec![part, values], 1)
}
