//! The step from a sum of clipped gradients to a gradient that may be used: noise on the grid, divided by a constant.
//!
//! [`privatize`] is the only maker of a [`PrivatizedGradient`], and a [`PrivatizedGradient`] is all that the optimizer takes. It is lazy: a
//! block of values is made when the optimizer asks for it, so that the noised gradient never stands in memory as a whole.
//! Nothing here knows the size of the batch.
//!
//! A sum that has not come through here cannot reach the optimizer:
//!
//! ```
//! # use dpx_sgd::{key::Key, optimizer::{Adam, AdamSettings}, privatize::{NoiseSpec, privatize}, sum::GradientSum};
//! let (key, sum) = (Key::seeded(1, "example"), GradientSum::new(&[3]));
//! let gradient = privatize(&sum, &NoiseSpec::None, &key, 8.0);
//! let (mut adam, mut weights) = (Adam::new(AdamSettings::default(), &[3]), [0.0_f32; 3]);
//! adam.update([(&mut weights[..], true)].into_iter(), &gradient, 0.1);
//! ```
//!
//! compiles, and the sum in its place does not:
//!
//! ```compile_fail,E0308
//! # use dpx_sgd::{key::Key, optimizer::{Adam, AdamSettings}, privatize::{NoiseSpec, privatize}, sum::GradientSum};
//! let (key, sum) = (Key::seeded(1, "example"), GradientSum::new(&[3]));
//! let gradient = privatize(&sum, &NoiseSpec::None, &key, 8.0);
//! let (mut adam, mut weights) = (Adam::new(AdamSettings::default(), &[3]), [0.0_f32; 3]);
//! adam.update([(&mut weights[..], true)].into_iter(), &sum, 0.1);
//! ```
//!
//! nor does one that is called private by hand, since a [`PrivatizedGradient`] has no other maker:
//!
//! ```compile_fail,E0451
//! # use dpx_sgd::{privatize::PrivatizedGradient, sum::GradientSum};
//! let sum = GradientSum::new(&[3]);
//! let gradient = PrivatizedGradient { sum: &sum, noise: None, divisor: 8.0, denoised: Vec::new() };
//! ```
//!
//! and the values of a sum cannot be read:
//!
//! ```compile_fail,E0624
//! # use dpx_sgd::sum::GradientSum;
//! let sum = GradientSum::new(&[3]);
//! let values = sum.tensor(0);
//! ```

use super::denoise::denoised;
use super::fault::fault;
use super::grid::{Grid, round, to_float};
use super::key::Key;
use super::noise::{BLOCK, CHUNK, Drawn, NoiseStream};
use super::sum::GradientSum;
use super::vector::vectorized;
use dpx_accounting::DpEvent;
use rayon::prelude::*;

/// The noise that a sum of clipped gradients gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NoiseSpec {
    /// Gaussian noise of standard deviation noise multiplier x sensitivity x (1 + rounding allowance) on every coordinate.
    Gaussian {
        /// Standard deviation of the noise over the sensitivity.
        noise_multiplier: f64,
        /// Largest L2 norm by which one example changes the sum.
        sensitivity: f64,
        /// Share by which rounding may exceed the sensitivity.
        rounding_allowance: f64,
    },
    /// None: for public data, and for epsilon = infinity, whose artifacts are never released.
    None,
}

/// A noise multiplier that the integers of the grid cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("the noise multiplier is {0}, expected a number above 0 and up to 1000000")]
pub struct NoiseOutOfRange(f64);

impl NoiseSpec {
    /// Checks that the noise fits the grid's integers: 9.5 standard deviations below 2^50 steps.
    ///
    /// # Errors
    /// When it does not.
    pub fn check(&self) -> Result<(), NoiseOutOfRange> {
        match *self {
            Self::Gaussian {
                noise_multiplier, ..
            } if !(noise_multiplier > 0.0 && noise_multiplier <= 1e6) => {
                Err(NoiseOutOfRange(noise_multiplier))
            }
            Self::Gaussian { .. } | Self::None => Ok(()),
        }
    }

    /// What `count` sums over the whole data set amount to, each noised by this.
    pub fn executed(&self, count: u64) -> DpEvent {
        match *self {
            Self::Gaussian {
                noise_multiplier, ..
            } => DpEvent::gaussian(noise_multiplier)
                .map_or(DpEvent::NonPrivate, |event| event.self_composed(count)),
            Self::None => DpEvent::NonPrivate,
        }
    }

