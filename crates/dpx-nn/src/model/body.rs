//! The part of a model below its head: tokens in, hidden states out.

use super::bert::{self, Bert};
use super::gpt2::{self, Gpt2};
use super::llama::{self, Llama};
use crate::{Array, Batch, PackedLayout, Parameters, Tape};

/// A body of any architecture. MPNet is a [`Bert`] with other names and a position bias.
#[derive(Debug, Clone)]
pub enum Body {
    /// GPT-2.
    Gpt2(Gpt2),
    /// Llama.
    Llama(Llama),
    /// BERT or MPNet.
    Bert(Bert),
}

/// What the backward pass of a body needs.
pub(super) enum Saved {
    Gpt2(gpt2::BodySaved),
    Llama(llama::BodySaved),
    Bert(bert::BodySaved),
}

impl Body {
    /// The registry; a head's parameters stand in it too.
    pub fn parameters(&self) -> &Parameters {
        use crate::Network;
        match self {
            Self::Gpt2(model) => model.parameters(),
            Self::Llama(model) => model.parameters(),
            Self::Bert(model) => model.parameters(),
        }
    }

    /// The registry, to be written to.
    pub fn parameters_mut(&mut self) -> &mut Parameters {
        use crate::Network;
        match self {
            Self::Gpt2(model) => model.parameters_mut(),
            Self::Llama(model) => model.parameters_mut(),
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
            Self::Gpt2(_) | Self::Llama(_) => Vec::new(),
        }
    }

    /// Hidden states `[rows, hidden]`, with what the backward pass needs.
    pub(super) fn forward(&self, batch: &Batch) -> (Array, Saved) {
        match self {
            Self::Gpt2(model) => {
                let (hidden, saved) = model.body(&batch.ids, &batch.rows);
                (hidden, Saved::Gpt2(saved))
            }
            Self::Llama(model) => {
                let (hidden, saved) = model.body(&batch.ids, &batch.rows);
                (hidden, Saved::Llama(saved))
            }
            Self::Bert(model) => {
                let (hidden, saved) = model.body(&batch.ids, &batch.rows);
                (hidden, Saved::Bert(saved))
            }
        }
    }

    /// Hidden states `[rows, hidden]` alone.
    pub fn hidden(&self, ids: &[u32], rows: &PackedLayout) -> Array {
        match self {
            Self::Gpt2(model) => model.body_for_inference(ids, rows, None),
            Self::Llama(model) => model.body_for_inference(ids, rows, None),
            Self::Bert(model) => model.body_for_inference(ids, rows),
        }
    }

    /// Backward pass from the gradient of the hidden states.
    pub(super) fn backward(&self, batch: &Batch, saved: Saved, gradient: &Array, tape: &mut Tape) {
        match (self, saved) {
            (Self::Gpt2(model), Saved::Gpt2(saved)) => {
                model.body_backward(batch, saved, gradient, tape);
            }
            (Self::Llama(model), Saved::Llama(saved)) => {
                model.body_backward(batch, saved, gradient, tape);
            }
            (Self::Bert(model), Saved::Bert(saved)) => {
                model.body_backward(batch, saved, gradient, tape);
            }
            _ => unreachable!("a body gets back what its own forward pass saved"),
        }
    }
}
