//! Gaussian noise from ChaCha20 streams: f64 throughout, 64 random bits in each uniform, every draw recomputable by index.
//!
//! A tensor's draws come in chunks of [`CHUNK`], each with a stream of its own, and a chunk in blocks of [`BLOCK`]. A block
//! takes 8 x `BLOCK` bytes of key stream: `BLOCK`/2 words for radii, then as many for angles; draw j < `BLOCK`/2 is the
//! cosine and draw j + `BLOCK`/2 the sine of pair j (Box and Muller 1958). A uniform of 64 bits reaches 9.49 standard
//! deviations: beyond that lie 2e-21 of the normal law, far below any delta over all draws of any run.
//!
//! Logarithm, sine and cosine are the polynomials of fdlibm (Sun Microsystems 1993, error below 1 ulp on these ranges),
//! written without branches so that the compiler vectorizes them, and with explicit fused multiply-adds, so that every
//! processor computes the same bits.
#![expect(
    clippy::inline_always,
    reason = "the vector instructions of `vectorized` reach only what is inlined"
)]

mod ahead;
mod function;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use ahead::{Ahead, Drawn};

use super::fault::fault;
use super::key::{Key, Purpose};
use super::vector::vectorized;
use chacha20::ChaCha20;
use chacha20::cipher::{StreamCipher, StreamCipherSeek};
use function::{angle, ln, open_uniform};

/// Draws that share one ChaCha20 stream.
pub(crate) const CHUNK: usize = 1 << 16;

/// Draws that are made at once; divides [`CHUNK`].
pub(super) const BLOCK: usize = 1024;
const HALF: usize = BLOCK / 2;

/// Standard normal draws of one chunk of a tensor, from the key of a step.
pub(crate) struct NoiseStream {
    cipher: ChaCha20,
    words: Box<Words>,
    /// Broken on purpose in tests: 24 bits of each uniform count.
    coarse: bool,
}

struct Words {
    bytes: [u8; 8 * BLOCK],
    integers: [u64; BLOCK],
}

impl std::fmt::Debug for NoiseStream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("NoiseStream")
    }
}

impl NoiseStream {
    /// The stream for chunk `chunk` of tensor `tensor` in the key's step.
    pub(crate) fn new(key: &Key, tensor: u64, chunk: u64) -> Self {
        Self {
            cipher: key.stream(Purpose::Noise, tensor, chunk),
            words: Box::new(Words {
                bytes: [0; 8 * BLOCK],
                integers: [0; BLOCK],
            }),
            coarse: fault!(CoarseUniforms),
        }
    }

    /// Makes block `block` of the chunk; blocks may be asked for in any order.
    pub(super) fn block(&mut self, block: usize, draws: &mut [f64; BLOCK]) {
        let at = (block * 8 * BLOCK) as u64;
        if self.cipher.current_pos::<u64>() != at {
            self.cipher.seek(at);
        }
        self.words.bytes.fill(0);
        self.cipher.apply_keystream(&mut self.words.bytes);
        let words = &mut *self.words;
        vectorized(Unpack(words));
        self.transform(draws);
    }

    /// The draws that follow from the words.
    fn transform(&mut self, draws: &mut [f64; BLOCK]) {
        if self.coarse {
            for word in &mut self.words.integers {
                *word = *word >> 40 << 40 | 1 << 39;
            }
        }
        vectorized(Transform {
            words: &self.words.integers,
            draws,
        });
    }
}

struct Unpack<'a>(&'a mut Words);

impl pulp::NullaryFnOnce for Unpack<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (integer, bytes) in self.0.integers.iter_mut().zip(self.0.bytes.as_chunks().0) {
            *integer = u64::from_le_bytes(*bytes);
        }
    }
}

struct Transform<'a> {
    words: &'a [u64; BLOCK],
    draws: &'a mut [f64; BLOCK],
}

impl pulp::NullaryFnOnce for Transform<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        box_muller(self.words, self.draws);
    }
}

#[inline(always)]
fn box_muller(words: &[u64; BLOCK], draws: &mut [f64; BLOCK]) {
    let (radii, angles) = words.split_at(HALF);
    let (cosines, sines) = draws.split_at_mut(HALF);
    for (((radius, turn), cosine), sine) in radii.iter().zip(angles).zip(cosines).zip(sines) {
        let radius = f64::sqrt(-2.0 * ln(open_uniform(*radius)));
        let (c, s) = angle(*turn);
        *cosine = radius * c;
        *sine = radius * s;
    }
}
