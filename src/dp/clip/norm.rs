//! Squared norms of per-example gradients, bounded from above against rounding.

use super::super::twin::twin;
use super::{ParameterId, Uses};
use crate::nn::Record;
use crate::nn::kernel::{self, Squared, Tied};

/// Multiple of f32's unit roundoff, times the magnitude of the terms, by which a squared norm is raised: where terms cancel,
/// the computed norm can only be too large.
const SLACK: f64 = 8.0 * (f32::EPSILON as f64 / 2.0);

/// An upper bound of the squared norm. Infinite or NaN where the gradient, or its f32 products, are not finite.
fn raised(squared: Squared) -> f64 {
    let bound = SLACK * squared.magnitude;
    if squared.value < 0.0 {
        bound
    } else {
        squared.value + bound
    }
}

/// For every tensor the squared norm of each example's gradient.
pub(super) fn squares(uses: &[(ParameterId, Uses)]) -> Vec<Vec<f64>> {
    uses.iter()
        .map(|(id, uses)| {
            let squares = of_tensor(uses);
            #[cfg(test)]
            if twin!(TensorOutOfNorm) && id.index() == crate::dp::twin::left_out() {
                return vec![0.0; squares.len()];
            }
            let _ = id;
            squares
        })
        .collect()
}

fn of_tensor(uses: &Uses) -> Vec<f64> {
    match uses {
        Uses::Linear(record) | Uses::Embedding(record) => {
            of_record(record).into_iter().map(raised).collect()
        }
        Uses::PerExample(record) => {
            let twice = if twin!(BiasSquaredTwice) { 2.0 } else { 1.0 };
            of_record(record)
                .into_iter()
                .map(|squared| twice * squared.value)
                .collect()
        }
        Uses::Tied { linear, embedding } => tied(linear, embedding),
    }
}

fn of_record(record: &Record) -> Vec<Squared> {
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
        Record::PerExample { gradient, .. } => kernel::row_squares(gradient)
            .into_iter()
            .map(|value| Squared {
                value,
                magnitude: value,
            })
            .collect(),
    }
}

/// |out + in|^2 = |out|^2 + |in|^2 + 2 <out, in>.
fn tied(linear: &Record, embedding: &Record) -> Vec<f64> {
    let mut products = vec![0.0; of_batch(linear)];
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
    ) = (linear, embedding, twin!(TiedCrossDropped))
    {
        products = kernel::tied_products(Tied {
            linear_rows,
            input,
            logits_gradient,
            embedding_rows,
            ids,
            embedding_gradient,
        });
    }
    of_record(linear)
        .into_iter()
        .zip(of_record(embedding))
        .zip(products)
        .map(|((out, into), product)| {
            raised(Squared {
                value: out.value + into.value + 2.0 * product,
                magnitude: (out.magnitude.sqrt() + into.magnitude.sqrt()).powi(2),
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
