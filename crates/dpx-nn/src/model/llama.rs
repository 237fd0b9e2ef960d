//! Llama: pre-norm blocks with RMS norms, rotary positions, grouped-query attention and SwiGLU.

mod block;
mod build;

use super::causal::{CausalModel, NextTokens, check_step, last_rows};
use super::config::LlamaConfig;
use crate::kernel::{self, Heads, Normalized, Side};
use crate::{
    Array, Batch, Embedding, Error, GradSample, KvCache, Layout, Network, Norm, PackedLayout,
    ParameterId, Parameters, Tape,
};
use block::{Angles, Block, Saved};

/// A Llama language model.
#[derive(Debug, Clone)]
pub struct Llama {
    config: LlamaConfig,
    parameters: Parameters,
    heads: Heads,
    angles: Angles,
    tokens: Embedding,
    blocks: Vec<Block>,
    last_norm: Norm,
    /// Weight of the output layer: the token embedding where they are tied.
    head: ParameterId,
}

/// What the backward pass of the body needs.
pub(super) struct BodySaved {
    blocks: Vec<Saved>,
    last_norm: Normalized,
    positions: Vec<u32>,
}

impl Llama {
    /// Sizes of the model.
    pub const fn config(&self) -> &LlamaConfig {
        &self.config
    }

    /// Hidden states after the last norm `[rows, width]`, with what the backward pass needs.
    pub(super) fn body(&self, ids: &[u32], rows: &PackedLayout) -> (Array, BodySaved) {
        let positions = rows.positions();
        let (parameters, heads, angles) = (&self.parameters, &self.heads, &self.angles);
        let mut hidden = self.tokens.forward(parameters, ids);
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let (output, saved) =
                block.forward(parameters, heads, angles, rows, &positions, &hidden);
            hidden = output;
            blocks.push(saved);
        }
        let (output, last_norm) = self.last_norm.forward(parameters, &hidden);
        let saved = BodySaved {
            blocks,
            last_norm,
            positions,
        };
        (output, saved)
    }

    /// The same hidden states, keeping nothing but, where there is a cache, keys and values.
    pub(super) fn body_for_inference(
        &self,
        ids: &[u32],
        rows: &PackedLayout,
        mut cache: Option<&mut KvCache>,
    ) -> Array {
        let positions = rows.positions();
        let (parameters, heads, angles) = (&self.parameters, &self.heads, &self.angles);
        let mut hidden = self.tokens.forward(parameters, ids);
        for (layer, block) in self.blocks.iter().enumerate() {
            let (output, saved) =
                block.forward(parameters, heads, angles, rows, &positions, &hidden);
            if let Some(cache) = cache.as_deref_mut() {
                cache.fill(layer, rows, saved.qkv());
            }
            hidden = output;
        }
        self.last_norm.forward(parameters, &hidden).0
    }

    fn output_logits(&self, hidden: &Array) -> Array {
        let weight = self.parameters.value(self.head);
        kernel::matmul(hidden, Side::Plain, weight, Side::Transposed)
    }

    /// Backward pass of the body from the gradient of its output.
    pub(super) fn body_backward(
        &self,
        batch: &Batch,
        saved: BodySaved,
        gradient: &Array,
        tape: &mut Tape,
    ) {
        let (parameters, heads, angles) = (&self.parameters, &self.heads, &self.angles);
        let rows = &batch.rows;
        let norm = &saved.last_norm;
        let positions = &saved.positions;
        let mut gradient = self
            .last_norm
            .backward(parameters, rows, norm, gradient, None, tape);
        for (block, saved) in self.blocks.iter().zip(saved.blocks).rev() {
            gradient = block.backward(
                parameters, heads, angles, rows, positions, saved, &gradient, tape,
            );
        }
        let ids = batch.ids.as_slice();
        self.tokens.backward(parameters, rows, ids, &gradient, tape);
    }

    fn check(&self, batch: &Batch) -> Result<(), Error> {
        batch.check(self.config.vocab_size, self.config.max_position_embeddings)
    }
}

impl Network for Llama {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    fn forward_backward(&self, batch: &Batch) -> Result<Tape, Error> {
        self.check(batch)?;
        let next = NextTokens::of(batch)?;
        let (hidden, saved) = self.body(&batch.ids, &batch.rows);
        let hidden = kernel::gather_rows(&hidden, next.rows);
        let mut logits = self.output_logits(&hidden);
        let mut tape = Tape::new(next.losses_with_gradient(&mut logits));
        let weight = self.parameters.value(self.head);
        let hidden_gradient = kernel::matmul(&logits, Side::Plain, weight, Side::Plain);
        tape.record(&self.parameters, self.head, || GradSample::Linear {
            parameter: self.head,
            layout: Layout::OutIn,
            rows: next.grouping.clone(),
            input: hidden,
            gradient: logits,
        });
        let gradient = kernel::scatter_rows(&hidden_gradient, next.rows, batch.rows.count());
        self.body_backward(batch, saved, &gradient, &mut tape);
        Ok(tape.of_examples(batch))
    }

    fn forward_loss(&self, batch: &Batch) -> Result<Vec<f64>, Error> {
        self.check(batch)?;
        let next = NextTokens::of(batch)?;
        let hidden = self.body_for_inference(&batch.ids, &batch.rows, None);
        let logits = self.output_logits(&kernel::gather_rows(&hidden, next.rows));
        Ok(next.losses(&logits))
    }
}

impl CausalModel for Llama {
    fn vocabulary(&self) -> usize {
        self.config.vocab_size
    }

    fn context(&self) -> usize {
        self.config.max_position_embeddings
    }

    fn logits(&self, sequences: &[&[u32]]) -> Result<Array, Error> {
        let batch = Batch::inference(sequences);
        self.check(&batch)?;
        Ok(self.output_logits(&self.body_for_inference(&batch.ids, &batch.rows, None)))
    }

    fn prefill(&self, prompts: &[&[u32]], capacity: usize) -> Result<(KvCache, Array), Error> {
        let batch = Batch::inference(prompts);
        batch.check(
            self.config.vocab_size,
            self.config.max_position_embeddings.min(capacity),
        )?;
        let device = self.parameters.device();
        let (layers, batch_size) = (self.blocks.len(), prompts.len());
        let mut cache = KvCache::new(self.heads, layers, batch_size, capacity, device);
        let hidden = self.body_for_inference(&batch.ids, &batch.rows, Some(&mut cache));
        cache.set_lengths(&batch.rows);
        let last = kernel::gather_rows(&hidden, &last_rows(&batch.rows));
        Ok((cache, self.output_logits(&last)))
    }

    fn decode(&self, cache: &mut KvCache, tokens: &[u32]) -> Result<Array, Error> {
        check_step(
            cache,
            tokens,
            self.config.vocab_size,
            self.config.max_position_embeddings,
        )?;
        let mut hidden = self.tokens.forward(&self.parameters, tokens);
        let (parameters, heads, angles) = (&self.parameters, &self.heads, &self.angles);
        for (layer, block) in self.blocks.iter().enumerate() {
            hidden = block.step(parameters, heads, angles, cache, layer, &hidden);
        }
        cache.advance();
        let (output, _) = self.last_norm.forward(&self.parameters, &hidden);
        Ok(self.output_logits(&output))
    }
}
