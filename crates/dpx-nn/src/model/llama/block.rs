//! One block: attention and a gated feed-forward layer, each after an RMS norm and beside a residual.

use crate::kernel::{self, Heads, Normalized};
use crate::{Array, KvCache, Linear, Norm, PackedLayout, Parameters, Tape};

/// Cosines and sines of the rotary embedding, `[positions, head_dim / 2]`.
#[derive(Debug, Clone)]
pub(super) struct Angles {
    pub(super) cosines: Array,
    pub(super) sines: Array,
}

/// Layers of a block.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) first_norm: Norm,
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    pub(super) attention_out: Linear,
    pub(super) second_norm: Norm,
    pub(super) gate: Linear,
    pub(super) up: Linear,
    pub(super) down: Linear,
}

/// What the backward pass of a block needs.
pub(crate) struct Saved {
    first_norm: Normalized,
    attention_input: Array,
    qkv: Array,
    probabilities: Array,
    attended: Array,
    second_norm: Normalized,
    feed_input: Array,
    gate: Array,
    up: Array,
    activation: Array,
}

impl Saved {
    /// Rotated queries, rotated keys and values side by side.
    pub(super) const fn qkv(&self) -> &Array {
        &self.qkv
    }
}

impl Block {
    fn qkv(
        &self,
        parameters: &Parameters,
        heads: &Heads,
        angles: &Angles,
        positions: &[u32],
        input: &Array,
    ) -> Array {
        let parts = [&self.query, &self.key, &self.value].map(|l| l.forward(parameters, input));
        let mut qkv = kernel::join_columns(&[&parts[0], &parts[1], &parts[2]]);
        kernel::rotate(
            heads,
            &mut qkv,
            positions,
            &angles.cosines,
            &angles.sines,
            false,
        );
        qkv
    }

    pub(super) fn forward(
        &self,
        parameters: &Parameters,
        heads: &Heads,
        angles: &Angles,
        rows: &PackedLayout,
        positions: &[u32],
        input: &Array,
    ) -> (Array, Saved) {
        let (attention_input, first_norm) = self.first_norm.forward(parameters, input);
        let qkv = self.qkv(parameters, heads, angles, positions, &attention_input);
        let (attended, probabilities) = kernel::attention(heads, rows, &qkv, None);
        let middle = self
            .attention_out
            .forward_residual(parameters, &attended, input);
        let (feed_input, second_norm) = self.second_norm.forward(parameters, &middle);
        let gate = self.gate.forward(parameters, &feed_input);
        let up = self.up.forward(parameters, &feed_input);
        let activation = kernel::swiglu(&gate, &up);
        let output = self.down.forward_residual(parameters, &activation, &middle);
        let saved = Saved {
            first_norm,
            attention_input,
            qkv,
            probabilities,
            attended,
            second_norm,
            feed_input,
            gate,
            up,
            activation,
        };
        (output, saved)
    }

    /// One new token in each row of a cache.
    pub(super) fn step(
        &self,
        parameters: &Parameters,
        heads: &Heads,
        angles: &Angles,
        cache: &mut KvCache,
        layer: usize,
        input: &Array,
    ) -> Array {
        let (attention_input, _) = self.first_norm.forward(parameters, input);
        let positions = cache.positions();
        let qkv = self.qkv(parameters, heads, angles, &positions, &attention_input);
        let attended = cache.attend(layer, &qkv);
        let middle = self
            .attention_out
            .forward_residual(parameters, &attended, input);
        let (feed_input, _) = self.second_norm.forward(parameters, &middle);
        let gate = self.gate.forward(parameters, &feed_input);
        let up = self.up.forward(parameters, &feed_input);
        let activation = kernel::swiglu(&gate, &up);
        self.down.forward_residual(parameters, &activation, &middle)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a pass through a block is what it is: parameters, shapes, what was saved, where gradient samples go"
    )]
    pub(super) fn backward(
        &self,
        parameters: &Parameters,
        heads: &Heads,
        angles: &Angles,
        rows: &PackedLayout,
        positions: &[u32],
        saved: Saved,
        gradient: &Array,
        tape: &mut Tape,
    ) -> Array {
        let activation = self
            .down
            .backward(parameters, rows, &saved.activation, gradient, tape);
        let (gate, up) = kernel::swiglu_backward(&saved.gate, &saved.up, &activation);
        drop((activation, saved.activation, saved.gate, saved.up));
        let mut normed = self
            .gate
            .backward(parameters, rows, &saved.feed_input, &gate, tape);
        let from_up = self
            .up
            .backward(parameters, rows, &saved.feed_input, &up, tape);
        kernel::add(&mut normed, &from_up);
        drop((gate, up, from_up, saved.feed_input));
        let norm = &saved.second_norm;
        let residual = Some(gradient);
        let middle = self
            .second_norm
            .backward(parameters, rows, norm, &normed, residual, tape);
        let attended =
            self.attention_out
                .backward(parameters, rows, &saved.attended, &middle, tape);
        let mut qkv =
            kernel::attention_backward(heads, rows, &saved.qkv, &saved.probabilities, &attended);
        kernel::rotate(
            heads,
            &mut qkv,
            positions,
            &angles.cosines,
            &angles.sines,
            true,
        );
        drop((attended, saved.qkv, saved.probabilities, saved.attended));
        let shared = heads.kv_heads * heads.head_dim;
        let parts = kernel::split_columns(&qkv, &[heads.out_width(), shared, shared]);
        let layers = [&self.query, &self.key, &self.value];
        let mut normed: Option<Array> = None;
        for (layer, part) in layers.into_iter().zip(&parts) {
            let more = layer.backward(parameters, rows, &saved.attention_input, part, tape);
            match &mut normed {
                Some(sum) => kernel::add(sum, &more),
                None => normed = Some(more),
            }
        }
        let normed = normed.expect("there are three layers");
        let norm = &saved.first_norm;
        self.first_norm
            .backward(parameters, rows, norm, &normed, Some(&middle), tape)
    }

    pub(super) fn linears_mut(&mut self) -> [&mut Linear; 7] {
        [
            &mut self.query,
            &mut self.key,
            &mut self.value,
            &mut self.attention_out,
            &mut self.gate,
            &mut self.up,
            &mut self.down,
        ]
    }
}
