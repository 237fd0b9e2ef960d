//! One block: attention and feed-forward, each after a layer norm and beside a residual.

use crate::kernel::{self, Gelu, Heads, Normalized};
use crate::{Array, KvCache, Linear, Norm, PackedLayout, Parameters, Tape};

/// Layers of a block.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) first_norm: Norm,
    pub(super) attention_in: Linear,
    pub(super) attention_out: Linear,
    pub(super) second_norm: Norm,
    pub(super) up: Linear,
    pub(super) down: Linear,
}

/// What the backward pass of a block needs.
pub(super) struct Saved {
    first_norm: Normalized,
    attention_input: Array,
    qkv: Array,
    probabilities: Array,
    attended: Array,
    second_norm: Normalized,
    up_input: Array,
    pre_activation: Array,
    activation: Array,
}

impl Saved {
    /// Queries, keys and values side by side.
    pub(super) const fn qkv(&self) -> &Array {
        &self.qkv
    }
}

impl Block {
    pub(super) fn forward(
        &self,
        parameters: &Parameters,
        heads: &Heads,
        rows: &PackedLayout,
        input: &Array,
    ) -> (Array, Saved) {
        let (attention_input, first_norm) = self.first_norm.forward(parameters, input);
        let qkv = self.attention_in.forward(parameters, &attention_input);
        let (attended, probabilities) = kernel::attention(heads, rows, &qkv, None);
        let middle = self
            .attention_out
            .forward_residual(parameters, &attended, input);
        let (up_input, second_norm) = self.second_norm.forward(parameters, &middle);
        let (pre_activation, activation) = self.activate(parameters, &up_input);
        let output = self.down.forward_residual(parameters, &activation, &middle);
        let saved = Saved {
            first_norm,
            attention_input,
            qkv,
            probabilities,
            attended,
            second_norm,
            up_input,
            pre_activation,
            activation,
        };
        (output, saved)
    }

    /// One new token in each row of a cache.
    pub(super) fn step(
        &self,
        parameters: &Parameters,
        cache: &mut KvCache,
        layer: usize,
        input: &Array,
    ) -> Array {
        let (attention_input, _) = self.first_norm.forward(parameters, input);
        let qkv = self.attention_in.forward(parameters, &attention_input);
        let attended = cache.attend(layer, &qkv);
        let middle = self
            .attention_out
            .forward_residual(parameters, &attended, input);
        let (up_input, _) = self.second_norm.forward(parameters, &middle);
        let (_, activation) = self.activate(parameters, &up_input);
        self.down.forward_residual(parameters, &activation, &middle)
    }

    fn activate(&self, parameters: &Parameters, input: &Array) -> (Array, Array) {
        let mut pre_activation = self.up.forward_without_bias(parameters, input);
        let activation = match self.up.bias {
            Some(bias) => {
                kernel::bias_gelu(&mut pre_activation, parameters.value(bias), Gelu::Tanh)
            }
            None => kernel::gelu(&pre_activation, Gelu::Tanh),
        };
        (pre_activation, activation)
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
        let Saved {
            first_norm,
            attention_input,
            qkv,
            probabilities,
            attended,
            second_norm,
            up_input,
            pre_activation,
            activation,
        } = saved;
        let mut up_gradient = self
            .down
            .backward(parameters, rows, &activation, gradient, tape);
        drop(activation);
        kernel::gelu_backward(&pre_activation, &mut up_gradient, Gelu::Tanh);
        drop(pre_activation);
        let normed = self
            .up
            .backward(parameters, rows, &up_input, &up_gradient, tape);
        drop((up_input, up_gradient));
        let middle = self.second_norm.backward(
            parameters,
            rows,
            &second_norm,
            &normed,
            Some(gradient),
            tape,
        );
        drop((second_norm, normed));
        let attended_gradient = self
            .attention_out
            .backward(parameters, rows, &attended, &middle, tape);
        let qkv_gradient =
            kernel::attention_backward(heads, rows, &qkv, &probabilities, &attended_gradient);
        drop((qkv, probabilities, attended, attended_gradient));
        let normed =
            self.attention_in
                .backward(parameters, rows, &attention_input, &qkv_gradient, tape);
        self.first_norm
            .backward(parameters, rows, &first_norm, &normed, Some(&middle), tape)
    }
}
