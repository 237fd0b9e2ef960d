//! Attention to content and distance over packed examples, forward and backward.

use super::attention::{probability_offsets, softmax_backward_rows, softmax_rows};
use super::matmul::{Matrix, Threads, matmul};
use super::{split_by, split_by_mut};
use crate::kernel::{Disentangled, Distances, Heads};
use rayon::prelude::*;

/// One example: `length` tokens, `count` places, and where the parts of a row begin.
struct Example<'a> {
    heads: &'a Heads,
    qkv: &'a [f32],
    places: &'a [f32],
    length: usize,
    count: usize,
    width: usize,
    /// By distance, from `-(length - 1)` on.
    place_of: Vec<usize>,
    /// Columns of the keys and the queries of places, where there are any.
    parts: [Option<usize>; 2],
}

impl<'a> Example<'a> {
    fn new(heads: &'a Heads, distances: &Distances, qkv: &'a [f32], places: &'a [f32]) -> Self {
        let length = qkv.len() / heads.qkv_width();
        let width = distances.width(heads);
        let [keys, queries] = distances.meets();
        let before = if keys { heads.out_width() } else { 0 };
        Self {
            heads,
            qkv,
            places,
            length,
            count: places.len().checked_div(width).unwrap_or(0),
            width,
            place_of: distances.of(length).collect(),
            parts: [keys.then_some(0), queries.then_some(before)],
        }
    }

    /// Columns of tokens from one on, as a matrix `[length, head_dim]`.
    fn tokens(&self, column: usize) -> Matrix<'a> {
        Matrix::new(&self.qkv[column..], self.heads.qkv_width())
    }

    /// The keys (part 0) or queries (part 1) of places of a head, with their first column.
    fn part(&self, part: usize, head: usize) -> Option<usize> {
        Some(self.parts[part]? + head * self.heads.head_dim)
    }

    /// The place of each query and key, row by row, with the token that meets it: the query (part 0) or the key (part 1).
    fn meetings(&self, part: usize) -> impl Iterator<Item = usize> {
        let length = self.length;
        (0..length * length).map(move |at| {
            let (query, key) = (at / length, at % length);
            let token = if part == 0 { query } else { key };
            token * self.count + self.place_of[length - 1 + query - key]
        })
    }

    fn scores(&self, head: usize, scores: &mut [f32], met: &mut [f32]) {
        let [q, k, _] = self.heads.columns(head);
        let (length, dim) = (self.length, self.heads.head_dim);
        let keys = Matrix::transposed(&self.qkv[k..], self.heads.qkv_width());
        let sizes = [length, dim, length];
        matmul(
            sizes,
            self.tokens(q),
            keys,
            scores,
            length,
            false,
            Threads::One,
        );
        for (part, column) in [q, k].into_iter().enumerate() {
            let Some(own) = self.part(part, head) else {
                continue;
            };
            let places = Matrix::transposed(&self.places[own..], self.width);
            let sizes = [length, dim, self.count];
            matmul(
                sizes,
                self.tokens(column),
                places,
                met,
                self.count,
                false,
                Threads::One,
            );
            for (score, at) in scores.iter_mut().zip(self.meetings(part)) {
                *score += met[at];
            }
        }
    }
}

/// `out = softmax(scores) v` per example and head; the scores as [`disentangled`](crate::kernel::disentangled) says.
pub(crate) fn forward(
    over: Disentangled<'_>,
    [qkv, places]: [&[f32]; 2],
    [out, probabilities]: [&mut [f32]; 2],
) {
    let (heads, distances) = (over.heads, over.distances);
    let offsets = over.rows.offsets();
    let out_width = heads.out_width();
    split_by_mut(out, offsets, out_width)
        .into_par_iter()
        .zip(split_by_mut(
            probabilities,
            &probability_offsets(heads, offsets),
            1,
        ))
        .zip(split_by(qkv, offsets, heads.qkv_width()))
        .zip(split_by(
            places,
            distances.places().offsets(),
            distances.width(heads),
        ))
        .for_each(|(((out, probabilities), qkv), places)| {
            if qkv.is_empty() {
                return;
            }
            let example = Example::new(heads, distances, qkv, places);
            let (length, dim) = (example.length, heads.head_dim);
            let mut met = vec![0.0_f32; length * example.count];
            for (head, p) in probabilities.chunks_exact_mut(length * length).enumerate() {
                example.scores(head, p, &mut met);
                softmax_rows(p, length, heads);
                let [.., v] = heads.columns(head);
                let out = &mut out[head * dim..];
                let sizes = [length, length, dim];
                matmul(
                    sizes,
                    Matrix::new(p, length),
                    example.tokens(v),
                    out,
                    out_width,
                    false,
                    Threads::One,
                );
            }
        });
}

