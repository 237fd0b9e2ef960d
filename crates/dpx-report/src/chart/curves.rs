//! Curves: epsilon over steps, cumulative distances.

use super::scale::{Scale, Spacing, push_apart};
use super::svg::{Svg, WIDTH, cut};

pub(crate) struct Curve {
    pub name: String,
    /// Class: `s1`, `s2`, ...
    pub class: &'static str,
    /// Abscissa and ordinate, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// Draws curves over a common pair of linear axes from zero; nothing without a point.
pub(crate) fn draw(
    id: &str,
    title: &str,
    finding: &str,
    x_name: &str,
    y_name: &str,
    curves: &[Curve],
) -> Option<String> {
    // Names at the lines' ends need room.
    let height = (curves.len() as f64 * 13.0 + 70.0).max(220.0);
    let all = || curves.iter().flat_map(|curve| curve.points.iter());
    let (most_x, most_y) = all().fold((0.0_f64, 0.0_f64), |most, point| {
        (most.0.max(point.0), most.1.max(point.1))
    });
    if all().next().is_none() || most_x <= 0.0 || !most_y.is_finite() {
        return None;
    }
    let (left, right, top, bottom) = (40.0, WIDTH - 84.0, 22.0, height - 44.0);
    let x = Scale::new(0.0, most_x, left, right, Spacing::Linear);
    let y = Scale::nice([0.0, most_y], bottom, top);
    let mut svg = Svg::new(height, title, finding);
    for (value, label) in y.ticks() {
        svg.line(left, y.at(value), right, y.at(value), "grid");
        svg.text(left - 4.0, y.at(value) + 4.0, "end", "tick", &label);
    }
    for (value, label) in x.ticks() {
        svg.text(x.at(value), bottom + 15.0, "middle", "tick", &label);
    }
    svg.text(
        f64::midpoint(left, right),
        height - 12.0,
        "middle",
        "axis",
        x_name,
    );
    svg.text(4.0, 12.0, "start", "axis", y_name);
    let mut ends = Vec::new();
    for curve in curves {
        let points: Vec<(f64, f64)> = curve
            .points
            .iter()
            .map(|&(a, b)| (x.at(a), y.at(b)))
            .collect();
        svg.path(&points, curve.class);
        ends.push(points.last().map_or(bottom, |point| point.1));
    }
    for (curve, place) in curves.iter().zip(push_apart(&ends, 13.0, top, bottom)) {
        svg.text(
            right + 4.0,
            place + 4.0,
            "start",
            &format!("name {}", curve.class),
            &cut(&curve.name, 14),
        );
    }
    Some(svg.finish(id))
}
