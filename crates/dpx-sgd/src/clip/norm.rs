//! Squared norms of per-example gradients, bounded from above against rounding.

use super::super::fault::fault;
use super::{ParameterId, Uses};
use dpx_nn::Record;
use dpx_nn::kernel::{self, Squared, Squares, Tied};

/// Multiple of f32's unit roundoff, times the magnitude of the terms, by which a squared norm is raised: where terms cancel,
/// the computed norm can only be too large.
const SLACK: f64 = 8.0 * (f32::EPSILON as f64 / 2.0);

/// An upper bound of the squared norm. Infinite or NaN where the gradient, or its f32 products, are not finite.
fn raised(squared: Squared) -> f64 {
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
    let mut fetched = Squares::fetch(pending).into_iter();
    let mut next = || fetched.next().expect("as many as were asked for");
    uses.iter()
        .map(|(id, uses)| {
            let squares: Vec<f64> = match uses {
                Uses::Linear(_) | Uses::Embedding(_) => next().into_iter().map(raised).collect(),
                Uses::PerExample(_) => {
                    let twice = if fault!(BiasSquaredTwice) { 2.0 } else { 1.0 };
                    let of = |squared: Squared| twice * squared.value * (1.0 + squared.error);
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

fn parts_of(uses: &Uses) -> Vec<Squares> {
    match uses {
        Uses::Linear(record) | Uses::Embedding(record) | Uses::PerExample(record) => {
            vec![of_record(record)]
        }
        Uses::Tied { linear, embedding } => vec![
            of_record(linear),
            of_record(embedding),
            product_of(linear, embedding),
        ],
    }
}

fn of_record(record: &Record) -> Squares {
    match record {
        Record::Linear {
            rows,
            input,
            gradient,
            ..
        } => kernel::linear_squares(rows, input, gradient),
        Record::Embedding {
            rows,
            ids,
            gradient,
            ..
        } => kernel::embedding_squares(rows, ids, gradient),
        Record::PerExample { gradient, .. } => kernel::row_squares(gradient),
    }
}

/// <out, in>.
fn product_of(linear: &Record, embedding: &Record) -> Squares {
    if let (
        Record::Linear {
            rows: linear_rows,
            input,
            gradient: logits_gradient,
            ..
        },
        Record::Embedding {
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
    Squares::known(vec![Squared::default(); of_batch(linear)])
}

/// |out + in|^2 = |out|^2 + |in|^2 + 2 <out, in>.
fn tied([out, into, products]: [Vec<Squared>; 3]) -> Vec<f64> {
    out.into_iter()
        .zip(into)
        .zip(products)
        .map(|((out, into), product)| {
            raised(Squared {
                value: out.value + into.value + 2.0 * product.value,
                magnitude: (out.magnitude.sqrt() + into.magnitude.sqrt()).powi(2),
                error: out.error.max(into.error).max(product.error),
            })
        })
        .collect()
}

fn of_batch(record: &Record) -> usize {
    match record {
        Record::Linear { rows, .. } | Record::Embedding { rows, .. } => rows.batch(),
        Record::PerExample { gradient, .. } => gradient.rows(),
    }
}