    /// Share by which rounding may exceed the sensitivity; 0 without noise.
    pub const fn rounding_allowance(&self) -> f64 {
        match *self {
            Self::Gaussian {
                rounding_allowance, ..
            } => rounding_allowance,
            Self::None => 0.0,
        }
    }

    /// The grid, and the noise's standard deviation in steps of it.
    pub(super) fn on_grid(&self) -> Option<(Grid, f64)> {
        let Self::Gaussian {
            noise_multiplier,
            sensitivity,
            rounding_allowance,
        } = *self
        else {
            return None;
        };
        let grid = Grid::for_bound(sensitivity);
        let slack = if fault!(NoiseTooSmall) { 0.95 } else { 1.0 };
        let deviation = slack * noise_multiplier * sensitivity * (1.0 + rounding_allowance);
        Some((grid, deviation * grid.inverse()))
    }
}

/// A gradient that the optimizer may see: noised sum over expected batch size.
pub struct PrivatizedGradient<'a> {
    sum: &'a GradientSum,
    noise: Option<Noise<'a>>,
    divisor: f64,
    /// What stands in place of noised tensors, made of them alone.
    denoised: Vec<Option<Vec<f32>>>,
}

impl std::fmt::Debug for PrivatizedGradient<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PrivatizedGradient")
    }
}

#[derive(Clone, Copy)]
struct Noise<'a> {
    key: &'a Key,
    /// All of it, where it was drawn ahead.
    drawn: Option<&'a [Vec<i32>]>,
    grid: Grid,
    /// Standard deviation in steps of the grid.
    deviation: f64,
    /// Broken on purpose in tests: noise added in f32.
    single: bool,
    /// Broken on purpose in tests: no noise where the sum is zero.
    touched_only: bool,
    /// Broken on purpose in tests: one stream for all tensors.
    one_stream: bool,
}

/// Protects the sum of a step's clipped gradients and divides it by the configured expected batch size, a constant of the
/// run. The noise comes from the streams of `key`, which is that of the step.
pub fn privatize<'a>(
    sum: &'a GradientSum,
    protection: &NoiseSpec,
    key: &'a Key,
    expected_batch_size: f64,
) -> PrivatizedGradient<'a> {
    privatize_with(sum, protection, key, None, expected_batch_size)
}

/// Likewise, with noise that was drawn ahead, where it was drawn from the same key for the same protection.
pub(super) fn privatize_with<'a>(
    sum: &'a GradientSum,
    protection: &NoiseSpec,
    key: &'a Key,
    ahead: Option<&'a Drawn>,
    expected_batch_size: f64,
) -> PrivatizedGradient<'a> {
    let noise = protection.on_grid().map(|(grid, deviation)| Noise {
        key,
        drawn: ahead.and_then(|drawn| drawn.of(key, deviation)),
        grid,
        deviation,
        single: fault!(SingleAddition),
        touched_only: fault!(TouchedOnly),
        one_stream: fault!(OneStream),
    });
    PrivatizedGradient {
        sum,
        noise,
        divisor: expected_batch_size,
        denoised: Vec::new(),
    }
}

impl PrivatizedGradient<'_> {
    /// Number of values of each trained tensor, in order.
    pub fn lengths(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.sum.lengths()
    }

    /// The same with matrices of these shapes shrunk to what stands above the noise ([`denoised`]); without noise, and for tensors
    /// without a shape, as it is. It looks at noised values alone.
    #[must_use]
    pub(super) fn denoised(mut self, shapes: &[Option<[usize; 2]>]) -> Self {
        let Some(noise) = self.noise else {
            return self;
        };
        let deviation = noise.deviation * noise.grid.step() / self.divisor;
        let tensors = shapes.par_iter().enumerate();
        self.denoised = tensors
            .map(|(tensor, shape)| denoised(&self.to_vec(tensor), (*shape)?, deviation))
            .collect();
        self
    }

    /// Values of one chunk of [`CHUNK`] coordinates of a tensor, to be read block by block.
    pub(super) fn chunk(&self, tensor: usize, chunk: usize) -> Chunk<'_> {
        let values = self.sum.tensor(tensor);
        let first = chunk * CHUNK;
        let range = first..(first + CHUNK).min(values.len());
        let whole = self.denoised.get(tensor).and_then(Option::as_ref);
        let source = match (whole, self.noise) {
            (Some(whole), _) => Source::Whole(&whole[range.clone()]),
            (None, None) => Source::None,
            (
                None,
                Some(Noise {
                    drawn: Some(drawn), ..
                }),
            ) => Source::Ahead(&drawn[tensor][range.clone()]),
            (None, Some(noise)) => {
                let place = if noise.one_stream { 0 } else { tensor as u64 };
                Source::Stream(NoiseStream::new(noise.key, place, chunk as u64))
            }
        };
        Chunk {
            sum: &values[range],
            noise: self.noise,
            source,
            divisor: self.divisor,
        }
    }

    /// All values of a tensor; for tests and small tensors.
    pub fn to_vec(&self, tensor: usize) -> Vec<f32> {
        let length = self.sum.tensor(tensor).len();
        let mut values = Vec::with_capacity(length);
        let mut block = [0.0; BLOCK];
        for chunk in 0..length.div_ceil(CHUNK) {
            let mut part = self.chunk(tensor, chunk);
            for index in 0..part.sum.len().div_ceil(BLOCK) {
                values.extend_from_slice(part.block(index, &mut block));
            }
        }
        values
    }
}

