//! Embedding lookup and its transpose.

use super::backend;
use crate::Array;

/// Rows `table[ids[r]]`: `[ids, width]`.
pub(crate) fn embedding(table: &Array, ids: &[u32]) -> Array {
    backend(table).embedding(table, ids)
}

/// `y[r] += table[ids[r]]`.
pub(crate) fn embedding_add(y: &mut Array, table: &Array, ids: &[u32]) {
    assert_eq!(
        [y.rows(), y.width()],
        [ids.len(), table.width()],
        "rows to add to"
    );
    backend(y).embedding_add(y, table, ids);
}

/// `table[ids[r]] += factors[r] * x[r]`; rows with a factor of `None` are not read.
pub fn scatter_add(table: &mut Array, ids: &[u32], x: &Array, factors: &[Option<f32>]) {
    assert_eq!(
        [x.rows(), x.width()],
        [ids.len(), table.width()],
        "rows to scatter"
    );
    backend(table).scatter_add(table, ids, x, factors);
}
