//! Scales: from values to places on the canvas; ticks that people would choose; labels that do not overlap.

/// How values are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spacing {
    /// Equal steps for equal differences.
    Linear,
    /// Square root: small values stay readable beside large ones, and zero is allowed.
    Root,
}

/// A scale from a range of values to a range of places.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    spacing: Spacing,
}

impl Scale {
    pub(crate) fn new(low: f64, high: f64, from: f64, to: f64, spacing: Spacing) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self {
            low,
            high,
            from,
            to,
            spacing,
        }
    }

    /// A linear scale whose ends are round and hold all values.
    pub(crate) fn nice(values: impl IntoIterator<Item = f64>, from: f64, to: f64) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.into_iter().filter(|value| value.is_finite()) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let step = step(high - low);
        Self::new(
            (low / step).floor() * step,
            (high / step).ceil() * step,
            from,
            to,
            Spacing::Linear,
        )
    }

    /// The place of a value; values outside are held at the ends.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let bend = |value: f64| match self.spacing {
            Spacing::Linear => value,
            Spacing::Root => value.max(0.0).sqrt(),
        };
        let (low, high) = (bend(self.low), bend(self.high));
        let share = ((bend(value) - low) / (high - low)).clamp(0.0, 1.0);
        self.from + share * (self.to - self.from)
    }

    /// Round values across the scale, with their labels.
    pub(crate) fn ticks(&self) -> Vec<(f64, String)> {
        let step = step(self.high - self.low);
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let mut ticks = Vec::new();
        let mut value = (self.low / step).ceil() * step;
        while value <= self.high + step * 1e-6 && ticks.len() < 12 {
            ticks.push((value, format!("{:.decimals$}", value + 0.0)));
            value += step;
        }
        ticks
    }
}

/// A round step that divides a range into three to six parts.
fn step(range: f64) -> f64 {
    if range <= 0.0 || !range.is_finite() {
        return 0.1;
    }
    let raw = range / 5.0;
    let power = 10.0_f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| raw <= factor * power * 1.000_001)
        .unwrap_or(10.0);
    factor * power
}

/// Moves places apart so that neighbours are at least `gap` apart, within `low..high`, keeping their order.
pub(crate) fn push_apart(places: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by(|&a, &b| places[a].total_cmp(&places[b]).then(a.cmp(&b)));
    let mut moved = places.to_vec();
    let mut least = low;
    for &index in &order {
        moved[index] = moved[index].max(least);
        least = moved[index] + gap;
    }
    let mut most = high;
    for &index in order.iter().rev() {
        moved[index] = moved[index].min(most);
        most = moved[index] - gap;
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_round_and_ticks_hold_the_values() {
        let scale = Scale::nice([0.569, 0.925], 0.0, 100.0);
        let ticks = scale.ticks();
        assert_eq!(ticks.first().unwrap().1, "0.5");
        assert_eq!(ticks.last().unwrap().1, "1.0");
        assert!((scale.at(0.5)).abs() < 1e-9 && (scale.at(1.0) - 100.0).abs() < 1e-9);
        for odd in [vec![], vec![f64::NAN], vec![3.0], vec![0.0, 0.0]] {
            let scale = Scale::nice(odd, 0.0, 10.0);
            assert!(scale.at(3.0).is_finite());
            assert!(!scale.ticks().is_empty());
        }
    }

    #[test]
    fn labels_keep_their_order_and_their_distance() {
        let moved = push_apart(&[50.0, 51.0, 49.0, 100.0], 12.0, 0.0, 100.0);
        assert!(moved[2] + 12.0 <= moved[0] + 1e-9 && moved[0] + 12.0 <= moved[1] + 1e-9);
        assert!(moved.iter().all(|place| (0.0..=100.0).contains(place)));
    }

    #[test]
    fn a_root_scale_keeps_small_values_apart() {
        let scale = Scale::new(0.0, 16.0, 0.0, 100.0, Spacing::Root);
        assert!((scale.at(4.0) - 50.0).abs() < 1e-9);
        assert_eq!(scale.at(99.0), 100.0);
    }
}
