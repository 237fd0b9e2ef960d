//! Distance of each synthetic text to the nearest training text, beside that to the nearest held-out text.
//!
//! Diagnostics, not a guarantee (Ganev and De Cristofaro 2023; Yao et al. 2025): a small distance is no proof of leakage
//! and a large one no proof of its absence.

use super::{Embeddings, Share};
use serde::{Deserialize, Serialize};

/// Distances `1 - cosine` to the nearest text of two sets of one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Neighbours {
    /// Distances at which the cumulative curves are given.
    pub grid: Vec<f64>,
    /// Share of the synthetic texts that have a training text within each distance.
    pub training: Vec<f64>,
    /// Share of the synthetic texts that have a held-out text within each distance.
    pub held_out: Vec<f64>,
    /// Median distance to the nearest training text.
    pub training_median: f64,
    /// Median distance to the nearest held-out text.
    pub held_out_median: f64,
    /// Share of the synthetic texts nearer to a training than to a held-out text, ties left out; a half where nothing is
    /// remembered.
    pub nearer_to_training: Share,
    /// Texts on each of the two real sides.
    pub n: u64,
}

const GRID: usize = 40;

/// Compares distances. The two real sets should have one size: the nearest of more texts is nearer. Nothing where a set is
/// empty.
pub fn neighbours(
    synthetic: &Embeddings,
    training: &Embeddings,
    held_out: &Embeddings,
) -> Option<Neighbours> {
    if synthetic.is_empty() || training.is_empty() || held_out.is_empty() {
        return None;
    }
    let unit = synthetic.normalised();
    let distances = |real: &Embeddings| -> Vec<f64> {
        unit.nearest(&real.normalised())
            .into_iter()
            .map(|cosine| (1.0 - f64::from(cosine)).max(0.0))
            .collect()
    };
    let to_training = distances(training);
    let to_held_out = distances(held_out);
    let (mut nearer, mut decided) = (0, 0);
    for (a, b) in to_training.iter().zip(&to_held_out) {
        if (a - b).abs() > 1e-6 {
            decided += 1;
            nearer += u64::from(a < b);
        }
    }
    let farthest = to_training
        .iter()
        .chain(&to_held_out)
        .copied()
        .fold(0.0, f64::max)
        .max(1e-6);
    let grid: Vec<f64> = (0..=GRID)
        .map(|step| farthest * step as f64 / GRID as f64)
        .collect();
    let (training_sorted, held_out_sorted) = (sorted(to_training), sorted(to_held_out));
    let cumulative = |sorted: &[f64]| {
        grid.iter()
            .map(|edge| {
                sorted.partition_point(|distance| *distance <= *edge + 1e-12) as f64
                    / sorted.len() as f64
            })
            .collect()
    };
    Some(Neighbours {
        training: cumulative(&training_sorted),
        held_out: cumulative(&held_out_sorted),
        training_median: median(&training_sorted),
        held_out_median: median(&held_out_sorted),
        nearer_to_training: Share::of(nearer, decided),
        n: training.len() as u64,
        grid,
    })
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    } else {
        sorted[middle]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_training_texts_stand_out() {
        let set = |values: &[f32]| Embeddings::new(values.to_vec(), 2).unwrap();
        let training = set(&[1.0, 0.0, 0.0, 1.0]);
        let held_out = set(&[1.0, 1.0, -1.0, 0.0]);
        let found = neighbours(&training, &training, &held_out).unwrap();
        assert!(found.training_median < 1e-6);
        assert!((found.held_out_median - (1.0 - 0.5_f64.sqrt())).abs() < 1e-6);
        assert_eq!(found.nearer_to_training.count, 2);
        assert_eq!(*found.training.last().unwrap(), 1.0);
        assert_eq!(*found.held_out.last().unwrap(), 1.0);
        assert!((found.training[0] - 1.0).abs() < 1e-9);
    }
}