/// Gradients of `qkv` and of the places from the gradient of the output.
pub(crate) fn backward(
    over: Disentangled<'_>,
    [qkv, places, probabilities, gradient]: [&[f32]; 4],
    [qkv_gradient, places_gradient]: [&mut [f32]; 2],
) {
    let (heads, distances) = (over.heads, over.distances);
    let offsets = over.rows.offsets();
    let (width, out_width) = (heads.qkv_width(), heads.out_width());
    let place_offsets = distances.places().offsets();
    let place_width = distances.width(heads);
    split_by_mut(qkv_gradient, offsets, width)
        .into_par_iter()
        .zip(split_by_mut(places_gradient, place_offsets, place_width))
        .zip(split_by(
            probabilities,
            &probability_offsets(heads, offsets),
            1,
        ))
        .zip(split_by(qkv, offsets, width))
        .zip(split_by(places, place_offsets, place_width))
        .zip(split_by(gradient, offsets, out_width))
        .for_each(|(((((dqkv, dplaces), probabilities), qkv), places), dy)| {
            if qkv.is_empty() {
                return;
            }
            let example = Example::new(heads, distances, qkv, places);
            let (length, count, dim) = (example.length, example.count, heads.head_dim);
            let mut ds = vec![0.0_f32; length * length];
            let mut dmet = vec![0.0_f32; length * count];
            for (head, p) in probabilities.chunks_exact(length * length).enumerate() {
                let [q, k, v] = heads.columns(head);
                let dy = Matrix::new(&dy[head * dim..], out_width);
                let values = Matrix::transposed(&qkv[v..], width);
                matmul(
                    [length, dim, length],
                    dy,
                    values,
                    &mut ds,
                    length,
                    false,
                    Threads::One,
                );
                let (narrow, p_columns) = ([length, length, dim], Matrix::transposed(p, length));
                matmul(
                    narrow,
                    p_columns,
                    dy,
                    &mut dqkv[v..],
                    width,
                    false,
                    Threads::One,
                );
                softmax_backward_rows(&mut ds, p, length, heads.scale);
                let rows = Matrix::new(&ds, length);
                matmul(
                    narrow,
                    rows,
                    example.tokens(k),
                    &mut dqkv[q..],
                    width,
                    false,
                    Threads::One,
                );
                let columns = Matrix::transposed(&ds, length);
                matmul(
                    narrow,
                    columns,
                    example.tokens(q),
                    &mut dqkv[k..],
                    width,
                    false,
                    Threads::One,
                );
                for (part, column) in [q, k].into_iter().enumerate() {
                    let Some(own) = example.part(part, head) else {
                        continue;
                    };
                    dmet.fill(0.0);
                    for (ds, at) in ds.iter().zip(example.meetings(part)) {
                        dmet[at] += ds;
                    }
                    let met = Matrix::new(&dmet, count);
                    let vectors = Matrix::new(&places[own..], place_width);
                    matmul(
                        [length, count, dim],
                        met,
                        vectors,
                        &mut dqkv[column..],
                        width,
                        true,
                        Threads::One,
                    );
                    let met = Matrix::transposed(&dmet, count);
                    let tokens = example.tokens(column);
                    matmul(
                        [count, length, dim],
                        met,
                        tokens,
                        &mut dplaces[own..],
                        place_width,
                        false,
                        Threads::One,
                    );
                }
            }
        });
}
