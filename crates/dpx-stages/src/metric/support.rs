//! Precision and recall of a generator by k nearest neighbours (Kynkäänniemi et al. 2019).

use super::Embeddings;
use serde::{Deserialize, Serialize};

/// Shares of one set that lie within the other's support: the union of balls around its points, each reaching to its k-th
/// nearest neighbour of the same set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Support {
    /// Share of the synthetic texts within the support of the real ones: are they plausible?
    pub precision: f64,
    /// Share of the real texts within the support of the synthetic ones: is everything covered?
    pub recall: f64,
    /// Which nearest neighbor each ball reaches to.
    pub k: u64,
}

/// Precision and recall of `synthetic` against `real` with balls of `k` neighbours (the paper's 3), on unit vectors.
///
/// Nothing where a side has no more than `k` texts. Sets of one size make the figures comparable.
pub(crate) fn support(synthetic: &Embeddings, real: &Embeddings, k: usize) -> Option<Support> {
    if k == 0 || synthetic.len() <= k || real.len() <= k || synthetic.width() != real.width() {
        return None;
    }
    let (synthetic, real) = (synthetic.normalized(), real.normalized());
    Some(Support {
        precision: within(&synthetic, &real, &reach(&real, k)),
        recall: within(&real, &synthetic, &reach(&synthetic, k)),
        k: k as u64,
    })
}

/// For each point the cosine of its k-th nearest other point: what is at least as similar lies in its ball.
fn reach(set: &Embeddings, k: usize) -> Vec<f32> {
    set.fold_dots(set, |row, dots| {
        dots[row] = f32::NEG_INFINITY;
        let (_, kth, _) = dots.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
        *kth
    })
}

fn within(points: &Embeddings, centres: &Embeddings, reach: &[f32]) -> f64 {
    let inside = points.fold_dots(centres, |_, dots| {
        dots.iter().zip(reach).any(|(dot, reach)| dot >= reach)
    });
    inside.iter().filter(|inside| **inside).count() as f64 / points.len() as f64
}
