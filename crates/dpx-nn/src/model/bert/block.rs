//! One block: attention and feed-forward, each followed by a layer norm over its sum with the residual.

use crate::kernel::{self, Gelu, Heads, Normalized};
use crate::{Array, Linear, Norm, PackedLayout, Parameters, Tape};

#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    pub(super) attention_out: Linear,
    pub(super) first_norm: Norm,
    pub(super) up: Linear,
    pub(super) down: Linear,
    pub(super) second_norm: Norm,
}

/// What the backward pass of a block needs.
pub(crate) struct Saved {
    input: Array,
    qkv: Array,
    probabilities: Array,
    attended: Array,
    first_norm: Normalized,
    middle: Array,
    pre_activation: Array,
    activation: Array,
    second_norm: Normalized,
}

impl Block {
    pub(super) fn forward(
        &self,
        parameters: &Parameters,
        heads: &Heads,
        rows: &PackedLayout,
        bias: Option<&Array>,
        input: Array,
    ) -> (Array, Saved) {
        let parts = [&self.query, &self.key, &self.value].map(|l| l.forward(parameters, &input));
        let qkv = kernel::join_columns(&[&parts[0], &parts[1], &parts[2]]);
        let (attended, probabilities) = kernel::attention(heads, rows, &qkv, bias);
        let sum = self
            .attention_out
            .forward_residual(parameters, &attended, &input);
        let (middle, first_norm) = self.first_norm.forward(parameters, &sum);
        let pre_activation = self.up.forward(parameters, &middle);
        let activation = kernel::gelu(&pre_activation, Gelu::Erf);
        let sum = self.down.forward_residual(parameters, &activation, &middle);
        let (output, second_norm) = self.second_norm.forward(parameters, &sum);
        let saved = Saved {
            input,
            qkv,
            probabilities,
            attended,
            first_norm,
            middle,
            pre_activation,
            activation,
            second_norm,
        };
        (output, saved)
    }

    pub(super) fn backward(
        &self,
        parameters: &Parameters,
        heads: &Heads,
        rows: &PackedLayout,
        saved: Saved,
        gradient: &Array,
        tape: &mut Tape,
    ) -> Array {
        let norm = &saved.second_norm;
        let sum = self
            .second_norm
            .backward(parameters, rows, norm, gradient, None, tape);
        let mut up = self
            .down
            .backward(parameters, rows, &saved.activation, &sum, tape);
        drop(saved.activation);
        kernel::gelu_backward(&saved.pre_activation, &mut up, Gelu::Erf);
        drop(saved.pre_activation);
        let mut middle = self.up.backward(parameters, rows, &saved.middle, &up, tape);
        kernel::add(&mut middle, &sum);
        drop((up, sum, saved.middle));
        let norm = &saved.first_norm;
        let sum = self
            .first_norm
            .backward(parameters, rows, norm, &middle, None, tape);
        let attended = self
            .attention_out
            .backward(parameters, rows, &saved.attended, &sum, tape);
        let qkv =
            kernel::attention_backward(heads, rows, &saved.qkv, &saved.probabilities, &attended);
        drop((attended, saved.qkv, saved.probabilities, saved.attended));
        let mut input = sum;
        let parts = kernel::split_columns(&qkv, &[heads.out_width(); 3]);
        for (layer, part) in [&self.query, &self.key, &self.value]
            .into_iter()
            .zip(&parts)
        {
            let more = layer.backward(parameters, rows, &saved.input, part, tape);
            kernel::add(&mut input, &more);
        }
        input
    }
}
