//! GPT-2: pre-norm blocks, learned positions, an output layer tied to the token embedding.

mod block;
mod build;
#[cfg(test)]
mod tests;

use super::CausalModel;
use super::causal::{NextTokens, check_step, last_rows};
use super::config::Gpt2Config;
use crate::kernel::{self, Heads, Normalized, Side};
use crate::{
    Array, Batch, Embedding, Error, GradSample, KvCache, Layout, Network, Norm, PackedLayout,
    Parameters, Tape,
};
use block::{Block, Saved};

/// A GPT-2 language model.
#[derive(Debug, Clone)]
pub struct Gpt2 {
    config: Gpt2Config,
    parameters: Parameters,
    heads: Heads,
    tokens: Embedding,
    positions: Embedding,
    blocks: Vec<Block>,
    last_norm: Norm,
}

/// What the backward pass of the body needs.
pub(super) struct BodySaved {
    blocks: Vec<Saved>,
    last_norm: Normalized,
    positions: Vec<u32>,
}

impl Gpt2 {
    /// Sizes of the model.
    pub const fn config(&self) -> &Gpt2Config {
        &self.config
    }

    fn embed(&self, ids: &[u32], positions: &[u32]) -> Array {
        let mut hidden = self.tokens.forward(&self.parameters, ids);
        self.positions
            .add_forward(&self.parameters, positions, &mut hidden);
        hidden
    }

    /// Hidden states after the last norm `[rows, width]`, with what the backward pass needs.
    pub(super) fn body(&self, ids: &[u32], rows: &PackedLayout) -> (Array, BodySaved) {
        let positions = rows.positions();
        let mut hidden = self.embed(ids, &positions);
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let (output, saved) = block.forward(&self.parameters, &self.heads, rows, &hidden);
            hidden = output;
            blocks.push(saved);
        }
        let (output, last_norm) = self.last_norm.forward(&self.parameters, &hidden);
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
        let mut hidden = self.embed(ids, &rows.positions());
        for (layer, block) in self.blocks.iter().enumerate() {
            let (output, saved) = block.forward(&self.parameters, &self.heads, rows, &hidden);
            if let Some(cache) = cache.as_deref_mut() {
                cache.fill(layer, rows, saved.qkv());
            }
            hidden = output;
        }
        self.last_norm.forward(&self.parameters, &hidden).0
    }

    fn output_logits(&self, hidden: &Array) -> Array {
        let weight = self.parameters.value(self.tokens.weight);
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
        let (parameters, rows) = (&self.parameters, &batch.rows);
        let BodySaved {
            blocks,
            last_norm,
            positions,
        } = saved;
        let mut gradient = self
            .last_norm
            .backward(parameters, rows, &last_norm, gradient, None, tape);
        for (block, saved) in self.blocks.iter().zip(blocks).rev() {
            gradient = block.backward(parameters, &self.heads, rows, saved, &gradient, tape);
        }
        self.positions
            .backward(parameters, rows, positions, &gradient, tape);
        self.tokens
            .backward(parameters, rows, batch.ids.as_slice(), &gradient, tape);
    }
}

impl Network for Gpt2 {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    fn forward_backward(&self, batch: &Batch) -> Result<Tape, Error> {
        batch.check(self.config.vocab_size, self.config.n_positions)?;
        let next = NextTokens::of(batch)?;
        let (hidden, saved) = self.body(&batch.ids, &batch.rows);
        let hidden = kernel::gather_rows(&hidden, next.rows);
        let mut logits = self.output_logits(&hidden);
        let mut tape = Tape::new(next.losses_with_gradient(&mut logits));
        let weight = self.tokens.weight;
        let hidden_gradient = kernel::matmul(
            &logits,
            Side::Plain,
            self.parameters.value(weight),
            Side::Plain,
        );
        tape.record(&self.parameters, weight, || GradSample::Linear {
            parameter: weight,
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
        batch.check(self.config.vocab_size, self.config.n_positions)?;
        let next = NextTokens::of(batch)?;
        let hidden = self.body_for_inference(&batch.ids, &batch.rows, None);
        let logits = self.output_logits(&kernel::gather_rows(&hidden, next.rows));
        Ok(next.losses(&logits))
    }
}

impl CausalModel for Gpt2 {
    fn vocabulary(&self) -> usize {
        self.config.vocab_size
    }

    fn context(&self) -> usize {
        self.config.n_positions
    }

    fn logits(&self, sequences: &[&[u32]]) -> Result<Array, Error> {
        let batch = Batch::inference(sequences);
        batch.check(self.config.vocab_size, self.config.n_positions)?;
        Ok(self.output_logits(&self.body_for_inference(&batch.ids, &batch.rows, None)))
    }

    fn prefill(&self, prompts: &[&[u32]], capacity: usize) -> Result<(KvCache, Array), Error> {
        let batch = Batch::inference(prompts);
        batch.check(
            self.config.vocab_size,
            self.config.n_positions.min(capacity),
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
            self.config.n_positions,
        )?;
        let mut hidden = self.embed(tokens, &cache.positions());
        for (layer, block) in self.blocks.iter().enumerate() {
            hidden = block.step(&self.parameters, cache, layer, &hidden);
        }
        cache.advance();
        let (output, _) = self.last_norm.forward(&self.parameters, &hidden);
        Ok(self.output_logits(&output))
    }
}
