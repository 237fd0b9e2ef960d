//! Principal components by the eigenvectors of the covariance matrix.

use super::Embeddings;
use dpx_nn::symmetric::eigen;
use dpx_sgd::vector::vectorized;
use rayon::prelude::*;

/// The data projected on the first principal components that together explain at least `share` of the variance.
///
/// Returns the projections `[n, components]`; at least one component, at most `d`.
pub(crate) fn project(data: &Embeddings, share: f64) -> Embeddings {
    let width = data.width();
    let n = data.len();
    let mut mean = vec![0.0; width];
    for row in data.rows() {
        for (sum, &value) in mean.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
    for value in &mut mean {
        *value /= n.max(1) as f64;
    }
    let centred: Vec<f64> = data
        .rows()
        .flat_map(|row| row.iter().zip(&mean).map(|(&v, m)| f64::from(v) - m))
        .collect();
    let (values, vectors) = eigen(covariance(&centred, width), width);
    let total: f64 = values.iter().map(|value| value.max(0.0)).sum();
    let mut kept = 0;
    let mut explained = 0.0;
    while kept < width && (kept == 0 || explained < share * total) {
        explained += values[kept].max(0.0);
        kept += 1;
    }
    let projected: Vec<f32> = centred
        .par_chunks_exact(width)
        .flat_map_iter(|row| {
            vectors[..kept]
                .iter()
                .map(|vector| row.iter().zip(vector).map(|(a, b)| a * b).sum::<f64>() as f32)
                .collect::<Vec<_>>()
        })
        .collect();
    Embeddings::new(projected, kept).expect("every row gives `kept` numbers and `kept` is above 0")
}

/// Sum over rows of the outer product, `[width, width]`; the scale does not matter to shares of variance.
fn covariance(centred: &[f64], width: usize) -> Vec<f64> {
    let mut matrix = vec![0.0; width * width];
    matrix
        .par_chunks_exact_mut(width)
        .enumerate()
        .for_each(|(i, out)| {
            vectorized(Products {
                rows: centred,
                width,
                out: &mut out[..=i],
            });
        });
    for i in 0..width {
        for j in i + 1..width {
            matrix[i * width + j] = matrix[j * width + i];
        }
    }
    matrix
}

/// Adds the products of a column with those before it, over all rows.
struct Products<'a> {
    rows: &'a [f64],
    width: usize,
    /// As many as columns, the last for the column itself.
    out: &'a mut [f64],
}

impl pulp::NullaryFnOnce for Products<'_> {
    type Output = ();

    #[expect(
        clippy::inline_always,
        reason = "vector instructions reach only what is inlined"
    )]
    #[inline(always)]
    fn call(self) {
        let column = self.out.len() - 1;
        for row in self.rows.chunks_exact(self.width) {
            let left = row[column];
            for (sum, &right) in self.out.iter_mut().zip(row) {
                *sum += left * right;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_components_are_kept_where_few_explain_the_data() {
        let values = (0..40)
            .flat_map(|i| {
                let t = i as f32;
                [t, 2.0 * t + 0.01 * (i % 3) as f32, -t]
            })
            .collect();
        let projected = project(&Embeddings::new(values, 3).unwrap(), 0.9);
        assert_eq!((projected.width(), projected.len()), (1, 40));
    }
}
