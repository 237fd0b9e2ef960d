//! The plain sum of a batch's gradients, without any bound: for public data and for epsilon = infinity.

use crate::nn::kernel::{self, Side};
use crate::nn::{Array, Layout, Parameters, Record, Tape};

/// The sum over the examples of a tape: one array per trainable parameter, in the order of the registry.
pub fn plain_sum(parameters: &Parameters, tape: Tape) -> Vec<Array> {
    let ids = parameters.trainable_ids();
    let mut sums: Vec<Array> = ids
        .iter()
        .map(|&id| Array::zeros(parameters.value(id).shape()))
        .collect();
    let mut place = vec![None; parameters.len()];
    for (index, id) in ids.iter().enumerate() {
        place[id.index()] = Some(index);
    }
    for record in tape.records {
        let Some(place) = place[record.parameter().index()] else {
            continue;
        };
        let sum = &mut sums[place];
        match record {
            Record::Linear {
                layout,
                input,
                gradient,
                ..
            } => {
                let (a, b) = match layout {
                    Layout::InOut => (&input, &gradient),
                    Layout::OutIn => (&gradient, &input),
                };
                kernel::matmul_add(sum, a, Side::Transposed, b, Side::Plain);
            }
            Record::Embedding { ids, gradient, .. } => {
                kernel::scatter_add(sum, &ids, &gradient, &vec![Some(1.0); ids.len()]);
            }
            Record::PerExample { gradient, .. } => {
                kernel::weighted_sum(sum, &gradient, &vec![Some(1.0); gradient.rows()]);
            }
        }
    }
    sums
}
