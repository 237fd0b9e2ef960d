//! Book-keeping clipping (Bu et al. 2023): from the gradient samples of one backward pass, the sum of the clipped per-example gradients.
//!
//! Per-example gradients never stand in memory. Their norms come from the factors that a [`Tape`](dpx_nn::Tape) holds,
//! the clipped sum from one matrix product per layer.

mod factors;
mod norm;
mod sum;
#[cfg(test)]
pub(crate) mod tests;

pub use factors::Clipping;
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
    let mut grad_samples: Vec<Vec<GradSample>> =
        (0..parameters.len()).map(|_| Vec::new()).collect();
    for sample in tape.grad_samples {
        grad_samples[sample.parameter().index()].push(sample);
    }
    parameters
        .trainable_ids()
        .into_iter()
        .map(|id| {
            let name = || parameters.get(id).name.clone();
            let mut found = std::mem::take(&mut grad_samples[id.index()]);
            let last = found.pop().ok_or_else(|| ClipError::NotRecorded(name()))?;
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
                _ => return Err(ClipError::Unsupported(name())),
            };
            if found.is_empty() {
                Ok((id, uses))
            } else {
                Err(ClipError::Unsupported(name()))
            }
        })
        .collect()
}
