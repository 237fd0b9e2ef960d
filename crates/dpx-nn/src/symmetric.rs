//! Eigenvalues and eigenvectors of symmetric matrices, in f64.
//!
//! Householder reduction to tridiagonal form, then implicit QL: the algorithm of EISPACK's `tred2` and `tql2`
//! (Martin, Reinsch, Wilkinson 1968; Bowdler et al. 1968). The bits do not depend on the number of threads.

use rayon::prelude::*;

/// Eigenvalues of a symmetric matrix `[n, n]` in falling order, and their unit eigenvectors.
pub fn eigen(matrix: Vec<f64>, n: usize) -> (Vec<f64>, Vec<Vec<f64>>) {
    // `columns[k]` holds column k of the accumulated transformation, so that rotations touch contiguous memory.
    let (mut diagonal, mut off, mut columns) = tridiagonal(matrix, n);
    implicit_ql(&mut diagonal, &mut off, &mut columns);
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| diagonal[b].total_cmp(&diagonal[a]));
    let values = order.iter().map(|&index| diagonal[index]).collect();
    let vectors = order
        .iter()
        .map(|&index| std::mem::take(&mut columns[index]))
        .collect();
    (values, vectors)
}

/// Householder reduction: diagonal, sub-diagonal (`off[i]` couples i-1 and i), and the columns of Q with A = Q T Q'.
fn tridiagonal(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>, Vec<Vec<f64>>) {
    let mut reflections: Vec<(Vec<f64>, f64)> = Vec::with_capacity(n);
    let mut off = vec![0.0; n];
    for k in 0..n.saturating_sub(2) {
        // The reflection that maps column k below the diagonal onto its first entry.
        let mut v: Vec<f64> = (k + 1..n).map(|i| a[i * n + k]).collect();
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm == 0.0 {
            reflections.push((v, 0.0));
            continue;
        }
        let alpha = if v[0] > 0.0 { -norm } else { norm };
        v[0] -= alpha;
        let square: f64 = v.iter().map(|x| x * x).sum();
        let beta = if square > 0.0 { 2.0 / square } else { 0.0 };
        off[k + 1] = alpha;
        let m = n - k - 1;
        let sub = |i: usize, j: usize| (k + 1 + i) * n + (k + 1 + j);
        let p: Vec<f64> = (0..m)
            .into_par_iter()
            .map(|i| {
                let start = sub(i, 0);
                beta * a[start..start + m]
                    .iter()
                    .zip(&v)
                    .map(|(x, y)| x * y)
                    .sum::<f64>()
            })
            .collect();
        let factor = 0.5 * beta * p.iter().zip(&v).map(|(x, y)| x * y).sum::<f64>();
        let w: Vec<f64> = p.iter().zip(&v).map(|(x, y)| x - factor * y).collect();
        a[(k + 1) * n..]
            .par_chunks_exact_mut(n)
            .enumerate()
            .for_each(|(i, row)| {
                let (vi, wi) = (v[i], w[i]);
                for ((value, vj), wj) in row[k + 1..].iter_mut().zip(&v).zip(&w) {
                    *value -= vi * wj + wi * vj;
                }
            });
        reflections.push((v, beta));
    }
    if n >= 2 {
        off[n - 1] = a[(n - 1) * n + n - 2];
    }
    let diagonal = (0..n).map(|i| a[i * n + i]).collect();
    // Q = H_0 H_1 ...; each column of the identity goes through the reflections from the last to the first.
    let columns = (0..n)
        .into_par_iter()
        .map(|column| {
            let mut q = vec![0.0; n];
            q[column] = 1.0;
            for (k, (v, beta)) in reflections.iter().enumerate().rev() {
                let part = &mut q[k + 1..];
                let dot = beta * part.iter().zip(v).map(|(x, y)| x * y).sum::<f64>();
                if dot != 0.0 {
                    for (x, y) in part.iter_mut().zip(v) {
                        *x -= dot * y;
                    }
                }
            }
            q
        })
        .collect();
    (diagonal, off, columns)
}

/// Implicit QL with Wilkinson shifts on a tridiagonal matrix, turning the columns of the transformation along.
fn implicit_ql(d: &mut [f64], e: &mut [f64], columns: &mut [Vec<f64>]) {
    let n = d.len();
    if n == 0 {
        return;
    }
    e.rotate_left(1);
    e[n - 1] = 0.0;
    for l in 0..n {
        for _ in 0..60 {
            let m = (l..n - 1)
                .find(|&m| e[m].abs() <= f64::EPSILON * (d[m].abs() + d[m + 1].abs()))
                .unwrap_or(n - 1);
            if m == l {
                break;
            }
            let mut g = (d[l + 1] - d[l]) / (2.0 * e[l]);
            let mut r = g.hypot(1.0);
            g = d[m] - d[l] + e[l] / (g + r.copysign(g));
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            let mut early = false;
            for i in (l..m).rev() {
                let f = s * e[i];
                let b = c * e[i];
                r = f.hypot(g);
                e[i + 1] = r;
                if r == 0.0 {
                    d[i + 1] -= p;
                    e[m] = 0.0;
                    early = true;
                    break;
                }
                s = f / r;
                c = g / r;
                g = d[i + 1] - p;
                r = (d[i] - g) * s + 2.0 * c * b;
                p = s * r;
                d[i + 1] = g + p;
                g = c * r - b;
                let (left, right) = columns.split_at_mut(i + 1);
                for (x, y) in left[i].iter_mut().zip(right[0].iter_mut()) {
                    let old = *y;
                    *y = s * *x + c * old;
                    *x = c * *x - s * old;
                }
            }
            if early {
                continue;
            }
            d[l] -= p;
            e[l] = g;
            e[m] = 0.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvectors_rebuild_the_matrix() {
        for n in [1, 2, 3, 8, 33] {
            let mut matrix = vec![0.0; n * n];
            for i in 0..n {
                for j in 0..=i {
                    let value = ((i * 31 + j * 17 + i * j) % 23) as f64 - 11.0;
                    matrix[i * n + j] = value;
                    matrix[j * n + i] = value;
                }
            }
            let (values, vectors) = eigen(matrix.clone(), n);
            assert!(values.windows(2).all(|pair| pair[0] >= pair[1]));
            for i in 0..n {
                for j in 0..n {
                    let rebuilt: f64 = (0..n)
                        .map(|k| values[k] * vectors[k][i] * vectors[k][j])
                        .sum();
                    assert!((rebuilt - matrix[i * n + j]).abs() < 1e-9, "{n} {i} {j}");
                    let dot: f64 = (0..n).map(|k| vectors[i][k] * vectors[j][k]).sum();
                    assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-10);
                }
            }
        }
    }
}
