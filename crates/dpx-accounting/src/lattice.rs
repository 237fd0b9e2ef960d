//! Distributions on the lattice of privacy losses, for one direction of the neighboring relation.

use super::cells::{Cell, Cells};
use super::normal::UNIT;

/// Which of the two data sets the output was drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// The record is there: the loss ln P/Q under P.
    Remove,
    /// The record is not there: the loss ln Q/P under Q.
    Add,
}

impl Direction {
    pub(super) const BOTH: [Self; 2] = [Self::Remove, Self::Add];
}

/// A discrete privacy loss: mass on (first + i) * h + shift, and some mass outside.
#[derive(Debug, Clone)]
pub(super) struct Distribution {
    pub(super) first: i64,
    pub(super) masses: Vec<f64>,
    /// Mass that stands nowhere: at infinity, or lost to truncation.
    pub(super) outside: f64,
    /// Added to each step's loss.
    pub(super) shift: f64,
    /// Bound on the error of the loss, per step.
    pub(super) loss_error: f64,
    /// Bound on the relative error of the masses beyond that of the cells.
    pub(super) weight_error: f64,
}

impl Distribution {
    fn over(cells: &Cells, direction: Direction, extra: i64) -> Self {
        let first = cells.segments[0].first;
        let last = cells
            .segments
            .last()
            .map_or(first, |segment| segment.first + segment.cells.len() as i64);
        let length = (last - first + extra) as usize;
        let scale = first.abs().max(last.abs()) as f64 * cells.spacing;
        Self {
            first: match direction {
                Direction::Remove => first,
                Direction::Add => -last,
            },
            masses: vec![0.0; length],
            outside: 0.0,
            shift: 0.0,
            loss_error: 8.0 * UNIT * scale + cells.weight_error,
            weight_error: cells.weight_error,
        }
    }

    fn add(&mut self, index: i64, mass: f64) {
        self.masses[(index - self.first) as usize] += mass;
    }

    /// ln E[exp(t L)] of the distribution without its shift, conditional on standing somewhere or not alike.
    pub(super) fn cumulant(&self, t: f64, spacing: f64) -> f64 {
        let step = t * spacing;
        let last = self.masses.len() - 1;
        // From the end with the largest factors; geometric between fresh exponentials.
        const STRIDE: usize = 64;
        let ratio = (-step.abs()).exp();
        let (mut sum, mut factor) = (0.0, 1.0);
        for index in 0..=last {
            if index % STRIDE == 0 {
                factor = (-step.abs() * index as f64).exp();
                if factor == 0.0 {
                    break;
                }
            }
            let place = if step > 0.0 { last - index } else { index };
            sum += self.masses[place] * factor;
            factor *= ratio;
        }
        let anchor = if step > 0.0 { last } else { 0 };
        sum.ln() + step * (self.first as f64 + anchor as f64)
    }
}

/// The pessimistic distribution of Doroshenko, Ghazi, Kamath, Kumar, Manurangsi 2022 ("connect the dots").
///
/// Each cell's mass moves to the two ends of the cell such that its masses under both hypotheses stay. As the
/// hockey-stick divergence is an expectation of a convex function of exp(-loss), the pair that results dominates, and so
/// do its compositions. Mass beyond the top is put at infinity, mass below the bottom or in a gap is moved up.
pub(super) fn connect_the_dots(cells: &Cells, direction: Direction) -> Distribution {
    let h = cells.spacing;
    let whole = -(-h).exp_m1();
    let mut result = Distribution::over(cells, direction, 1);
    let mut previous_end: Option<i64> = None;
    for segment in &cells.segments {
        match (direction, previous_end) {
            (Direction::Remove, _) => result.add(segment.first, segment.gap_p),
            (Direction::Add, None) => result.outside += segment.gap_q,
            (Direction::Add, Some(end)) => result.add(-end, segment.gap_q),
        }
        for (offset, cell) in segment.cells.iter().enumerate() {
            let index = segment.first + offset as i64;
            let error = 2.0 * cell.excess_error;
            match direction {
                Direction::Remove => {
                    let up = share(-(-(cell.excess + error)).exp_m1() / whole);
                    result.add(index + 1, cell.p * up);
                    result.add(index, cell.p * (1.0 - up));
                }
                Direction::Add => {
                    let up = share(-(-(h - cell.excess + error)).exp_m1() / whole);
                    result.add(-index, cell.q * up);
                    result.add(-index - 1, cell.q * (1.0 - up));
                }
            }
        }
        previous_end = Some(segment.first + segment.cells.len() as i64);
    }
    match (direction, previous_end) {
        (Direction::Add, Some(end)) => result.add(-end, cells.above_q),
        _ => result.outside += cells.above_p,
    }
    result
}

/// A share that is not known counts as the whole.
fn share(value: f64) -> f64 {
    if value.is_nan() {
        1.0
    } else {
        value.clamp(0.0, 1.0)
    }
}

/// The rounding of Gopi, Lee, Wutschitz 2021: each cell's mass on its middle, all shifted so that the mean stays.
///
/// The mean within a cell is known from ln(P/Q) up to h^2/8 (Jensen, Hoeffding), which stands in `loss_error`.
pub(super) fn round_to_middle(cells: &Cells, direction: Direction) -> Distribution {
    let h = cells.spacing;
    let mut result = Distribution::over(cells, direction, 0);
    let (mut total, mut deviation, mut uncertainty) = (0.0, 0.0, 0.0);
    result.outside = match direction {
        Direction::Remove => cells.above_p,
        Direction::Add => cells.above_q,
    };
    for segment in &cells.segments {
        result.outside += match direction {
            Direction::Remove => segment.gap_p,
            Direction::Add => segment.gap_q,
        };
        for (offset, cell) in segment.cells.iter().enumerate() {
            let index = segment.first + offset as i64;
            let (mass, middle_index) = match direction {
                Direction::Remove => (cell.p, index),
                Direction::Add => (cell.q, -index - 1),
            };
            result.add(middle_index, mass);
            let (mean, error) = mean_in_cell(cell, direction, h);
            total += mass;
            deviation += mass * mean;
            uncertainty += mass * error;
        }
    }
    result.shift = 0.5 * h + deviation / total;
    result.loss_error += uncertainty / total;
    result
}

/// The mean loss of a cell relative to its middle, and how far off that can be.
fn mean_in_cell(cell: &Cell, direction: Direction, h: f64) -> (f64, f64) {
    if cell.excess.is_nan() {
        return (0.0, 0.5 * h);
    }
    let from_middle = cell.excess - 0.5 * h;
    let mean = match direction {
        Direction::Remove => from_middle + h * h / 24.0,
        Direction::Add => h * h / 24.0 - from_middle,
    };
    let error = h * h / 12.0 + 2.0 * cell.excess_error;
    (mean.clamp(-0.5 * h, 0.5 * h), error.min(h))
}
