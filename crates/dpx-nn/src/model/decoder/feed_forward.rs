//! The feed-forward layer of a block, with or without a gate.

use super::pass::Pass;
use crate::kernel::{self, Gelu};
use crate::{Array, Linear, Tape};

/// What is multiplied with the other factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// `silu(gate)`.
    Silu,
    /// `gelu(gate)`.
    Gelu(Gelu),
}

/// What comes before the last linear layer.
#[derive(Debug, Clone)]
pub(super) enum First {
    /// `gelu(up)`.
    Plain { up: Linear, gelu: Gelu },
    /// Gate times `up`.
    Gated { linears: [Linear; 2], gate: Gate },
    /// The same with gate and other factor side by side.
    Fused { both: Linear, gate: Gate },
}

#[derive(Debug, Clone)]
pub(super) struct FeedForward {
    pub(super) first: First,
    pub(super) down: Linear,
}

impl Gate {
    fn forward(self, gate: &Array, up: &Array) -> Array {
        match self {
            Self::Silu => kernel::swiglu(gate, up),
            Self::Gelu(form) => {
                let mut product = kernel::gelu(gate, form);
                kernel::multiply(&mut product, up);
                product
            }
        }
    }

    /// Gradients of gate and up, for that of their product.
    fn backward(self, gate: &Array, up: &Array, gradient: Array) -> (Array, Array) {
        match self {
            Self::Silu => kernel::swiglu_backward(gate, up, &gradient),
            Self::Gelu(form) => {
                let mut of_up = kernel::gelu(gate, form);
                kernel::multiply(&mut of_up, &gradient);
                let mut of_gate = gradient;
                kernel::multiply(&mut of_gate, up);
                kernel::gelu_backward(gate, &mut of_gate, form);
                (of_gate, of_up)
            }
        }
    }
}

/// What the backward pass needs.
#[derive(Clone)]
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
            First::Gated { linears, gate } => {
                let [first, second] = linears
                    .each_ref()
                    .map(|layer| layer.forward(parameters, &input));
                let activation = gate.forward(&first, &second);
                ((first, Some(second)), activation)
            }
            First::Fused { both, gate } => {
                let [first, second] = halves(&both.forward(parameters, &input));
                let activation = gate.forward(&first, &second);
                ((first, Some(second)), activation)
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
            (First::Gated { linears, gate }, (first, Some(second))) => {
                let (of_gate, of_up) = gate.backward(&first, &second, inner);
                drop((first, second));
                let mut sum = linears[0].backward(parameters, rows, &input, &of_gate, tape);
                let from_up = linears[1].backward(parameters, rows, &input, &of_up, tape);
                kernel::add(&mut sum, &from_up);
                sum
            }
            (First::Fused { both, gate }, (first, Some(second))) => {
                let (of_gate, of_up) = gate.backward(&first, &second, inner);
                drop((first, second));
                let joined = kernel::join_columns(&[&of_gate, &of_up]);
                both.backward(parameters, rows, &input, &joined, tape)
            }
            (First::Gated { .. } | First::Fused { .. }, (_, None)) => {
                unreachable!("a gated forward pass saves both factors")
            }
        }
    }

    pub(super) fn linears_mut(&mut self) -> Vec<&mut Linear> {
        let mut linears = match &mut self.first {
            First::Plain { up, .. } => vec![up],
            First::Gated { linears, .. } => linears.iter_mut().collect(),
            First::Fused { both, .. } => vec![both],
        };
        linears.push(&mut self.down);
        linears
    }
}

/// The two halves of the columns.
fn halves(x: &Array) -> [Array; 2] {
    let half = x.width() / 2;
    let parts = kernel::split_columns(x, &[half, half]);
    parts.try_into().expect("two widths make two parts")
}
