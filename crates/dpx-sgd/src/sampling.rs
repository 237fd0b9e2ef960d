//! Poisson sampling: an independent secret coin for every row and step. Nothing here shuffles, caps, or draws again.

use super::fault::fault;
use super::key::{Key, Purpose};
use chacha20::cipher::StreamCipher;

/// The number below which a row's 64-bit coin must lie for the row to take part: floor(q 2^64).
///
/// Rates of the form n / 2^64, which [`dpx_accounting::Mechanism`] holds, are met exactly.
fn coin_threshold(sampling_rate: f64) -> u128 {
    const TWO_64: f64 = 18_446_744_073_709_551_616.0;
    (sampling_rate.clamp(0.0, 1.0) * TWO_64) as u128
}

/// The rows that take part in the key's step, in rising order; any number from none to all.
///
/// The coin of row i is the i-th 64-bit word of the step's coin stream: it depends on the row's place, never on its
/// content, so equal rows have coins of their own.
pub(crate) fn poisson_batch(key: &Key, rows: usize, sampling_rate: f64) -> Vec<usize> {
    let threshold = coin_threshold(sampling_rate);
    let expected = (rows as f64 * sampling_rate).round() as usize;
    if fault!(Shuffle) {
        let first = key.step() as usize * expected;
        return (first..first + expected)
            .map(|place| place % rows)
            .collect();
    }
    if fault!(FixedSize) {
        let first = blake3::hash(&key.step().to_le_bytes()).as_bytes()[0] as usize * 7919;
        return (first..first + expected)
            .map(|place| place % rows)
            .collect();
    }
    let seeded = Key::seeded(0, "public coins");
    let coins = if fault!(SeededCoins) { &seeded } else { key };
    let mut stream = coins.stream(Purpose::Coin, 0, 0);
    let mut words = [0; 8 * 512];
    let mut taken = Vec::new();
    for first in (0..rows).step_by(512) {
        words.fill(0);
        stream.apply_keystream(&mut words);
        let coins = words.as_chunks::<8>().0.iter();
        for (row, coin) in (first..rows).zip(coins) {
            if u128::from(u64::from_le_bytes(*coin)) < threshold {
                taken.push(row);
            }
        }
    }
    if fault!(CappedBatch) {
        taken.truncate(expected);
    }
    taken
}

/// Splits a batch into micro-batches of at most `max_rows` rows and about `max_tokens` tokens, padding included, with
/// rows of similar length together. A matter of memory and speed alone: every row appears exactly once.
///
/// `lengths` are those of `rows`, in the same order. A row longer than `max_tokens` makes a micro-batch of its own.
pub fn micro_batches(
    rows: &[usize],
    lengths: &[usize],
    max_rows: usize,
    max_tokens: usize,
) -> Vec<Vec<usize>> {
    let mut order: Vec<(usize, usize)> =
        lengths.iter().copied().zip(rows.iter().copied()).collect();
    order.sort_unstable();
    let mut split: Vec<Vec<usize>> = Vec::new();
    for (length, row) in order {
        match split.last_mut() {
            Some(last) if last.len() < max_rows && (last.len() + 1) * length <= max_tokens => {
                last.push(row);
            }
            _ => split.push(vec![row]),
        }
    }
    split
}

