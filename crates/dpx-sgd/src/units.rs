//! Units of privacy that own several rows: which rows a person has, and which of them take part in a step.
//!
//! A person takes part by one coin. Of the rows of a person who does, at most a fixed public number is drawn, by secret coins
//! of that step; their gradients are added up and bounded as one. What a person can change is thereby the same whether they have
//! one row or a thousand, and so is the memory that they take.

use super::key::{Key, Purpose};
use chacha20::cipher::StreamCipher;

/// Which rows each person has, and how many of them a step takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Units {
    rows: Vec<Vec<usize>>,
    per_step: usize,
}

impl Units {
    /// People by their rows, of which at most `per_step` are drawn in a step that they take part in; at least one.
    pub fn new(rows: Vec<Vec<usize>>, per_step: usize) -> Self {
        Self {
            rows,
            per_step: per_step.max(1),
        }
    }

    /// Adds a person with these rows.
    pub fn push(&mut self, rows: Vec<usize>) {
        self.rows.push(rows);
    }

    /// Number of people.
    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Most rows of a person in a step; public.
    pub(crate) const fn per_step(&self) -> usize {
        self.per_step
    }

    /// All rows of a person, whether a step takes them or not.
    pub fn rows(&self, unit: usize) -> &[usize] {
        &self.rows[unit]
    }

    /// The first rows of a person, as many as a step takes at most: for checks that need no coins.
    pub(crate) fn first_rows(&self, unit: usize) -> Vec<usize> {
        let rows = &self.rows[unit];
        rows[..rows.len().min(self.per_step)].to_vec()
    }

    /// The rows of a person that take part in the key's step, in rising order of their places: all of them, or a uniformly
    /// drawn choice of [`Self::per_step`]. The coins are those of the person's place: equal people have coins of their own.
    pub(crate) fn draw(&self, key: &Key, unit: usize) -> Vec<usize> {
        let rows = &self.rows[unit];
        if rows.len() <= self.per_step {
            return rows.clone();
        }
        let mut words = vec![0; 8 * self.per_step];
        key.stream(Purpose::Record, unit as u64, 0)
            .apply_keystream(&mut words);
        let mut places: Vec<usize> = (0..rows.len()).collect();
        for (at, word) in words.as_chunks::<8>().0.iter().enumerate() {
            // A 64-bit word times the number of places left, over 2^64.
            let left = (places.len() - at) as u128;
            let jump = (u128::from(u64::from_le_bytes(*word)) * left) >> 64;
            places.swap(at, at + jump as usize);
        }
        places.truncate(self.per_step);
        places.sort_unstable();
        places.into_iter().map(|place| rows[place]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(count: usize, per_step: usize) -> Units {
        Units::new(vec![(0..count).map(|row| 10 + 2 * row).collect()], per_step)
    }

    #[test]
    fn whoever_has_few_rows_brings_all_of_them() {
        let key = Key::seeded(1, "units");
        for count in 0..=4 {
            let units = of(count, 4);
            assert_eq!(units.draw(&key, 0), units.rows(0));
        }
        assert_eq!(Units::new(Vec::new(), 0).per_step(), 1);
    }

    /// 4,000 steps of 3 among 9 rows: each row in a third of them, and each pair in a twelfth. With alpha = 1e-6 (4.9 standard
    /// errors) this detects a row drawn 11 % too often.
    #[test]
    fn rows_are_drawn_evenly_each_at_most_once_a_step() {
        let units = of(9, 3);
        let mut key = Key::seeded(5, "units");
        let (mut seen, mut pair) = ([0_u32; 9], 0_u32);
        for _ in 0..4000 {
            let drawn = units.draw(&key, 0);
            assert_eq!(drawn.len(), 3);
            assert!(drawn.is_sorted_by(|a, b| a < b));
            for row in &drawn {
                seen[(row - 10) / 2] += 1;
            }
            pair += u32::from(drawn.contains(&10) && drawn.contains(&26));
            key = key.ratchet();
        }
        let close = |found: u32, share: f64| {
            let expected = 4000.0 * share;
            (f64::from(found) - expected).abs() < 4.9 * (expected * (1.0 - share)).sqrt()
        };
        assert!(
            seen.iter().all(|&found| close(found, 1.0 / 3.0)),
            "{seen:?}"
        );
        assert!(close(pair, 1.0 / 12.0), "{pair}");
    }

    #[test]
    fn people_with_as_many_rows_have_coins_of_their_own() {
        let rows: Vec<usize> = (0..50).collect();
        let units = Units::new(vec![rows.clone(), rows], 5);
        let key = Key::seeded(2, "units");
        assert_ne!(units.draw(&key, 0), units.draw(&key, 1));
        assert_ne!(units.draw(&key, 0), units.draw(&key.ratchet(), 0));
        assert_eq!(units.draw(&key, 0), units.draw(&key, 0));
    }
}
