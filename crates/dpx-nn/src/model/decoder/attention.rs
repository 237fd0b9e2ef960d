//! The attention of a block: projections, positions, scores, output.

use super::pass::Pass;
use crate::kernel::{self, Heads};
use crate::{Array, Linear, Tape};

/// How queries, keys and values are projected.
#[derive(Debug, Clone)]
pub(super) enum Projection {
    /// By one layer each.
    Separate([Linear; 3]),
    /// By one layer: all queries, then all keys, then all values.
    Fused(Linear),
}

/// Layers of the attention of a block.
#[derive(Debug, Clone)]
pub(super) struct Attention {
    pub(super) heads: Heads,
    pub(super) projection: Projection,
    /// Which rotary embedding turns queries and keys.
    pub(super) rotary: Option<usize>,
    pub(super) out: Linear,
}

/// What the backward pass needs.
pub(super) struct Saved {
    input: Array,
    qkv: Array,
    probabilities: Option<Array>,
    attended: Array,
}

/// Attention itself: inside the examples of a batch, or over a cache. Gets queries, keys and values side by side; returns
/// what was attended to and, where there will be a backward pass, the probabilities.
pub(super) type Attend<'a> = &'a mut dyn FnMut(&Heads, &Array) -> (Array, Option<Array>);

impl Attention {
    fn qkv(&self, pass: &Pass<'_>, input: &Array) -> Array {
        let mut qkv = match &self.projection {
            Projection::Fused(layer) => layer.forward(pass.parameters, input),
            Projection::Separate(layers) => {
                let parts = layers
                    .each_ref()
                    .map(|layer| layer.forward(pass.parameters, input));
                kernel::join_columns(&parts.each_ref())
            }
        };
        self.rotate(pass, &mut qkv, false);
        qkv
    }

    fn rotate(&self, pass: &Pass<'_>, qkv: &mut Array, inverse: bool) {
        if let Some(angles) = self.rotary.map(|table| &pass.angles[table]) {
            let tables = (&angles.cosines, &angles.sines);
            kernel::rotate(
                &self.heads,
                qkv,
                pass.positions,
                tables.0,
                tables.1,
                inverse,
            );
        }
    }

    /// What was attended to, before the output layer.
    pub(super) fn forward(
        &self,
        pass: &Pass<'_>,
        input: Array,
        attend: Attend<'_>,
    ) -> (Array, Saved) {
        let qkv = self.qkv(pass, &input);
        let (attended, probabilities) = attend(&self.heads, &qkv);
        let saved = Saved {
            input,
            qkv,
            probabilities,
            attended: attended.clone(),
        };
        (attended, saved)
    }

    /// The gradient of the input, from that of the output layer's output.
    pub(super) fn backward(
        &self,
        pass: &Pass<'_>,
        saved: Saved,
        gradient: &Array,
        tape: &mut Tape,
    ) -> Array {
        let (parameters, rows, heads) = (pass.parameters, pass.rows, &self.heads);
        let attended = self
            .out
            .backward(parameters, rows, &saved.attended, gradient, tape);
        let probabilities = saved
            .probabilities
            .expect("a backward pass follows a forward pass that saved its probabilities");
        let mut qkv =
            kernel::attention_backward(heads, rows, &saved.qkv, &probabilities, &attended);
        drop((attended, saved.qkv, probabilities, saved.attended));
        self.rotate(pass, &mut qkv, true);
        let input = &saved.input;
        match &self.projection {
            Projection::Fused(layer) => layer.backward(parameters, rows, input, &qkv, tape),
            Projection::Separate(layers) => {
                let shared = heads.kv_heads * heads.head_dim;
                let parts = kernel::split_columns(&qkv, &[heads.out_width(), shared, shared]);
                let mut parts = layers
                    .iter()
                    .zip(&parts)
                    .map(|(layer, part)| layer.backward(parameters, rows, input, part, tape));
                let mut sum = parts.next().expect("there are three layers");
                for part in parts {
                    kernel::add(&mut sum, &part);
                }
                sum
            }
        }
    }

    pub(super) fn linears_mut(&mut self) -> Vec<&mut Linear> {
        let mut linears: Vec<&mut Linear> = match &mut self.projection {
            Projection::Separate(layers) => layers.iter_mut().collect(),
            Projection::Fused(layer) => vec![layer],
        };
        linears.push(&mut self.out);
        linears
    }
}
