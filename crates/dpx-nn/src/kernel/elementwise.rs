//! Biases, residuals, sums, columns and rows.

use super::backend;
use crate::Array;

/// `y += bias` on every row.
pub(crate) fn add_bias(y: &mut Array, bias: &Array) {
    assert_eq!(y.width(), bias.len(), "bias of {y:?}");
    backend(y).add_bias(y, bias);
}

/// `y += x + bias` on every row.
pub(crate) fn add_bias_residual(y: &mut Array, bias: &Array, x: &Array) {
    assert_eq!(y.width(), bias.len(), "bias of {y:?}");
    assert_eq!(y.len(), x.len(), "residual of {y:?}");
    backend(y).add_bias_residual(y, bias, x);
}

/// `y += x`.
pub fn add(y: &mut Array, x: &Array) {
    assert_eq!(y.len(), x.len(), "sum of {y:?} and {x:?}");
    backend(y).add(y, x);
}

/// `y *= x`, value by value.
pub(crate) fn multiply(y: &mut Array, x: &Array) {
    assert_eq!(y.len(), x.len(), "product of {y:?} and {x:?}");
    backend(y).multiply(y, x);
}

/// `y *= factor`.
pub fn scale(y: &mut Array, factor: f32) {
    backend(y).scale(y, factor);
}

/// Rows times a factor each; `None` gives a row of zeros whatever the row holds (NaN too).
#[must_use]
pub fn scaled_rows(x: &Array, factors: &[Option<f32>]) -> Array {
    assert_eq!(x.rows(), factors.len(), "factors for the rows of {x:?}");
    backend(x).scaled_rows(x, factors)
}

/// Arrays of equally many rows side by side.
pub fn join_columns(parts: &[&Array]) -> Array {
    let Some(first) = parts.first() else {
        return Array::zeros(&[0, 0]);
    };
    let rows = first.rows();
    for part in parts {
        assert_eq!(part.rows(), rows, "rows of {part:?}");
    }
    let width = parts.iter().map(|part| part.width()).sum();
    backend(first).join_columns(parts, [rows, width])
}

/// The inverse of [`join_columns`]: one array for each of the widths.
pub fn split_columns(x: &Array, widths: &[usize]) -> Vec<Array> {
    assert_eq!(x.width(), widths.iter().sum::<usize>(), "columns of {x:?}");
    let mut from = 0;
    let part = |&count: &usize| {
        from += count;
        backend(x).columns(x, from - count, count)
    };
    widths.iter().map(part).collect()
}

/// Row i of the result is row `rows[i]` of `x`.
pub(crate) fn gather_rows(x: &Array, rows: &[usize]) -> Array {
    backend(x).gather_rows(x, rows)
}

/// An array of `total` rows that holds row i of `x` as row `rows[i]`, all other rows zero.
pub(crate) fn scatter_rows(x: &Array, rows: &[usize], total: usize) -> Array {
    assert_eq!(x.rows(), rows.len(), "rows of {x:?}");
    backend(x).scatter_rows(x, rows, total)
}
