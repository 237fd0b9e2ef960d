//! Curves and steps: epsilon over steps, cumulative distances, lengths.

use super::scale::{Scale, Spacing, push_apart};
use super::svg::{Svg, WIDTH, cut};

/// One named curve.
pub(crate) struct Curve {
    /// Name at the line.
    pub name: String,
    /// Class: `s1`, `s2`, ...
    pub class: &'static str,
    /// Points.
    pub points: Vec<(f64, f64)>,
}

/// Where the names of curves stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// At the end of each line.
    AtLine,
    /// In a list beside the picture, each with a piece of its line: for curves that all end at zero. The first is drawn as
    /// an area.
    List,
}

/// Draws curves over a common pair of linear axes from zero; nothing without a point.
pub(crate) fn draw(
    id: &str,
    title: &str,
    finding: &str,
    x_name: &str,
    y_name: &str,
    names: Names,
    curves: &[Curve],
) -> Option<String> {
    const HEIGHT: f64 = 220.0;
    let all = || curves.iter().flat_map(|curve| curve.points.iter());
    let (most_x, most_y) = all().fold((0.0_f64, 0.0_f64), |most, point| {
        (most.0.max(point.0), most.1.max(point.1))
    });
    if all().next().is_none() || most_x <= 0.0 || !most_y.is_finite() {
        return None;
    }
    let (left, right, top, bottom) = (40.0, WIDTH - 84.0, 22.0, HEIGHT - 44.0);
    let x = Scale::new(0.0, most_x, left, right, Spacing::Linear);
    let y = Scale::nice([0.0, most_y], bottom, top);
    let mut svg = Svg::new(HEIGHT, title, finding);
    for (value, label) in y.ticks() {
        svg.line(left, y.at(value), right, y.at(value), "grid");
        svg.text(left - 4.0, y.at(value) + 4.0, "end", "tick", &label);
    }
    for (value, label) in x.ticks() {
        svg.text(x.at(value), bottom + 15.0, "middle", "tick", &label);
    }
    svg.text(
        f64::midpoint(left, right),
        HEIGHT - 12.0,
        "middle",
        "axis",
        x_name,
    );
    svg.text(4.0, 12.0, "start", "axis", y_name);
    let mut ends = Vec::new();
    for (at, curve) in curves.iter().enumerate() {
        let points: Vec<(f64, f64)> = curve
            .points
            .iter()
            .map(|&(a, b)| (x.at(a), y.at(b)))
            .collect();
        if names == Names::List && at == 0 {
            svg.area(&points, bottom, curve.class);
        } else {
            svg.path(&points, curve.class);
        }
        ends.push(points.last().map_or(bottom, |point| point.1));
    }
    if names == Names::List {
        for (at, curve) in curves.iter().enumerate() {
            let place = top + 4.0 + 16.0 * at as f64;
            let sample = [(right + 6.0, place), (right + 24.0, place)];
            if at == 0 {
                let high = sample.map(|(x, y)| (x, y - 5.0));
                svg.area(&high, place + 5.0, curve.class);
            } else {
                svg.path(&sample, curve.class);
            }
            let name = cut(&curve.name, 10);
            svg.text(right + 28.0, place + 4.0, "start", "tick", &name);
        }
        return Some(svg.finish(id));
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

/// A histogram as a step curve: `edges` are upper edges of bins that start at 0.
pub(crate) fn steps(edges: &[u64], shares: &[f64]) -> Vec<(f64, f64)> {
    let mut points = vec![(0.0, 0.0)];
    let mut start = 0.0;
    for (edge, share) in edges.iter().zip(shares) {
        points.push((start, *share));
        points.push((*edge as f64, *share));
        start = *edge as f64;
    }
    points.push((start, 0.0));
    points
}
