//! Frozen matrices in bfloat16 or 8 bits: rounded once, on the host, and widened to f32 in blocks where they are used.
//!
//! Widening rounds nothing, so that every device computes with the same numbers: a bfloat16 is an f32 that ends in zeros, and
//! the scale of a row of 8-bit numbers has so few bits that its product with any of them is exact.

use super::kernel::host::rounded as kernel;
use dpx_schema::params::BasePrecision;
use std::ops::Range;

/// Largest whole number of 8 bits; -128 is not used, so that a row may be negated.
const MOST: f32 = 127.0;

/// A matrix `[rows, width]` in less than 32 bits a value. It is never trained.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundedMatrix {
    rows: usize,
    width: usize,
    stored: Stored,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stored {
    /// The upper halves of f32, rounded to nearest, ties to even.
    Bf16(Vec<u16>),
    /// Whole numbers times the scale of their row: its largest absolute value over 127, rounded up to 16 bits.
    Int8 { values: Vec<i8>, scales: Vec<f32> },
}

impl RoundedMatrix {
    /// A matrix without rows yet, and room for as many as will come; none where the precision is f32.
    pub fn with_capacity(precision: BasePrecision, rows: usize, width: usize) -> Option<Self> {
        let stored = match precision {
            BasePrecision::F32 => return None,
            BasePrecision::Bf16 => Stored::Bf16(Vec::with_capacity(rows * width)),
            BasePrecision::Int8 => Stored::Int8 {
                values: Vec::with_capacity(rows * width),
                scales: Vec::with_capacity(rows),
            },
        };
        Some(Self {
            rows: 0,
            width,
            stored,
        })
    }

    /// Rounds whole rows and puts them below those that are there.
    ///
    /// # Panics
    /// When the values are no whole rows.
    pub(crate) fn push_rows(&mut self, values: &[f32]) {
        assert!(
            values.len().is_multiple_of(self.width.max(1)),
            "rows are pushed whole"
        );
        self.rows += values.len() / self.width.max(1);
        match &mut self.stored {
            Stored::Bf16(stored) => {
                let bits = values.iter().map(|&value| half::bf16::from_f32(value));
                stored.extend(bits.map(half::bf16::to_bits));
            }
            Stored::Int8 {
                values: stored,
                scales,
            } => {
                for row in values.chunks_exact(self.width) {
                    let scale = scale_of(row);
                    scales.push(scale);
                    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
                    let whole = row.iter().map(|value| (value * inverse).round_ties_even());
                    stored.extend(whole.map(|value| value.clamp(-MOST, MOST) as i8));
                }
            }
        }
    }

    /// Whether the values are bfloat16 or 8-bit integers.
    pub const fn precision(&self) -> BasePrecision {
        match self.stored {
            Stored::Bf16(_) => BasePrecision::Bf16,
            Stored::Int8 { .. } => BasePrecision::Int8,
        }
    }

    /// `[rows, width]`.
    pub const fn dims(&self) -> [usize; 2] {
        [self.rows, self.width]
    }

    #[cfg(feature = "burn")]
    pub(crate) const fn stored(&self) -> &Stored {
        &self.stored
    }

    /// Writes some rows and columns as f32 to `out`, row by row.
    pub(crate) fn widen(&self, rows: Range<usize>, columns: Range<usize>, out: &mut [f32]) {
        assert!(
            rows.end <= self.rows && columns.end <= self.width,
            "rows and columns are in the matrix"
        );
        assert_eq!(out.len(), rows.len() * columns.len(), "room for all of it");
        let width = self.width;
        match &self.stored {
            Stored::Bf16(values) => kernel::widen_bf16(values, width, rows, columns, out),
            Stored::Int8 { values, scales } => {
                kernel::widen_int8(values, scales, width, rows, columns, out);
            }
        }
    }

    /// Writes `y[r] = row ids[r]`.
    pub(crate) fn gather(&self, ids: &[u32], y: &mut [f32]) {
        for (y, &id) in y.chunks_exact_mut(self.width).zip(ids) {
            let row = id as usize;
            self.widen(row..row + 1, 0..self.width, y);
        }
    }

    /// Hands over all values as f32 in row-major order, in blocks.
    pub fn visit(&self, mut visit: impl FnMut(&[f32])) {
        let rows = (BLOCK / self.width.max(1)).max(1);
        let mut block = Vec::new();
        for start in (0..self.rows).step_by(rows) {
            let range = start..(start + rows).min(self.rows);
            block.resize(range.len() * self.width, 0.0);
            self.widen(range, 0..self.width, &mut block);
            visit(&block);
        }
    }

