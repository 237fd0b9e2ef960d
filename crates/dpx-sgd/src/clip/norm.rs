//! Squared norms of per-example gradients, bounded from above against rounding.

use super::super::fault::fault;
use super::{ParameterId, Uses};
use dpx_nn::GradSample;
use dpx_nn::kernel::{self, SquaredNorm, SquaredNorms, Tied};

/// Multiple of f32's unit roundoff, times the magnitude of the terms, by which a squared norm is raised: where terms cancel,
/// the computed norm can only be too large.
const SLACK: f64 = 8.0 * (f32::EPSILON as f64 / 2.0);

/// An upper bound of the squared norm. Infinite or NaN where the gradient, or its f32 products, are not finite.
fn raised(squared: SquaredNorm) -> f64 {
    let bound = (SLACK + squared.error) * squared.magnitude;
    if squared.value < 0.0 {
        bound
    } else {
        squared.value + bound
    }
}

/// For every tensor the squared norm of each example's gradient.
pub(super) fn squares(uses: &[(ParameterId, Uses)]) -> Vec<Vec<f64>> {
    // Asked for all together, as a device is waited for each time.
    let pending = uses.iter().flat_map(|(_, uses)| parts_of(uses)).collect();
    let mut fetched = SquaredNorms::fetch(pending).into_iter();
    let mut next = || fetched.next().expect("as many as were asked for");
    uses.iter()
        .map(|(id, uses)| {
            let squares: Vec<f64> = match uses {
                Uses::Linear(_) | Uses::Embedding(_) => next().into_iter().map(raised).collect(),
                Uses::PerExample(_) => {
                    let twice = if fault!(BiasSquaredTwice) { 2.0 } else { 1.0 };
                    let of = |squared: SquaredNorm| twice * squared.value * (1.0 + squared.error);
                    next().into_iter().map(of).collect()
                }
                Uses::Tied { .. } => tied([next(), next(), next()]),
            };
            #[cfg(any(test, feature = "fault-injection"))]
            if fault!(TensorOutOfNorm) && id.index() == crate::fault::left_out() {
                return vec![0.0; squares.len()];
            }
            let _ = id;
            squares
        })
        .collect()
}

fn parts_of(uses: &Uses) -> Vec<SquaredNorms> {
    match uses {
        Uses::Linear(sample) | Uses::Embedding(sample) | Uses::PerExample(sample) => {
            vec![of_grad_sample(sample)]
        }
        Uses::Tied { linear, embedding } => vec![
            of_grad_sample(linear),
            of_grad_sample(embedding),
            product_of(linear, embedding),
        ],
    }
}

fn of_grad_sample(sample: &GradSample) -> SquaredNorms {
    match sample {
        GradSample::Linear {
            rows,
            input,
            gradient,
            ..
        } => kernel::linear_squared_norms(rows, input, gradient),
        GradSample::Embedding {
            rows,
            ids,
            gradient,
            ..
        } => kernel::embedding_squared_norms(rows, ids, gradient),
        GradSample::PerExample { gradient, .. } => kernel::row_squared_norms(gradient),
    }
}

/// <out, in>.
fn product_of(linear: &GradSample, embedding: &GradSample) -> SquaredNorms {
    if let (
        GradSample::Linear {
            rows: linear_rows,
            input,
            gradient: logits_gradient,
            ..
        },
        GradSample::Embedding {
            rows: embedding_rows,
            ids,
            gradient: embedding_gradient,
            ..
        },
        false,
    ) = (linear, embedding, fault!(TiedCrossDropped))
    {
        return kernel::tied_products(Tied {
            linear_rows,
            input,
            logits_gradient,
            embedding_rows,
            ids,
            embedding_gradient,
        });
    }
    SquaredNorms::known(vec![SquaredNorm::default(); of_batch(linear)])
}

/// |out + in|^2 = |out|^2 + |in|^2 + 2 <out, in>.
fn tied([out, into, products]: [Vec<SquaredNorm>; 3]) -> Vec<f64> {
    out.into_iter()
        .zip(into)
        .zip(products)
        .map(|((out, into), product)| {
            raised(SquaredNorm {
                value: out.value + into.value + 2.0 * product.value,
                magnitude: (out.magnitude.sqrt() + into.magnitude.sqrt()).powi(2),
                error: out.error.max(into.error).max(product.error),
            })
        })
        .collect()
}

fn of_batch(sample: &GradSample) -> usize {
    match sample {
        GradSample::Linear { rows, .. } | GradSample::Embedding { rows, .. } => rows.batch(),
        GradSample::PerExample { gradient, .. } => gradient.rows(),
    }
}