/// Likewise for units of several rows each, which are never split: places of the units. `sizes` are their numbers of rows,
/// `lengths` those of their tokens. A unit beyond either limit makes a micro-batch of its own.
pub(super) fn micro_batches_of_units(
    sizes: &[usize],
    lengths: &[usize],
    max_rows: usize,
    max_tokens: usize,
) -> Vec<Vec<usize>> {
    let mut order: Vec<(usize, usize)> = lengths.iter().copied().zip(0..).collect();
    order.sort_unstable();
    let mut split: Vec<Vec<usize>> = Vec::new();
    let mut rows = 0;
    for (length, unit) in order {
        let size = sizes[unit];
        match split.last_mut() {
            Some(last) if rows + size <= max_rows && (last.len() + 1) * length <= max_tokens => {
                last.push(unit);
                rows += size;
            }
            _ => {
                split.push(vec![unit]);
                rows = size;
            }
        }
    }
    split
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::fault::{self, Fault};

    fn key() -> Key {
        Key::seeded(11, "sampling")
    }

    #[test]
    fn the_threshold_is_the_rate_in_64_bits() {
        assert_eq!(coin_threshold(0.0), 0);
        assert_eq!(coin_threshold(1.0), 1 << 64);
        assert_eq!(coin_threshold(0.5), 1 << 63);
        assert_eq!(coin_threshold(2f64.powi(-64)), 1);
        assert_eq!(coin_threshold(2f64.powi(-65)), 0);
    }

    #[test]
    fn rates_of_zero_and_one_take_none_and_all() {
        assert!(poisson_batch(&key(), 1000, 0.0).is_empty());
        assert_eq!(
            poisson_batch(&key(), 1000, 1.0),
            (0..1000).collect::<Vec<_>>()
        );
        assert!(poisson_batch(&key(), 0, 0.5).is_empty());
    }

    /// Over 2,000 steps the batch size is Binomial(N, q). With alpha = 1e-6 (4.9 standard errors) this detects a mean off
    /// by 1.1 % and a variance off by 16 %; a fixed size has no variance and a shuffled epoch a negative covariance.
    pub(crate) fn coins_are_independent() -> bool {
        let (rows, rate, steps) = (1000, 0.05, 2000);
        let mut key = key();
        let mut sizes = Vec::new();
        let mut together = 0u64;
        let mut previous = vec![false; rows];
        for _ in 0..steps {
            let batch = poisson_batch(&key, rows, rate);
            let mut now = vec![false; rows];
            for &row in &batch {
                now[row] = true;
            }
            together += now
                .iter()
                .zip(&previous)
                .filter(|(a, b)| **a && **b)
                .count() as u64;
            sizes.push(batch.len() as f64);
            previous = now;
            key = key.ratchet();
        }
        let mean = sizes.iter().sum::<f64>() / f64::from(steps);
        let variance =
            sizes.iter().map(|size| (size - mean).powi(2)).sum::<f64>() / f64::from(steps - 1);
        let (expected, spread) = (rows as f64 * rate, rows as f64 * rate * (1.0 - rate));
        // A row is in two steps running with probability q^2: never under a shuffle of one epoch.
        let pairs = f64::from(steps - 1) * rows as f64;
        let twice = pairs * rate * rate;
        (mean - expected).abs() < 4.9 * (spread / f64::from(steps)).sqrt()
            && (variance / spread - 1.0).abs() < 4.9 * (2.0 / f64::from(steps)).sqrt()
            && (together as f64 - twice).abs() < 4.9 * twice.sqrt() * 1.2
    }

    #[test]
    fn batch_sizes_are_binomial_and_steps_are_independent() {
        assert!(coins_are_independent());
        for broken in [Fault::Shuffle, Fault::FixedSize, Fault::CappedBatch] {
            assert!(!fault::with(broken, coins_are_independent), "{broken:?}");
        }
    }

    /// 1e8 coins at q = 0.016 detect a rate off by 0.7 % at alpha = 1e-6, with power above 0.999.
    #[test]
    fn the_realised_rate_is_the_accounted_one() {
        let rate = 0.016;
        let mut key = key();
        let mut taken = 0;
        for _ in 0..100 {
            taken += poisson_batch(&key, 1_000_000, rate).len();
            key = key.ratchet();
        }
        let expected = 1e8 * rate;
        assert!(
            (taken as f64 - expected).abs() < 4.9 * expected.sqrt(),
            "{taken}"
        );
    }

    /// Two keys from the operating system draw different batches.
    pub(crate) fn secure_batches_differ() -> bool {
        let draw = || poisson_batch(&Key::from_operating_system().unwrap(), 500, 0.5);
        draw() != draw()
    }

    #[test]
    fn two_secure_keys_draw_different_batches() {
        assert!(secure_batches_differ());
        assert!(!fault::with(Fault::SeededCoins, secure_batches_differ));
    }

    /// The coins of a duplicated row agree as often as those of any two rows: in q^2 + (1 - q)^2 of the steps.
    #[test]
    fn equal_rows_have_coins_of_their_own() {
        let mut key = key();
        let mut agree = 0;
        for _ in 0..4000 {
            let batch = poisson_batch(&key, 2, 0.5);
            agree += u32::from(batch.len() != 1);
            key = key.ratchet();
        }
        assert!(
            (f64::from(agree) - 2000.0).abs() < 4.9 * 1000f64.sqrt(),
            "{agree}"
        );
    }

    #[test]
    fn micro_batches_hold_every_row_once_and_little_padding() {
        let rows: Vec<usize> = (0..100).map(|row| row * 3).collect();
        let lengths: Vec<usize> = (0..100).map(|row| 1 + (row * 37) % 50).collect();
        for (max_rows, max_tokens) in [(1, 1000), (7, 1000), (100, 64), (100, 1), (1000, 100_000)] {
            let split = micro_batches(&rows, &lengths, max_rows, max_tokens);
            let mut seen: Vec<usize> = split.iter().flatten().copied().collect();
            seen.sort_unstable();
            assert_eq!(seen, rows);
            for part in &split {
                let max_seq_len = part.iter().map(|row| lengths[row / 3]).max().unwrap();
                assert!(part.len() <= max_rows);
                assert!(part.len() == 1 || part.len() * max_seq_len <= max_tokens);
            }
        }
        assert!(micro_batches(&[], &[], 4, 4).is_empty());
    }

    #[test]
    fn units_are_never_split() {
        let sizes: Vec<usize> = (0..40).map(|unit| unit % 7).collect();
        let lengths: Vec<usize> = sizes.iter().map(|size| size * 11).collect();
        for (max_rows, max_tokens) in [(1, 1000), (8, 1000), (1000, 70), (1000, 1)] {
            let split = micro_batches_of_units(&sizes, &lengths, max_rows, max_tokens);
            let mut seen: Vec<usize> = split.concat();
            seen.sort_unstable();
            assert_eq!(seen, (0..40).collect::<Vec<_>>());
            for part in &split {
                let rows: usize = part.iter().map(|&unit| sizes[unit]).sum();
                assert!(part.len() == 1 || rows <= max_rows);
                let longest = part.iter().map(|&unit| lengths[unit]).max().unwrap();
                assert!(part.len() == 1 || part.len() * longest <= max_tokens);
            }
        }
    }
}
