//! Biases, residuals, sums, columns and rows.

use super::burn::elementwise as remote;
use super::host::elementwise as host;
use crate::Array;
use crate::pool::Buffer;

/// `y += bias` on every row.
pub fn add_bias(y: &mut Array, bias: &Array) {
    assert_eq!(y.width(), bias.len(), "bias of {y:?}");
    if y.is_remote() {
        return y.change(|y| y + bias.tensor());
    }
    host::add_bias(y.host_mut(), bias.host());
}

/// `y += x + bias` on every row.
pub fn add_bias_residual(y: &mut Array, bias: &Array, x: &Array) {
    assert_eq!(y.width(), bias.len(), "bias of {y:?}");
    assert_eq!(y.len(), x.len(), "residual of {y:?}");
    if y.is_remote() {
        return y.change(|y| y + bias.tensor() + x.tensor());
    }
    host::add_bias_residual(y.host_mut(), bias.host(), x.host());
}

/// `y += x`.
pub fn add(y: &mut Array, x: &Array) {
    assert_eq!(y.len(), x.len(), "sum of {y:?} and {x:?}");
    if y.is_remote() {
        return y.change(|y| y + x.tensor());
    }
    host::add(y.host_mut(), x.host());
}

/// `y *= factor`.
pub fn scale(y: &mut Array, factor: f32) {
    if y.is_remote() {
        return y.change(|y| y * factor);
    }
    host::scale(y.host_mut(), factor);
}

/// Rows times a factor each; `None` gives a row of zeros whatever the row holds (NaN too).
#[must_use]
pub fn scaled_rows(x: &Array, factors: &[Option<f32>]) -> Array {
    assert_eq!(x.rows(), factors.len(), "factors for the rows of {x:?}");
    if x.is_remote() {
        return x.map(|x| remote::scaled_rows(x, factors));
    }
    let mut y = Buffer::stale(x.len());
    host::scaled_rows(&mut y, x.host(), x.width(), factors);
    Array::from_buffer(y, x.shape())
}

/// Arrays of equally many rows side by side.
pub fn join_columns(parts: &[&Array]) -> Array {
    let rows = parts.first().map_or(0, |part| part.rows());
    let width: usize = parts.iter().map(|part| part.width()).sum();
    if let Some(first) = parts.first().filter(|part| part.is_remote()) {
        if rows == 0 {
            return Array::zeros_on(&[rows, width], first.device());
        }
        let tensors = parts.iter().map(|part| part.tensor()).collect();
        return first.beside(remote::join_columns(tensors), &[rows, width]);
    }
    let mut y = Buffer::stale(rows * width);
    let mut to = 0;
    for part in parts {
        assert_eq!(part.rows(), rows, "rows of {part:?}");
        let columns = part.width();
        host::copy_columns(&mut y, [width, to], part.host(), [columns, 0], columns);
        to += columns;
    }
    Array::from_buffer(y, &[rows, width])
}

/// The inverse of [`join_columns`]: one array for each of the widths.
pub fn split_columns(x: &Array, widths: &[usize]) -> Vec<Array> {
    assert_eq!(x.width(), widths.iter().sum::<usize>(), "columns of {x:?}");
    let mut from = 0;
    let mut parts = Vec::with_capacity(widths.len());
    for &columns in widths {
        if x.is_remote() {
            let shape = [x.rows(), columns];
            parts.push(if x.is_empty() {
                Array::zeros_on(&shape, x.device())
            } else {
                x.beside(remote::columns(x.tensor(), from, columns), &shape)
            });
            from += columns;
            continue;
        }
        let mut y = Buffer::stale(x.rows() * columns);
        host::copy_columns(&mut y, [columns, 0], x.host(), [x.width(), from], columns);
        from += columns;
        parts.push(Array::from_buffer(y, &[x.rows(), columns]));
    }
    parts
}

/// The named rows, in order.
pub fn gather_rows(x: &Array, rows: &[usize]) -> Array {
    let width = x.width();
    if x.is_remote() {
        let shape = [rows.len(), width];
        if rows.is_empty() {
            return Array::zeros_on(&shape, x.device());
        }
        return x.beside(remote::gather_rows(x.tensor(), rows), &shape);
    }
    let mut y = Buffer::stale(rows.len() * width);
    host::gather_rows(&mut y, x.host(), width, rows);
    Array::from_buffer(y, &[rows.len(), width])
}

/// An array of `total` rows that holds row i of `x` as row `rows[i]`, all other rows zero.
pub fn spread_rows(x: &Array, rows: &[usize], total: usize) -> Array {
    assert_eq!(x.rows(), rows.len(), "rows of {x:?}");
    let width = x.width();
    if x.is_remote() {
        let shape = [total, width];
        if x.is_empty() {
            return Array::zeros_on(&shape, x.device());
        }
        return x.beside(remote::spread_rows(x.tensor(), rows, total), &shape);
    }
    let mut y = Buffer::stale(total * width);
    host::spread_rows(&mut y, x.host(), width, rows);
    Array::from_buffer(y, &[total, width])
}
