//! Lengths of texts: for each row the middle half and the middle nine tenths, the real texts first.

use super::scale::{Scale, Spacing};
use super::svg::{Svg, WIDTH, cut};
use crate::study::{Row, Study};
use dpx_stages::metric::distribution::Lengths;

/// Draws the lengths of every row; nothing without one.
pub(crate) fn draw(study: &Study) -> Option<String> {
    let rows: Vec<(&Row, &Lengths)> = study
        .rows
        .iter()
        .filter_map(|row| Some((row, &row.scores.as_ref()?.lengths)))
        .collect();
    let real = rows.first()?.1;
    let mut lines = vec![(
        study.said("real, held out").into_owned(),
        [5.0, 25.0, 50.0, 75.0, 95.0].map(|part| quantile(&real.edges, &real.real, part / 100.0)),
    )];
    lines.extend(rows.iter().map(|(row, own)| {
        (
            row.label.clone(),
            [5.0, 25.0, 50.0, 75.0, 95.0]
                .map(|part| quantile(&own.edges, &own.synthetic, part / 100.0)),
        )
    }));
    let most = lines.iter().map(|line| line.1[4]).fold(1.0, f64::max);
    let line_height = 22.0;
    let bottom = 10.0 + line_height * lines.len() as f64;
    let (left, right) = (104.0, WIDTH - 16.0);
    let x = Scale::new(0.0, most, left, right, Spacing::Linear);
    let finding: Vec<String> = lines
        .iter()
        .map(|(name, at)| format!("{name}: median {:.0} words", at[2]))
        .collect();
    let mut svg = Svg::new(bottom + 40.0, "Lengths of texts", &finding.join("; "));
    for (value, label) in x.ticks() {
        svg.line(x.at(value), 6.0, x.at(value), bottom, "grid");
        svg.text(x.at(value), bottom + 14.0, "middle", "tick", &label);
    }
    svg.text(
        f64::midpoint(left, right),
        bottom + 32.0,
        "middle",
        "axis",
        "words",
    );
    for (index, (name, at)) in lines.iter().enumerate() {
        let y = 10.0 + line_height * (index as f64 + 0.5);
        let (class, fill) = if index == 0 {
            ("s2", "fill2")
        } else {
            ("s1", "fill1")
        };
        svg.text(left - 6.0, y + 4.0, "end", "tick", &cut(name, 15));
        svg.line(x.at(at[0]), y, x.at(at[4]), y, class);
        let says = format!(
            "{name}: half of the texts have {:.0} to {:.0} words, nine in ten {:.0} to {:.0}, the median is {:.0}",
            at[1], at[3], at[0], at[4], at[2]
        );
        svg.bar(
            x.at(at[1]),
            y - 5.0,
            x.at(at[3]) - x.at(at[1]),
            10.0,
            fill,
            &says,
        );
        svg.line(x.at(at[2]), y - 8.0, x.at(at[2]), y + 8.0, "ceiling");
    }
    Some(svg.finish("length-chart"))
}

/// A quantile of a histogram whose `edges` are upper edges of bins that start at 0.
fn quantile(edges: &[u64], shares: &[f64], part: f64) -> f64 {
    let wanted = part * shares.iter().sum::<f64>();
    let (mut below, mut start) = (0.0, 0.0);
    for (edge, share) in edges.iter().zip(shares) {
        let end = *edge as f64;
        if *share > 0.0 && below + share >= wanted {
            return start + (end - start) * ((wanted - below) / share).clamp(0.0, 1.0);
        }
        below += share;
        start = end;
    }
    start
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_lie_within_their_bins() {
        let (edges, shares) = ([10, 20, 40], [0.5, 0.25, 0.25]);
        assert_eq!(quantile(&edges, &shares, 0.25), 5.0);
        assert_eq!(quantile(&edges, &shares, 0.5), 10.0);
        assert_eq!(quantile(&edges, &shares, 0.75), 20.0);
        assert_eq!(quantile(&edges, &shares, 1.0), 40.0);
        assert_eq!(quantile(&[], &[], 0.5), 0.0);
    }
}
