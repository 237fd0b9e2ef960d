//! Softmax regression by noisy full-batch gradient descent: every step is one Gaussian mechanism.
//!
//! Each example's gradient is the outer product of its features `x` and `p - y`, so that its norm is `|x| |p - y|` exactly
//! and clipping scales `p - y` alone. All sums are f64. `T` steps of noise multiplier `sigma sqrt(T)` cost what one Gaussian
//! mechanism of noise multiplier `sigma` costs.

use dpx_nn::softmax_regression::{add_scores, softmax};

/// Sparse feature rows in compressed form.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SparseRows {
    offsets: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f32>,
    width: usize,
}

impl SparseRows {
    /// No rows yet, of `width` columns.
    pub fn new(width: usize) -> Self {
        Self {
            offsets: vec![0],
            columns: Vec::new(),
            values: Vec::new(),
            width,
        }
    }

    /// Appends a row, scaled to Euclidean norm 1 (a row of zeros stays one).
    ///
    /// # Panics
    /// When a column is not below the width: the caller's features are wrong.
    pub fn push_normalized(&mut self, entries: impl IntoIterator<Item = (u32, f64)>) {
        let start = self.columns.len();
        let mut squares = 0.0;
        let mut raw = Vec::new();
        for (column, value) in entries {
            assert!(
                (column as usize) < self.width,
                "column {column} of {}",
                self.width
            );
            self.columns.push(column);
            raw.push(value);
            squares += value * value;
        }
        let scale = if squares > 0.0 {
            1.0 / squares.sqrt()
        } else {
            0.0
        };
        self.values
            .extend(raw.iter().map(|value| (value * scale) as f32));
        debug_assert_eq!(self.columns.len() - start, raw.len());
        self.offsets.push(self.columns.len());
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of columns.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// The entries of a row that are not zero: column and value, of norm 1 together.
    pub fn row(&self, index: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let range = self.offsets[index]..self.offsets[index + 1];
        self.columns[range.clone()]
            .iter()
            .zip(&self.values[range])
            .map(|(&column, &value)| (column as usize, f64::from(value)))
    }
}

/// What the descent does; nothing here depends on private data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Descent {
    /// Number of steps, each over all rows.
    pub steps: u64,
    /// Step size, the same at every step.
    pub learning_rate: f64,
    /// Share of the last step that the next one keeps (heavy ball); 0 is plain descent.
    pub momentum: f64,
    /// Bound on the norm of one example's gradient; infinity: none.
    pub max_grad_norm: f64,
    /// The declared number of examples: the divisor of every sum.
    pub examples: u64,
}

/// Rows that are bounded as one: those of a person, or a part of what a person may add.
#[derive(Debug, Clone, PartialEq)]
pub struct RowsAsOne {
    /// Their places among the rows of [`SparseRows`].
    pub rows: Vec<usize>,
    /// What the gradient of each counts.
    pub weight: f64,
    /// Part of the bound that they may take together.
    pub bound: f64,
}

/// Multinomial logistic regression without intercepts.
#[derive(Debug, Clone, PartialEq)]
pub struct SoftmaxRegression {
    /// Weights `[width, classes]`, row-major.
    pub weights: Vec<f64>,
    /// Classes that it tells apart, the columns of `weights`.
    pub classes: usize,
}

impl SoftmaxRegression {
    /// Probabilities of the classes, `[classes]`.
    pub fn probabilities(&self, row: impl Iterator<Item = (usize, f64)>) -> Vec<f64> {
        let mut logits = vec![0.0; self.classes];
        add_scores(row, &self.weights, &mut logits);
        softmax(&mut logits);
        logits
    }

    /// Descends on the rows, each bounded by itself or as part of `units`. `release` receives the step's number and the sum of clipped gradients `[width * classes]` and
    /// returns it with noise; it is the only way from the rows to the weights.
    pub fn descend(
        rows: &SparseRows,
        labels: &[usize],
        units: Option<&[RowsAsOne]>,
        classes: usize,
        descent: &Descent,
        mut release: impl FnMut(u64, Vec<f64>) -> Vec<f64>,
    ) -> Self {
        let size = rows.width() * classes;
        let mut model = Self {
            weights: vec![0.0; size],
            classes,
        };
        let mut momentum = vec![0.0; size];
        for step in 0..descent.steps {
            let sum = match units {
                None => model.clipped_sum(rows, labels, descent.max_grad_norm),
                Some(units) => {
                    model.clipped_sum_of_units(rows, labels, units, descent.max_grad_norm)
                }
            };
            let released = release(step, sum);
            for ((weight, momentum), gradient) in
                model.weights.iter_mut().zip(&mut momentum).zip(&released)
            {
                *momentum = descent.momentum * *momentum + gradient / descent.examples as f64;
                *weight -= descent.learning_rate * *momentum;
            }
        }
        model
    }

