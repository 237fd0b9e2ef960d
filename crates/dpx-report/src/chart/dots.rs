//! A dot plot: one line per figure, one dot per row of the study, the value of real texts as a tick.

use super::svg::{Svg, WIDTH, cut};
use crate::metric::{Group, METRICS};
use crate::study::{Row, Study};
use crate::table::{ceiling, spread};
use dpx_stages::metric::Spread;
use std::cmp::Reverse;

/// Labels that are drawn; with more, those that differ most from the real texts.
pub(crate) const MOST_LABELS: usize = 24;

/// Rows that have a mark of their own.
const MARKS: usize = 24;

struct Line {
    /// Its name, at the left.
    name: String,
    /// What a dot is called.
    what: String,
    /// The value of real texts.
    real: Option<f64>,
    /// The value of each row.
    values: Vec<Option<Spread>>,
}

/// All figures of a group whose range is 0 to 1.
pub(crate) fn draw(study: &Study, group: Group) -> Option<String> {
    let rows = scored(study);
    let lines: Vec<Line> = METRICS
        .iter()
        .filter(|metric| metric.group == group && metric.id != "length_distance")
        .map(|metric| Line {
            name: format!(
                "{} {}",
                cut(&study.said(metric.name), 20),
                metric.direction.arrow()
            ),
            what: study.said(metric.name).into_owned(),
            real: ceiling(study, metric.id),
            values: rows
                .iter()
                .map(|row| row.figures.get(metric.id).copied())
                .collect(),
        })
        .filter(|line| {
            let values = line.values.iter().flatten().map(|value| value.mean);
            let mut all = values.chain(line.real);
            line.values.iter().any(Option::is_some) && all.all(|value| (0.0..=1.0).contains(&value))
        })
        .collect();
    let names: Vec<&str> = rows.iter().map(|row| row.label.as_str()).collect();
    let finding = format!(
        "Figures from 0 to 1 for the rows {}; a tick marks the ceiling, the same figure of {} texts. The table below holds the values.",
        names.join(", "),
        study.real()
    );
    plot(
        "fidelity-chart",
        "Fidelity figures of every row",
        &finding,
        &rows,
        &lines,
        1.0,
    )
}

/// The shares of labels in every row, beside those of the real training texts; and how many labels are not drawn.
pub(crate) fn labels(study: &Study) -> Option<(String, usize)> {
    let rows = scored(study);
    let shares = &rows.first()?.scores.as_ref()?.label_shares;
    let all = shares.real.iter().sum::<u64>().max(1) as f64;
    let mut lines: Vec<Line> = shares
        .labels
        .iter()
        .zip(&shares.real)
        .map(|(label, count)| Line {
            name: cut(label, 20),
            what: label.clone(),
            real: Some(*count as f64 / all),
            values: rows
                .iter()
                .map(|row| row.figures.get(&format!("share.{label}")).copied())
                .collect(),
        })
        .collect();
    let left_out = lines.len().saturating_sub(MOST_LABELS);
    if left_out > 0 {
        let difference = |line: &Line| {
            let values = line.values.iter().flatten();
            let most = values.map(|value| (value.mean - line.real.unwrap_or(0.0)).abs());
            (most.fold(0.0, f64::max) * 1e9) as u64
        };
        lines.sort_by_key(|line| Reverse(difference(line)));
        lines.truncate(MOST_LABELS);
    }
    let values = lines.iter().flat_map(|line| {
        line.values
            .iter()
            .flatten()
            .map(|value| value.mean)
            .chain(line.real)
    });
    let most = values.fold(0.0, f64::max);
    // Up to the next tenth.
    let end = ((most * 10.0).ceil() / 10.0).clamp(0.1, 1.0);
    let finding = study.said("Shares of labels among the synthetic texts of every row; a tick marks that of the real training texts.");
    let svg = plot("label-chart", "Labels", &finding, &rows, &lines, end)?;
    Some((svg, left_out))
}

fn scored(study: &Study) -> Vec<&Row> {
    let rows = study.rows.iter();
    rows.filter(|row| row.scores.is_some()).collect()
}

