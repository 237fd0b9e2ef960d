//! A stack of blocks with norms on their branches: every family of language models by its configuration, and ModernBERT.

mod attention;
mod block;
mod build;
mod feed_forward;
mod names;
mod pass;
mod rotary;
#[cfg(test)]
mod tests;

use super::CausalModel;
use super::causal::{NextTokens, check_step, last_rows};
use super::config::DecoderConfig;
use crate::kernel::{self, Heads, Normalized, Side};
use crate::{
    Array, Batch, Embedding, Error, GradSample, KvCache, Layout, Network, Norm, PackedLayout,
    ParameterId, Parameters, Tape,
};
use block::{Block, Saved};
pub(super) use names::tables;
use pass::Pass;
use rotary::Angles;

/// A language model, or the body of one.
#[derive(Debug, Clone)]
pub struct Decoder {
    config: DecoderConfig,
    parameters: Parameters,
    angles: Vec<Angles>,
    tokens: Embedding,
    /// Learned positions.
    positions: Option<Embedding>,
    embedding_norm: Option<Norm>,
    blocks: Vec<Block>,
    last_norm: Norm,
    /// Weight of the output layer: the token embedding where they are tied.
    head: ParameterId,
}

/// What the backward pass of the body needs.
pub(super) struct BodySaved {
    embedding_norm: Option<Normalized>,
    blocks: Vec<Saved>,
    last_norm: Normalized,
    positions: Vec<u32>,
}

impl Decoder {
    /// What the model computes.
    pub const fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// The embedded tokens that enter the first block.
    fn embed(&self, ids: &[u32], positions: &[u32]) -> (Array, Option<Normalized>) {
        let mut hidden = self.tokens.forward(&self.parameters, ids);
        if let Some(table) = &self.positions {
            table.add_forward(&self.parameters, positions, &mut hidden);
        }
        if let Some(scale) = self.config.embedding_scale {
            kernel::scale(&mut hidden, scale);
        }
        match &self.embedding_norm {
            Some(norm) => {
                let (hidden, saved) = norm.forward(&self.parameters, &hidden);
                (hidden, Some(saved))
            }
            None => (hidden, None),
        }
    }

    const fn pass<'a>(&'a self, rows: &'a PackedLayout, positions: &'a [u32]) -> Pass<'a> {
        Pass {
            parameters: &self.parameters,
            angles: self.angles.as_slice(),
            rows,
            positions,
        }
    }

    /// Hidden states after the last norm `[rows, width]`, with what the backward pass needs.
    pub(super) fn body(&self, ids: &[u32], rows: &PackedLayout) -> (Array, BodySaved) {
        let positions = rows.positions();
        let pass = self.pass(rows, &positions);
        let (mut hidden, embedding_norm) = self.embed(ids, &positions);
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let (output, saved) = block.forward(&pass, &hidden, &mut |heads, qkv| {
                let (attended, probabilities) = kernel::attention(heads, rows, qkv, None);
                (attended, Some(probabilities))
            });
            hidden = output;
            blocks.push(saved);
        }
        let (output, last_norm) = self.last_norm.forward(&self.parameters, &hidden);
        let saved = BodySaved {
            embedding_norm,
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
        let pass = self.pass(rows, &positions);
        let (mut hidden, _) = self.embed(ids, &positions);
        for (layer, block) in self.blocks.iter().enumerate() {
            let (output, _) = block.forward(&pass, &hidden, &mut |heads, qkv| {
                if let Some(cache) = cache.as_deref_mut() {
                    cache.fill(layer, rows, qkv);
                }
                (kernel::attention(heads, rows, qkv, None).0, None)
            });
            hidden = output;
        }
        self.last_norm.forward(&self.parameters, &hidden).0
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
        let (parameters, rows) = (&self.parameters, &batch.rows);
        let BodySaved {
            embedding_norm,
            blocks,
            last_norm,
            positions,
        } = saved;
        let pass = self.pass(rows, &positions);
        let mut gradient = self
            .last_norm
            .backward(parameters, rows, &last_norm, gradient, None, tape);
        for (block, saved) in self.blocks.iter().zip(blocks).rev() {
            gradient = block.backward(&pass, saved, &gradient, tape);
        }
        if let Some((norm, saved)) = self.embedding_norm.as_ref().zip(embedding_norm) {
            gradient = norm.backward(parameters, rows, &saved, &gradient, None, tape);
        }
        if let Some(scale) = self.config.embedding_scale {
            kernel::scale(&mut gradient, scale);
        }
        if let Some(table) = &self.positions {
            table.backward(parameters, rows, positions, &gradient, tape);
        }
        let ids = batch.ids.as_slice();
        self.tokens.backward(parameters, rows, ids, &gradient, tape);
    }

    fn check(&self, batch: &Batch) -> Result<(), Error> {
        let sizes = &self.config.sizes;
        batch.check(sizes.vocabulary, sizes.max_positions)
    }

    fn heads(&self) -> Vec<Heads> {
        let blocks = self.blocks.iter();
        blocks.map(|block| block.attention.heads).collect()
    }
}

impl Network for Decoder {
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

impl CausalModel for Decoder {
    fn vocabulary(&self) -> usize {
        self.config.sizes.vocabulary
    }

    fn context(&self) -> usize {
        self.config.sizes.max_positions
    }

    fn logits(&self, sequences: &[&[u32]]) -> Result<Array, Error> {
        let batch = Batch::inference(sequences);
        self.check(&batch)?;
        Ok(self.output_logits(&self.body_for_inference(&batch.ids, &batch.rows, None)))
    }

    fn prefill(&self, prompts: &[&[u32]], capacity: usize) -> Result<(KvCache, Array), Error> {
        let batch = Batch::inference(prompts);
        let sizes = &self.config.sizes;
        batch.check(sizes.vocabulary, sizes.max_positions.min(capacity))?;
        let device = self.parameters.device();
        let mut cache = KvCache::new(self.heads(), prompts.len(), capacity, device);
        let hidden = self.body_for_inference(&batch.ids, &batch.rows, Some(&mut cache));
        cache.set_lengths(&batch.rows);
        let last = kernel::gather_rows(&hidden, &last_rows(&batch.rows));
        Ok((cache, self.output_logits(&last)))
    }

    fn decode(&self, cache: &mut KvCache, tokens: &[u32]) -> Result<Array, Error> {
        let sizes = &self.config.sizes;
        check_step(cache, tokens, sizes.vocabulary, sizes.max_positions)?;
        let (rows, positions) = (PackedLayout::single(tokens.len()), cache.positions());
        let pass = self.pass(&rows, &positions);
        let (mut hidden, _) = self.embed(tokens, &positions);
        for (layer, block) in self.blocks.iter().enumerate() {
            let mut attend = |_: &Heads, qkv: &Array| (cache.attend(layer, qkv), None);
            hidden = block.forward(&pass, &hidden, &mut attend).0;
        }
        cache.advance();
        let (output, _) = self.last_norm.forward(&self.parameters, &hidden);
        Ok(self.output_logits(&output))
    }
}
