//! Utility and similarity over epsilon.

use super::scale::{Scale, push_apart};
use super::svg::{Svg, WIDTH, cut};
use crate::study::{Row, Study};
use crate::table::{number, spread_or_interval};

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
    /// What stands above the figure.
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

/// Rows that differ in epsilon alone: what a line may join.
fn groups<'a>(rows: &[&'a Row]) -> Vec<(String, Vec<&'a Row>)> {
    let mut found: Vec<(String, Vec<&Row>)> = Vec::new();
    for row in rows {
        let others = row.axes.iter().filter(|(name, _)| *name != "epsilon");
        let name: Vec<String> = others
            .map(|(name, value)| format!("{name}={}", crate::rows::word(value)))
            .collect();
        let name = name.join(",");
        match found.iter_mut().find(|group| group.0 == name) {
            Some(group) => group.1.push(row),
            None => found.push((name, vec![row])),
        }
    }
    found
}

/// What stands below a row: its epsilon, or its name where it has none.
fn place(row: &Row) -> &str {
    row.guarantee.target.as_deref().unwrap_or(&row.label)
}

/// Draws a panel; nothing without a value.
pub(crate) fn draw(study: &Study, panel: &Panel<'_>) -> Option<String> {
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
            if let Some(interval) = row.intervals.get(*id) {
                values.extend([interval.low, interval.high]);
            }
        }
    }
    if !any {
        return None;
    }
    let groups = groups(&rows);
    let mut places: Vec<&str> = Vec::new();
    for row in &rows {
        if !places.contains(&place(row)) {
            places.push(place(row));
        }
    }
    let names = panel.lines.len() + panel.series.len() * groups.len() + 1;
    let height = (names as f64 * 13.0 + 60.0).max(250.0);
    let (left, right, top, bottom) = (36.0, WIDTH - 112.0, 14.0, height - 46.0);
    let y = Scale::nice(values, bottom, top);
    let step = (right - left) / places.len() as f64;
    let x = |row: &Row| {
        let index = places.iter().position(|name| *name == place(row));
        left + step * (index.unwrap_or(0) as f64 + 0.5)
    };
    let main: Vec<String> = rows
        .iter()
        .filter(|row| row.figures.contains_key(panel.series[0].0))
        .map(|row| {
            format!(
                "{}: {}",
                row.label,
                spread_or_interval(row, panel.series[0].0)
            )
        })
        .collect();
    let finding = format!("{}. {}", panel.title, main.join("; "));
    let mut svg = Svg::new(height, panel.title, &finding);
    for (value, label) in y.ticks() {
        svg.line(left, y.at(value), right, y.at(value), "grid");
        svg.text(left - 4.0, y.at(value) + 4.0, "end", "tick", &label);
    }
    // Every name where there is room, else every second, third, ...
    let most = ((step / 6.4) as usize).max(3);
    let every = (18.0 / step).ceil().max(1.0) as usize;
    for (index, name) in places.iter().enumerate().step_by(every) {
        let at = left + step * (index as f64 + 0.5);
        svg.text(at, bottom + 15.0, "middle", "tick", &cut(name, most.min(8)));
    }
    svg.text(
        f64::midpoint(left, right),
        height - 14.0,
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
    let mut at = 0;
    for (id, name, own_class) in &panel.series {
        for (group, rows) in &groups {
            let class = if groups.len() == 1 {
                own_class
            } else {
                at += 1;
                ["s1", "s2", "s3", "s4"][(at - 1) % 4]
            };
            let name = match (groups.len(), panel.series.len()) {
                (1, _) => (*name).to_owned(),
                (_, 1) => group.clone(),
                _ => format!("{group} {name}"),
            };
            let series = Series {
                id,
                name: &name,
                class,
                rows,
            };
            if let Some(end) = series.draw(&mut svg, &x, &y) {
                labels.push((end, name, format!("name {class}")));
            }
        }
    }
    let mut published = None;
    for (label, value) in &panel.published {
        if let Some(row) = rows
            .iter()
            .find(|row| row.guarantee.target.as_deref() == Some(label))
        {
            let says = format!("published, epsilon {label}: {}", number(*value, 3));
            svg.mark(x(row), y.at(*value), "diamond", "published", &says);
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

/// A figure of rows that a line joins.
struct Series<'a> {
    id: &'a str,
    name: &'a str,
    class: &'a str,
    rows: &'a [&'a Row],
}

impl Series<'_> {
    /// Draws the line with its bars and marks; the height at which it ends.
    fn draw(&self, svg: &mut Svg, x: &dyn Fn(&Row) -> f64, y: &Scale) -> Option<f64> {
        let mut points = Vec::new();
        for row in self.rows {
            let Some(figure) = row.figures.get(self.id) else {
                continue;
            };
            let at = x(row);
            points.push((at, y.at(figure.mean)));
            let ends = match (figure.sd, row.intervals.get(self.id)) {
                (Some(sd), _) => Some((figure.mean - sd, figure.mean + sd)),
                (None, interval) => interval.map(|interval| (interval.low, interval.high)),
            };
            if let Some((low, high)) = ends {
                svg.line(at, y.at(low), at, y.at(high), self.class);
            }
            let values = row.values.get(self.id).into_iter().flatten();
            for value in values.filter(|_| figure.n > 1) {
                let says = format!("{}: one replicate {}", row.name, number(*value, 3));
                svg.mark(at + 6.0, y.at(*value), "small", self.class, &says);
            }
        }
        svg.path(&points, self.class);
        let kind = match self.class {
            "s2" => "square",
            "s3" => "triangle",
            "s4" => "diamond",
            _ => "disc",
        };
        for row in self.rows {
            if let Some(figure) = row.figures.get(self.id) {
                let says = format!(
                    "{}: {} {}",
                    row.name,
                    self.name,
                    spread_or_interval(row, self.id)
                );
                svg.mark(x(row), y.at(figure.mean), kind, self.class, &says);
            }
        }
        points.last().map(|(_, place)| *place)
    }
}
