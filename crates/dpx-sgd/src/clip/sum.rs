//! The clipped sum: one matrix product per layer, the factor of each example on the narrower side.

use super::factors::{Clipping, Factors};
use super::{ClipError, Uses, group, norm};
use dpx_nn::kernel::{self, Side};
use dpx_nn::{Array, GradSample, Layout, PackedLayout, Parameters, Tape};

/// Sum over the examples of a micro-batch of their clipped gradients. Everything in it is private.
#[derive(Debug, Clone)]
pub struct ClippedSum {
    /// One array for each trainable parameter, in the order of the registry and of the parameter's shape.
    pub gradients: Vec<Array>,
    /// Loss of each example. Private: never to be shown outside internal logs.
    pub losses: Vec<f64>,
    /// Upper bound of each example's gradient norm before clipping; empty for [`Clipping::None`]. Not finite for an example
    /// that was removed. Private.
    pub norms: Vec<f64>,
}

/// Bounds each example's gradient and adds them up. An example whose gradient is not finite adds nothing.
///
/// # Errors
/// When a trainable parameter is not recorded, or used in a way that has no formula here. It does not depend on data.
pub fn clipped_sum(
    parameters: &Parameters,
    mut tape: Tape,
    clipping: Clipping,
    max_grad_norm: f64,
) -> Result<ClippedSum, ClipError> {
    let losses = std::mem::take(&mut tape.losses);
    let uses = group(parameters, tape)?;
    let factors = if clipping == Clipping::None {
        Factors::ones(losses.len())
    } else {
        Factors::new(&norm::squares(&uses), losses.len(), clipping, max_grad_norm)
    };
    let gradients = uses
        .into_iter()
        .enumerate()
        .map(|(tensor, (id, uses))| sum_of(uses, parameters.value(id), factors.of(tensor)))
        .collect();
    Ok(ClippedSum {
        gradients,
        losses,
        norms: factors.norms,
    })
}

pub(super) fn sum_of(uses: Uses, like: &Array, factors: &[Option<f32>]) -> Array {
    match uses {
        Uses::Linear(sample) => linear_sum(sample, factors),
        Uses::Embedding(sample) | Uses::PerExample(sample) => {
            let mut sum = Array::zeros_on(like.shape(), like.device());
            add_to(&mut sum, sample, factors);
            sum
        }
        Uses::Tied { linear, embedding } => {
            let mut sum = linear_sum(linear, factors);
            add_to(&mut sum, embedding, factors);
            sum
        }
    }
}

fn linear_sum(sample: GradSample, factors: &[Option<f32>]) -> Array {
    let GradSample::Linear {
        layout,
        rows,
        input,
        gradient,
        ..
    } = sample
    else {
        unreachable!("grouped as a linear layer")
    };
    let (input, gradient) = if input.width() <= gradient.width() {
        let (input, gradient) = scaled(&rows, input, gradient, factors);
        (input, gradient)
    } else {
        let (gradient, input) = scaled(&rows, gradient, input, factors);
        (input, gradient)
    };
    match layout {
        Layout::InOut => kernel::precise_matmul(&input, Side::Transposed, &gradient, Side::Plain),
        Layout::OutIn => kernel::precise_matmul(&gradient, Side::Transposed, &input, Side::Plain),
    }
}

/// The narrow side times the factors. Rows of removed examples become zero on both sides, as 0 x NaN is NaN.
fn scaled(
    rows: &PackedLayout,
    narrow: Array,
    wide: Array,
    factors: &[Option<f32>],
) -> (Array, Array) {
    if factors.iter().all(|&factor| factor == Some(1.0)) {
        return (narrow, wide);
    }
    let narrow = kernel::scaled_rows(&narrow, &rows.spread(factors));
    if factors.iter().all(Option::is_some) {
        return (narrow, wide);
    }
    let kept: Vec<_> = factors.iter().map(|factor| factor.map(|_| 1.0)).collect();
    (narrow, kernel::scaled_rows(&wide, &rows.spread(&kept)))
}

fn add_to(sum: &mut Array, sample: GradSample, factors: &[Option<f32>]) {
    match sample {
        GradSample::PerExample { gradient, .. } => kernel::weighted_sum(sum, &gradient, factors),
        GradSample::Embedding {
            rows,
            ids,
            gradient,
            ..
        } => kernel::scatter_add(sum, &ids, &gradient, &rows.spread(factors)),
        GradSample::Linear { .. } => unreachable!("grouped as an embedding or a vector"),
    }
}
