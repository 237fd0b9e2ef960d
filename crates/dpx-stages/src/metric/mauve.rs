//! MAUVE: the area under the divergence frontier of two quantised sets of texts (Pillutla et al. 2021).

use super::Embeddings;
use super::kmeans::kmeans;
use super::pca;
use serde::{Deserialize, Serialize};

/// How the two sets are quantised and the frontier is drawn. Scores compare only between equal settings and sizes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MauveOptions {
    /// Number of clusters; 0 takes a tenth of the texts of the smaller side, at least 2.
    pub clusters: usize,
    /// Share of the variance that the principal components keep before clustering.
    pub explained_variance: f64,
    /// Runs of k-means, of which the best counts.
    pub redos: usize,
    /// Most iterations of one run.
    pub max_iterations: usize,
    /// The constant c in exp(-c KL).
    pub scaling: f64,
    /// Points at which the frontier is computed.
    pub points: usize,
    pub seed: u64,
}

impl Default for MauveOptions {
    /// The paper's settings, with three runs of k-means.
    fn default() -> Self {
        Self {
            clusters: 0,
            explained_variance: 0.9,
            redos: 3,
            max_iterations: 500,
            scaling: 5.0,
            points: 25,
            seed: 25,
        }
    }
}

/// The score and the settings it belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mauve {
    /// Area under the frontier of the quantised sets, between 0 and 1; higher is closer.
    pub mauve: f64,
    /// The same with half a count added to every cluster (Krichevsky-Trofimov), which lowers the bias of small samples
    /// (Pillutla et al. 2023, MAUVE*).
    pub mauve_star: f64,
    /// Clusters of k-means that both sets were quantised to.
    pub clusters: u64,
    /// Principal components kept.
    pub components: u64,
    /// Texts of the first set.
    pub n_first: u64,
    /// Texts of the second set.
    pub n_second: u64,
}

/// MAUVE of two sets of embeddings of one width. Nothing where a side has fewer than 2.
pub(crate) fn mauve(
    first: &Embeddings,
    second: &Embeddings,
    options: &MauveOptions,
) -> Option<Mauve> {
    if first.len() < 2 || second.len() < 2 || first.width() != second.width() {
        return None;
    }
    let both = first.concat(second).normalized();
    let projected = pca::project(&both, options.explained_variance);
    let clusters = if options.clusters == 0 {
        ((first.len().min(second.len()) as f64 / 10.0).round() as usize).max(2)
    } else {
        options.clusters
    };
    let found = kmeans(
        &projected,
        clusters,
        options.redos,
        options.max_iterations,
        options.seed,
    );
    let (head, tail) = found.assignment.split_at(first.len());
    let p = histogram(head, found.clusters);
    let q = histogram(tail, found.clusters);
    Some(Mauve {
        mauve: frontier_area(&shares(&p, 0.0), &shares(&q, 0.0), options),
        mauve_star: frontier_area(&shares(&p, 0.5), &shares(&q, 0.5), options),
        clusters: found.clusters as u64,
        components: projected.width() as u64,
        n_first: first.len() as u64,
        n_second: second.len() as u64,
    })
}

fn histogram(assignment: &[usize], clusters: usize) -> Vec<u64> {
    let mut counts = vec![0; clusters];
    for &cluster in assignment {
        counts[cluster] += 1;
    }
    counts
}

fn shares(counts: &[u64], added: f64) -> Vec<f64> {
    let total = counts.iter().sum::<u64>() as f64 + added * counts.len() as f64;
    counts
        .iter()
        .map(|&count| (count as f64 + added) / total)
        .collect()
}

/// Area under the curve (exp(-c KL(Q|R)), exp(-c KL(P|R))) with R = w P + (1 - w) Q for w from 0 to 1 (equations 1 and
/// 2 of the paper), by the trapezoid rule; the end points (1, 0) and (0, 1) belong to it.
fn frontier_area(p: &[f64], q: &[f64], options: &MauveOptions) -> f64 {
    const EDGE: f64 = 1e-6;
    let steps = options.points.max(2) - 1;
    let mut previous = (1.0, 0.0);
    let mut area = 0.0;
    for step in 0..=steps + 1 {
        let point = if step > steps {
            (0.0, 1.0)
        } else {
            let weight = EDGE + (1.0 - 2.0 * EDGE) * step as f64 / steps as f64;
            let mixture: Vec<f64> = p
                .iter()
                .zip(q)
                .map(|(p, q)| weight * p + (1.0 - weight) * q)
                .collect();
            (
                (-options.scaling * divergence(q, &mixture)).exp(),
                (-options.scaling * divergence(p, &mixture)).exp(),
            )
        };
        area += (previous.0 - point.0) * f64::midpoint(previous.1, point.1);
        previous = point;
    }
    area.clamp(0.0, 1.0)
}

/// Kullback-Leibler divergence in nats; `from` has no mass where `to` has none.
fn divergence(from: &[f64], to: &[f64]) -> f64 {
    from.iter()
        .zip(to)
        .filter(|(from, _)| **from > 0.0)
        .map(|(from, to)| from * (from / to).ln())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sets_score_one_and_disjoint_ones_almost_nothing() {
        let options = MauveOptions::default();
        let same = [0.25, 0.5, 0.25];
        assert!((frontier_area(&same, &same, &options) - 1.0).abs() < 1e-9);
        let apart = frontier_area(&[1.0, 0.0], &[0.0, 1.0], &options);
        assert!(apart > 0.0 && apart < 0.01, "{apart}");
    }

    #[test]
    fn too_small_a_side_has_no_score() {
        let one = Embeddings::new(vec![1.0, 2.0], 2).unwrap();
        let two = Embeddings::new(vec![1.0, 2.0, 3.0, 4.0], 2).unwrap();
        assert!(mauve(&one, &two, &MauveOptions::default()).is_none());
    }
}
