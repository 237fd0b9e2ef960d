//! Privacy from both sides: the certified upper bounds and the audited lower bound of each row.

use super::scale::{Scale, Spacing};
use super::svg::{Svg, WIDTH, cut};
use crate::study::{GuaranteeKind, Study};
use crate::table::{bound, number, spread};
use dpx_accounting::EpsilonBound;

/// One line per row: bar from the PRV lower to its upper bound, tick for RDP, triangles for the audit.
pub(crate) fn draw(study: &Study) -> Option<String> {
    let rows: Vec<_> = study
        .rows
        .iter()
        .filter(|row| {
            matches!(
                row.guarantee.kind,
                GuaranteeKind::Dp | GuaranteeKind::Seeded
            ) || row.audit.is_some()
        })
        .filter(|row| row.guarantee.epsilon.is_some() || row.audit.is_some())
        .collect();
    if rows.is_empty() {
        return None;
    }
    let line = 34.0;
    let height = 30.0 + line * rows.len() as f64 + 34.0;
    let most = rows
        .iter()
        .flat_map(|row| {
            let rdp = row.guarantee.certified.map(|certified| certified.rdp);
            [
                row.guarantee.epsilon.map(EpsilonBound::value),
                rdp.map(EpsilonBound::value),
                row.audit.as_ref().map(|audit| audit.lower),
                row.audit.as_ref().map(|audit| audit.ceiling),
            ]
        })
        .flatten()
        .filter(|value| value.is_finite())
        .fold(1.0, f64::max);
    let (left, right) = (104.0, WIDTH - 50.0);
    let x = Scale::new(0.0, most, left, right, Spacing::Root);
    let found: Vec<String> = rows
        .iter()
        .map(|row| {
            let certified = row.guarantee.epsilon.map_or_else(|| "none".into(), bound);
            let audited = row
                .figures
                .get("audit_lower")
                .map(|lower| format!(", audited at least {}", spread(*lower, 2)));
            format!(
                "{}: certified {certified}{}",
                row.name,
                audited.unwrap_or_default()
            )
        })
        .collect();
    let mut svg = Svg::new(height, "Epsilon from both sides", &found.join("; "));
    let bottom = 14.0 + line * rows.len() as f64;
    for (value, label) in Scale::new(0.0, most, left, right, Spacing::Linear).ticks() {
        svg.line(x.at(value), 8.0, x.at(value), bottom, "grid");
        svg.text(x.at(value), bottom + 14.0, "middle", "tick", &label);
    }
    svg.text(
        f64::midpoint(left, right),
        bottom + 30.0,
        "middle",
        "axis",
        "epsilon (square-root scale)",
    );
    for (index, row) in rows.iter().enumerate() {
        let y = 22.0 + line * index as f64;
        svg.text(left - 12.0, y + 4.0, "end", "tick", &cut(&row.name, 14));
        if let (Some(epsilon), Some(certified)) = (row.guarantee.epsilon, row.guarantee.certified) {
            let (lower, upper) = (certified.prv.lower, certified.prv.upper.value());
            let (rdp, at) = (certified.rdp.value(), epsilon.value());
            svg.bar(
                x.at(lower),
                y - 4.0,
                x.at(upper) - x.at(lower),
                8.0,
                "band",
                &format!(
                    "{}: PRV from {} to {:.4}",
                    row.name,
                    number(lower, 4),
                    certified.prv.upper
                ),
            );
            svg.line(x.at(rdp), y - 8.0, x.at(rdp), y + 8.0, "rdp");
            svg.mark(
                x.at(at),
                y,
                "disc",
                "s1",
                &format!("{}: certified {epsilon:.4}", row.name),
            );
            // Beside whatever stands furthest right.
            svg.text(
                x.at(rdp.max(at)) + 9.0,
                y + 4.0,
                "start",
                "note",
                &format!("≤ {}", bound(epsilon)),
            );
        }
        if let Some(audit) = &row.audit {
            for lower in row.values.get("audit_lower").into_iter().flatten() {
                svg.mark(
                    x.at(*lower),
                    y,
                    "triangle",
                    "s2",
                    &format!("{}: audited at least {}", row.name, number(*lower, 3)),
                );
            }
            {
                let ceiling = audit.ceiling;
                svg.mark(
                    x.at(ceiling),
                    y,
                    "triangle-open",
                    "s2",
                    &format!(
                        "{}: the audit could have shown at most {}",
                        row.name,
                        number(ceiling, 3)
                    ),
                );
            }
        }
    }
    Some(svg.finish("privacy-chart"))
}