    /// The sum of clipped gradients, `[width * classes]`: removing one row moves it by at most `max_grad_norm`.
    pub fn clipped_sum(&self, rows: &SparseRows, labels: &[usize], max_grad_norm: f64) -> Vec<f64> {
        let classes = self.classes;
        let mut sum = vec![0.0; rows.width() * classes];
        for (index, &label) in labels.iter().enumerate() {
            let mut residual = self.probabilities(rows.row(index));
            if residual.iter().any(|value| !value.is_finite()) {
                // A row that cannot be bounded counts as present and contributes nothing.
                continue;
            }
            residual[label] -= 1.0;
            let norm_of_row = rows
                .row(index)
                .map(|(_, value)| value * value)
                .sum::<f64>()
                .sqrt();
            let norm = norm_of_row
                * residual
                    .iter()
                    .map(|value| value * value)
                    .sum::<f64>()
                    .sqrt();
            if norm > max_grad_norm {
                for value in &mut residual {
                    *value *= max_grad_norm / norm;
                }
            }
            for (column, value) in rows.row(index) {
                let cells = &mut sum[column * classes..][..classes];
                for (cell, residual) in cells.iter_mut().zip(&residual) {
                    *cell += value * residual;
                }
            }
        }
        sum
    }

    /// The sum of what units add, `[width * classes]`: the weighted gradients of a unit's rows, bounded as one. Taking a unit out
    /// moves the sum by at most its part of `max_grad_norm`.
    pub fn clipped_sum_of_units(
        &self,
        rows: &SparseRows,
        labels: &[usize],
        units: &[RowsAsOne],
        max_grad_norm: f64,
    ) -> Vec<f64> {
        let classes = self.classes;
        let mut sum = vec![0.0; rows.width() * classes];
        // The gradient of one unit, and its columns: so that memory does not grow with the rows of the busiest person.
        let mut own = vec![0.0; rows.width() * classes];
        let mut is_touched = vec![false; rows.width()];
        let mut touched: Vec<usize> = Vec::new();
        for unit in units {
            for &index in &unit.rows {
                let mut residual = self.probabilities(rows.row(index));
                residual[labels[index]] -= 1.0;
                for (column, value) in rows.row(index) {
                    if !std::mem::replace(&mut is_touched[column], true) {
                        touched.push(column);
                    }
                    let cells = &mut own[column * classes..][..classes];
                    for (cell, residual) in cells.iter_mut().zip(&residual) {
                        *cell += unit.weight * value * residual;
                    }
                }
            }
            let cells = |column: usize| column * classes..(column + 1) * classes;
            let square: f64 = touched
                .iter()
                .flat_map(|&column| &own[cells(column)])
                .map(|value| value * value)
                .sum();
            let (norm, bound) = (square.sqrt(), unit.bound * max_grad_norm);
            let factor = if norm > bound { bound / norm } else { 1.0 };
            for column in touched.drain(..) {
                for (sum, own) in sum[cells(column)].iter_mut().zip(&mut own[cells(column)]) {
                    // A unit that cannot be bounded counts as present and contributes nothing.
                    if norm.is_finite() {
                        *sum += factor * *own;
                    }
                    *own = 0.0;
                }
                is_touched[column] = false;
            }
        }
        sum
    }

