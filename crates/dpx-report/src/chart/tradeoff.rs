//! Utility and similarity over epsilon.

use super::scale::{Scale, push_apart};
use super::svg::{Svg, WIDTH, cut};
use crate::study::{Row, Study};
use crate::table::{number, spread};

/// One panel: a figure over the rows, equal steps, with its ceiling, benchmark and floor as dotted lines.
pub(crate) struct Panel<'a> {
    /// Name of the figure.
    pub id: &'a str,
    /// Series: name of the figure, name at the line, class.
    pub series: Vec<(&'a str, &'a str, &'a str)>,
    /// Horizontal lines: name, value.
    pub lines: Vec<(String, f64)>,
    /// Published figures by the row's label.
    pub published: Vec<(String, f64)>,
    /// Title.
    pub title: &'a str,
}

/// Rows for the x axis: smallest epsilon first where there is one.
pub(crate) fn ordered(study: &Study) -> Vec<&Row> {
    let mut rows: Vec<&Row> = study
        .rows
        .iter()
        .filter(|row| row.main_accuracy().is_some() || row.scores.is_some())
        .collect();
    let key = |row: &Row| match row.guarantee.target.as_deref() {
        Some("inf") => f64::INFINITY,
        Some(text) => text.parse().unwrap_or(f64::MAX),
        None => -1.0,
    };
    rows.sort_by(|a, b| key(a).total_cmp(&key(b)));
    rows
}

/// Draws a panel; nothing without a value.
pub(crate) fn draw(study: &Study, panel: &Panel<'_>) -> Option<String> {
    const HEIGHT: f64 = 250.0;
    let rows = ordered(study);
    let mut values: Vec<f64> = panel.lines.iter().map(|(_, value)| *value).collect();
    values.extend(panel.published.iter().map(|(_, value)| *value));
    let mut any = false;
    for (id, _, _) in &panel.series {
        for row in &rows {
            if let Some(all) = row.values.get(*id) {
                any = true;
                values.extend(all);
            }
        }
    }
    if !any {
        return None;
    }
    let (left, right, top, bottom) = (36.0, WIDTH - 112.0, 14.0, HEIGHT - 46.0);
    let y = Scale::nice(values, bottom, top);
    let step = (right - left) / rows.len() as f64;
    let x = |index: usize| left + step * (index as f64 + 0.5);
    let main: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            Some(format!(
                "{}: {}",
                row.label,
                spread(*row.figures.get(panel.series[0].0)?, 3)
            ))
        })
        .collect();
    let mut svg = Svg::new(
        HEIGHT,
        panel.title,
        &format!("{}. {}", panel.title, main.join("; ")),
    );
    for (value, label) in y.ticks() {
        svg.line(left, y.at(value), right, y.at(value), "grid");
        svg.text(left - 4.0, y.at(value) + 4.0, "end", "tick", &label);
    }
    for (index, row) in rows.iter().enumerate() {
        svg.text(
            x(index),
            bottom + 15.0,
            "middle",
            "tick",
            &cut(&row.label, 8),
        );
    }
    svg.text(
        f64::midpoint(left, right),
        HEIGHT - 14.0,
        "middle",
        "axis",
        "epsilon (smaller is more private)",
    );
    let mut labels: Vec<(f64, String, String)> = Vec::new();
    for (name, value) in &panel.lines {
        svg.line(left, y.at(*value), right, y.at(*value), "reference");
        labels.push((
            y.at(*value),
            format!("{name} {}", number(*value, 3)),
            "note".into(),
        ));
    }
    for (id, name, class) in &panel.series {
        let mut points = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            if let Some(figure) = row.figures.get(*id) {
                points.push((x(index), y.at(figure.mean)));
                if let Some(sd) = figure.sd {
                    svg.line(
                        x(index),
                        y.at(figure.mean - sd),
                        x(index),
                        y.at(figure.mean + sd),
                        class,
                    );
                }
                for value in row
                    .values
                    .get(*id)
                    .into_iter()
                    .flatten()
                    .filter(|_| figure.n > 1)
                {
                    svg.mark(
                        x(index) + 6.0,
                        y.at(*value),
                        "small",
                        class,
                        &format!("{}: one replicate {}", row.name, number(*value, 3)),
                    );
                }
            }
        }
        svg.path(&points, class);
        for (index, row) in rows.iter().enumerate() {
            if let Some(figure) = row.figures.get(*id) {
                let kind = match *class {
                    "s2" => "square",
                    "s3" => "triangle",
                    _ => "disc",
                };
                svg.mark(
                    x(index),
                    y.at(figure.mean),
                    kind,
                    class,
                    &format!("{}: {name} {}", row.name, spread(*figure, 3)),
                );
            }
        }
        if let Some((_, place)) = points.last() {
            labels.push((*place, (*name).to_owned(), format!("name {class}")));
        }
    }
    let mut published = None;
    for (label, value) in &panel.published {
        if let Some(index) = rows
            .iter()
            .position(|row| row.guarantee.target.as_deref() == Some(label))
        {
            svg.mark(
                x(index),
                y.at(*value),
                "diamond",
                "published",
                &format!("published, epsilon {label}: {}", number(*value, 3)),
            );
            published = Some(y.at(*value));
        }
    }
    if let Some(place) = published {
        labels.push((place, "◇ published".into(), "note".into()));
    }
    let places: Vec<f64> = labels.iter().map(|(place, _, _)| *place).collect();
    for ((_, text, class), place) in labels.iter().zip(push_apart(&places, 13.0, top, bottom)) {
        svg.text(right + 4.0, place + 4.0, "start", class, &cut(text, 18));
    }
    Some(svg.finish(panel.id))
}