/// Draws lines from 0 to `end`; nothing without one.
fn plot(
    id: &str,
    title: &str,
    finding: &str,
    rows: &[&Row],
    lines: &[Line],
    end: f64,
) -> Option<String> {
    if lines.is_empty() || rows.is_empty() {
        return None;
    }
    let line_height = 24.0;
    let bottom = 12.0 + line_height * lines.len() as f64;
    let columns = legend_columns(rows);
    let legend = if rows.len() > MARKS {
        1
    } else {
        rows.len().div_ceil(columns)
    };
    let height = bottom + 32.0 + 17.0 * legend as f64;
    let (left, right) = (136.0, WIDTH - 14.0);
    let x = |value: f64| left + (value / end).clamp(0.0, 1.0) * (right - left);
    let mut svg = Svg::new(height, title, finding);
    for tick in 0..=4 {
        let value = end * f64::from(tick) / 4.0;
        svg.line(x(value), 6.0, x(value), bottom, "grid");
        let name = format!("{value:.3}");
        let name = name.trim_end_matches('0').trim_end_matches('.');
        svg.text(x(value), bottom + 14.0, "middle", "tick", name);
    }
    for (index, line) in lines.iter().enumerate() {
        let y = 18.0 + line_height * index as f64;
        svg.text(left - 8.0, y + 4.0, "end", "tick", &line.name);
        svg.line(left, y, right, y, "grid");
        if let Some(real) = line.real {
            svg.line(x(real), y - 8.0, x(real), y + 8.0, "ceiling");
        }
        for (at, (row, value)) in rows.iter().zip(&line.values).enumerate() {
            let Some(value) = value else { continue };
            let (kind, class) = marker(at, rows.len());
            if let Some(sd) = value.sd {
                let ends = [value.mean - sd, value.mean + sd].map(x);
                svg.line(ends[0], y, ends[1], y, class);
            }
            let says = format!("{}, {}: {}", line.what, row.name, spread(*value, 3));
            svg.mark(x(value.mean), y, kind, class, &says);
        }
    }
    if rows.len() > MARKS {
        let words = format!(
            "{} rows: each mark says its row under the pointer",
            rows.len()
        );
        svg.text(14.0, height - 8.0, "start", "tick", &words);
        return Some(svg.finish(id));
    }
    let step = (WIDTH - 20.0) / columns as f64;
    for (at, row) in rows.iter().enumerate() {
        let (kind, class) = marker(at, rows.len());
        let place = 14.0 + step * (at % columns) as f64;
        let y = bottom + 36.0 + 17.0 * (at / columns) as f64;
        svg.mark(place, y - 4.0, kind, class, &row.name);
        let most = ((step - 14.0) / 6.4) as usize;
        svg.text(
            place + 8.0,
            y,
            "start",
            "tick",
            &cut(&row.label, most.max(4)),
        );
    }
    Some(svg.finish(id))
}

/// As many names side by side as there is room for.
fn legend_columns(rows: &[&Row]) -> usize {
    let longest = rows.iter().map(|row| row.label.chars().count()).max();
    let width = longest.unwrap_or(1).min(40) as f64 * 6.4 + 22.0;
    ((WIDTH - 20.0) / width).floor().clamp(1.0, 6.0) as usize
}

/// Shape and color of a row: all different up to [`MARKS`].
const fn marker(index: usize, rows: usize) -> (&'static str, &'static str) {
    if rows > MARKS {
        return ("small", ["s1", "s2", "s3", "s4"][index % 4]);
    }
    let kind = [
        "disc",
        "square",
        "triangle",
        "diamond",
        "ring",
        "triangle-open",
    ][index % 6];
    let class = ["s1", "s2", "s3", "s4"][(index % 6 + index / 6) % 4];
    (kind, class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_differ_in_shape_or_color_as_long_as_they_can() {
        let mut marks: Vec<_> = (0..MARKS).map(|row| marker(row, MARKS)).collect();
        marks.sort_unstable();
        marks.dedup();
        assert_eq!(marks.len(), MARKS);
    }
}
