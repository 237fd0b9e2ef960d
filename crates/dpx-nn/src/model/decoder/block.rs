//! One block: attention and a feed-forward layer, each beside a residual, with norms before or after them on their branches.

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
    pub(super) after_attention: Option<Norm>,
    pub(super) before_feed: Option<Norm>,
    pub(super) feed_forward: FeedForward,
    pub(super) after_feed: Option<Norm>,
    /// Whether the feed-forward layer reads the input of the block, not what attention made of it.
    pub(super) parallel: bool,
}

/// What the backward pass of a block needs.
#[derive(Clone)]
pub(super) struct Saved {
    before_attention: Option<Normalized>,
    attention: attention::Saved,
    after_attention: Option<Normalized>,
    before_feed: Option<Normalized>,
    feed_forward: feed_forward::Saved,
    after_feed: Option<Normalized>,
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
    if let Some((norm, saved)) = norm.zip(saved) {
        norm.backward(
            pass.parameters,
            pass.rows,
            saved,
            &gradient,
            Some(residual),
            tape,
        )
    } else {
        kernel::add(&mut gradient, residual);
        gradient
    }
}

/// The last layer of a branch, a norm where there is one, and the residual.
fn joined(
    last: &Linear,
    norm: Option<&Norm>,
    pass: &Pass<'_>,
    branch: &Array,
    residual: &Array,
) -> (Array, Option<Normalized>) {
    let Some(norm) = norm else {
        let output = last.forward_residual(pass.parameters, branch, residual);
        return (output, None);
    };
    let branch = last.forward(pass.parameters, branch);
    let (mut output, saved) = norm.forward(pass.parameters, &branch);
    kernel::add(&mut output, residual);
    (output, Some(saved))
}

/// The gradient of the output of the last layer of a branch, from that of the block.
fn joined_backward(
    norm: Option<&Norm>,
    pass: &Pass<'_>,
    saved: Option<&Normalized>,
    gradient: &Array,
    tape: &mut Tape,
) -> Array {
    match norm.zip(saved) {
        Some((norm, saved)) => {
            norm.backward(pass.parameters, pass.rows, saved, gradient, None, tape)
        }
        None => gradient.clone(),
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
        let (middle, activation, mut saved) = self.inner(pass, input, attend);
        let (output, after_feed) = self.last(pass, &activation, &middle);
        saved.after_feed = after_feed;
        (output, saved)
    }

    /// What the backward pass needs, without the output: the last layer is left out where nothing is remembered of it.
    pub(super) fn forward_again(
        &self,
        pass: &Pass<'_>,
        input: &Array,
        attend: Attend<'_>,
    ) -> Saved {
        let (middle, activation, mut saved) = self.inner(pass, input, attend);
        if self.after_feed.is_some() {
            saved.after_feed = self.last(pass, &activation, &middle).1;
        }
        saved
    }

    /// What attention made of the input, the activation of the feed-forward layer, and what of them is remembered.
    fn inner(&self, pass: &Pass<'_>, input: &Array, attend: Attend<'_>) -> (Array, Array, Saved) {
        let (attention_input, before_attention) =
            normed(self.before_attention.as_ref(), pass, input);
        let (attended, attention) = self.attention.forward(pass, attention_input, attend);
        let (middle, after_attention) = joined(
            &self.attention.out,
            self.after_attention.as_ref(),
            pass,
            &attended,
            input,
        );
        let read = if self.parallel { input } else { &middle };
        let (feed_input, before_feed) = normed(self.before_feed.as_ref(), pass, read);
        let (activation, feed_forward) = self.feed_forward.forward(pass, feed_input);
        let saved = Saved {
            before_attention,
            attention,
            after_attention,
            before_feed,
            feed_forward,
            after_feed: None,
        };
        (middle, activation, saved)
    }

    fn last(
        &self,
        pass: &Pass<'_>,
        activation: &Array,
        middle: &Array,
    ) -> (Array, Option<Normalized>) {
        joined(
            &self.feed_forward.down,
            self.after_feed.as_ref(),
            pass,
            activation,
            middle,
        )
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
            after_attention,
            before_feed,
            feed_forward,
            after_feed,
        } = saved;
        let branch = joined_backward(
            self.after_feed.as_ref(),
            pass,
            after_feed.as_ref(),
            gradient,
            tape,
        );
        let feed_input = self
            .feed_forward
            .backward(pass, feed_forward, &branch, tape);
        drop((branch, after_feed));
        // The gradient of what the feed-forward layer read and of the residual, which in parallel blocks is that of the input
        // but for attention's share.
        let middle = normed_backward(
            self.before_feed.as_ref(),
            pass,
            before_feed.as_ref(),
            feed_input,
            gradient,
            tape,
        );
        drop(before_feed);
        let reached = if self.parallel { gradient } else { &middle };
        let branch = joined_backward(
            self.after_attention.as_ref(),
            pass,
            after_attention.as_ref(),
            reached,
            tape,
        );
        let attention_input = self.attention.backward(pass, attention, &branch, tape);
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
