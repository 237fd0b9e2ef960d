//! Attention whose scores also depend on the distance of query and key, by vectors of distances (DeBERTa, He et al. 2021).

use super::{Heads, backend};
use crate::{Array, PackedLayout};
use std::sync::Arc;

/// Which vectors of distances the tokens of each example meet.
///
/// Distances lead to rows of a table, far ones to the same row. Each example has its own copy of those rows that its distances
/// lead to, its places: what an example computes, and its gradient, then depends on no other.
#[derive(Debug, Clone)]
pub struct Distances {
    /// How places belong to examples.
    places: PackedLayout,
    /// The row of the table for each distance, from `-(size - 1)` on.
    rows: Arc<[u32]>,
    /// Length of the longest example.
    size: usize,
    /// Whether queries of tokens meet keys of places, and keys of tokens meet queries of places.
    meets: [bool; 2],
}

impl Distances {
    /// For examples of tokens, and the row for each distance `query - key`, which does not fall as the distance grows. `meets`: whether
    /// queries of tokens meet keys of places, and keys of tokens meet queries of places.
    pub fn new(tokens: &PackedLayout, row: impl Fn(i64) -> u32, meets: [bool; 2]) -> Self {
        let size = tokens.lengths().max().unwrap_or(0);
        let far = size as i64 - 1;
        let rows: Arc<[u32]> = (-far..=far).map(row).collect();
        let count = |length: usize| match length {
            0 => 0,
            _ => (rows[size + length - 2] - rows[size - length]) as usize + 1,
        };
        let places = PackedLayout::from_lengths(tokens.lengths().map(count));
        Self {
            places,
            rows,
            size,
            meets,
        }
    }

    /// How places belong to examples.
    pub const fn places(&self) -> &PackedLayout {
        &self.places
    }

    /// The row of the table of each place of examples with these lengths, which must be those that it was made for.
    pub fn table_rows(&self, tokens: &PackedLayout) -> Vec<u32> {
        let lengths = tokens.lengths().filter(|length| *length > 0);
        lengths
            .flat_map(|length| self.rows[self.size - length]..=self.rows[self.size + length - 2])
            .collect()
    }

    /// Whether queries of tokens meet keys of places, and keys of tokens meet queries of places.
    pub const fn meets(&self) -> [bool; 2] {
        self.meets
    }

    /// Numbers of a place: keys before queries, where there are both.
    pub fn width(&self, heads: &Heads) -> usize {
        self.meets.iter().filter(|meets| **meets).count() * heads.out_width()
    }

    /// The place within an example of some length for each distance, from `-(length - 1)` on.
    pub(crate) fn of(&self, length: usize) -> impl Iterator<Item = usize> {
        let end = if length == 0 {
            self.size
        } else {
            self.size + length - 1
        };
        let rows = &self.rows[(self.size - length).min(self.rows.len())..end.min(self.rows.len())];
        let first = rows.first().copied().unwrap_or(0);
        rows.iter().map(move |row| (row - first) as usize)
    }
}

/// Which tokens attend to which, and by what.
#[derive(Clone, Copy)]
pub(crate) struct Disentangled<'a> {
    pub(crate) heads: &'a Heads,
    pub(crate) rows: &'a PackedLayout,
    pub(crate) distances: &'a Distances,
}

/// Attention inside each example, of `heads` that share nothing and see everything. `qkv` is `[rows, heads.qkv_width()]`, `places` are
/// the vectors of each example's places, `[distances.places(), distances.width()]`. A score is the product of query and key, of the query
/// and the key of their distance, and of the key and the query of their distance, each times `heads.scale`.
///
/// Returns the output `[rows, heads.out_width()]` and the probabilities, which [`disentangled_backward`] needs.
pub fn disentangled(
    heads: &Heads,
    rows: &PackedLayout,
    distances: &Distances,
    qkv: &Array,
    places: &Array,
) -> (Array, Array) {
    assert_eq!(
        [qkv.rows(), qkv.width(), places.rows(), places.width()],
        [
            rows.count(),
            heads.qkv_width(),
            distances.places.count(),
            distances.width(heads)
        ],
        "queries, keys and values, and places"
    );
    assert!(
        heads.group() == 1 && !heads.causal && heads.window.is_none(),
        "attention to all tokens"
    );
    let over = Disentangled {
        heads,
        rows,
        distances,
    };
    backend(qkv).disentangled(over, [qkv, places]).into()
}

/// Gradients of `qkv` and of the places.
pub fn disentangled_backward(
    heads: &Heads,
    rows: &PackedLayout,
    distances: &Distances,
    [qkv, places]: [&Array; 2],
    probabilities: &Array,
    gradient: &Array,
) -> (Array, Array) {
    assert_eq!(
        gradient.len(),
        rows.count() * heads.out_width(),
        "gradient of attention"
    );
    let inputs = [qkv, places, probabilities, gradient];
    let over = Disentangled {
        heads,
        rows,
        distances,
    };
    backend(qkv).disentangled_backward(over, inputs).into()
}
