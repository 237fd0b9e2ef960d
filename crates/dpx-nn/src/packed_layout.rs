//! How the rows of activations belong to the examples of a batch.

#[cfg(feature = "burn")]
use super::kernel::Padding;
#[cfg(feature = "burn")]
use burn_dispatch::DispatchDevice;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
#[cfg(feature = "burn")]
use std::sync::OnceLock;

/// Rows of a packed batch: the tokens of example i are rows `offsets[i]..offsets[i + 1]`, one example after the other,
/// without padding.
#[derive(Clone)]
pub struct PackedLayout {
    offsets: Arc<[usize]>,
    #[cfg(feature = "burn")]
    padding: Arc<OnceLock<Arc<Padding>>>,
}

impl PackedLayout {
    /// Examples of these lengths; a length may be 0.
    pub fn from_lengths(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut offsets = vec![0];
        let mut end = 0;
        for length in lengths {
            end += length;
            offsets.push(end);
        }
        Self::from_offsets(offsets)
    }

    fn from_offsets(offsets: Vec<usize>) -> Self {
        Self {
            offsets: offsets.into(),
            #[cfg(feature = "burn")]
            padding: Arc::default(),
        }
    }

    /// One row for each of `batch` examples.
    pub fn single(batch: usize) -> Self {
        Self::from_lengths(std::iter::repeat_n(1, batch))
    }

    /// Neighboring examples taken for one: as many as `groups` has rows in each of its examples.
    #[must_use]
    pub fn grouped(&self, groups: &Self) -> Self {
        assert_eq!(groups.count(), self.batch(), "every example is in a group");
        Self::from_offsets(groups.offsets.iter().map(|&at| self.offsets[at]).collect())
    }

    /// Whether both are one layout, or made from it by copying.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.offsets, &other.offsets)
    }

    /// The same examples with `count` rows for each of theirs.
    #[must_use]
    pub fn times(&self, count: usize) -> Self {
        Self::from_offsets(self.offsets.iter().map(|row| row * count).collect())
    }

    /// Number of examples.
    pub fn batch(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Number of rows of all examples together.
    pub fn count(&self) -> usize {
        self.offsets[self.batch()]
    }

    /// First row of each example, and the number of rows at the end.
    pub fn offsets(&self) -> &[usize] {
        &self.offsets
    }

    /// How a device lays the examples out side by side; made once. There must be at least one row.
    #[cfg(feature = "burn")]
    pub(crate) fn padding(&self, device: &DispatchDevice) -> Arc<Padding> {
        let made = self
            .padding
            .get_or_init(|| Arc::new(Padding::new(self, device)));
        if made.is_for(device) {
            Arc::clone(made)
        } else {
            Arc::new(Padding::new(self, device))
        }
    }

    /// The rows that belong to an example.
    pub fn range(&self, example: usize) -> Range<usize> {
        self.offsets[example]..self.offsets[example + 1]
    }

    /// Number of rows of each example.
    pub fn lengths(&self) -> impl Iterator<Item = usize> {
        self.offsets.windows(2).map(|pair| pair[1] - pair[0])
    }

    /// Position of each row within its example.
    pub fn positions(&self) -> Vec<u32> {
        self.lengths().flat_map(|length| 0..length as u32).collect()
    }

    /// One value per example, repeated for each of its rows.
    pub fn spread<T: Copy>(&self, per_example: &[T]) -> Vec<T> {
        self.lengths()
            .zip(per_example)
            .flat_map(|(length, &value)| std::iter::repeat_n(value, length))
            .collect()
    }

    /// Sum of a value per row over each example, in f64.
    pub fn sums(&self, per_row: &[f32]) -> Vec<f64> {
        (0..self.batch())
            .map(|example| {
                per_row[self.range(example)]
                    .iter()
                    .copied()
                    .map(f64::from)
                    .sum()
            })
            .collect()
    }
}

impl PartialEq for PackedLayout {
    fn eq(&self, other: &Self) -> bool {
        self.offsets == other.offsets
    }
}

impl Eq for PackedLayout {}

impl fmt::Debug for PackedLayout {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("PackedLayout")
            .field(&self.offsets)
            .finish()
    }
}
