//! The figures that a reader looks for first, each with what to hold it against.

use crate::claim::strongest;
use crate::study::{Row, Study};
use crate::table::{bound, brief, brief_or_interval, number};

/// A figure of the study at a glance.
pub(crate) struct Tile {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) note: String,
    pub(crate) internal: bool,
}

/// The figures of the row that the claim speaks of.
pub(crate) fn tiles(study: &Study) -> Vec<Tile> {
    let Some(row) = strongest(study) else {
        return Vec::new();
    };
    let mut tiles = Vec::new();
    if let Some(epsilon) = row.guarantee.epsilon {
        let target = row.guarantee.target.as_deref();
        let delta = row.guarantee.delta.map(|delta| format!("at delta {delta}"));
        tiles.push(Tile {
            name: "certified epsilon".into(),
            value: format!("≤ {}", bound(epsilon)),
            note: beside([delta, target.map(|target| format!("asked for {target}"))]),
            internal: false,
        });
    }
    let benchmark = study.benchmark.as_ref().and_then(Row::main_accuracy);
    for (id, name) in [
        ("accuracy", "accuracy, prompted labels"),
        ("accuracy_with_teacher", "accuracy with teacher"),
    ] {
        if row.figures.contains_key(id) {
            let majority = study.majority.as_ref().map(|floor| floor.accuracy);
            let floor = row.floor.map(|floor| floor.accuracy);
            let named = |name: &str, value: Option<f64>| {
                value.map(|value| format!("{name} {}", number(value, 3)))
            };
            tiles.push(Tile {
                name: name.into(),
                value: brief_or_interval(row, id),
                note: beside([
                    named(
                        &format!("{} texts", study.real()),
                        benchmark.map(|(_, found)| found.mean),
                    ),
                    named("word bags", floor),
                    named("majority", majority),
                ]),
                internal: true,
            });
        }
    }
    if row.figures.contains_key("mauve") {
        let untouched = study
            .rows
            .iter()
            .find(|row| row.guarantee.kind == crate::study::GuaranteeKind::Untouched)
            .and_then(|row| row.figures.get("mauve"));
        tiles.push(Tile {
            name: "MAUVE".into(),
            value: brief_or_interval(row, "mauve"),
            note: beside([
                row.ceilings
                    .get("mauve")
                    .map(|ceiling| format!("{} texts {}", study.real(), number(*ceiling, 3))),
                untouched.map(|found| format!("base model {}", number(found.mean, 3))),
                study.encoder().map(|encoder| format!("encoder {encoder}")),
                row.scores
                    .as_ref()
                    .map(|scores| format!("up to {} texts a side", scores.n.embedded)),
            ]),
            internal: true,
        });
    }
    if let (Some(audit), Some(found)) = (&row.audit, row.figures.get("audit_lower")) {
        tiles.push(Tile {
            name: "audit lower bound".into(),
            value: format!("≥ {}", brief(*found, 2)),
            note: format!("largest detectable {}", number(audit.ceiling, 2)),
            internal: true,
        });
    }
    tiles
}

fn beside<const N: usize>(parts: [Option<String>; N]) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
