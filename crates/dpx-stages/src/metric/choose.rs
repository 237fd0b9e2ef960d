//! Which rows a figure looks at, and reproducible random numbers for the metrics. Not for privacy.

/// Which of `n` rows to look at: at most `most`, those with the smallest keyed hash, in ascending order. The choice of
/// a row depends on its number, `seed` and `purpose` alone.
pub(crate) fn choose(n: usize, most: usize, seed: u64, purpose: &str) -> Vec<usize> {
    if n <= most {
        return (0..n).collect();
    }
    let key = blake3::derive_key("dpx metric choice v1", &seed.to_le_bytes());
    let mut ranked: Vec<([u8; 16], usize)> = (0..n)
        .map(|row| {
            let mut hasher = blake3::Hasher::new_keyed(&key);
            hasher.update(purpose.as_bytes());
            hasher.update(&[0]);
            hasher.update(&(row as u64).to_le_bytes());
            let mut short = [0; 16];
            short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
            (short, row)
        })
        .collect();
    ranked.sort_unstable();
    ranked.truncate(most);
    let mut rows: Vec<usize> = ranked.into_iter().map(|(_, row)| row).collect();
    rows.sort_unstable();
    rows
}

/// SplitMix64 (Steele, Lea, Flood 2014): a small reproducible stream for initial cluster centres and splits.
#[derive(Debug, Clone)]
pub(crate) struct Stream(u64);

impl Stream {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform below `bound`, which is above zero.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_reproducible_sorted_and_depends_on_seed_and_purpose() {
        let first = choose(1000, 10, 1, "a");
        assert_eq!(first, choose(1000, 10, 1, "a"));
        assert!(first.windows(2).all(|pair| pair[0] < pair[1]));
        assert_ne!(first, choose(1000, 10, 2, "a"));
        assert_ne!(first, choose(1000, 10, 1, "b"));
        assert_eq!(choose(3, 10, 1, "a"), [0, 1, 2]);
    }

    #[test]
    fn the_stream_is_split_mix() {
        // Reference value of SplitMix64 for seed 1234567.
        assert_eq!(Stream::new(1_234_567).next(), 6_457_827_717_110_365_317);
    }
}
