//! A pair cut along a lattice of privacy losses: masses of P and Q in each cell, to full relative accuracy.
//!
//! Cell i holds the losses from i*h to (i+1)*h. Its edges in z are the inverse of the loss; between them the masses
//! come from a Taylor series (narrow cells) or from differences of the normal tail (wide ones), and
//! ln(P(cell)/Q(cell)), which connect-the-dots and the mean of PRV need, from the series directly, so that no digits
//! cancel however small the losses are.

use super::dominating_pair::DominatingPair;
use super::normal::{UNIT, cumulative};
use super::normal::{correction, density, interval, is_narrow, upper_quantile};

/// Bound on the relative error of every cell's masses, given its edges.
pub(super) const MASS_ERROR: f64 = 2e-13;

/// Components farther apart than this see one cell as narrow and as wide.
const FAR: f64 = 20.0;

#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    /// Mass of P.
    pub(super) p: f64,
    /// Mass of Q.
    pub(super) q: f64,
    /// ln(p/q) less the cell's lower edge; NaN where it cannot be had.
    pub(super) excess: f64,
    /// Bound on the error of `excess`, that of the edges included.
    pub(super) excess_error: f64,
}

/// A run of cells, and the masses in the gap before it.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// Index of the first cell.
    pub(super) first: i64,
    /// The cells, upwards.
    pub(super) cells: Vec<Cell>,
    /// Mass of P between the segment before (or minus infinity) and this one.
    pub(super) gap_p: f64,
    /// Likewise of Q.
    pub(super) gap_q: f64,
}

/// The pair on the lattice.
#[derive(Debug, Clone)]
pub(super) struct Cells {
    pub(super) spacing: f64,
    pub(super) segments: Vec<Segment>,
    /// Mass of P above the last cell.
    pub(super) above_p: f64,
    /// Mass of Q above the last cell.
    pub(super) above_q: f64,
    /// Bound on the relative error of the pair's weights.
    pub(super) weight_error: f64,
}

/// The intervals of z outside which neither P nor Q has more than `tail` per component.
pub(super) fn support(pair: &DominatingPair, tail: f64) -> Vec<(f64, f64)> {
    let reach = upper_quantile(tail.clamp(1e-300, 0.1));
    let mut intervals = vec![(-reach, reach)];
    for component in pair.components() {
        // A component of small weight is cut where its own mass falls below the tail.
        let share = tail / component.weight;
        if share >= 0.1 {
            continue;
        }
        let own = upper_quantile(share.max(1e-300));
        let (low, high) = (component.place - own, component.place + own);
        match intervals.last_mut() {
            Some(last) if low <= last.1 => last.1 = last.1.max(high),
            _ => intervals.push((low, high)),
        }
    }
    intervals
}

impl Cells {
    /// Cuts `pair` into cells of `spacing`, leaving out at most `tail` of each component at each end.
    pub(super) fn new(pair: &DominatingPair, spacing: f64, tail: f64) -> Self {
        let index = |loss: f64| (loss / spacing).clamp(-1e15, 1e15);
        let mut ranges: Vec<(i64, i64)> = Vec::new();
        for (low, high) in support(pair, tail) {
            let first = index(pair.loss(low).value).floor() as i64;
            let last = (index(pair.loss(high).value).ceil() as i64).max(first + 1);
            match ranges.last_mut() {
                Some(before) if first <= before.1 => before.1 = before.1.max(last),
                _ => ranges.push((first, last)),
            }
        }
        let mut segments: Vec<Segment> = Vec::with_capacity(ranges.len());
        let mut end = f64::NEG_INFINITY;
        for (first, last) in ranges {
            let (cells, low, high) = cut(pair, spacing, first, last);
            segments.push(Segment {
                first,
                cells,
                gap_p: mass_of_p(pair, end, low),
                gap_q: interval(end, low).max(0.0),
            });
            end = high;
        }
        Self {
            spacing,
            segments,
            above_p: pair.survival(end),
            above_q: cumulative(-end),
            weight_error: pair.weight_error(),
        }
    }
}

