//! Book-keeping clipping (Bu et al. 2023): from the gradient samples of one backward pass, the sum of the clipped per-example gradients.
//!
//! Per-example gradients never stand in memory. Their norms come from the factors that a [`Tape`](dpx_nn::Tape) holds,
//! the clipped sum from one matrix product per layer.

mod factors;
mod in_parts;
mod norm;
mod sum;
#[cfg(test)]
pub(crate) mod tests;

pub use factors::Clipping;
pub use in_parts::GradientError;
pub(crate) use in_parts::clipped_gradient;
pub use sum::{ClippedSum, clipped_sum};

use dpx_nn::{GradSample, ParameterId, Parameters, Tape};

/// Why a backward pass cannot be clipped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClipError {
    /// A trainable parameter without a record: its gradient would be neither bounded nor summed.
    #[error(
        "parameter `{0}` is trainable, but the model's backward pass does not record it; freeze it"
    )]
    NotRecorded(String),
    /// Uses of one parameter whose joint norm has no formula here.
    #[error(
        "parameter `{0}` is used in a way whose per-example gradients are not supported; freeze it"
    )]
    Unsupported(String),
}

/// The uses of one trainable parameter.
enum Uses {
    Linear(GradSample),
    Embedding(GradSample),
    PerExample(GradSample),
    /// As output layer and as embedding.
    Tied {
        linear: GradSample,
        embedding: GradSample,
    },
}

/// Uses of every trainable parameter, in the order of the registry: each exactly once.
fn group(parameters: &Parameters, tape: Tape) -> Result<Vec<(ParameterId, Uses)>, ClipError> {
    let found = found(parameters, tape.grad_samples)?;
    let missing = parameters
        .trainable_ids()
        .into_iter()
        .find(|id| !found.iter().any(|(there, _)| there == id));
    match missing {
        Some(id) => Err(ClipError::NotRecorded(parameters.get(id).name.clone())),
        None => Ok(found),
    }
}

/// Uses of the trainable parameters that gradient samples are of, in the order of the registry: each exactly once.
fn found(
    parameters: &Parameters,
    samples: Vec<GradSample>,
) -> Result<Vec<(ParameterId, Uses)>, ClipError> {
    let mut grad_samples: Vec<Vec<GradSample>> =
        (0..parameters.len()).map(|_| Vec::new()).collect();
    for sample in samples {
        grad_samples[sample.parameter().index()].push(sample);
    }
    let mut uses_of_each = Vec::new();
    for id in parameters.trainable_ids() {
        let unsupported = || ClipError::Unsupported(parameters.get(id).name.clone());
        let mut found = std::mem::take(&mut grad_samples[id.index()]);
        let Some(last) = found.pop() else {
            continue;
        };
        let uses = match (last, found.pop()) {
            (sample @ GradSample::Linear { .. }, None) => Uses::Linear(sample),
            (sample @ GradSample::Embedding { .. }, None) => Uses::Embedding(sample),
            (sample @ GradSample::PerExample { .. }, None) => Uses::PerExample(sample),
            (
                embedding @ GradSample::Embedding { .. },
                Some(linear @ GradSample::Linear { .. }),
            )
            | (
                linear @ GradSample::Linear { .. },
                Some(embedding @ GradSample::Embedding { .. }),
            ) => Uses::Tied { linear, embedding },
            _ => return Err(unsupported()),
        };
        if !found.is_empty() {
            return Err(unsupported());
        }
        uses_of_each.push((id, uses));
    }
    Ok(uses_of_each)
}
