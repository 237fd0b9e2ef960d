//! A stack of blocks with norms on their branches: every family of language models by its configuration, and ModernBERT.

mod attention;
mod block;
mod build;
mod feed_forward;
mod names;
mod pass;
#[cfg(test)]
mod recompute_tests;
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
use dpx_schema::Device;
pub(super) use names::{has_gate, tables};
use pass::Pass;
use rotary::Angles;
use std::ops::Range;

/// As many logits as stand in memory at once on the host, but for small models, whose targets are few.
pub(super) const LOGITS_AT_ONCE: usize = 1 << 25;
/// Least targets whose logits are computed at once: above
/// [`rows_computed_alike`](crate::kernel::rows_computed_alike).
const LEAST_TARGETS: usize = 130;

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
    /// Whether the backward pass computes the activations of each block anew.
    recomputes: bool,
    /// About as many logits as stand in memory at once on the host.
    logits_at_once: usize,
}

/// What is kept of a block for the backward pass.
#[derive(Clone)]
enum Kept {
    Saved(Box<Saved>),
    /// The input, from which all of it is computed anew.
    Input(Array),
}

/// What the backward pass of the body needs.
#[derive(Clone)]
pub(super) struct BodySaved {
    embedding_norm: Option<Normalized>,
    blocks: Vec<Kept>,
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

    /// Whether the backward pass computes the activations of each block anew from its input instead of keeping them.
    pub const fn set_activation_checkpointing(&mut self, on: bool) {
        self.recomputes = on;
    }

