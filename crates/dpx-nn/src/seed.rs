//! Streams of seeded, reproducible random numbers by purpose (never for privacy noise).
//!
//! A stream is the extendable output of BLAKE3 keyed by (seed, purpose, indices). Each purpose and index has its own
//! stream, so that nothing depends on the order in which streams are used, on batch sizes or on the number of threads.

/// A reproducible stream of random numbers.
#[derive(Clone)]
pub struct Stream {
    reader: blake3::OutputReader,
    buffer: [u8; 512],
    used: usize,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl Stream {
    /// The stream of a purpose, such as `"sample"`, at some indices, such as label and text number.
    pub fn new(seed: u64, purpose: &str, indices: &[u64]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("dpx seeded stream v1");
        hasher.update(&seed.to_le_bytes());
        hasher.update(&(purpose.len() as u64).to_le_bytes());
        hasher.update(purpose.as_bytes());
        for index in indices {
            hasher.update(&index.to_le_bytes());
        }
        Self {
            reader: hasher.finalize_xof(),
            buffer: [0; 512],
            used: 512,
        }
    }

    /// The next 64 bits of the stream.
    pub fn next_u64(&mut self) -> u64 {
        if self.used == self.buffer.len() {
            self.reader.fill(&mut self.buffer);
            self.used = 0;
        }
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.buffer[self.used..self.used + 8]);
        self.used += 8;
        u64::from_le_bytes(bytes)
    }

    /// A number in [0, 1) with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// A number in 0..bound, without bias (Lemire's method).
    ///
    /// # Panics
    /// When `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below 0");
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            if product as u64 >= threshold {
                return (product >> 64) as u64;
            }
        }
    }

    /// A standard normal number (Box-Muller), for initial weights and the like.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Puts a slice in random order (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_seed_purpose_and_indices_alone() {
        let draw = |seed, purpose, indices: &[u64]| Stream::new(seed, purpose, indices).next_u64();
        assert_eq!(draw(1, "a", &[2]), draw(1, "a", &[2]));
        let others = [
            draw(1, "a", &[2]),
            draw(2, "a", &[2]),
            draw(1, "b", &[2]),
            draw(1, "a", &[3]),
            draw(1, "a", &[2, 0]),
            draw(1, "a", &[]),
        ];
        let distinct: std::collections::HashSet<_> = others.iter().collect();
        assert_eq!(distinct.len(), others.len());
    }

    #[test]
    fn numbers_have_the_right_range_and_moments() {
        let mut stream = Stream::new(7, "test", &[]);
        let draws = 200_000;
        let (mut sum, mut squares, mut uniform) = (0.0, 0.0, 0.0);
        let mut counts = [0u32; 6];
        for _ in 0..draws {
            let z = stream.normal();
            sum += z;
            squares += z * z;
            let u = stream.uniform();
            assert!((0.0..1.0).contains(&u));
            uniform += u;
            counts[stream.below(6) as usize] += 1;
        }
        let n = f64::from(draws);
        assert!((sum / n).abs() < 0.012);
        assert!((squares / n - 1.0).abs() < 0.02);
        assert!((uniform / n - 0.5).abs() < 0.004);
        for count in counts {
            assert!((f64::from(count) - n / 6.0).abs() < 1000.0);
        }
    }

    #[test]
    fn shuffling_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        Stream::new(7, "test", &[]).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
