//! Distance of each synthetic text to the nearest training text, beside that to the nearest held-out text.
//!
//! Diagnostics, not a guarantee (Ganev and De Cristofaro 2023; Yao et al. 2025): a small distance is no proof of leakage
//! and a large one no proof of its absence.

use super::Embeddings;
use super::bootstrap::{middle_95, poisson};
use super::choose::Stream;
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
    /// Share of the synthetic texts nearer to a training than to a held-out text.
    pub nearer_to_training: Nearer,
    /// Texts on each of the two real sides.
    pub n: u64,
}

/// How many synthetic texts are nearer to a training than to a held-out text, ties left out.
///
/// What varies is which real texts happened to be training texts: many synthetic texts have the same nearest real text, so
/// that an interval over the synthetic texts would be far too narrow.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Nearer {
    /// Synthetic texts nearer to a training text.
    pub count: u64,
    /// Synthetic texts whose nearest text is on one side alone.
    pub total: u64,
    /// `count / total`; 0 without texts.
    pub value: f64,
    /// Lower end of the 95% bootstrap interval over the real texts.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// The same share where the real texts are dealt to the two sides at random: what it is when nothing is remembered.
    #[serde(default)]
    pub null: Option<Null>,
}

/// The permutation null of [`Nearer`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Null {
    /// The middle 95% of the random divisions give a share from here.
    pub low: f64,
    /// The middle 95% give a share up to here.
    pub high: f64,
    /// Share of the random divisions that give as large a share as was found, or a larger one.
    pub p_value: f64,
}

const GRID: usize = 40;

/// Random divisions of the real texts, and draws of the bootstrap.
const DRAWS: usize = 1000;

/// Distances that differ by less are equal.
const EQUAL: f32 = 1e-6;

/// Compares, given the numbers of the real texts nearest to each synthetic text among those of both sides: `training` of them
/// come first.
fn nearer(nearest: &[Vec<u32>], training: usize, all: usize) -> Nearer {
    let share = |of_training: &[bool]| {
        let (mut count, mut total) = (0_u64, 0_u64);
        for texts in nearest {
            let first = of_training[texts[0] as usize];
            if texts
                .iter()
                .all(|&text| of_training[text as usize] == first)
            {
                total += 1;
                count += u64::from(first);
            }
        }
        (count, total)
    };
    let value = |(count, total): (u64, u64)| count as f64 / total.max(1) as f64;
    let mut sides: Vec<bool> = (0..all).map(|text| text < training).collect();
    let found = share(&sides);
    // By nearest real text: how many synthetic texts it decides, and for which side.
    let mut decided = vec![(0_u64, 0_u64); all];
    for texts in nearest {
        let first = sides[texts[0] as usize];
        if texts.iter().all(|&text| sides[text as usize] == first) {
            let own = &mut decided[texts[0] as usize];
            own.0 += u64::from(first);
            own.1 += 1;
        }
    }
    decided.retain(|own| own.1 > 0);
    let mut stream = Stream::new(0x6e65_6172);
    let resampled = (0..DRAWS).map(|_| {
        let (mut count, mut total) = (0, 0);
        for own in &decided {
            let times = poisson(1.0, &mut stream);
            count += own.0 * times;
            total += own.1 * times;
        }
        if total == 0 {
            value(found)
        } else {
            value((count, total))
        }
    });
    let (low, high) = middle_95(resampled.collect());
    let dealt: Vec<f64> = (0..DRAWS)
        .map(|_| {
            for last in (1..all).rev() {
                sides.swap(last, stream.below(last + 1));
            }
            value(share(&sides))
        })
        .collect();
    let as_large = dealt
        .iter()
        .filter(|share| **share >= value(found) - 1e-12)
        .count();
    let (null_low, null_high) = middle_95(dealt);
    Nearer {
        count: found.0,
        total: found.1,
        value: value(found),
        low: low.min(value(found)),
        high: high.max(value(found)),
        null: (found.1 > 0).then_some(Null {
            low: null_low,
            high: null_high,
            p_value: (as_large + 1) as f64 / (DRAWS + 1) as f64,
        }),
    }
}

/// Compares distances. The two real sets should have one size: the nearest of more texts is nearer. Nothing where a set is
/// empty.
pub(crate) fn neighbours(
    synthetic: &Embeddings,
    training: &Embeddings,
    held_out: &Embeddings,
) -> Option<Neighbours> {
    if synthetic.is_empty() || training.is_empty() || held_out.is_empty() {
        return None;
    }
    let both = training.normalized().concat(&held_out.normalized());
    // Every cosine once: the largest of either side, and the numbers of the largest of both.
    let found = synthetic.normalized().fold_dots(&both, |_, dots| {
        let (of_training, of_held_out) = dots.split_at(training.len());
        let [first, second] = [of_training, of_held_out].map(largest);
        let most = first.max(second);
        let texts = (0..dots.len()).filter(|&text| dots[text] >= most - EQUAL);
        let texts: Vec<u32> = texts.map(|text| text as u32).collect();
        (first, second, texts)
    });
    let distance = |cosine: f32| (1.0 - f64::from(cosine)).max(0.0);
    let (mut to_training, mut to_held_out) = (Vec::new(), Vec::new());
    let mut nearest = Vec::with_capacity(found.len());
    for (first, second, texts) in found {
        to_training.push(distance(first));
        to_held_out.push(distance(second));
        nearest.push(texts);
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
        nearer_to_training: nearer(&nearest, training.len(), both.len()),
        n: training.len() as u64,
        grid,
    })
}

fn largest(cosines: &[f32]) -> f32 {
    cosines.iter().copied().fold(f32::NEG_INFINITY, f32::max)
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
    /// Ten texts are written over and over: which of them were training texts decides nearly everything.
    #[test]
    fn many_texts_near_few_real_ones_are_no_sign_of_memory() {
        let nearest: Vec<Vec<u32>> = (0..1000).map(|text| vec![text % 10]).collect();
        // Of the ten, seven are training texts: 70 %, as chance has it.
        let place = |text: u32| if text < 7 { text } else { 93 + text };
        let chance: Vec<Vec<u32>> = nearest.iter().map(|texts| vec![place(texts[0])]).collect();
        let found = nearer(&chance, 100, 200);
        assert!((found.value - 0.7).abs() < 1e-12);
        let null = found.null.unwrap();
        assert!(null.low < 0.31 && null.high > 0.69, "{null:?}");
        assert!(null.p_value > 0.1, "{null:?}");
        assert!(found.low < 0.5 && found.high > 0.85, "{found:?}");
        // Each text has a nearest text of its own, and 70 % of those are training texts: that is no chance.
        let copied: Vec<Vec<u32>> = (0..200)
            .map(|text| {
                vec![if text % 10 < 7 {
                    text / 2
                } else {
                    100 + text / 2
                }]
            })
            .collect();
        let found = nearer(&copied, 100, 200);
        let null = found.null.unwrap();
        assert!(null.p_value < 0.01 && null.high < 0.65, "{null:?}");
        assert!(found.low > 0.55, "{found:?}");
    }

    #[test]
    fn a_text_equally_near_to_both_sides_decides_nothing() {
        let found = nearer(&[vec![0, 3], vec![1]], 2, 4);
        assert_eq!((found.count, found.total), (1, 1));
        assert_eq!(nearer(&[vec![0, 3]], 2, 4).null, None);
    }
}
