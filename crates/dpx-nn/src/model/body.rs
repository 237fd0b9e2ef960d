//! The part of a model below its head: tokens in, hidden states out.

use super::bert::{self, Bert};
use super::decoder::{self, Decoder};
use crate::{Array, Batch, Network, PackedLayout, Parameters, Tape};

/// A body of any architecture.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// Blocks with norms before their layers.
    Decoder(Decoder),
    /// Blocks with norms behind their layers.
    Bert(Bert),
}

/// What the backward pass of a body needs.
pub(super) enum Saved {
    Decoder(Box<decoder::BodySaved>),
    Bert(Box<bert::BodySaved>),
}

impl Body {
    /// The registry; a head's parameters stand in it too.
    pub(crate) fn parameters(&self) -> &Parameters {
        match self {
            Self::Decoder(model) => model.parameters(),
            Self::Bert(model) => model.parameters(),
        }
    }

    /// The registry, to be written to.
    pub(crate) fn parameters_mut(&mut self) -> &mut Parameters {
        match self {
            Self::Decoder(model) => model.parameters_mut(),
            Self::Bert(model) => model.parameters_mut(),
        }
    }

    /// Tensors that belong to the model but are never trained, by name.
    pub(super) fn kept(&self) -> Vec<(&'static str, &Array)> {
        match self {
            Self::Bert(model) => model
                .position_bias()
                .map(|bias| (bert::POSITION_BIAS, bias.table()))
                .into_iter()
                .collect(),
            Self::Decoder(_) => Vec::new(),
        }
    }

    /// Hidden states `[rows, hidden]`, with what the backward pass needs.
    pub(super) fn forward(&self, batch: &Batch) -> (Array, Saved) {
        match self {
            Self::Decoder(model) => {
                let (hidden, saved) = model.body(&batch.ids, &batch.rows);
                (hidden, Saved::Decoder(Box::new(saved)))
            }
            Self::Bert(model) => {
                let (hidden, saved) = model.body(&batch.ids, &batch.rows);
                (hidden, Saved::Bert(Box::new(saved)))
            }
        }
    }

    /// Hidden states `[rows, hidden]` of the last block; nothing is kept for a backward pass.
    pub(crate) fn hidden(&self, ids: &[u32], rows: &PackedLayout) -> Array {
        match self {
            Self::Decoder(model) => model.body_for_inference(ids, rows, None),
            Self::Bert(model) => model.body_for_inference(ids, rows),
        }
    }

    /// Backward pass from the gradient of the hidden states.
    pub(super) fn backward(&self, batch: &Batch, saved: Saved, gradient: &Array, tape: &mut Tape) {
        match (self, saved) {
            (Self::Decoder(model), Saved::Decoder(saved)) => {
                model.body_backward(batch, *saved, gradient, tape, None);
            }
            (Self::Bert(model), Saved::Bert(saved)) => {
                model.body_backward(batch, *saved, gradient, tape);
            }
            _ => unreachable!("a body gets back what its own forward pass saved"),
        }
    }
}
