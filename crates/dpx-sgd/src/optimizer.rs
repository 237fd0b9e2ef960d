//! Adam on privatized gradients, learning rates that read the step number alone, and averages of the iterates.

mod average;
mod schedule;
#[cfg(test)]
mod tests;

pub(crate) use average::Averager;
pub use dpx_schema::params::{Averaging, Denoising, Schedule};
pub use schedule::LearningRate;

use super::noise::{BLOCK, CHUNK};
use super::privatize::PrivatizedGradient;
use super::vector::vectorized;
use rayon::prelude::*;

/// Settings of Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamSettings {
    /// Decay of the first moment in a step, below 1.
    pub beta1: f64,
    /// Decay of the second moment in a step, below 1.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Share of a matrix' weights that is taken off in a step, times the learning rate; biases and norms do not decay.
    pub weight_decay: f64,
}

impl Default for AdamSettings {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
        }
    }
}

/// Adam's state. It accepts nothing but a [`PrivatizedGradient`].
#[derive(Debug)]
pub struct Adam {
    settings: AdamSettings,
    pub(crate) first: Vec<Vec<f32>>,
    pub(crate) second: Vec<Vec<f32>>,
    pub(crate) steps: u64,
}

impl Adam {
    /// Before the first step, for tensors of these lengths.
    pub fn new(settings: AdamSettings, lengths: &[usize]) -> Self {
        let zeros = || lengths.iter().map(|&length| vec![0.0; length]).collect();
        Self {
            settings,
            first: zeros(),
            second: zeros(),
            steps: 0,
        }
    }

    /// One step: `weights` are the trainable tensors in the order of the gradient, each with whether it decays.
    ///
    /// # Panics
    /// When number or lengths of the tensors differ.
    pub fn update<'a>(
        &mut self,
        weights: impl Iterator<Item = (&'a mut [f32], bool)>,
        gradient: &PrivatizedGradient<'_>,
        learning_rate: f64,
    ) {
        self.steps += 1;
        let settings = self.settings;
        let steps = self.steps as f64;
        let correction = |beta: f64| 1.0 - beta.powf(steps);
        let coefficients = |decays: bool| Coefficients {
            beta1: settings.beta1 as f32,
            rest1: (1.0 - settings.beta1) as f32,
            beta2: settings.beta2 as f32,
            rest2: (1.0 - settings.beta2) as f32,
            rate: (learning_rate / correction(settings.beta1)) as f32,
            root: (1.0 / correction(settings.beta2).sqrt()) as f32,
            epsilon: settings.epsilon as f32,
            keep: if decays {
                (1.0 - learning_rate * settings.weight_decay) as f32
            } else {
                1.0
            },
        };
        let mut count = 0;
        for (tensor, (weights, decays)) in weights.enumerate() {
            let coefficients = coefficients(decays);
            assert_eq!(weights.len(), self.first[tensor].len(), "tensor {tensor}");
            weights
                .par_chunks_mut(CHUNK)
                .zip(self.first[tensor].par_chunks_mut(CHUNK))
                .zip(self.second[tensor].par_chunks_mut(CHUNK))
                .enumerate()
                .for_each(|(chunk, ((weights, first), second))| {
                    let mut source = gradient.chunk(tensor, chunk);
                    let mut values = [0.0; BLOCK];
                    let moments = first.chunks_mut(BLOCK).zip(second.chunks_mut(BLOCK));
                    for (block, (weights, (first, second))) in
                        weights.chunks_mut(BLOCK).zip(moments).enumerate()
                    {
                        let gradient = source.block(block, &mut values);
                        vectorized(Step {
                            weights,
                            first,
                            second,
                            gradient,
                            coefficients,
                        });
                    }
                });
            count += 1;
        }
        assert_eq!(count, self.first.len(), "every trainable tensor is updated");
    }
}

#[derive(Clone, Copy)]
struct Coefficients {
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    rate: f32,
    root: f32,
    epsilon: f32,
    keep: f32,
}

struct Step<'a> {
    weights: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    gradient: &'a [f32],
    coefficients: Coefficients,
}

impl pulp::NullaryFnOnce for Step<'_> {
    type Output = ();

    #[expect(
        clippy::inline_always,
        reason = "vector instructions reach only what is inlined"
    )]
    #[inline(always)]
    fn call(self) {
        let c = self.coefficients;
        let moments = self.first.iter_mut().zip(self.second);
        for ((weight, gradient), (first, second)) in
            self.weights.iter_mut().zip(self.gradient).zip(moments)
        {
            *first = c.beta1 * *first + c.rest1 * gradient;
            *second = c.beta2 * *second + c.rest2 * gradient * gradient;
            let step = c.rate * *first / (second.sqrt() * c.root + c.epsilon);
            *weight = c.keep * *weight - step;
        }
    }
}
