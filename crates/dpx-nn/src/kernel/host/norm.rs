//! Layer norm and RMS norm, forward and backward.

use super::level::multiversion;
use super::math::{dot, sum};
use super::rows_per_task;
use rayon::prelude::*;

multiversion! {
    fn layer_norm_rows(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, normalized: &mut [f32], inverse: &mut [f32], y: &mut [f32]) {
        let width = weight.len();
        let rows = x.chunks_exact(width).zip(normalized.chunks_exact_mut(width)).zip(inverse.iter_mut().zip(y.chunks_exact_mut(width)));
        for ((x, h), (inverse, y)) in rows {
            let mean = sum(x) / width as f32;
            for (h, x) in h.iter_mut().zip(x) {
                *h = x - mean;
            }
            let deviation = 1.0 / (dot(h, h) / width as f32 + epsilon).sqrt();
            *inverse = deviation;
            for ((h, y), (w, b)) in h.iter_mut().zip(y).zip(weight.iter().zip(bias)) {
                *h *= deviation;
                *y = *h * w + b;
            }
        }
    }
}

/// `y = weight * normalized + bias` with `normalized = (x - mean) * inverse`, per row.
pub(crate) fn layer_norm(
    x: &[f32],
    [weight, bias]: [&[f32]; 2],
    epsilon: f32,
    normalized: &mut [f32],
    inverse: &mut [f32],
    y: &mut [f32],
) {
    in_parts(
        x,
        weight.len(),
        normalized,
        inverse,
        y,
        |x, normalized, inverse, y| {
            layer_norm_rows(x, weight, bias, epsilon, normalized, inverse, y);
        },
    );
}

multiversion! {
    fn rms_norm_rows(x: &[f32], weight: &[f32], epsilon: f32, normalized: &mut [f32], inverse: &mut [f32], y: &mut [f32]) {
        let width = weight.len();
        let rows = x.chunks_exact(width).zip(normalized.chunks_exact_mut(width)).zip(inverse.iter_mut().zip(y.chunks_exact_mut(width)));
        for ((x, h), (inverse, y)) in rows {
            let deviation = 1.0 / (dot(x, x) / width as f32 + epsilon).sqrt();
            *inverse = deviation;
            for ((h, y), (x, w)) in h.iter_mut().zip(y).zip(x.iter().zip(weight)) {
                *h = x * deviation;
                *y = *h * w;
            }
        }
    }
}

/// `y = weight * normalized` with `normalized = x * inverse`, inverse = 1 / sqrt(mean square + epsilon), per row.
pub(crate) fn rms_norm(
    x: &[f32],
    weight: &[f32],
    epsilon: f32,
    normalized: &mut [f32],
    inverse: &mut [f32],
    y: &mut [f32],
) {
    in_parts(
        x,
        weight.len(),
        normalized,
        inverse,
        y,
        |x, normalized, inverse, y| {
            rms_norm_rows(x, weight, epsilon, normalized, inverse, y);
        },
    );
}

/// Has the rows of a norm computed by several threads, each some rows of `width` values: x, normalized, inverse, y.
fn in_parts(
    x: &[f32],
    width: usize,
    normalized: &mut [f32],
    inverse: &mut [f32],
    y: &mut [f32],
    compute: impl Fn(&[f32], &mut [f32], &mut [f32], &mut [f32]) + Sync,
) {
    let rows = rows_per_task(inverse.len());
    x.par_chunks(rows * width)
        .zip(normalized.par_chunks_mut(rows * width))
        .zip(inverse.par_chunks_mut(rows))
        .zip(y.par_chunks_mut(rows * width))
        .for_each(|(((x, normalized), inverse), y)| compute(x, normalized, inverse, y));
}

/// What a backward pass of a norm reads.
#[derive(Clone, Copy)]
pub(crate) struct Backward<'a> {
    /// Gradient of the output.
    pub(crate) gradient: &'a [f32],
    /// Normalized input.
    pub(crate) normalized: &'a [f32],
    /// Inverse deviation of each row.
    pub(crate) inverse: &'a [f32],
    pub(crate) weight: &'a [f32],
    /// Whether the mean was taken away (layer norm) or not (RMS norm).
    pub(crate) centered: bool,
}

multiversion! {
    fn backward_rows(saved: Backward<'_>, residual: Option<&[f32]>, dx: &mut [f32]) {
        let width = saved.weight.len();
        let mut scaled = vec![0.0_f32; width];
        for (row, (dx, inverse)) in dx.chunks_exact_mut(width).zip(saved.inverse).enumerate() {
            let range = row * width..(row + 1) * width;
            let (gradient, h) = (&saved.gradient[range.clone()], &saved.normalized[range.clone()]);
            for ((t, g), w) in scaled.iter_mut().zip(gradient).zip(saved.weight) {
                *t = g * w;
            }
            let mean = if saved.centered { sum(&scaled) / width as f32 } else { 0.0 };
            let slope = dot(&scaled, h) / width as f32;
            match residual {
                Some(residual) => {
                    for (((dx, t), h), r) in dx.iter_mut().zip(&scaled).zip(h).zip(&residual[range]) {
                        *dx = r + inverse * (t - mean - h * slope);
                    }
                }
                None => {
                    for ((dx, t), h) in dx.iter_mut().zip(&scaled).zip(h) {
                        *dx = inverse * (t - mean - h * slope);
                    }
                }
            }
        }
    }
}

/// `dx = residual + gradient of the norm's input`.
pub(crate) fn backward(saved: Backward<'_>, residual: Option<&[f32]>, dx: &mut [f32]) {
    let width = saved.weight.len();
    let rows = rows_per_task(saved.inverse.len());
    dx.par_chunks_mut(rows * width)
        .enumerate()
        .for_each(|(task, dx)| {
            let start = task * rows;
            let end = start + dx.len() / width;
            let part = Backward {
                gradient: &saved.gradient[start * width..end * width],
                normalized: &saved.normalized[start * width..end * width],
                inverse: &saved.inverse[start..end],
                ..saved
            };
            backward_rows(part, residual.map(|r| &r[start * width..end * width]), dx);
        });
}
