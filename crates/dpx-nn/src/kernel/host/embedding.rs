//! Embedding rows: gather and scatter-add.

use super::rows_per_task;
use rayon::prelude::*;

/// `y[r] (+)= table[ids[r]]`.
pub(crate) fn gather(table: &[f32], width: usize, ids: &[u32], y: &mut [f32], accumulate: bool) {
    let rows = rows_per_task(ids.len());
    y.par_chunks_mut(rows * width)
        .zip(ids.par_chunks(rows))
        .for_each(|(y, ids)| {
            for (y, &id) in y.chunks_exact_mut(width).zip(ids) {
                let row = &table[id as usize * width..][..width];
                if accumulate {
                    for (y, x) in y.iter_mut().zip(row) {
                        *y += x;
                    }
                } else {
                    y.copy_from_slice(row);
                }
            }
        });
}

/// `table[ids[r]] += factors[r] * x[r]`; rows with a factor of `None` are not read.
pub(crate) fn scatter_add(
    table: &mut [f32],
    width: usize,
    ids: &[u32],
    x: &[f32],
    factors: &[Option<f32>],
) {
    for ((x, &id), factor) in x.chunks_exact(width).zip(ids).zip(factors) {
        if let Some(factor) = factor {
            let row = &mut table[id as usize * width..][..width];
            for (y, x) in row.iter_mut().zip(x) {
                *y += factor * x;
            }
        }
    }
}