    /// Bytes of its numbers and scales.
    pub fn bytes(&self) -> usize {
        match &self.stored {
            Stored::Bf16(values) => 2 * values.len(),
            Stored::Int8 { values, scales } => values.len() + 4 * scales.len(),
        }
    }
}

/// About as many values as are widened at once.
pub(crate) const BLOCK: usize = 1 << 20;

/// The largest absolute value over 127, rounded up to 16 significant bits; 0 for a row of zeros or of next to nothing.
fn scale_of(row: &[f32]) -> f32 {
    let largest = row
        .iter()
        .fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let scale = largest / MOST;
    if scale < f32::MIN_POSITIVE {
        return 0.0;
    }
    f32::from_bits((scale.to_bits() + 0xff) & !0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(rows: usize, width: usize) -> Vec<f32> {
        let value = |at: usize| ((at * 7919 + 13) as f32).sin() * 10_f32.powi((at % 7) as i32 - 4);
        (0..rows * width).map(value).collect()
    }

    fn rounded(precision: BasePrecision, values: &[f32], width: usize) -> RoundedMatrix {
        let rows = values.len() / width;
        let mut matrix = RoundedMatrix::with_capacity(precision, rows, width).unwrap();
        matrix.push_rows(values);
        matrix
    }

    fn widened(matrix: &RoundedMatrix) -> Vec<f32> {
        let mut all = Vec::new();
        matrix.visit(|block| all.extend_from_slice(block));
        all
    }

    #[test]
    fn bf16_is_the_nearest_of_sixteen_bits() {
        let values = values(5, 33);
        let matrix = rounded(BasePrecision::Bf16, &values, 33);
        for (wide, value) in widened(&matrix).iter().zip(&values) {
            assert_eq!(wide.to_bits() & 0xffff, 0);
            assert_eq!(*wide, half::bf16::from_f32(*value).to_f32());
            assert!((wide - value).abs() <= value.abs() / 256.0);
        }
        assert_eq!(matrix.bytes(), 2 * 5 * 33);
    }

    #[test]
    fn int8_is_within_half_a_step_of_its_row_and_widens_exactly() {
        let mut values = values(6, 40);
        values[40..80].fill(0.0);
        values[80..120].fill(1e-42);
        let matrix = rounded(BasePrecision::Int8, &values, 40);
        let wide = widened(&matrix);
        let Stored::Int8 {
            values: whole,
            scales,
        } = &matrix.stored
        else {
            panic!("8 bits")
        };
        for (row, scale) in scales.iter().enumerate() {
            assert_eq!(scale.to_bits() & 0xff, 0, "a scale has 16 bits");
            for at in row * 40..(row + 1) * 40 {
                assert!((wide[at] - values[at]).abs() <= 0.5001 * scale + 1e-40);
                // Not rounded: the product in f64 is the same.
                let exact = f64::from(whole[at]) * f64::from(*scale);
                assert_eq!(f64::from(wide[at]), exact);
            }
        }
        assert!(wide[40..120].iter().all(|value| *value == 0.0));
        assert_eq!(matrix.bytes(), 6 * 40 + 4 * 6);
        // What was rounded before does not change when it is rounded again.
        assert_eq!(rounded(BasePrecision::Int8, &wide, 40), matrix);
    }

    #[test]
    fn any_part_is_a_part_of_the_whole() {
        let values = values(9, 70);
        for precision in [BasePrecision::Bf16, BasePrecision::Int8] {
            let matrix = rounded(precision, &values, 70);
            let whole = widened(&matrix);
            for (rows, columns) in [(0..9, 0..70), (2..7, 33..70), (8..9, 0..1), (0..9, 5..69)] {
                let mut part = vec![f32::NAN; rows.len() * columns.len()];
                matrix.widen(rows.clone(), columns.clone(), &mut part);
                for (at, value) in part.iter().enumerate() {
                    let (row, column) = (at / columns.len(), at % columns.len());
                    let place = (rows.start + row) * 70 + columns.start + column;
                    assert_eq!(value.to_bits(), whole[place].to_bits());
                }
            }
            let mut gathered = vec![0.0; 140];
            matrix.gather(&[7, 0], &mut gathered);
            assert_eq!(gathered[..70], whole[490..560]);
            assert_eq!(gathered[70..], whole[..70]);
        }
        assert!(RoundedMatrix::with_capacity(BasePrecision::F32, 1, 1).is_none());
    }
}
