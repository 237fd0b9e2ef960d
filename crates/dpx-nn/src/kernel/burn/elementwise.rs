//! Rows, columns and embeddings.

use super::upload::{indices, mask, scaled};
use crate::device::{RoundedTensor, Tensor};
use burn::tensor::IndexingUpdateOp;
use burn_dispatch::DispatchDevice;

/// Rows times a factor each; zeros where there is none.
pub(crate) fn scaled_rows(x: Tensor<2>, factors: &[Option<f32>]) -> Tensor<2> {
    scaled(x, factors)
}

/// Tensors of equally many rows side by side.
pub(crate) fn join_columns(parts: Vec<Tensor<2>>) -> Tensor<2> {
    Tensor::cat(parts, 1)
}

/// Columns `from..from + count`.
pub(crate) fn columns(x: Tensor<2>, from: usize, count: usize) -> Tensor<2> {
    x.narrow(1, from, count)
}

/// The named rows, in order.
pub(crate) fn gather_rows(x: Tensor<2>, rows: &[usize]) -> Tensor<2> {
    let identity = rows.len() == x.dims()[0] && rows.iter().enumerate().all(|(i, &row)| i == row);
    if identity {
        return x;
    }
    let rows = indices(rows.iter().copied(), &x.device());
    x.select(0, rows)
}

/// A tensor of `total` rows that holds row i of `x` as row `rows[i]`, all other rows zero.
pub(crate) fn scatter_rows(x: Tensor<2>, rows: &[usize], total: usize) -> Tensor<2> {
    let (device, width) = (x.device(), x.dims()[1]);
    let mut source: Vec<Option<usize>> = vec![None; total];
    for (index, &row) in rows.iter().enumerate() {
        source[row] = Some(index);
    }
    if source.iter().enumerate().all(|(i, from)| *from == Some(i)) {
        return x;
    }
    let empty = mask(
        source.iter().map(Option::is_none).collect(),
        [total, 1],
        &device,
    );
    let from = indices(source.into_iter().map(Option::unwrap_or_default), &device);
    x.select(0, from)
        .mask_fill(empty.expand([total, width]), 0.0)
}

/// Rows `table[ids[r]]`.
pub(crate) fn embedding(table: Tensor<2>, ids: &[u32]) -> Tensor<2> {
    let ids = ids_on(ids, &table.device());
    table.select(0, ids)
}

/// The same of a table that is held in fewer bits.
pub(crate) fn rounded_embedding(table: &RoundedTensor, ids: &[u32]) -> Tensor<2> {
    table.select(ids_on(ids, &table.device()))
}

/// `table[ids[r]] += factors[r] x[r]`; rows without a factor add nothing. Rows of one id are added in order: the same bits
/// every time.
pub(crate) fn scatter_add(
    table: Tensor<2>,
    ids: &[u32],
    x: Tensor<2>,
    factors: &[Option<f32>],
) -> Tensor<2> {
    let ids = ids_on(ids, &table.device());
    table.select_assign(0, ids, scaled(x, factors), IndexingUpdateOp::Add)
}

fn ids_on(ids: &[u32], device: &DispatchDevice) -> Tensor<1, burn::tensor::Int> {
    indices(ids.iter().map(|&id| id as usize), device)
}