    /// Shrinks each feature's weights towards zero by the positive-part James-Stein factor `1 - strength * base / |w|^2`, where
    /// `base` is the median of `|w|^2` over the features: with most features noise alone, that is the noise. Reads the released
    /// weights only, so it is post-processing. The last feature (the intercept) is left alone.
    pub fn shrink(&mut self, strength: f64) {
        let classes = self.classes;
        for row in self.weights.chunks_mut(classes) {
            let mean = row.iter().sum::<f64>() / classes as f64;
            for value in row {
                *value -= mean;
            }
        }
        let square = |row: &[f64]| row.iter().map(|value| value * value).sum::<f64>();
        let features = self.weights.len() / classes;
        if features < 2 {
            return;
        }
        let mut squares: Vec<f64> = self
            .weights
            .chunks(classes)
            .take(features - 1)
            .map(square)
            .collect();
        squares.sort_by(f64::total_cmp);
        let base = squares[squares.len() / 2];
        for row in self.weights.chunks_mut(classes).take(features - 1) {
            let own = square(row);
            let factor = if own > 0.0 {
                (1.0 - strength * base / own).max(0.0)
            } else {
                0.0
            };
            for value in row {
                *value *= factor;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toy() -> (SparseRows, Vec<usize>) {
        let mut rows = SparseRows::new(5);
        let mut labels = Vec::new();
        for index in 0..60_u32 {
            let class = index % 3;
            rows.push_normalized([(class, 2.0), (3, 1.0), (4, f64::from(index % 7))]);
            labels.push(class as usize);
        }
        (rows, labels)
    }

    const DESCENT: Descent = Descent {
        steps: 200,
        learning_rate: 5.0,
        momentum: 0.9,
        max_grad_norm: 0.4,
        examples: 60,
    };

    #[test]
    fn separable_classes_are_learnt() {
        let (rows, labels) = toy();
        let model = SoftmaxRegression::descend(&rows, &labels, None, 3, &DESCENT, |_, sum| sum);
        for (index, &label) in labels.iter().enumerate() {
            let probabilities = model.probabilities(rows.row(index));
            assert!(probabilities[label] > 0.9, "row {index}: {probabilities:?}");
        }
    }

    #[test]
    fn removing_any_row_moves_the_sum_by_at_most_the_bound_and_some_row_by_all_of_it() {
        let (rows, labels) = toy();
        let model = SoftmaxRegression {
            weights: (0..15).map(|i| f64::from(i * 7 % 11) - 5.0).collect(),
            classes: 3,
        };
        let all = model.clipped_sum(&rows, &labels, 0.25);
        let mut largest: f64 = 0.0;
        for left_out in 0..rows.len() {
            let mut fewer = SparseRows::new(5);
            let mut fewer_labels = Vec::new();
            for index in (0..rows.len()).filter(|&index| index != left_out) {
                fewer.push_normalized(
                    rows.row(index)
                        .map(|(column, value)| (column as u32, value)),
                );
                fewer_labels.push(labels[index]);
            }
            let rest = model.clipped_sum(&fewer, &fewer_labels, 0.25);
            let distance = all
                .iter()
                .zip(&rest)
                .map(|(a, b)| (a - b) * (a - b))
                .sum::<f64>()
                .sqrt();
            largest = largest.max(distance);
        }
        assert!(largest <= 0.25 * (1.0 + 1e-6), "{largest}");
        assert!(largest > 0.2475, "{largest}");
    }

    /// Each unit is the clipped weighted sum of its rows' gradients, computed one unit at a time.
    #[test]
    fn units_are_bounded_as_one() {
        let (mut rows, labels) = toy();
        let model = SoftmaxRegression {
            weights: (0..15).map(|i| f64::from(i * 7 % 11) - 5.0).collect(),
            classes: 3,
        };
        let units: Vec<RowsAsOne> = (0..12)
            .map(|unit| RowsAsOne {
                rows: (0..60)
                    .filter(|row| row % 12 == unit && row / 12 <= unit % 5)
                    .collect(),
                weight: 1.0 / (1 + unit % 5) as f64,
                bound: if unit == 3 { 0.5 } else { 1.0 },
            })
            .collect();
        let whole = model.clipped_sum_of_units(&rows, &labels, &units, 0.25);
        let mut want = vec![0.0; 15];
        let mut clipped = 0;
        for unit in &units {
            let mut own = vec![0.0; 15];
            for &row in &unit.rows {
                let mut one = SparseRows::new(5);
                one.push_normalized(rows.row(row).map(|(column, value)| (column as u32, value)));
                let gradient = model.clipped_sum(&one, &labels[row..=row], f64::INFINITY);
                for (own, value) in own.iter_mut().zip(gradient) {
                    *own += unit.weight * value;
                }
            }
            let norm = own.iter().map(|value| value * value).sum::<f64>().sqrt();
            let factor = (unit.bound * 0.25 / norm).min(1.0);
            clipped += usize::from(factor < 1.0);
            for (want, own) in want.iter_mut().zip(own) {
                *want += factor * own;
            }
        }
        assert!(clipped > 3, "{clipped}");
        for (found, want) in whole.iter().zip(&want) {
            assert!((found - want).abs() < 1e-7, "{found} {want}");
        }
        // A row that is not a number takes its unit out, and nobody else.
        let before = model.clipped_sum_of_units(&rows, &labels, &units[1..], 0.25);
        let row = units[0].rows[0];
        let start = rows.offsets[row];
        rows.values[start] = f32::NAN;
        let after = model.clipped_sum_of_units(&rows, &labels, &units, 0.25);
        for (after, before) in after.iter().zip(&before) {
            assert!((after - before).abs() < 1e-12);
        }
    }

    #[test]
    fn the_gradient_is_that_of_the_mean_log_loss() {
        let (rows, labels) = toy();
        let loss = |model: &SoftmaxRegression| {
            labels
                .iter()
                .enumerate()
                .map(|(i, &y)| -model.probabilities(rows.row(i))[y].ln())
                .sum::<f64>()
        };
        let mut model = SoftmaxRegression {
            weights: vec![0.1; 15],
            classes: 3,
        };
        let sum = model.clipped_sum(&rows, &labels, f64::INFINITY);
        for (cell, &gradient) in sum.iter().enumerate() {
            let before = model.weights[cell];
            model.weights[cell] = before + 1e-5;
            let up = loss(&model);
            model.weights[cell] = before - 1e-5;
            let down = loss(&model);
            model.weights[cell] = before;
            assert!((gradient - (up - down) / 2e-5).abs() < 1e-5, "cell {cell}");
        }
    }

    #[test]
    fn shrinking_removes_noise_and_keeps_signal() {
        let mut model = SoftmaxRegression {
            weights: vec![0.0; 101 * 2],
            classes: 2,
        };
        for feature in 0..101 {
            let size = if feature == 7 { 5.0 } else { 0.1 };
            model.weights[feature * 2] = size;
            model.weights[feature * 2 + 1] = -size;
        }
        model.shrink(1.0);
        assert!(model.weights[14] > 4.9);
        assert_eq!(model.weights[0], 0.0);
        assert_eq!(model.weights[200], 0.1);
    }
}
