//! Multinomial logistic regression on sparse rows, fitted by L-BFGS (Liu and Nocedal 1989).

use super::BagOfWordsOptions;
use super::features::Rows;
use crate::softmax_regression::{add_scores, softmax};
use rayon::prelude::*;
use std::collections::VecDeque;
use std::ops::Range;

/// Rows that are worth a task of their own.
const LEAST_ROWS: usize = 1024;
/// Tasks at most, each with a gradient of its own.
const MOST_PARTS: usize = 16;
/// Numbers in the gradients of all tasks together, but for a model so large that one gradient has more.
const PARTS_LEN: usize = 1 << 24;
/// Steps that the optimizer remembers.
const MEMORY: usize = 10;

/// The scores of a row, `[classes]`; the bias weights stand last.
pub(super) fn scores(row: impl Iterator<Item = (u32, f64)>, weights: &[f64], scores: &mut [f64]) {
    scores.copy_from_slice(&weights[weights.len() - scores.len()..]);
    add_scores(
        row.map(|(word, value)| (word as usize, value)),
        weights,
        scores,
    );
}

/// Weights `[words + 1, classes]` that minimize `|w|^2 / 2 + C * sum of weighted losses`; biases are not penalized. The
/// probabilities `[rows, classes]` are the targets; balancing weighs each class by the inverse of their mean.
pub(super) fn fit(
    rows: &Rows,
    mut probabilities: Vec<f64>,
    classes: usize,
    words: usize,
    options: &BagOfWordsOptions,
) -> Vec<f64> {
    let mut counts = vec![0.0; classes];
    for row in probabilities.chunks_exact(classes) {
        for (count, probability) in counts.iter_mut().zip(row) {
            *count += probability;
        }
    }
    let present = counts.iter().filter(|count| **count > 0.0).count() as f64;
    let class_weights: Vec<f64> = counts
        .iter()
        .map(|count| {
            // A class without texts has nothing to weigh.
            let balance = if options.balanced && *count > 0.0 {
                rows.len() as f64 / (present * count)
            } else {
                1.0
            };
            options.inverse_penalty * balance
        })
        .collect();
    for row in probabilities.chunks_exact_mut(classes) {
        for (probability, weight) in row.iter_mut().zip(&class_weights) {
            *probability *= weight;
        }
    }
    let problem = Problem {
        rows,
        targets: &probabilities,
        classes,
    };
    minimize(&problem, vec![0.0; (words + 1) * classes], options.rounds)
}

struct Problem<'a> {
    rows: &'a Rows,
    /// Weights of a row's classes, `[rows, classes]`.
    targets: &'a [f64],
    classes: usize,
}

impl Problem<'_> {
    /// The objective; its gradient is written to `gradient`.
    fn evaluate(&self, weights: &[f64], gradient: &mut [f64]) -> f64 {
        let biases = weights.len() - self.classes;
        gradient[..biases].copy_from_slice(&weights[..biases]);
        gradient[biases..].fill(0.0);
        let mut value = 0.5 * dot(&weights[..biases], &weights[..biases]);
        let length = self.part_len(weights.len());
        let parts: Vec<(f64, Vec<f64>)> = (0..self.rows.len().div_ceil(length))
            .into_par_iter()
            .map(|part| {
                let end = ((part + 1) * length).min(self.rows.len());
                self.evaluate_rows(part * length..end, weights)
            })
            .collect();
        for (loss, part) in parts {
            value += loss;
            for (sum, entry) in gradient.iter_mut().zip(part) {
                *sum += entry;
            }
        }
        value
    }

    /// How many rows one task sums up. Only the sizes of the problem decide, so that sums do not depend on the number of threads.
    fn part_len(&self, weights: usize) -> usize {
        let parts = (PARTS_LEN / weights).clamp(1, MOST_PARTS);
        self.rows.len().div_ceil(parts).max(LEAST_ROWS)
    }

    /// The weighted losses of some rows, summed up, and their gradient.
    fn evaluate_rows(&self, rows: Range<usize>, weights: &[f64]) -> (f64, Vec<f64>) {
        let classes = self.classes;
        let biases = weights.len() - classes;
        let mut gradient = vec![0.0; weights.len()];
        let mut loss = 0.0;
        let mut factors = vec![0.0; classes];
        for index in rows {
            let targets = &self.targets[index * classes..][..classes];
            let weight: f64 = targets.iter().sum();
            scores(self.rows.row(index), weights, &mut factors);
            let own = dot(targets, &factors);
            let normalizer = softmax(&mut factors);
            loss += weight * normalizer - own;
            for (factor, target) in factors.iter_mut().zip(targets) {
                *factor = weight * *factor - target;
            }
            for (word, entry) in self.rows.row(index) {
                let start = word as usize * classes;
                let sums = &mut gradient[start..start + classes];
                for (sum, factor) in sums.iter_mut().zip(&factors) {
                    *sum += entry * factor;
                }
            }
            for (sum, factor) in gradient[biases..].iter_mut().zip(&factors) {
                *sum += factor;
            }
        }
        (loss, gradient)
    }
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter()
        .zip(right)
        .map(|(left, right)| left * right)
        .sum()
}

