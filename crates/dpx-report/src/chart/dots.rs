//! A dot plot: one line per figure, one dot per row of the study, the ceiling as a tick.

use super::svg::{Svg, WIDTH, cut};
use crate::metric::{Group, METRICS};
use crate::study::{Row, Study};
use crate::table::{ceiling, spread};

/// All figures of a group whose range is 0 to 1.
pub(crate) fn draw(study: &Study, group: Group) -> Option<String> {
    let rows: Vec<&Row> = study
        .rows
        .iter()
        .filter(|row| row.scores.is_some())
        .collect();
    let metrics: Vec<_> = METRICS
        .iter()
        .filter(|metric| metric.group == group)
        .filter(|metric| metric.id != "length_distance")
        .filter(|metric| {
            let values = rows.iter().filter_map(|row| row.figures.get(metric.id));
            let values: Vec<f64> = values.map(|value| value.mean).collect();
            let ceilings = rows.iter().filter_map(|row| row.ceilings.get(metric.id));
            !values.is_empty()
                && values
                    .iter()
                    .chain(ceilings)
                    .all(|value| (0.0..=1.0).contains(value))
        })
        .collect();
    if metrics.is_empty() {
        return None;
    }
    let line = 24.0;
    let bottom = 12.0 + line * metrics.len() as f64;
    let height = bottom + 50.0;
    let (left, right) = (136.0, WIDTH - 14.0);
    let x = |value: f64| left + value * (right - left);
    let names: Vec<&str> = rows.iter().map(|row| row.label.as_str()).collect();
    let mut svg = Svg::new(
        height,
        "Fidelity figures of every row",
        &format!(
            "Figures from 0 to 1 for the rows {}; a tick marks the ceiling, the same figure of real texts. The table below holds the values.",
            names.join(", ")
        ),
    );
    for tick in 0..=4 {
        let value = f64::from(tick) / 4.0;
        svg.line(x(value), 6.0, x(value), bottom, "grid");
        svg.text(
            x(value),
            bottom + 14.0,
            "middle",
            "tick",
            &format!("{value}"),
        );
    }
    for (index, metric) in metrics.iter().enumerate() {
        let y = 18.0 + line * index as f64;
        svg.text(
            left - 8.0,
            y + 4.0,
            "end",
            "tick",
            &format!("{} {}", cut(metric.name, 20), metric.direction.arrow()),
        );
        svg.line(left, y, right, y, "grid");
        if let Some(ceiling) = ceiling(study, metric.id) {
            svg.line(x(ceiling), y - 8.0, x(ceiling), y + 8.0, "ceiling");
        }
        for (at, row) in rows.iter().enumerate() {
            if let Some(value) = row.figures.get(metric.id) {
                let (kind, class) = marker(at);
                if let Some(sd) = value.sd {
                    let ends = [value.mean - sd, value.mean + sd].map(|end| x(end.clamp(0.0, 1.0)));
                    svg.line(ends[0], y, ends[1], y, class);
                }
                svg.mark(
                    x(value.mean),
                    y,
                    kind,
                    class,
                    &format!("{}, {}: {}", metric.name, row.name, spread(*value, 3)),
                );
            }
        }
    }
    let step = (WIDTH - 20.0) / rows.len().clamp(1, 6) as f64;
    for (at, row) in rows.iter().take(6).enumerate() {
        let (kind, class) = marker(at);
        let place = 14.0 + step * at as f64;
        svg.mark(place, height - 12.0, kind, class, &row.name);
        svg.text(
            place + 8.0,
            height - 8.0,
            "start",
            "tick",
            &cut(&row.label, 10),
        );
    }
    Some(svg.finish("fidelity-chart"))
}

const fn marker(index: usize) -> (&'static str, &'static str) {
    match index % 6 {
        0 => ("disc", "s1"),
        1 => ("square", "s2"),
        2 => ("triangle", "s3"),
        3 => ("diamond", "s4"),
        4 => ("ring", "s1"),
        _ => ("triangle-open", "s2"),
    }
}
