//! Matrix products on slices, by the `gemm` crate.

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
        gemm::Parallelism::Rayon(available)
    } else {
        gemm::Parallelism::None
    };
    let signed = |stride: usize| stride as isize;
    // SAFETY: the three assertions above keep every (row, column) of the three views inside its slice, `c` is borrowed
    // mutably and so aliases neither factor, and rows of `c` do not overlap as c_stride >= n.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            signed(c_stride),
            accumulate,
            a.data.as_ptr(),
            signed(a.column_stride),
            signed(a.row_stride),
            b.data.as_ptr(),
            signed(b.column_stride),
            signed(b.row_stride),
            1.0_f32,
            1.0_f32,
            false,
            false,
            false,
            parallelism,
        );
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

    #[test]
    fn an_empty_sum_is_zero() {
        let mut c = vec![7.0; 4];
        let empty = Matrix::new(&[], 2);
        matmul([2, 0, 2], empty, empty, &mut c, 2, false, Threads::All);
        assert_eq!(c, vec![0.0; 4]);
    }
}
