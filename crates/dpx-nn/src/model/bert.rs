//! BERT and its descendants: blocks that see the whole text, with norms behind their layers.
//!
//! RoBERTa counts positions from another number on, DistilBERT has no segments, ELECTRA embeds more narrowly than it computes,
//! MPNet adds a relative position bias, DeBERTa's attention reads distances in the place of positions; their tensors have other names.

mod block;
mod build;
mod position_bias;
mod projection;
mod relative;

use super::config::EncoderConfig;
use crate::kernel::{Heads, Normalized};
use crate::{Array, Batch, Embedding, Linear, Norm, PackedLayout, Parameters, Tape};
use block::{Beside, Block, Saved};
pub(super) use build::POSITION_BIAS;
pub(crate) use position_bias::PositionBias;
use relative::{Places, RelativeTable};

/// The body of a model, without a head.
#[derive(Debug, Clone)]
pub(crate) struct Bert {
    config: EncoderConfig,
    parameters: Parameters,
    heads: Heads,
    tokens: Embedding,
    /// Positions, in families that add any.
    positions: Option<Embedding>,
    /// Segments, in families that have any.
    segments: Option<Embedding>,
    embedding_norm: Norm,
    /// From the width of the embeddings to that of the hidden states, where they differ.
    projection: Option<Linear>,
    blocks: Vec<Block>,
    position_bias: Option<PositionBias>,
    relative: Option<RelativeTable>,
}

/// What the backward pass of the body needs.
pub(super) struct BodySaved {
    embedding_norm: Normalized,
    /// Embeddings, where they are projected.
    embedded: Option<Array>,
    blocks: Vec<Saved>,
    positions: Vec<u32>,
    places: Option<Places>,
}

impl Bert {
    pub(crate) const fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The registry, to be written to.
    pub(crate) const fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    /// MPNet's relative position bias, which is not trained and hence stands in no registry.
    pub(crate) const fn position_bias(&self) -> Option<&PositionBias> {
        self.position_bias.as_ref()
    }

    /// What enters the first block; with what the backward pass needs.
    fn embed(&self, ids: &[u32], positions: &[u32]) -> (Array, Normalized, Option<Array>) {
        let parameters = &self.parameters;
        let mut sum = self.tokens.forward(parameters, ids);
        if let Some(table) = &self.positions {
            table.add_forward(parameters, positions, &mut sum);
        }
        if let Some(segments) = &self.segments {
            segments.add_forward(parameters, &vec![0; ids.len()], &mut sum);
        }
        let (embedded, saved) = self.embedding_norm.forward(parameters, &sum);
        match &self.projection {
            Some(projection) => {
                let hidden = projection.forward(parameters, &embedded);
                (hidden, saved, Some(embedded))
            }
            None => (embedded, saved, None),
        }
    }

    /// The position of each token. Where padding has a position of its own, a padding token inside a text has it, and those
    /// behind count on as if it were not there.
    fn positions(&self, ids: &[u32], rows: &PackedLayout) -> Vec<u32> {
        let Some(padding) = self.config.padding else {
            return rows.positions();
        };
        let mut positions = Vec::with_capacity(ids.len());
        for example in 0..rows.batch() {
            let mut last = padding;
            for id in &ids[rows.range(example)] {
                if *id == padding {
                    positions.push(padding);
                } else {
                    last += 1;
                    positions.push(last);
                }
            }
        }
        positions
    }

    /// The bias of attention scores for the longest text of a batch, `[heads, max_seq_len, max_seq_len]`.
    fn score_bias(&self, rows: &PackedLayout) -> Option<Array> {
        let max_seq_len = rows.lengths().max().unwrap_or(0);
        let device = self.parameters.device();
        self.position_bias
            .as_ref()
            .map(|bias| bias.scores(max_seq_len).on(device))
    }

    /// The distances that the tokens of a batch meet.
    fn places(&self, rows: &PackedLayout) -> Option<Places> {
        let table = self.relative.as_ref();
        table.map(|table| table.places(&self.parameters, rows))
    }

    /// Hidden states `[rows, width]`, with what the backward pass needs.
    pub(super) fn body(&self, ids: &[u32], rows: &PackedLayout) -> (Array, BodySaved) {
        let positions = self.positions(ids, rows);
        let (mut hidden, embedding_norm, embedded) = self.embed(ids, &positions);
        let (bias, places) = (self.score_bias(rows), self.places(rows));
        let beside = Beside {
            bias: bias.as_ref(),
            places: places.as_ref(),
        };
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let (output, saved) =
                block.forward(&self.parameters, &self.heads, rows, beside, hidden);
            hidden = output;
            blocks.push(saved);
        }
        let saved = BodySaved {
            embedding_norm,
            embedded,
            blocks,
            positions,
            places,
        };
        (hidden, saved)
    }

    /// The same hidden states alone.
    pub(super) fn body_for_inference(&self, ids: &[u32], rows: &PackedLayout) -> Array {
        let (mut hidden, _, _) = self.embed(ids, &self.positions(ids, rows));
        let (bias, places) = (self.score_bias(rows), self.places(rows));
        let beside = Beside {
            bias: bias.as_ref(),
            places: places.as_ref(),
        };
        for block in &self.blocks {
            hidden = block
                .forward(&self.parameters, &self.heads, rows, beside, hidden)
                .0;
        }
        hidden
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
        let mut gradient = gradient.clone();
        let beside = (rows, saved.places.as_ref());
        let mut of_places: Option<Array> = None;
        for (block, saved) in self.blocks.iter().zip(saved.blocks).rev() {
            let (input, places) =
                block.backward(parameters, &self.heads, beside, saved, &gradient, tape);
            gradient = input;
            relative::collect(&mut of_places, places);
        }
        if let (Some(table), Some(places), Some(gradient)) =
            (&self.relative, saved.places, of_places)
        {
            table.backward(parameters, places, gradient, tape);
        }
        if let Some((projection, embedded)) = self.projection.as_ref().zip(saved.embedded) {
            gradient = projection.backward(parameters, rows, &embedded, &gradient, tape);
        }
        let norm = &saved.embedding_norm;
        let sum = self
            .embedding_norm
            .backward(parameters, rows, norm, &gradient, None, tape);
        if let Some(segments) = &self.segments {
            segments.backward(parameters, rows, vec![0; batch.ids.len()], &sum, tape);
        }
        if let Some(table) = &self.positions {
            table.backward(parameters, rows, saved.positions, &sum, tape);
        }
        let ids = batch.ids.as_slice();
        self.tokens.backward(parameters, rows, ids, &sum, tape);
    }
}
