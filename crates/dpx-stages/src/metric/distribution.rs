//! Distances between two distributions: lengths of texts, shares of labels.

use serde::{Deserialize, Serialize};

/// Lengths of two sets of texts in words, side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lengths {
    /// Upper edges of the bins, in words; the last bin has none above it.
    pub edges: Vec<u64>,
    /// Share of the synthetic texts in each bin.
    pub synthetic: Vec<f64>,
    /// Share of the real texts in each bin.
    pub real: Vec<f64>,
    /// Mean length of the synthetic texts.
    pub synthetic_mean: f64,
    /// Mean length of the real texts.
    pub real_mean: f64,
    /// Wasserstein-1 distance of the lengths, in words: how far a text must be stretched or cut on average. Computed on
    /// the lengths themselves, not on bins.
    pub wasserstein: f64,
}

/// Number of bins of a length histogram.
const BINS: u64 = 20;

/// Compares lengths, given in words.
pub fn lengths(synthetic: &[u64], real: &[u64]) -> Lengths {
    let longest = synthetic.iter().chain(real).copied().max().unwrap_or(0);
    let step = (longest + 1).div_ceil(BINS).max(1);
    let edges: Vec<u64> = (1..=(longest + 1).div_ceil(step))
        .map(|bin| bin * step)
        .collect();
    let shares = |values: &[u64]| {
        let mut counts = vec![0.0; edges.len()];
        for value in values {
            counts[(value / step) as usize] += 1.0 / values.len() as f64;
        }
        counts
    };
    Lengths {
        synthetic: shares(synthetic),
        real: shares(real),
        synthetic_mean: mean(synthetic),
        real_mean: mean(real),
        wasserstein: wasserstein(synthetic, real),
        edges,
    }
}

fn mean(values: &[u64]) -> f64 {
    values.iter().sum::<u64>() as f64 / (values.len().max(1)) as f64
}

/// Wasserstein-1 distance between two samples: the area between their cumulative distributions
/// (`scipy.stats.wasserstein_distance`). 0 where a sample is empty.
pub fn wasserstein(first: &[u64], second: &[u64]) -> f64 {
    if first.is_empty() || second.is_empty() {
        return 0.0;
    }
    let (mut first, mut second) = (first.to_vec(), second.to_vec());
    first.sort_unstable();
    second.sort_unstable();
    let mut places: Vec<u64> = first.iter().chain(&second).copied().collect();
    places.sort_unstable();
    places.dedup();
    let below = |sorted: &[u64], place: u64| {
        sorted.partition_point(|value| *value <= place) as f64 / sorted.len() as f64
    };
    places
        .windows(2)
        .map(|pair| {
            (below(&first, pair[0]) - below(&second, pair[0])).abs() * (pair[1] - pair[0]) as f64
        })
        .sum()
}

/// Shares of labels of two sets of texts, side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelShares {
    /// In the declared order, which the counts below have too.
    pub labels: Vec<String>,
    /// Number of synthetic texts per label.
    pub synthetic: Vec<u64>,
    /// Number of real texts per label.
    pub real: Vec<u64>,
    /// Total variation distance, 0 to 1: the share of texts that would have to change their label.
    pub total_variation: f64,
    /// Jensen-Shannon distance (Endres and Schindelin 2003) with logarithms to base 2, 0 to 1.
    pub jensen_shannon: f64,
}

/// Compares labels, given as counts in the order of `labels`.
pub fn label_shares(labels: &[String], synthetic: Vec<u64>, real: Vec<u64>) -> LabelShares {
    let share = |counts: &[u64]| {
        let total = counts.iter().sum::<u64>().max(1) as f64;
        counts
            .iter()
            .map(|count| *count as f64 / total)
            .collect::<Vec<f64>>()
    };
    let (p, q) = (share(&synthetic), share(&real));
    let total_variation = p.iter().zip(&q).map(|(p, q)| (p - q).abs()).sum::<f64>() / 2.0;
    let divergence = |from: &[f64]| -> f64 {
        from.iter()
            .zip(p.iter().zip(&q))
            .filter(|(from, _)| **from > 0.0)
            .map(|(from, (p, q))| from * (from / f64::midpoint(*p, *q)).log2())
            .sum()
    };
    let jensen_shannon = f64::midpoint(divergence(&p), divergence(&q))
        .max(0.0)
        .sqrt();
    LabelShares {
        labels: labels.to_vec(),
        synthetic,
        real,
        total_variation,
        jensen_shannon,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_hold_everything_and_sum_to_one() {
        let found = lengths(&[0, 1, 5, 99], &[3, 100]);
        assert!((found.synthetic.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((found.real.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(*found.edges.last().unwrap() > 100);
        let none = lengths(&[], &[]);
        assert_eq!(none.wasserstein, 0.0);
    }
}
