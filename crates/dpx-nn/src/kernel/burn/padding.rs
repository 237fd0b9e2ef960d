//! Packed examples laid out side by side, each padded to the longest.

use super::upload::{indices, mask};
use crate::PackedLayout;
use crate::device::Tensor;
use crate::kernel::Heads;
use burn::tensor::{Bool, Int};
use burn_dispatch::DispatchDevice;
use std::ops::Range;
use std::sync::OnceLock;

/// Where the rows of packed examples go when every example is padded to the longest. Made once for the rows of a batch.
pub(crate) struct Padding {
    pub(super) batch: usize,
    /// Length of the longest example.
    pub(super) max_seq_len: usize,
    pub(super) device: DispatchDevice,
    /// None where all examples are equally long: then padding is a reshape.
    moves: Option<Moves>,
    /// What a position may not see, for the attention that a model has in all its layers, and for that with a window.
    unseen: [OnceLock<(Heads, Tensor<2, Bool>)>; 2],
}

struct Moves {
    /// The packed row for each place `[batch * max_seq_len]`; padding repeats a row of its own example, or row 0 where the example
    /// has none.
    row_of_place: Tensor<1, Int>,
    /// The place of each packed row.
    place_of_row: Tensor<1, Int>,
    /// Where there is padding, `[batch, max_seq_len]`.
    padding: Tensor<2, Bool>,
}

impl Padding {
    /// For rows of which there is at least one.
    pub(crate) fn new(rows: &PackedLayout, device: &DispatchDevice) -> Self {
        let (batch, max_seq_len) = (rows.batch(), rows.lengths().max().unwrap_or(0));
        let moves = rows.lengths().any(|length| length != max_seq_len).then(|| {
            let range = |example: usize| rows.range(example);
            let places = (0..batch).flat_map(|example| {
                let last = range(example).end.saturating_sub(1);
                (0..max_seq_len).map(move |position| (example, position, last))
            });
            let row = |(example, position, last): (usize, usize, usize)| {
                let range = range(example);
                match range.len() {
                    0 => 0,
                    _ => (range.start + position).min(last),
                }
            };
            let padded = (0..batch).flat_map(|example| {
                let length = range(example).len();
                (0..max_seq_len).map(move |position| position >= length)
            });
            let kept = (0..batch).flat_map(|example| {
                (0..range(example).len()).map(move |position| example * max_seq_len + position)
            });
            Moves {
                row_of_place: indices(places.map(row), device),
                place_of_row: indices(kept, device),
                padding: mask(padded.collect(), [batch, max_seq_len], device),
            }
        });
        Self {
            batch,
            max_seq_len,
            device: device.clone(),
            moves,
            unseen: Default::default(),
        }
    }

    /// Whether it was made for a device.
    pub(crate) fn is_for(&self, device: &DispatchDevice) -> bool {
        self.device == *device
    }

    /// `[rows, width]` as `[batch, max_seq_len, width]`; padding repeats rows.
    pub(super) fn pad(&self, x: Tensor<2>) -> Tensor<3> {
        self.pad_part(x, 0..self.batch)
    }

    /// The same for some of the examples.
    pub(super) fn pad_part(&self, x: Tensor<2>, examples: Range<usize>) -> Tensor<3> {
        let width = x.dims()[1];
        let places = examples.start * self.max_seq_len..examples.end * self.max_seq_len;
        let whole = examples.len() == self.batch;
        let part = match &self.moves {
            None if whole => x,
            None => x.narrow(0, places.start, places.len()),
            Some(moves) if whole => x.select(0, moves.row_of_place.clone()),
            Some(moves) => {
                let rows = moves.row_of_place.clone();
                x.select(0, rows.narrow(0, places.start, places.len()))
            }
        };
        part.reshape([examples.len(), self.max_seq_len, width])
    }

    /// Puts zeros in the place of padding, `[batch, max_seq_len, width]`.
    pub(super) fn zeroed(&self, padded: Tensor<3>, examples: Range<usize>) -> Tensor<3> {
        let dims = padded.dims();
        match self.padding(examples) {
            None => padded,
            Some(padding) => {
                let column = padding.reshape([dims[0], dims[1], 1]);
                padded.mask_fill(column.expand(dims), 0.0)
            }
        }
    }

    /// The inverse of [`Padding::pad`], from `[batch * max_seq_len, width]`.
    pub(super) fn unpad(&self, padded: Tensor<2>) -> Tensor<2> {
        match &self.moves {
            None => padded,
            Some(moves) => padded.select(0, moves.place_of_row.clone()),
        }
    }

    /// Where some of the examples have padding, `[examples, max_seq_len]`; nothing where none has.
    pub(super) fn padding(&self, examples: Range<usize>) -> Option<Tensor<2, Bool>> {
        self.moves.as_ref().map(|moves| {
            let padding = moves.padding.clone();
            if examples.len() == self.batch {
                padding
            } else {
                padding.narrow(0, examples.start, examples.len())
            }
        })
    }

    /// What a position may not see but for padding, `[group * max_seq_len, max_seq_len]`: `group` queries share each key.
    /// Nothing where it may see all.
    pub(super) fn unseen(&self, heads: &Heads) -> Option<Tensor<2, Bool>> {
        if !heads.causal && heads.window.is_none() {
            return None;
        }
        let length = self.max_seq_len;
        let make = || {
            let unseen = (0..heads.group() * length).flat_map(|row| {
                let seen = heads.seen(row % length, length);
                (0..length).map(move |key| !seen.contains(&key))
            });
            let dims = [heads.group() * length, length];
            mask(unseen.collect(), dims, &self.device)
        };
        let place = &self.unseen[usize::from(heads.window.is_some())];
        let (made_for, mask) = place.get_or_init(|| (*heads, make()));
        Some(if made_for == heads {
            mask.clone()
        } else {
            make()
        })
    }
}