    /// Hidden states after the last norm `[rows, width]`, with what the backward pass needs.
    pub(super) fn body(&self, ids: &[u32], rows: &PackedLayout) -> (Array, BodySaved) {
        let positions = rows.positions();
        let pass = self.pass(rows, &positions);
        let (mut hidden, embedding_norm) = self.embed(ids, &positions);
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let (output, saved) = block.forward(&pass, &hidden, &mut attend(rows));
            blocks.push(if self.recomputes {
                Kept::Input(hidden)
            } else {
                Kept::Saved(Box::new(saved))
            });
            hidden = output;
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

    /// Backward pass of the body from the gradient of its output. What belongs to a block goes to `part` as soon as it is known,
    /// where there is one.
    pub(super) fn body_backward(
        &self,
        batch: &Batch,
        saved: BodySaved,
        gradient: &Array,
        tape: &mut Tape,
        mut part: Option<&mut dyn FnMut(Tape)>,
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
        for (block, kept) in self.blocks.iter().zip(blocks).rev() {
            let saved = match kept {
                Kept::Saved(saved) => *saved,
                Kept::Input(input) => block.forward_again(&pass, &input, &mut attend(rows)),
            };
            match &mut part {
                Some(part) => {
                    let mut own = Tape::default();
                    gradient = block.backward(&pass, saved, &gradient, &mut own);
                    part(own);
                }
                None => gradient = block.backward(&pass, saved, &gradient, tape),
            }
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

    /// The output layer of a training pass: losses, uses of its weight, and the gradient of the hidden states.
    fn head_pass(&self, next: &NextTokens<'_>, hidden: &Array, tape: &mut Tape) -> Array {
        let weight = self.parameters.value(self.head);
        let rows = next.rows.len();
        let parts = self.parts_of_head(rows);
        if parts.len() == 1 || self.parameters.trainable(self.head) || next.compares() {
            let hidden = kernel::gather_rows(hidden, next.rows);
            let mut logits = self.output_logits(&hidden);
            tape.losses = next.losses_with_gradient(&mut logits);
            let gradient = kernel::matmul(&logits, Side::Plain, weight, Side::Plain);
            tape.record(&self.parameters, self.head, || GradSample::Linear {
                parameter: self.head,
                layout: Layout::OutIn,
                rows: next.grouping.clone(),
                input: hidden,
                gradient: logits,
            });
            return gradient;
        }
        let width = hidden.width();
        let mut gradient = Array::zeros(&[rows, width]);
        let mut losses = Vec::with_capacity(rows);
        for part in parts {
            let hidden = kernel::gather_rows(hidden, &next.rows[part.clone()]);
            let mut logits = self.output_logits(&hidden);
            losses.extend(next.part_with_gradient(&mut logits, part.clone()));
            let own = kernel::matmul(&logits, Side::Plain, weight, Side::Plain);
            gradient.host_mut()[part.start * width..part.end * width].copy_from_slice(own.host());
        }
        tape.losses = next.of_targets(&losses);
        gradient
    }

    /// The targets whose logits are computed at once: on the host parts of equal size, each large enough that its rows are
    /// computed to the same bits as among all others; on a device, whose shapes are fixed, all of them.
    fn parts_of_head(&self, targets: usize) -> Vec<Range<usize>> {
        let at_once =
            (self.logits_at_once / self.config.sizes.vocabulary.max(1)).max(LEAST_TARGETS);
        let count = if self.parameters.device() == Device::Cpu {
            (targets / at_once).max(1)
        } else {
            1
        };
        (0..count)
            .map(|part| part * targets / count..(part + 1) * targets / count)
            .collect()
    }

    /// What the body's backward pass needs: what the blocks saved, the gradient of the body's output `[rows, hidden]`, and the tape
    /// of the head, with the losses.
    fn forward(&self, batch: &Batch) -> Result<(BodySaved, Array, Tape), Error> {
        self.check(batch)?;
        let next = NextTokens::of(batch)?;
        let (hidden, saved) = self.body(&batch.ids, &batch.rows);
        let mut head = Tape::default();
        let gradient = self.head_pass(&next, &hidden, &mut head);
        drop(hidden);
        let gradient = kernel::scatter_rows(&gradient, next.rows, batch.rows.count());
        Ok((saved, gradient, head))
    }

    /// One forward pass and a number of backward passes; what belongs to a parameter goes to `part` with the number of the pass.
    fn passes(
        &self,
        batch: &Batch,
        passes: usize,
        part: &mut dyn FnMut(usize, Tape),
    ) -> Result<Vec<f64>, Error> {
        let (saved, gradient, mut head) = self.forward(batch)?;
        let losses = std::mem::take(&mut head.losses);
        let mut saved = Some(saved);
        for pass in 0..passes {
            let last = pass + 1 == passes;
            let own = if last { saved.take() } else { saved.clone() };
            let own = own.expect("the last pass alone takes it");
            let mut tape = head.clone();
            let mut of_block = |tape: Tape| part(pass, tape.of_examples(batch));
            self.body_backward(batch, own, &gradient, &mut tape, Some(&mut of_block));
            part(pass, tape.of_examples(batch));
        }
        Ok(losses)
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
        let (saved, gradient, mut tape) = self.forward(batch)?;
        self.body_backward(batch, saved, &gradient, &mut tape, None);
        Ok(tape.of_examples(batch))
    }

    fn backward_in_parts(
        &self,
        batch: &Batch,
        passes: usize,
        part: &mut dyn FnMut(usize, Vec<GradSample>),
    ) -> Result<Vec<f64>, Error> {
        self.passes(batch, passes, &mut |pass, tape| {
            part(pass, tape.grad_samples);
        })
    }

    fn recomputes(&self) -> bool {
        self.recomputes
    }

    fn forward_loss(&self, batch: &Batch) -> Result<Vec<f64>, Error> {
        self.check(batch)?;
        let next = NextTokens::of(batch)?;
        let hidden = self.body_for_inference(&batch.ids, &batch.rows, None);
        let mut losses = Vec::with_capacity(next.rows.len());
        for part in self.parts_of_head(next.rows.len()) {
            let hidden = kernel::gather_rows(&hidden, &next.rows[part.clone()]);
            let logits = self.output_logits(&hidden);
            losses.extend(kernel::cross_entropy(&logits, &next.ids[part]));
        }
        Ok(next.losses(losses))
    }
}

/// Attention inside the examples of a batch, with its probabilities.
fn attend(rows: &PackedLayout) -> impl FnMut(&Heads, &Array) -> (Array, Option<Array>) {
    |heads, qkv| {
        let (attended, probabilities) = kernel::attention(heads, rows, qkv, None);
        (attended, Some(probabilities))
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
