//! Embedding lookup and its transpose.

use super::host::embedding as host;
use crate::nn::Array;
use crate::nn::pool::Buffer;

/// Rows `table[ids[r]]`: `[ids, width]`.
pub fn embedding(table: &Array, ids: &[u32]) -> Array {
    let width = table.width();
    let mut y = Buffer::stale(ids.len() * width);
    host::gather(table.host(), width, ids, &mut y, false);
    Array::from_buffer(y, &[ids.len(), width])
}

/// `y[r] += table[ids[r]]`.
pub fn embedding_add(y: &mut Array, table: &Array, ids: &[u32]) {
    assert_eq!(
        [y.rows(), y.width()],
        [ids.len(), table.width()],
        "rows to add to"
    );
    host::gather(table.host(), table.width(), ids, y.host_mut(), true);
}

/// `table[ids[r]] += factors[r] * x[r]`; rows with a factor of `None` are not read.
pub fn scatter_add(table: &mut Array, ids: &[u32], x: &Array, factors: &[Option<f32>]) {
    let width = table.width();
    assert_eq!([x.rows(), x.width()], [ids.len(), width], "rows to scatter");
    host::scatter_add(table.host_mut(), width, ids, x.host(), factors);
}