fn mass_of_p(pair: &DominatingPair, low: f64, high: f64) -> f64 {
    let difference = if high <= 0.0 {
        pair.cumulative(high) - pair.cumulative(low)
    } else {
        pair.rest() * interval(low, high)
            + pair
                .components()
                .iter()
                .map(|component| {
                    component.weight * interval(low - component.place, high - component.place)
                })
                .sum::<f64>()
    };
    difference.max(0.0)
}

/// The cells from index `first` to `last`, with the outermost edges in z.
fn cut(pair: &DominatingPair, spacing: f64, first: i64, last: i64) -> (Vec<Cell>, f64, f64) {
    let mut cells = Vec::with_capacity((last - first) as usize);
    let start = pair.reach() + 40.0;
    let top = pair.inverse(last as f64 * spacing, start);
    let mut high = top;
    let mut exponents = vec![0.0; pair.components().len()];
    for index in (first..last).rev() {
        let edge = index as f64 * spacing;
        let low = pair.inverse(edge, high).min(high);
        cells.push(cell(pair, edge, low, high, &mut exponents));
        high = low;
    }
    cells.reverse();
    (cells, high, top)
}

fn cell(pair: &DominatingPair, edge: f64, low: f64, high: f64, exponents: &mut [f64]) -> Cell {
    let width = high - low;
    let middle = 0.5 * (low + high);
    let narrow = is_narrow(middle, width)
        && pair
            .components()
            .iter()
            .all(|component| is_narrow(middle - component.place, width));
    if !narrow && pair.reach() > FAR {
        return mixed_cell(pair, edge, low, high);
    }
    if !narrow {
        return wide_cell(pair, edge, low, high);
    }
    let own = correction(middle, width);
    let q = density(middle) * width * own;
    for (exponent, component) in exponents.iter_mut().zip(pair.components()) {
        let other = correction(middle - component.place, width);
        *exponent =
            component.place * (middle - 0.5 * component.place) + ((other - own) / own).ln_1p();
    }
    let loss = pair.loss_of(|index, _| exponents[index]);
    let p = if q > 1e-290 {
        q * loss.value.exp()
    } else {
        pair.density(middle) * width
    };
    let nearest = pair.components().first().map_or(1.0, |first| first.place);
    Cell {
        p,
        q,
        excess: loss.value - edge,
        excess_error: 16.0 * UNIT * (loss.value.abs() + loss.slope * (middle.abs() + pair.reach()))
            + 4e-15 * loss.slope / nearest,
    }
}

/// A cell that is narrow for some components and wide for others: each mass in the way that keeps its digits.
fn mixed_cell(pair: &DominatingPair, edge: f64, low: f64, high: f64) -> Cell {
    let (middle, width) = (0.5 * (low + high), high - low);
    let mass = |place: f64| {
        let middle = middle - place;
        if is_narrow(middle, width) {
            density(middle) * width * correction(middle, width)
        } else {
            interval(low - place, high - place).max(0.0)
        }
    };
    let q = mass(0.0);
    let others = pair.components().iter();
    let p = pair.rest() * q
        + others
            .map(|component| component.weight * mass(component.place))
            .sum::<f64>();
    cell_of_masses(p, q, edge)
}

fn wide_cell(pair: &DominatingPair, edge: f64, low: f64, high: f64) -> Cell {
    let q = interval(low, high).max(0.0);
    let p = mass_of_p(pair, low, high);
    cell_of_masses(p, q, edge)
}

fn cell_of_masses(p: f64, q: f64, edge: f64) -> Cell {
    let known = p > 1e-280 && q > 1e-280;
    Cell {
        p,
        q,
        excess: if known { (p / q).ln() - edge } else { f64::NAN },
        excess_error: 1e-12 + 4.0 * UNIT * edge.abs(),
    }
}
