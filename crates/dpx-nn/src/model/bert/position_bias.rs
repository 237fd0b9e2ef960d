//! MPNet's relative position bias, shared by all blocks (Song et al. 2020, after Raffel et al. 2020).

use crate::Array;

/// Distances from this on share the last bucket.
const MAX_DISTANCE: f64 = 128.0;

/// A number for each bucket of distances and each head. It is read and kept, never trained.
#[derive(Debug, Clone)]
pub(crate) struct PositionBias {
    /// `[buckets, heads]`.
    table: Array,
}

impl PositionBias {
    /// From the table `[buckets, heads]`.
    pub(crate) const fn new(table: Array) -> Self {
        Self { table }
    }

    /// The table `[buckets, heads]`.
    pub(crate) const fn table(&self) -> &Array {
        &self.table
    }

    /// What is added to the scores of a text of `size` tokens, `[heads, size, size]`.
    pub(crate) fn scores(&self, size: usize) -> Array {
        let [buckets, heads] = [self.table.rows(), self.table.width()];
        let table = self.table.host();
        // By key minus query, from -(size - 1) on.
        let bucket_of: Vec<usize> = (0..(2 * size).saturating_sub(1))
            .map(|place| bucket(place as i64 - (size as i64 - 1), buckets))
            .collect();
        let mut scores = Vec::with_capacity(heads * size * size);
        for head in 0..heads {
            for query in 0..size {
                let row = &bucket_of[size - 1 - query..2 * size - 1 - query];
                scores.extend(row.iter().map(|bucket| table[bucket * heads + head]));
            }
        }
        Array::from_vec(scores, &[heads, size, size])
    }
}

/// The bucket of `key - query`: one half for each direction; small distances have their own, larger ones share in
/// logarithmic steps.
fn bucket(relative: i64, buckets: usize) -> usize {
    let half = buckets / 2;
    let exact = half / 2;
    let start = if relative > 0 { half } else { 0 };
    let distance = relative.unsigned_abs() as usize;
    let step = if distance < exact {
        distance
    } else {
        // In f32, as the models were trained: the edges of buckets depend on it.
        let share =
            (distance as f32 / exact as f32).ln() / (MAX_DISTANCE / exact as f64).ln() as f32;
        (exact + (share * (half - exact) as f32) as usize).min(half - 1)
    };
    start + step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_those_of_transformers() {
        // MPNetEncoder.relative_position_bucket(torch.tensor(d), num_buckets=32) of transformers 5.23.
        let cases = [
            (0, 0),
            (-1, 1),
            (-7, 7),
            (-8, 8),
            (-11, 8),
            (-12, 9),
            (-16, 10),
            (-64, 14),
            (-127, 15),
            (-500, 15),
            (1, 17),
            (7, 23),
            (8, 24),
            (12, 25),
            (32, 28),
            (128, 31),
        ];
        for (relative, wanted) in cases {
            assert_eq!(bucket(relative, 32), wanted, "{relative}");
        }
    }

    #[test]
    fn scores_depend_on_the_distance() {
        let table = Array::from_vec((0..64).map(|value| value as f32).collect(), &[32, 2]);
        let scores = PositionBias::new(table).scores(3);
        assert_eq!(scores.shape(), [2, 3, 3]);
        // Buckets of a 3 x 3 square: 0 17 18 / 1 0 17 / 2 1 0; head 1 takes the odd numbers.
        assert_eq!(scores.host()[..6], [0.0, 34.0, 36.0, 2.0, 0.0, 34.0]);
        assert_eq!(scores.host()[9..12], [1.0, 35.0, 37.0]);
    }
}
