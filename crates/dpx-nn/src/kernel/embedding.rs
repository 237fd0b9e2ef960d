//! Embedding lookup and its transpose.

use super::burn::elementwise as remote;
use super::host::embedding as host;
use crate::Array;
use crate::pool::Buffer;

/// Rows `table[ids[r]]`: `[ids, width]`.
pub fn embedding(table: &Array, ids: &[u32]) -> Array {
    let width = table.width();
    if table.is_remote() {
        let shape = [ids.len(), width];
        if ids.is_empty() {
            return Array::zeros_on(&shape, table.device());
        }
        return table.beside(remote::embedding(table.tensor(), ids), &shape);
    }
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
    if y.is_remote() {
        return y.change(|y| y + remote::embedding(table.tensor(), ids));
    }
    host::gather(table.host(), table.width(), ids, y.host_mut(), true);
}

/// `table[ids[r]] += factors[r] * x[r]`; rows with a factor of `None` are not read.
pub fn scatter_add(table: &mut Array, ids: &[u32], x: &Array, factors: &[Option<f32>]) {
    let width = table.width();
    assert_eq!([x.rows(), x.width()], [ids.len(), width], "rows to scatter");
    if table.is_remote() {
        if !ids.is_empty() {
            table.change(|table| remote::scatter_add(table, ids, x.tensor(), factors));
        }
        return;
    }
    host::scatter_add(table.host_mut(), width, ids, x.host(), factors);
}
