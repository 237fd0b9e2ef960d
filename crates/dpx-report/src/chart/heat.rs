//! A confusion matrix, rows normalised.

use super::svg::{Svg, cut};
use dpx_stages::metric::Classification;

/// Width of the canvas: three matrices stand side by side.
const WIDTH: f64 = 300.0;

/// Draws the matrix: each row is a true label, each cell the share of its texts given the column's label.
pub(crate) fn draw(id: &str, name: &str, figures: &Classification) -> String {
    let count = figures.labels.len().max(1);
    let left = 72.0;
    let size = ((WIDTH - left - 34.0) / count as f64).min(44.0);
    let top = 58.0;
    let height = top + size * count as f64 + 6.0;
    let tested = || figures.per_label.iter().filter(|label| label.support > 0);
    let worst = tested().min_by(|a, b| a.recall.total_cmp(&b.recall));
    let finding = worst.map_or_else(String::new, |worst| {
        let percent = worst.recall * 100.0;
        if tested().all(|label| label.recall == worst.recall) {
            return format!("Every label has recall {percent:.0} %.");
        }
        format!(
            "Hardest label: {}, with recall {percent:.0} %.",
            worst.label
        )
    });
    let title = format!("Confusion matrix of {name}");
    let mut svg = Svg::sized(WIDTH, height, &title, &finding);
    svg.text(2.0, 13.0, "start", "axis", "true ↓ predicted →");
    for (column, label) in figures.labels.iter().enumerate() {
        let place = left + size * (column as f64 + 0.5);
        svg.rising(place, top - 6.0, "tick", &cut(label, 9));
    }
    for (row, label) in figures.labels.iter().enumerate() {
        let y = top + size * row as f64;
        let middle = y + size / 2.0 + 4.0;
        svg.text(left - 5.0, middle, "end", "tick", &cut(label, 10));
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
            if size >= 24.0 {
                let class = match share {
                    share if share <= 0.5 => "cell-low",
                    share if share <= 0.72 => "cell-middle",
                    _ => "cell-high",
                };
                let percent = format!("{:.0}", share * 100.0);
                svg.text(x + size / 2.0, middle, "middle", class, &percent);
            }
        }
    }
    svg.finish(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_is_hardest_where_all_are_equal() {
        let labels = ["joy", "anger"].map(str::to_owned);
        let drawn = |matrix: Vec<Vec<u64>>| {
            draw(
                "m",
                "x",
                &Classification::from_matrix(&labels, matrix).unwrap(),
            )
        };
        let equal = drawn(vec![vec![4, 0], vec![0, 2]]);
        assert!(
            equal.contains("Every label has recall 100 %.") && !equal.contains("Hardest"),
            "{equal}"
        );
        let other = drawn(vec![vec![4, 0], vec![1, 1]]);
        assert!(
            other.contains("Hardest label: anger, with recall 50 %."),
            "{other}"
        );
    }
}
