//! Rotary position embedding in the half-split layout of Llama, of a whole head or its first values.

use super::rows_per_task;
use crate::kernel::Heads;
use rayon::prelude::*;

/// Rotates the queries and keys in `qkv`; `sign` is 1, or -1 for the backward pass.
///
/// `cosines` and `sines` are `[positions, half]`: value i of a head turns with value i + half, the rest stays.
pub(crate) fn rotate(
    heads: &Heads,
    qkv: &mut [f32],
    positions: &[u32],
    half: usize,
    [cosines, sines]: [&[f32]; 2],
    sign: f32,
) {
    let (width, dim) = (heads.qkv_width(), heads.head_dim);
    let rows = rows_per_task(positions.len());
    qkv.par_chunks_mut(rows * width)
        .zip(positions.par_chunks(rows))
        .for_each(|(qkv, positions)| {
            for (row, &position) in qkv.chunks_exact_mut(width).zip(positions) {
                let cosines = &cosines[position as usize * half..][..half];
                let sines = &sines[position as usize * half..][..half];
                let rotated = (heads.heads + heads.kv_heads) * dim;
                for head in row[..rotated].chunks_exact_mut(dim) {
                    let (first, second) = head[..2 * half].split_at_mut(half);
                    let angles = cosines.iter().zip(sines);
                    for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(angles) {
                        let (x, y) = (*a, *b);
                        *a = x * cos - sign * y * sin;
                        *b = y * cos + sign * x * sin;
                    }
                }
            }
        });
}