struct Step {
    moved: Vec<f64>,
    turned: Vec<f64>,
    /// `1 / (moved . turned)`.
    scale: f64,
}

fn minimize(problem: &Problem<'_>, mut point: Vec<f64>, rounds: usize) -> Vec<f64> {
    let mut gradient = vec![0.0; point.len()];
    let mut value = problem.evaluate(&point, &mut gradient);
    let first = dot(&gradient, &gradient).sqrt();
    let mut steps: VecDeque<Step> = VecDeque::new();
    let mut trial_gradient = vec![0.0; point.len()];
    for _ in 0..rounds {
        if dot(&gradient, &gradient).sqrt() <= 1e-4 * first {
            break;
        }
        let direction = direction(&gradient, &steps);
        let slope = dot(&direction, &gradient);
        // Halving until the value falls enough (Armijo); the first step ever is as long as 1.
        let mut length = if steps.is_empty() { 1.0 / first } else { 1.0 };
        let mut accepted = None;
        for _ in 0..40 {
            let trial: Vec<f64> = point
                .iter()
                .zip(&direction)
                .map(|(at, step)| at + length * step)
                .collect();
            let trial_value = problem.evaluate(&trial, &mut trial_gradient);
            if trial_value <= value + 1e-4 * length * slope {
                accepted = Some((trial, trial_value));
                break;
            }
            length *= 0.5;
        }
        let Some((trial, trial_value)) = accepted else {
            break;
        };
        let difference = |left: &[f64], right: &[f64]| -> Vec<f64> {
            left.iter()
                .zip(right)
                .map(|(left, right)| left - right)
                .collect()
        };
        let moved = difference(&trial, &point);
        let turned = difference(&trial_gradient, &gradient);
        let curvature = dot(&moved, &turned);
        if curvature > 0.0 {
            if steps.len() == MEMORY {
                steps.pop_front();
            }
            steps.push_back(Step {
                moved,
                turned,
                scale: 1.0 / curvature,
            });
        }
        point = trial;
        value = trial_value;
        std::mem::swap(&mut gradient, &mut trial_gradient);
    }
    point
}

/// The two-loop recursion: minus the approximate inverse Hessian times the gradient.
fn direction(gradient: &[f64], steps: &VecDeque<Step>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|entry| -entry).collect();
    let add = |direction: &mut [f64], factor: f64, other: &[f64]| {
        for (entry, other) in direction.iter_mut().zip(other) {
            *entry += factor * other;
        }
    };
    let mut factors = Vec::with_capacity(steps.len());
    for step in steps.iter().rev() {
        let factor = step.scale * dot(&step.moved, &direction);
        add(&mut direction, -factor, &step.turned);
        factors.push(factor);
    }
    if let Some(last) = steps.back() {
        let scale = 1.0 / (last.scale * dot(&last.turned, &last.turned));
        for entry in &mut direction {
            *entry *= scale;
        }
    }
    for (step, factor) in steps.iter().zip(factors.iter().rev()) {
        let correction = factor - step.scale * dot(&step.turned, &direction);
        add(&mut direction, correction, &step.moved);
    }
    direction
}
