//! Bars: paired shares of labels, and instances over time.

use super::svg::{Svg, WIDTH, cut};
use crate::metric::distribution::LabelShares;
use crate::report::study::{InstanceState, InstanceView};
use crate::report::table::duration;

/// Shares of labels, synthetic beside real.
pub(crate) fn labels(id: &str, row: &str, shares: &LabelShares) -> String {
    let line = 32.0;
    let height = 24.0 + line * shares.labels.len() as f64;
    let (left, right) = (90.0, WIDTH - 90.0);
    let share = |counts: &[u64], index: usize| {
        counts[index] as f64 / counts.iter().sum::<u64>().max(1) as f64
    };
    let most = (0..shares.labels.len())
        .map(|index| share(&shares.synthetic, index).max(share(&shares.real, index)))
        .fold(0.01, f64::max);
    let mut svg = Svg::new(
        height,
        &format!("Labels of {row}"),
        &format!(
            "Shares of labels among synthetic and real training texts; total variation distance {:.3}.",
            shares.total_variation
        ),
    );
    for (index, label) in shares.labels.iter().enumerate() {
        let y = 10.0 + line * index as f64;
        svg.text(left - 6.0, y + 14.0, "end", "tick", &cut(label, 12));
        for (offset, counts, class, name) in [
            (0.0, &shares.synthetic, "fill1", "synthetic"),
            (13.0, &shares.real, "fill2", "real"),
        ] {
            let value = share(counts, index);
            let width = value / most * (right - left);
            svg.bar(
                left,
                y + offset,
                width,
                11.0,
                class,
                &format!("{label}, {name}: {:.1}%", value * 100.0),
            );
            svg.text(
                left + width + 4.0,
                y + offset + 10.0,
                "start",
                "tick",
                &format!("{name} {:.0}%", value * 100.0),
            );
        }
    }
    svg.finish(id)
}

/// Seconds of every finished instance, as bars in the order of the plan.
pub(crate) fn times(instances: &[InstanceView]) -> Option<String> {
    let timed: Vec<(&InstanceView, f64)> = instances
        .iter()
        .filter_map(|instance| Some((instance, instance.seconds?)))
        .collect();
    if timed.is_empty() {
        return None;
    }
    let line = 20.0;
    let height = 16.0 + line * timed.len() as f64;
    let (left, right) = (158.0, WIDTH - 76.0);
    let most = timed
        .iter()
        .map(|(_, seconds)| *seconds)
        .fold(0.001, f64::max);
    let total: f64 = timed.iter().map(|(_, seconds)| *seconds).sum();
    let mut svg = Svg::new(
        height,
        "Time of every stage instance",
        &format!("{} instances took {} in all.", timed.len(), duration(total)),
    );
    for (index, (instance, seconds)) in timed.iter().enumerate() {
        let y = 6.0 + line * index as f64;
        svg.text(
            left - 6.0,
            y + 11.0,
            "end",
            "tick",
            &cut(&short(&instance.name), 21),
        );
        let class = if instance.state == InstanceState::Cached {
            "fill-open"
        } else {
            "fill1"
        };
        let width = seconds / most * (right - left);
        svg.bar(
            left,
            y,
            width,
            13.0,
            class,
            &format!(
                "{}: {} ({})",
                instance.name,
                duration(*seconds),
                instance.state.words()
            ),
        );
        svg.text(
            left + width + 5.0,
            y + 11.0,
            "start",
            "tick",
            &duration(*seconds),
        );
    }
    Some(svg.finish("time-chart"))
}

/// `train@epsilon=8,replicate=1` as `train 8, 1`: the values alone, since the axes are the same for all.
fn short(name: &str) -> String {
    let Some((stage, axes)) = name.split_once('@') else {
        return name.to_owned();
    };
    let values: Vec<&str> = axes
        .split(',')
        .map(|axis| axis.split_once('=').map_or(axis, |(_, value)| value))
        .collect();
    format!("{stage} {}", values.join(", "))
}
