//! One block: attention and a feed-forward layer, each after a norm and beside a residual.

use super::attention::{self, Attend, Attention};
use super::feed_forward::{self, FeedForward};
use super::pass::Pass;
use crate::kernel::{self, Normalized};
use crate::{Array, Linear, Norm, Tape};

/// Layers of a block. Which norms there are is the family's.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) before_attention: Option<Norm>,
    pub(super) attention: Attention,
    pub(super) before_feed: Option<Norm>,
    pub(super) feed_forward: FeedForward,
}

/// What the backward pass of a block needs.
pub(super) struct Saved {
    before_attention: Option<Normalized>,
    attention: attention::Saved,
    before_feed: Option<Normalized>,
    feed_forward: feed_forward::Saved,
}

/// A norm where there is one; else the input itself.
fn normed(norm: Option<&Norm>, pass: &Pass<'_>, input: &Array) -> (Array, Option<Normalized>) {
    match norm {
        Some(norm) => {
            let (output, saved) = norm.forward(pass.parameters, input);
            (output, Some(saved))
        }
        None => (input.clone(), None),
    }
}

/// The gradient of the input of [`normed`] plus a residual.
fn normed_backward(
    norm: Option<&Norm>,
    pass: &Pass<'_>,
    saved: Option<&Normalized>,
    mut gradient: Array,
    residual: &Array,
    tape: &mut Tape,
) -> Array {
    match norm.zip(saved) {
        Some((norm, saved)) => norm.backward(
            pass.parameters,
            pass.rows,
            saved,
            &gradient,
            Some(residual),
            tape,
        ),
        None => {
            kernel::add(&mut gradient, residual);
            gradient
        }
    }
}

impl Block {
    /// The output, and what the backward pass needs.
    pub(super) fn forward(
        &self,
        pass: &Pass<'_>,
        input: &Array,
        attend: Attend<'_>,
    ) -> (Array, Saved) {
        let parameters = pass.parameters;
        let (attention_input, before_attention) =
            normed(self.before_attention.as_ref(), pass, input);
        let (attended, attention) = self.attention.forward(pass, attention_input, attend);
        let middle = self
            .attention
            .out
            .forward_residual(parameters, &attended, input);
        let (feed_input, before_feed) = normed(self.before_feed.as_ref(), pass, &middle);
        let (activation, feed_forward) = self.feed_forward.forward(pass, feed_input);
        let output = self
            .feed_forward
            .down
            .forward_residual(parameters, &activation, &middle);
        let saved = Saved {
            before_attention,
            attention,
            before_feed,
            feed_forward,
        };
        (output, saved)
    }

    /// The gradient of the input.
    pub(super) fn backward(
        &self,
        pass: &Pass<'_>,
        saved: Saved,
        gradient: &Array,
        tape: &mut Tape,
    ) -> Array {
        let Saved {
            before_attention,
            attention,
            before_feed,
            feed_forward,
        } = saved;
        let feed_input = self
            .feed_forward
            .backward(pass, feed_forward, gradient, tape);
        let middle = normed_backward(
            self.before_feed.as_ref(),
            pass,
            before_feed.as_ref(),
            feed_input,
            gradient,
            tape,
        );
        drop(before_feed);
        let attention_input = self.attention.backward(pass, attention, &middle, tape);
        normed_backward(
            self.before_attention.as_ref(),
            pass,
            before_attention.as_ref(),
            attention_input,
            &middle,
            tape,
        )
    }

    /// All linear layers, in the order in which adapters are put beside them.
    pub(super) fn linears_mut(&mut self) -> Vec<&mut Linear> {
        let mut linears = self.attention.linears_mut();
        linears.extend(self.feed_forward.linears_mut());
        linears
    }
}
