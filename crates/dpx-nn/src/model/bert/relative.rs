//! Vectors of distances, which DeBERTa's attention reads beside the tokens: looked up once, and met in every block.

use crate::kernel::{self, Distances, Normalized};
use crate::model::config::Relative;
use crate::{Array, Embedding, Norm, PackedLayout, Parameters, Tape};

/// The table of vectors, and the norm over it.
#[derive(Debug, Clone)]
pub(super) struct RelativeTable {
    pub(super) relative: Relative,
    pub(super) table: Embedding,
    pub(super) norm: Option<Norm>,
}

/// The vectors that the examples of a batch meet, each example its own copy: of what it meets its gradient is made.
pub(super) struct Places {
    pub(super) distances: Distances,
    /// `[places, hidden]`.
    pub(super) vectors: Array,
    /// The tokens of each example before its places.
    joined: PackedLayout,
    /// Rows of tokens and of places among both.
    rows: [Vec<usize>; 2],
    table_rows: Vec<u32>,
    norm: Option<Normalized>,
}

impl RelativeTable {
    /// The vectors for a batch.
    pub(super) fn places(&self, parameters: &Parameters, tokens: &PackedLayout) -> Places {
        let row = |distance: i64| self.relative.row(distance);
        let distances = Distances::new(tokens, row, self.relative.meets);
        let table_rows = distances.table_rows(tokens);
        let mut vectors = self.table.forward(parameters, &table_rows);
        let norm = self.norm.map(|norm| {
            let (normed, saved) = norm.forward(parameters, &vectors);
            vectors = normed;
            saved
        });
        let lengths = tokens.lengths().zip(distances.places().lengths());
        let lengths: Vec<(usize, usize)> = lengths.collect();
        let joined = PackedLayout::from_lengths(lengths.iter().map(|(own, met)| own + met));
        let mut rows = [Vec::new(), Vec::new()];
        for (example, (own, met)) in lengths.into_iter().enumerate() {
            let first = joined.range(example).start;
            rows[0].extend(first..first + own);
            rows[1].extend(first + own..first + own + met);
        }
        Places {
            distances,
            vectors,
            joined,
            rows,
            table_rows,
            norm,
        }
    }

    /// Records the uses of norm and table, from the gradient of the vectors.
    pub(super) fn backward(
        &self,
        parameters: &Parameters,
        places: Places,
        mut gradient: Array,
        tape: &mut Tape,
    ) {
        let rows = places.distances.places();
        if let Some((norm, saved)) = self.norm.zip(places.norm) {
            gradient = norm.backward(parameters, rows, &saved, &gradient, None, tape);
        }
        let table_rows = places.table_rows;
        self.table
            .backward(parameters, rows, table_rows, &gradient, tape);
    }
}

/// Adds the gradient of the vectors that one layer or block found to that of the others.
pub(super) fn collect(sum: &mut Option<Array>, more: Option<Array>) {
    match (sum, more) {
        (Some(sum), Some(more)) => kernel::add(sum, &more),
        (sum, Some(more)) => *sum = Some(more),
        (_, None) => {}
    }
}

impl Places {
    /// How tokens and places belong to examples.
    pub(super) const fn joined(&self) -> &PackedLayout {
        &self.joined
    }

    /// Tokens and places, example by example.
    pub(super) fn join(&self, tokens: &Array, places: &Array) -> Array {
        let count = self.joined.count();
        let mut joined = kernel::scatter_rows(tokens, &self.rows[0], count);
        kernel::add(
            &mut joined,
            &kernel::scatter_rows(places, &self.rows[1], count),
        );
        joined
    }

    /// The inverse.
    pub(super) fn split(&self, joined: &Array) -> [Array; 2] {
        [0, 1].map(|part| kernel::gather_rows(joined, &self.rows[part]))
    }
}
