//! Parts of matrices in bfloat16 or 8 bits as f32, and products with such matrices.

use super::level::multiversion;
use super::matmul::{Matrix, Threads, matmul};
use crate::kernel::{Factor, Side};
use crate::pool::Buffer;
use crate::rounded::{BLOCK, RoundedMatrix};
use rayon::prelude::*;
use std::ops::Range;

/// Least columns of a product that are computed at once, so that their rows are computed alike however many there are
/// ([`rows_computed_alike`](crate::kernel::rows_computed_alike)).
const LEAST_COLUMNS: usize = 64;

/// Values below which one thread widens.
const FOR_ONE_THREAD: usize = 1 << 14;

multiversion! {
    fn bf16_row(values: &[u16], out: &mut [f32]) {
        for (out, &value) in out.iter_mut().zip(values) {
            *out = f32::from_bits(u32::from(value) << 16);
        }
    }
}

multiversion! {
    fn int8_row(values: &[i8], scale: f32, out: &mut [f32]) {
        for (out, &value) in out.iter_mut().zip(values) {
            *out = f32::from(value) * scale;
        }
    }
}

/// Calls `widen(row, columns of it, place)` for each row.
fn each_row(
    rows: Range<usize>,
    columns: &Range<usize>,
    out: &mut [f32],
    widen: impl Fn(usize, &mut [f32]) + Sync,
) {
    let width = columns.len();
    if width == 0 {
        return;
    }
    if out.len() < FOR_ONE_THREAD {
        for (row, out) in rows.zip(out.chunks_exact_mut(width)) {
            widen(row, out);
        }
        return;
    }
    let first = rows.start;
    out.par_chunks_exact_mut(width)
        .with_min_len((FOR_ONE_THREAD / width).max(1))
        .enumerate()
        .for_each(|(row, out)| widen(first + row, out));
}

/// Rows and columns of a matrix of bfloat16.
pub(crate) fn widen_bf16(
    values: &[u16],
    width: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    out: &mut [f32],
) {
    each_row(rows, &columns, out, |row, out| {
        bf16_row(&values[row * width..][columns.clone()], out);
    });
}

/// Rows and columns of a matrix of 8 bits with a scale a row.
pub(crate) fn widen_int8(
    values: &[i8],
    scales: &[f32],
    width: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    out: &mut [f32],
) {
    each_row(rows, &columns, out, |row, out| {
        int8_row(&values[row * width..][columns.clone()], scales[row], out);
    });
}

/// The columns of a product `[m, n]` with inner dimension `k` that are computed at once.
pub(crate) fn blocks(n: usize, k: usize) -> impl Iterator<Item = Range<usize>> {
    let count = (n * k / BLOCK).min(n / LEAST_COLUMNS).max(1);
    (0..count).map(move |block| block * n / count..(block + 1) * n / count)
}

/// `c (+)= a b`, where b is held in fewer bits: widened and multiplied by blocks of columns of the product, so that each value of
/// it is one sum, as in the product with the whole matrix.
pub(crate) fn multiply(
    a: Factor<'_>,
    matrix: &RoundedMatrix,
    side: Side,
    c: &mut [f32],
    accumulate: bool,
) {
    let [rows, width] = matrix.dims();
    let [k, n] = match side {
        Side::Plain => [rows, width],
        Side::Transposed => [width, rows],
    };
    let m = c.len() / n.max(1);
    for block in blocks(n, k) {
        if m == 0 {
            return;
        }
        let mut wide = Buffer::stale(block.len() * k);
        let b = match side {
            Side::Plain => {
                matrix.widen(0..k, block.clone(), &mut wide);
                Matrix::new(&wide, block.len())
            }
            Side::Transposed => {
                matrix.widen(block.clone(), 0..k, &mut wide);
                Matrix::transposed(&wide, k)
            }
        };
        let dims = [m, k, block.len()];
        let c = &mut c[block.start..];
        matmul(dims, a.view(), b, c, n, accumulate, Threads::All);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Array, Initializer, kernel};
    use dpx_schema::params::BasePrecision;

    /// Several blocks, on either side, added to what is there or not: the bits of the product with the whole matrix in f32.
    #[test]
    fn a_product_in_blocks_has_the_bits_of_the_whole_product() {
        let random = |seed, shape: &[usize]| Initializer::new(seed).normal(shape, 1.0);
        for precision in [BasePrecision::Bf16, BasePrecision::Int8] {
            let [rows, width] = [1024, 2100];
            let mut matrix = RoundedMatrix::with_capacity(precision, rows, width).unwrap();
            matrix.push_rows(random(1, &[rows, width]).host());
            let matrix = Array::rounded(matrix);
            let wide = matrix.widened();
            for (side, inner, outputs) in
                [(Side::Plain, rows, width), (Side::Transposed, width, rows)]
            {
                assert!(blocks(outputs, inner).count() > 1);
                let x = random(2, &[70, inner]);
                let bits = |b: &Array| {
                    let mut sum = random(3, &[70, outputs]);
                    kernel::matmul_add(&mut sum, &x, Side::Plain, b, side);
                    let product = kernel::matmul(&x, Side::Plain, b, side);
                    let all = product.host().iter().chain(sum.host());
                    all.map(|value| value.to_bits()).collect::<Vec<_>>()
                };
                assert!(bits(&matrix) == bits(&wide), "{precision:?} {side:?}");
            }
        }
    }

    #[test]
    fn blocks_are_wide_enough_and_cover_everything() {
        for (n, k) in [
            (1, 1),
            (63, 1 << 20),
            (5632, 2048),
            (32_000, 2048),
            (130, 1 << 20),
        ] {
            let all: Vec<_> = blocks(n, k).collect();
            assert_eq!(all[0].start, 0);
            assert_eq!(all[all.len() - 1].end, n);
            assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start));
            let least = all.iter().map(ExactSizeIterator::len).min().unwrap();
            assert!(least >= LEAST_COLUMNS.min(n), "{n} {k}");
        }
        assert_eq!(blocks(5632, 2048).count(), 11);
    }
}
