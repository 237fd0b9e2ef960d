//! The attention of a block: projections, positions, scores, output.

use super::pass::Pass;
use crate::kernel::{self, Heads, Normalized};
use crate::{Array, Linear, Norm, Tape};

/// How queries, keys and values are projected.
#[derive(Debug, Clone)]
pub(super) enum Projection {
    /// By one layer each.
    Separate([Linear; 3]),
    /// By one layer: all queries, then all keys, then all values.
    Fused(Linear),
    /// By one layer: query, key and value of the first head, then of the next.
    Interleaved(Linear),
}

/// Norms of queries and keys before positions turn them.
#[derive(Debug, Clone)]
pub(super) struct QueryKeyNorms {
    pub(super) query: Norm,
    pub(super) key: Norm,
    /// Whether each head is normed by itself.
    pub(super) by_head: bool,
}

/// Layers of the attention of a block.
#[derive(Debug, Clone)]
pub(super) struct Attention {
    pub(super) heads: Heads,
    pub(super) projection: Projection,
    pub(super) norms: Option<QueryKeyNorms>,
    /// Which rotary embedding turns queries and keys.
    pub(super) rotary: Option<usize>,
    pub(super) out: Linear,
}

/// What the backward pass needs.
#[derive(Clone)]
pub(super) struct Saved {
    input: Array,
    /// Of queries and keys.
    normed: Option<[Normalized; 2]>,
    qkv: Array,
    probabilities: Option<Array>,
    attended: Array,
}

/// Attention itself: inside the examples of a batch, or over a cache. Gets queries, keys and values side by side; returns
/// what was attended to and, where there will be a backward pass, the probabilities.
pub(super) type Attend<'a> = &'a mut dyn FnMut(&Heads, &Array) -> (Array, Option<Array>);

impl Attention {
    fn qkv(&self, pass: &Pass<'_>, input: &Array) -> (Array, Option<[Normalized; 2]>) {
        let mut qkv = match &self.projection {
            Projection::Fused(layer) => layer.forward(pass.parameters, input),
            Projection::Interleaved(layer) => {
                self.sorted(layer.forward(pass.parameters, input), false)
            }
            Projection::Separate(layers) => {
                let parts = layers
                    .each_ref()
                    .map(|layer| layer.forward(pass.parameters, input));
                kernel::join_columns(&parts.each_ref())
            }
        };
        let normed = self.norms.as_ref().map(|norms| {
            let [query, key, value] = self.parts(&qkv);
            let (query, saved_query) = norms.forward(pass, &norms.query, query, &self.heads);
            let (key, saved_key) = norms.forward(pass, &norms.key, key, &self.heads);
            qkv = kernel::join_columns(&[&query, &key, &value]);
            [saved_query, saved_key]
        });
        self.rotate(pass, &mut qkv, false);
        (qkv, normed)
    }

    /// Queries, keys and values by themselves.
    fn parts(&self, qkv: &Array) -> [Array; 3] {
        let shared = self.heads.kv_heads * self.heads.head_dim;
        let parts = kernel::split_columns(qkv, &[self.heads.out_width(), shared, shared]);
        parts.try_into().expect("three widths make three parts")
    }

    /// Interleaved queries, keys and values as all queries, all keys, all values; or back.
    fn sorted(&self, qkv: Array, back: bool) -> Array {
        let (rows, heads, dim) = (qkv.rows(), self.heads.heads, self.heads.head_dim);
        let places: Vec<usize> = (0..rows)
            .flat_map(|row| {
                (0..3 * heads).map(move |place| {
                    let from = if back {
                        place % 3 * heads + place / 3
                    } else {
                        place % heads * 3 + place / heads
                    };
                    row * 3 * heads + from
                })
            })
            .collect();
        let pieces = qkv.reshape(&[rows * 3 * heads, dim]);
        kernel::gather_rows(&pieces, &places).reshape(&[rows, 3 * heads * dim])
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
        let (qkv, normed) = self.qkv(pass, &input);
        let (attended, probabilities) = attend(&self.heads, &qkv);
        let saved = Saved {
            input,
            normed,
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
        if let Some((norms, [query_saved, key_saved])) = self.norms.as_ref().zip(saved.normed) {
            let [query, key, value] = self.parts(&qkv);
            let query = norms.backward(pass, &norms.query, &query_saved, query, tape);
            let key = norms.backward(pass, &norms.key, &key_saved, key, tape);
            qkv = kernel::join_columns(&[&query, &key, &value]);
        }
        let input = &saved.input;
        match &self.projection {
            Projection::Fused(layer) => layer.backward(parameters, rows, input, &qkv, tape),
            Projection::Interleaved(layer) => {
                let qkv = self.sorted(qkv, true);
                layer.backward(parameters, rows, input, &qkv, tape)
            }
            Projection::Separate(layers) => {
                let parts = self.parts(&qkv);
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
            Projection::Fused(layer) | Projection::Interleaved(layer) => vec![layer],
        };
        linears.push(&mut self.out);
        linears
    }
}

impl QueryKeyNorms {
    fn forward(
        &self,
        pass: &Pass<'_>,
        norm: &Norm,
        x: Array,
        heads: &Heads,
    ) -> (Array, Normalized) {
        let shape = [x.rows(), x.width()];
        let x = if self.by_head {
            x.reshape(&[shape[0] * shape[1] / heads.head_dim, heads.head_dim])
        } else {
            x
        };
        let (output, saved) = norm.forward(pass.parameters, &x);
        (output.reshape(&shape), saved)
    }

    fn backward(
        &self,
        pass: &Pass<'_>,
        norm: &Norm,
        saved: &Normalized,
        gradient: Array,
        tape: &mut Tape,
    ) -> Array {
        let shape = [gradient.rows(), gradient.width()];
        let width = saved.values.width();
        // A row of the norm is a head of a row of the batch, or all of it.
        let rows = if self.by_head {
            &pass.rows.times(shape[1] / width)
        } else {
            pass.rows
        };
        let gradient = gradient.reshape(&[rows.count(), width]);
        let input = norm.backward(pass.parameters, rows, saved, &gradient, None, tape);
        input.reshape(&shape)
    }
}
