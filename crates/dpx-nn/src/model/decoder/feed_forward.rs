//! The feed-forward layer of a block, with or without a gate.

use super::pass::Pass;
use crate::kernel::{self, Gelu};
use crate::{Array, Linear, Tape};

/// What comes before the last linear layer.
#[derive(Debug, Clone)]
pub(super) enum First {
    /// `gelu(up)`.
    Plain { up: Linear, gelu: Gelu },
    /// `silu(gate) up`.
    Gated { gate: Linear, up: Linear },
}

/// A feed-forward layer.
#[derive(Debug, Clone)]
pub(super) struct FeedForward {
    pub(super) first: First,
    pub(super) down: Linear,
}

/// What the backward pass needs.
pub(super) struct Saved {
    input: Array,
    /// Before the activation: one array, or gate and up.
    before: (Array, Option<Array>),
    activation: Array,
}

impl FeedForward {
    /// The activation, before the last linear layer.
    pub(super) fn forward(&self, pass: &Pass<'_>, input: Array) -> (Array, Saved) {
        let parameters = pass.parameters;
        let (before, activation) = match &self.first {
            First::Plain { up, gelu } => {
                let mut before = up.forward_without_bias(parameters, &input);
                let activation = match up.bias {
                    Some(bias) => kernel::bias_gelu(&mut before, parameters.value(bias), *gelu),
                    None => kernel::gelu(&before, *gelu),
                };
                ((before, None), activation)
            }
            First::Gated { gate, up } => {
                let gate = gate.forward(parameters, &input);
                let up = up.forward(parameters, &input);
                let activation = kernel::swiglu(&gate, &up);
                ((gate, Some(up)), activation)
            }
        };
        let saved = Saved {
            input,
            before,
            activation: activation.clone(),
        };
        (activation, saved)
    }

    /// The gradient of the input, from that of the last linear layer's output.
    pub(super) fn backward(
        &self,
        pass: &Pass<'_>,
        saved: Saved,
        gradient: &Array,
        tape: &mut Tape,
    ) -> Array {
        let (parameters, rows) = (pass.parameters, pass.rows);
        let Saved {
            input,
            before,
            activation,
        } = saved;
        let mut inner = self
            .down
            .backward(parameters, rows, &activation, gradient, tape);
        drop(activation);
        match (&self.first, before) {
            (First::Plain { up, gelu }, (before, _)) => {
                kernel::gelu_backward(&before, &mut inner, *gelu);
                drop(before);
                up.backward(parameters, rows, &input, &inner, tape)
            }
            (First::Gated { gate, up }, (gated, Some(factor))) => {
                let (gate_gradient, up_gradient) =
                    kernel::swiglu_backward(&gated, &factor, &inner);
                drop((inner, gated, factor));
                let mut sum = gate.backward(parameters, rows, &input, &gate_gradient, tape);
                let from_up = up.backward(parameters, rows, &input, &up_gradient, tape);
                kernel::add(&mut sum, &from_up);
                sum
            }
            (First::Gated { .. }, (_, None)) => {
                unreachable!("a gated forward pass saves both factors")
            }
        }
    }

    pub(super) fn linears_mut(&mut self) -> Vec<&mut Linear> {
        let mut linears = match &mut self.first {
            First::Plain { up, .. } => vec![up],
            First::Gated { gate, up } => vec![gate, up],
        };
        linears.push(&mut self.down);
        linears
    }
}