/// One chunk of a privatized tensor.
pub(super) struct Chunk<'a> {
    sum: &'a [f64],
    noise: Option<Noise<'a>>,
    source: Source<'a>,
    divisor: f64,
}

/// Where a chunk's noise comes from.
enum Source<'a> {
    None,
    /// Values in place of the noised ones.
    Whole(&'a [f32]),
    Ahead(&'a [i32]),
    Stream(NoiseStream),
}

impl Chunk<'_> {
    /// The values of block `block` of the chunk; fewer than [`BLOCK`] at a tensor's end.
    pub(super) fn block<'b>(&mut self, block: usize, values: &'b mut [f32; BLOCK]) -> &'b [f32] {
        let first = block * BLOCK;
        let range = first..(first + BLOCK).min(self.sum.len());
        let sum = &self.sum[range.clone()];
        let values = &mut values[..sum.len()];
        let (noise, stream) = match (self.noise, &mut self.source) {
            (_, Source::Whole(whole)) => {
                values.copy_from_slice(&whole[range]);
                return values;
            }
            (Some(noise), Source::Ahead(noises)) => {
                vectorized(DrawnOnGrid {
                    values,
                    sum,
                    noises: &noises[range],
                    inverse: noise.grid.inverse(),
                    scale: noise.grid.step() / self.divisor,
                });
                return values;
            }
            (Some(noise), Source::Stream(stream)) => (noise, stream),
            _ => {
                for (value, sum) in values.iter_mut().zip(sum) {
                    *value = (sum / self.divisor) as f32;
                }
                return values;
            }
        };
        let mut draws = [0.0; BLOCK];
        stream.block(block, &mut draws);
        if noise.single {
            for ((value, sum), draw) in values.iter_mut().zip(sum).zip(&draws) {
                let draw = (draw * noise.deviation * noise.grid.step()) as f32;
                *value = (*sum as f32 + draw) / self.divisor as f32;
            }
            return values;
        }
        if noise.touched_only {
            for (draw, sum) in draws.iter_mut().zip(sum) {
                *draw *= f64::from(*sum != 0.0);
            }
        }
        vectorized(OnGrid {
            values,
            sum,
            draws: &draws,
            inverse: noise.grid.inverse(),
            deviation: noise.deviation,
            scale: noise.grid.step() / self.divisor,
        });
        values
    }
}

struct OnGrid<'a> {
    values: &'a mut [f32],
    sum: &'a [f64],
    draws: &'a [f64; BLOCK],
    inverse: f64,
    deviation: f64,
    scale: f64,
}

impl pulp::NullaryFnOnce for OnGrid<'_> {
    type Output = ();

    #[expect(
        clippy::inline_always,
        reason = "vector instructions reach only what is inlined"
    )]
    #[inline(always)]
    fn call(self) {
        for ((value, sum), draw) in self.values.iter_mut().zip(self.sum).zip(self.draws) {
            let steps = round(sum * self.inverse) + round(draw * self.deviation);
            *value = (to_float(steps) * self.scale) as f32;
        }
    }
}

struct DrawnOnGrid<'a> {
    values: &'a mut [f32],
    sum: &'a [f64],
    noises: &'a [i32],
    inverse: f64,
    scale: f64,
}

impl pulp::NullaryFnOnce for DrawnOnGrid<'_> {
    type Output = ();

    #[expect(
        clippy::inline_always,
        reason = "vector instructions reach only what is inlined"
    )]
    #[inline(always)]
    fn call(self) {
        for ((value, sum), noise) in self.values.iter_mut().zip(self.sum).zip(self.noises) {
            let steps = round(sum * self.inverse) + i64::from(*noise);
            *value = (to_float(steps) * self.scale) as f32;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
