//! Biases, residuals, sums, scaling of rows.

use super::level::multiversion;
use super::rows_per_task;
use rayon::prelude::*;

multiversion! {
    fn add_bias_rows(y: &mut [f32], bias: &[f32]) {
        for row in y.chunks_exact_mut(bias.len()) {
            for (y, b) in row.iter_mut().zip(bias) {
                *y += b;
            }
        }
    }
}

/// `y += bias` on every row.
pub(crate) fn add_bias(y: &mut [f32], bias: &[f32]) {
    let width = bias.len();
    y.par_chunks_mut(rows_per_task(y.len() / width) * width)
        .for_each(|y| add_bias_rows(y, bias));
}

multiversion! {
    fn add_bias_residual_rows(y: &mut [f32], bias: &[f32], x: &[f32]) {
        for (y, x) in y.chunks_exact_mut(bias.len()).zip(x.chunks_exact(bias.len())) {
            for ((y, x), b) in y.iter_mut().zip(x).zip(bias) {
                *y += x + b;
            }
        }
    }
}

/// `y += x + bias` on every row.
pub(crate) fn add_bias_residual(y: &mut [f32], bias: &[f32], x: &[f32]) {
    let width = bias.len();
    let chunk = rows_per_task(y.len() / width) * width;
    y.par_chunks_mut(chunk)
        .zip(x.par_chunks(chunk))
        .for_each(|(y, x)| add_bias_residual_rows(y, bias, x));
}

multiversion! {
    fn add_slice(y: &mut [f32], x: &[f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y += x;
        }
    }
}

pub(crate) fn add(y: &mut [f32], x: &[f32]) {
    let chunk = rows_per_task(y.len()).max(4096);
    y.par_chunks_mut(chunk)
        .zip(x.par_chunks(chunk))
        .for_each(|(y, x)| add_slice(y, x));
}

multiversion! {
    fn multiply_slice(y: &mut [f32], x: &[f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y *= x;
        }
    }
}

pub(crate) fn multiply(y: &mut [f32], x: &[f32]) {
    let chunk = rows_per_task(y.len()).max(4096);
    y.par_chunks_mut(chunk)
        .zip(x.par_chunks(chunk))
        .for_each(|(y, x)| multiply_slice(y, x));
}

multiversion! {
    fn scale_slice(y: &mut [f32], factor: f32) {
        for y in y {
            *y *= factor;
        }
    }
}

pub(crate) fn scale(y: &mut [f32], factor: f32) {
    let chunk = rows_per_task(y.len()).max(4096);
    y.par_chunks_mut(chunk).for_each(|y| scale_slice(y, factor));
}

/// `y = factor * x`, row by row; a factor of `None` writes zeros whatever x holds.
pub(crate) fn scaled_rows(y: &mut [f32], x: &[f32], width: usize, factors: &[Option<f32>]) {
    let rows = rows_per_task(factors.len());
    y.par_chunks_mut(rows * width)
        .zip(x.par_chunks(rows * width))
        .zip(factors.par_chunks(rows))
        .for_each(|((y, x), factors)| scaled_rows_task(y, x, width, factors));
}

multiversion! {
    fn scaled_rows_task(y: &mut [f32], x: &[f32], width: usize, factors: &[Option<f32>]) {
        for ((y, x), factor) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(factors) {
            match factor {
                Some(factor) => {
                    for (y, x) in y.iter_mut().zip(x) {
                        *y = x * factor;
                    }
                }
                None => y.fill(0.0),
            }
        }
    }
}

/// Copies columns: `y[r, to..to + width] = x[r, from..from + width]`.
pub(crate) fn copy_columns(
    y: &mut [f32],
    [y_width, to]: [usize; 2],
    x: &[f32],
    [x_width, from]: [usize; 2],
    width: usize,
) {
    let rows = rows_per_task(y.len() / y_width);
    y.par_chunks_mut(rows * y_width)
        .zip(x.par_chunks(rows * x_width))
        .for_each(|(y, x)| {
            for (y, x) in y.chunks_exact_mut(y_width).zip(x.chunks_exact(x_width)) {
                y[to..to + width].copy_from_slice(&x[from..from + width]);
            }
        });
}

/// `y[i] = x[rows[i]]`.
pub(crate) fn gather_rows(y: &mut [f32], x: &[f32], width: usize, rows: &[usize]) {
    for (y, &row) in y.chunks_exact_mut(width).zip(rows) {
        y.copy_from_slice(&x[row * width..(row + 1) * width]);
    }
}

/// `y[rows[i]] = x[i]`, all other rows zero.
pub(crate) fn scatter_rows(y: &mut [f32], x: &[f32], width: usize, rows: &[usize]) {
    y.fill(0.0);
    for (x, &row) in x.chunks_exact(width).zip(rows) {
        y[row * width..(row + 1) * width].copy_from_slice(x);
    }
}
