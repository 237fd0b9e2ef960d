//! Random initial values.

use super::Array;
use crate::seed::Stream;

/// A stream of normal variates for initial weights. Never for noise that protects anything.
#[derive(Debug, Clone)]
pub struct Initializer {
    stream: Stream,
}

impl Initializer {
    /// The stream that a seed gives on every machine.
    pub fn new(seed: u64) -> Self {
        Self {
            stream: Stream::new(seed, "initial weights", &[]),
        }
    }

    /// Independent normal values of mean 0.
    pub fn normal(&mut self, shape: &[usize], deviation: f64) -> Array {
        let count: usize = shape.iter().product();
        let mut values = Vec::with_capacity(count + 1);
        while values.len() < count {
            let radius = (-2.0 * (1.0 - self.stream.uniform()).ln()).sqrt() * deviation;
            let (sin, cos) = (std::f64::consts::TAU * self.stream.uniform()).sin_cos();
            values.push((radius * cos) as f32);
            values.push((radius * sin) as f32);
        }
        values.truncate(count);
        Array::from_vec(values, shape)
    }
}
