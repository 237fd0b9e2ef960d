//! Matrix products on slices, by the `gemm` crate.

use gemm_common::Parallelism;
/// A view of a matrix: entry (i, j) is `data[i * row_stride + j * column_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    data: &'a [f32],
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Row-major, `stride` values from one row to the next.
    pub(crate) const fn new(data: &'a [f32], stride: usize) -> Self {
        Self {
            data,
            row_stride: stride,
            column_stride: 1,
        }
    }

    /// The transpose of a row-major matrix of `stride` values from one row to the next.
    pub(crate) const fn transposed(data: &'a [f32], stride: usize) -> Self {
        Self {
            data,
            row_stride: 1,
            column_stride: stride,
        }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        rows == 0
            || columns == 0
            || (rows - 1) * self.row_stride + (columns - 1) * self.column_stride < self.data.len()
    }
}

/// Whether a product may use all threads; products inside a parallel loop must not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    /// The calling thread.
    One,
    /// The rayon pool.
    All,
}

/// `c[m, n] (+)= a[m, k] b[k, n]`; c is row-major with `c_stride` values from row to row.
#[expect(unsafe_code, reason = "the gemm crate takes pointers")]
pub(crate) fn matmul(
    [m, k, n]: [usize; 3],
    a: Matrix<'_>,
    b: Matrix<'_>,
    c: &mut [f32],
    c_stride: usize,
    accumulate: bool,
    threads: Threads,
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(
        c_stride >= n && (m - 1) * c_stride + n <= c.len(),
        "the product does not fit"
    );
    if k == 0 {
        if !accumulate {
            for row in c.chunks_mut(c_stride).take(m) {
                row[..n].fill(0.0);
            }
        }
        return;
    }
    assert!(
        a.holds(m, k) && b.holds(k, n),
        "a factor is smaller than its shape"
    );
    let available = rayon::current_num_threads();
    let parallelism = if threads == Threads::All && available > 1 {
        Parallelism::Rayon(available)
    } else {
        Parallelism::None
    };
    let signed = |stride: usize| stride as isize;
    let strides = |matrix: &Matrix<'_>| (signed(matrix.column_stride), signed(matrix.row_stride));
    let ((a_cs, a_rs), (b_cs, b_rs)) = (strides(&a), strides(&b));
    let (a, b, c) = (a.data.as_ptr(), b.data.as_ptr(), c.as_mut_ptr());
    let c_rs = signed(c_stride);
    let multiply = gemm_f32::gemm::f32::get_gemm_fn();
    // The kernel prefers a product that is stored by columns: the transposed product of the transposed factors is.
    // SAFETY: the three assertions above keep every (row, column) of the three views inside its slice, `c` is borrowed
    // mutably and so aliases neither factor, and rows of `c` do not overlap as c_stride >= n.
    unsafe {
        if c_stride > 1 {
            multiply(
                n,
                m,
                k,
                c,
                c_rs,
                1,
                accumulate,
                b,
                b_rs,
                b_cs,
                a,
                a_rs,
                a_cs,
                1.0,
                1.0,
                false,
                false,
                false,
                parallelism,
            );
        } else {
            multiply(
                m,
                n,
                k,
                c,
                1,
                c_rs,
                accumulate,
                a,
                a_cs,
                a_rs,
                b,
                b_cs,
                b_rs,
                1.0,
                1.0,
                false,
                false,
                false,
                parallelism,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_layouts_agree_with_the_definition() {
        let (m, k, n) = (3, 5, 4);
        let a: Vec<f32> = (0..m * k).map(|i| (i as f32).sin()).collect();
        let b: Vec<f32> = (0..k * n).map(|i| (i as f32).cos()).collect();
        let mut want = vec![0.0; m * n];
        for i in 0..m {
            for j in 0..n {
                want[i * n + j] = (0..k).map(|l| a[i * k + l] * b[l * n + j]).sum();
            }
        }
        let transpose = |x: &[f32], rows: usize, columns: usize| -> Vec<f32> {
            (0..rows * columns)
                .map(|i| x[(i % rows) * columns + i / rows])
                .collect()
        };
        let (at, bt) = (transpose(&a, m, k), transpose(&b, k, n));
        for (a, b) in [
            (Matrix::new(&a, k), Matrix::new(&b, n)),
            (Matrix::new(&a, k), Matrix::transposed(&bt, k)),
            (Matrix::transposed(&at, m), Matrix::new(&b, n)),
        ] {
            let mut c = vec![7.0; m * n];
            matmul([m, k, n], a, b, &mut c, n, false, Threads::All);
            for (x, y) in c.iter().zip(&want) {
                assert!((x - y).abs() < 1e-5);
            }
            matmul([m, k, n], a, b, &mut c, n, true, Threads::One);
            for (x, y) in c.iter().zip(&want) {
                assert!((x - 2.0 * y).abs() < 1e-5);
            }
        }
    }

    /// Rule 56: what `rows_computed_alike` says, over shapes on both sides of every threshold of `gemm`.
    #[test]
    fn a_row_of_a_product_does_not_depend_on_the_others() {
        use crate::kernel::rows_computed_alike;
        let value = |i: usize, j: usize| ((i * 7919 + j * 104_729 + i * j) as f32).sin();
        for [k, n] in [
            [1, 8],
            [2, 8],
            [3, 1],
            [8, 2],
            [8, 3],
            [16, 64],
            [64, 16],
            [300, 65],
            [513, 40],
            [600, 130],
            [1100, 33],
            [2100, 7],
        ] {
            let least = rows_computed_alike(n);
            let most = least + 140;
            let b: Vec<f32> = (0..k * n).map(|at| value(at / n, at % n)).collect();
            let bt: Vec<f32> = (0..k * n).map(|at| value(at % k, at / k)).collect();
            let a: Vec<f32> = (0..most * k).map(|at| value(at / k + 3, at % k)).collect();
            for plain in [true, false] {
                let product = |first: usize, rows: usize, threads| {
                    let mut c = vec![0.0; rows * n];
                    let a = Matrix::new(&a[first * k..], k);
                    let b = if plain {
                        Matrix::new(&b, n)
                    } else {
                        Matrix::transposed(&bt, k)
                    };
                    matmul([rows, k, n], a, b, &mut c, n, false, threads);
                    c
                };
                let whole = product(0, most, Threads::All);
                for (first, rows) in [
                    (0, least),
                    (1, least),
                    (5, least + 1),
                    (7, least + 31),
                    (10, least + 64),
                    (13, most - 13),
                ] {
                    for threads in [Threads::One, Threads::All] {
                        let part = product(first, rows, threads);
                        let same = part
                            .iter()
                            .zip(&whole[first * n..])
                            .all(|(x, y)| x.to_bits() == y.to_bits());
                        assert!(same, "{rows} rows from {first}, k {k}, n {n}, {plain}");
                    }
                }
            }
        }
    }

    #[test]
    fn an_empty_sum_is_zero() {
        let mut c = vec![7.0; 4];
        let empty = Matrix::new(&[], 2);
        matmul([2, 0, 2], empty, empty, &mut c, 2, false, Threads::All);
        assert_eq!(c, vec![0.0; 4]);
    }
}
