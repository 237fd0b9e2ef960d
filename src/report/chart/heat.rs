//! A confusion matrix, rows normalised.

use super::svg::{Svg, WIDTH, cut};
use crate::metric::Classification;

/// Draws the matrix: each row is a true label, each cell the share of its texts given the column's label.
pub(crate) fn draw(id: &str, name: &str, figures: &Classification) -> String {
    let count = figures.labels.len().max(1);
    let left = 78.0;
    let size = ((WIDTH - left - 6.0) / count as f64).min(50.0);
    let top = 34.0;
    let height = top + size * count as f64 + 30.0;
    let worst = figures
        .per_label
        .iter()
        .filter(|label| label.support > 0)
        .min_by(|a, b| a.recall.total_cmp(&b.recall));
    let finding = worst.map_or_else(String::new, |label| {
        format!(
            "Hardest label: {}, of which {:.0}% are recognised.",
            label.label,
            label.recall * 100.0
        )
    });
    let mut svg = Svg::new(height, &format!("Confusion matrix of {name}"), &finding);
    svg.text(
        left,
        12.0,
        "start",
        "axis",
        &format!("{}: given label →", cut(name, 30)),
    );
    for (column, label) in figures.labels.iter().enumerate() {
        let place = left + size * (column as f64 + 0.5);
        svg.text(
            place,
            28.0,
            "middle",
            "tick",
            &cut(label, (size / 6.5) as usize),
        );
    }
    for (row, label) in figures.labels.iter().enumerate() {
        let y = top + size * row as f64;
        svg.text(
            left - 5.0,
            y + size / 2.0 + 4.0,
            "end",
            "tick",
            &cut(label, 11),
        );
        let total: u64 = figures.confusion[row].iter().sum();
        for (column, &hits) in figures.confusion[row].iter().enumerate() {
            let share = hits as f64 / total.max(1) as f64;
            let x = left + size * column as f64;
            svg.shade(
                x,
                y,
                size - 1.0,
                size - 1.0,
                share,
                &format!(
                    "true {label}, given {}: {hits} of {total}",
                    figures.labels[column]
                ),
            );
            if size >= 26.0 {
                let class = if share > 0.5 { "on-dark" } else { "tick" };
                svg.text(
                    x + size / 2.0,
                    y + size / 2.0 + 4.0,
                    "middle",
                    class,
                    &format!("{:.0}", share * 100.0),
                );
            }
        }
    }
    svg.text(
        left,
        height - 8.0,
        "start",
        "axis",
        "percent of each true label",
    );
    svg.finish(id)
}
