//! The next step's noise, drawn on threads of its own while a device computes gradients.
//!
//! What is drawn ahead are the very integers that would be drawn when they are needed, so no result changes by a bit.
//! Noise belongs to the key it was drawn from, which is that of one step, and is handed out for that key alone.

use super::{BLOCK, CHUNK, NoiseStream};
use crate::grid::round;
use crate::key::Key;
use rayon::prelude::*;
use std::sync::mpsc::{Receiver, channel};

/// Largest draw in standard deviations: see the reach of a uniform of 64 bits.
const REACH: f64 = 9.5;

/// The noise of one step, in whole steps of the grid.
pub(crate) struct Drawn {
    key: Key,
    deviation: f64,
    tensors: Vec<Vec<i32>>,
}

impl Drawn {
    /// The noise of all tensors, if it was drawn from this key, of this standard deviation in steps of the grid.
    pub(crate) fn of(&self, key: &Key, deviation: f64) -> Option<&[Vec<i32>]> {
        (self.key.is(key) && self.deviation == deviation).then_some(&self.tensors)
    }
}

/// Draws the noise of a step before it is needed. It holds four bytes for each trained value.
pub(crate) struct Ahead {
    deviation: f64,
    pool: rayon::ThreadPool,
    drawing: Option<(Key, Receiver<Vec<Vec<i32>>>)>,
    spare: Vec<Vec<i32>>,
}

impl std::fmt::Debug for Ahead {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Ahead")
    }
}

impl Ahead {
    /// For tensors of these lengths, and noise of this standard deviation in steps of the grid. Nothing where such noise
    /// does not fit 32 bits (beyond a noise multiplier of 6), or no threads can be had: it is then drawn when it is needed.
    pub(crate) fn new(lengths: &[usize], deviation: f64) -> Option<Self> {
        if !(0.0..f64::from(i32::MAX)).contains(&(deviation * REACH)) {
            return None;
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(rayon::current_num_threads().saturating_sub(1).max(1))
            .thread_name(|index| format!("noise-{index}"))
            .build()
            .ok()?;
        Some(Self {
            deviation,
            pool,
            drawing: None,
            spare: lengths.iter().map(|&length| vec![0; length]).collect(),
        })
    }

    /// The standard deviation in steps of the grid.
    pub(crate) const fn deviation(&self) -> f64 {
        self.deviation
    }

    /// Begins to draw the noise of the key's step, unless that is under way.
    pub(crate) fn begin(&mut self, key: &Key) {
        if let Some((drawing, result)) = self.drawing.take() {
            if drawing.is(key) {
                self.drawing = Some((drawing, result));
                return;
            }
            self.spare = result.recv().unwrap_or_default();
        }
        let mut tensors = std::mem::take(&mut self.spare);
        let (sender, result) = channel();
        let (own, deviation) = (key.clone(), self.deviation);
        self.pool.spawn(move || {
            draw(&own, deviation, &mut tensors);
            // Nobody waits for it any more where the run has ended.
            let _ = sender.send(tensors);
        });
        self.drawing = Some((key.clone(), result));
    }

    /// The noise of the key's step, once it is drawn; nothing if it was not begun.
    pub(crate) fn take(&mut self, key: &Key) -> Option<Drawn> {
        let (drawing, result) = self.drawing.take_if(|(drawing, _)| drawing.is(key))?;
        let tensors = result.recv().ok()?;
        Some(Drawn {
            key: drawing,
            deviation: self.deviation,
            tensors,
        })
    }

    /// Takes the memory of used noise back.
    pub(crate) fn give_back(&mut self, drawn: Drawn) {
        self.spare = drawn.tensors;
    }
}

fn draw(key: &Key, deviation: f64, tensors: &mut [Vec<i32>]) {
    tensors
        .par_iter_mut()
        .enumerate()
        .for_each(|(tensor, values)| {
            values
                .par_chunks_mut(CHUNK)
                .enumerate()
                .for_each(|(chunk, values)| {
                    let mut stream = NoiseStream::new(key, tensor as u64, chunk as u64);
                    let mut draws = [0.0; BLOCK];
                    for (block, values) in values.chunks_mut(BLOCK).enumerate() {
                        stream.block(block, &mut draws);
                        for (value, draw) in values.iter_mut().zip(&draws) {
                            *value = round(draw * deviation) as i32;
                        }
                    }
                });
        });
}
