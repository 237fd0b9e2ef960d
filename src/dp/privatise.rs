//! The step from a sum of clipped gradients to a gradient that may be used: noise on the grid, divided by a constant.
//!
//! [`privatise`] is the only maker of a [`Privatised`], and a [`Privatised`] is all that the optimizer takes. It is lazy: a
//! block of values is made when the optimizer asks for it, so that the noised gradient never stands in memory as a whole.
//! Nothing here knows the size of the batch.

use super::grid::{Grid, round, to_float};
use super::key::Key;
use super::noise::{BLOCK, CHUNK, NoiseStream};
use super::sum::GradientSum;
use super::twin::twin;
use super::vector::vectorised;

/// How a sum is protected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Protection {
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

impl Protection {
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
}

/// A gradient that the optimizer may see: noised sum over expected batch size.
pub struct Privatised<'a> {
    sum: &'a GradientSum,
    noise: Option<Noise<'a>>,
    divisor: f64,
}

impl std::fmt::Debug for Privatised<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Privatised")
    }
}

#[derive(Clone, Copy)]
struct Noise<'a> {
    key: &'a Key,
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
pub fn privatise<'a>(
    sum: &'a GradientSum,
    protection: &Protection,
    key: &'a Key,
    expected_batch_size: f64,
) -> Privatised<'a> {
    let noise = match *protection {
        Protection::None => None,
        Protection::Gaussian {
            noise_multiplier,
            sensitivity,
            rounding_allowance,
        } => {
            let grid = Grid::for_bound(sensitivity);
            let slack = if twin!(NoiseTooSmall) { 0.95 } else { 1.0 };
            Some(Noise {
                key,
                grid,
                deviation: slack
                    * noise_multiplier
                    * sensitivity
                    * (1.0 + rounding_allowance)
                    * grid.inverse(),
                single: twin!(SingleAddition),
                touched_only: twin!(TouchedOnly),
                one_stream: twin!(OneStream),
            })
        }
    };
    Privatised {
        sum,
        noise,
        divisor: expected_batch_size,
    }
}

impl<'a> Privatised<'a> {
    /// Lengths of the tensors.
    pub fn lengths(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.sum.lengths()
    }

    /// Values of one chunk of [`CHUNK`] coordinates of a tensor, to be read block by block.
    pub(super) fn chunk(&self, tensor: usize, chunk: usize) -> Chunk<'a> {
        let values = self.sum.tensor(tensor);
        let first = chunk * CHUNK;
        let stream = self.noise.map(|noise| {
            let place = if noise.one_stream { 0 } else { tensor as u64 };
            NoiseStream::new(noise.key, place, chunk as u64)
        });
        Chunk {
            sum: &values[first..(first + CHUNK).min(values.len())],
            noise: self.noise,
            stream,
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

/// One chunk of a privatised tensor.
pub(super) struct Chunk<'a> {
    sum: &'a [f64],
    noise: Option<Noise<'a>>,
    stream: Option<NoiseStream>,
    divisor: f64,
}

impl Chunk<'_> {
    /// The values of block `block` of the chunk; fewer than [`BLOCK`] at a tensor's end.
    pub(super) fn block<'b>(&mut self, block: usize, values: &'b mut [f32; BLOCK]) -> &'b [f32] {
        let first = block * BLOCK;
        let sum = &self.sum[first..(first + BLOCK).min(self.sum.len())];
        let values = &mut values[..sum.len()];
        let Some((noise, stream)) = self.noise.zip(self.stream.as_mut()) else {
            for (value, sum) in values.iter_mut().zip(sum) {
                *value = (sum / self.divisor) as f32;
            }
            return values;
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
        vectorised(OnGrid {
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

#[cfg(test)]
pub(in crate::dp) mod tests;
