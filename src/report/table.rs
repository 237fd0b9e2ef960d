//! Tables as data, and the tables of a study; terminal, Markdown and page show the same cells.

use super::figure::{METRICS, Metric, metric_of};
use super::study::{GuaranteeKind, Row, Study};
use crate::metric::Spread;

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// What it shows.
    pub caption: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows; the first cell names the row.
    pub rows: Vec<Vec<String>>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Heading.
    pub name: String,
    /// Whether the figures are outside the guarantee.
    pub internal: bool,
    /// Whether it holds numbers, to be aligned at the right.
    pub numeric: bool,
    /// Anchor of the glossary's entry, where there is one.
    pub metric: Option<&'static str>,
}

impl Column {
    fn new(name: &str, internal: bool) -> Self {
        Self {
            name: name.into(),
            internal,
            numeric: !matches!(name, "row" | "guarantee" | "figure"),
            metric: None,
        }
    }

    fn of(metric: &Metric) -> Self {
        Self {
            name: format!("{} {}", metric.name, metric.direction.arrow()),
            internal: true,
            numeric: true,
            metric: Some(metric.id),
        }
    }
}

/// What stands where nothing is known.
pub const NOTHING: &str = "–";

/// A number with as many decimals; large ones with fewer.
pub fn number(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return if value > 0.0 {
            "inf".into()
        } else {
            NOTHING.into()
        };
    }
    let decimals = if value.abs() >= 1000.0 {
        0
    } else if value.abs() >= 100.0 {
        decimals.min(1)
    } else if value.abs() >= 10.0 {
        decimals.min(2)
    } else {
        decimals
    };
    let text = format!("{value:.decimals$}");
    // A rounded minus zero is a zero.
    match text.strip_prefix('-') {
        Some(rest) if rest.bytes().all(|byte| matches!(byte, b'0' | b'.')) => rest.to_owned(),
        _ => text,
    }
}

/// Mean, standard deviation and number: `0.592 ± 0.012 (3)`; the mean alone where there is one value.
pub fn spread(spread: Spread, decimals: usize) -> String {
    match spread.sd {
        Some(sd) => format!(
            "{} ± {} ({})",
            number(spread.mean, decimals),
            number(sd, decimals),
            spread.n
        ),
        None => number(spread.mean, decimals),
    }
}

/// Mean and standard deviation alone: `0.592 ±0.012`; for tables that give the number in a column of its own.
pub fn brief(spread: Spread, decimals: usize) -> String {
    match spread.sd {
        Some(sd) => format!(
            "{} ±{}",
            number(spread.mean, decimals),
            number(sd, decimals)
        ),
        None => number(spread.mean, decimals),
    }
}

/// Seconds for people: `41 s`, `3 min 20 s`, `1 h 05 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        0 if seconds > 0.0 => format!("{seconds:.1} s"),
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// The cell of a figure of a row.
pub(crate) fn cell(row: &Row, id: &str) -> String {
    let decimals = metric_of(id).map_or(3, |metric| metric.decimals);
    row.figures
        .get(id)
        .map_or_else(|| NOTHING.into(), |found| spread(*found, decimals))
}

fn guarantee_cell(row: &Row) -> String {
    if row.name == "benchmark" {
        return "none".into();
    }
    row.guarantee.kind.words().into()
}

fn epsilon_cell(row: &Row) -> String {
    match (row.guarantee.kind, row.guarantee.epsilon) {
        (GuaranteeKind::None, _) => "inf".into(),
        (_, Some(epsilon)) => number(epsilon, 3),
        (_, None) => NOTHING.into(),
    }
}

fn audit_cell(row: &Row) -> String {
    row.audit.as_ref().map_or_else(
        || NOTHING.into(),
        |audit| match audit.ceiling {
            Some(ceiling) => format!(
                "≥ {} (at most {})",
                number(audit.lower, 2),
                number(ceiling, 2)
            ),
            None => format!("≥ {}", number(audit.lower, 2)),
        },
    )
}

/// Whether any row has the figure.
pub(crate) fn has(study: &Study, id: &str) -> bool {
    study.all_rows().any(|row| row.figures.contains_key(id))
}

/// One row per row of the study: guarantee, epsilon, utility, similarity, audit, time; then the floor.
pub fn summary(study: &Study) -> Table {
    let audited = study.rows.iter().any(|row| row.audit.is_some());
    let repeated = study.all_rows().any(|row| row.replicates > 1);
    let figures: Vec<&Metric> = [
        "accuracy",
        "accuracy_with_teacher",
        "accuracy_teacher_alone",
        "similarity",
        "macro_f1",
        "macro_f1_with_teacher",
    ]
    .into_iter()
    .filter(|id| has(study, id))
    .filter_map(metric_of)
    .collect();
    let mauve = metric_of("mauve").filter(|metric| has(study, metric.id));
    let mut columns = vec![
        Column::new("row", false),
        Column::new("guarantee", false),
        Column::new("epsilon", false),
    ];
    if repeated {
        columns.push(Column::new("n", false));
    }
    columns.extend(figures.iter().map(|metric| Column::of(metric)));
    let accountants = study
        .rows
        .iter()
        .any(|row| !row.guarantee.mechanisms.is_empty());
    if accountants {
        columns.extend(["PRV", "RDP", "noise"].map(|name| Column::new(name, false)));
    }
    columns.push(Column::new("time", true));
    columns.extend(mauve.map(Column::of));
    if audited {
        columns.push(Column::new("audited", true));
    }
    let mut rows: Vec<Vec<String>> = study
        .all_rows()
        .map(|row| {
            let mut cells = vec![
                if row.complete {
                    row.name.clone()
                } else {
                    format!("{} (unfinished)", row.name)
                },
                guarantee_cell(row),
                if row.name == "benchmark" {
                    NOTHING.into()
                } else {
                    epsilon_cell(row)
                },
            ];
            if repeated {
                cells.push(row.replicates_finished.to_string());
            }
            let figure = |metric: &Metric| {
                let found = row.figures.get(metric.id);
                found.map_or_else(|| NOTHING.into(), |found| brief(*found, metric.decimals))
            };
            cells.extend(figures.iter().copied().map(figure));
            if accountants {
                let train = row
                    .guarantee
                    .mechanisms
                    .iter()
                    .find(|one| one.kind == "train");
                let train = train.or_else(|| row.guarantee.mechanisms.first());
                cells.extend(
                    [
                        train.and_then(|one| one.epsilon_prv_upper),
                        train.and_then(|one| one.epsilon_rdp),
                        train.and_then(|one| one.noise_multiplier),
                    ]
                    .map(|value| value.map_or_else(|| NOTHING.into(), |value| number(value, 3))),
                );
            }
            cells.push(if row.seconds > 0.0 {
                duration(row.seconds)
            } else {
                NOTHING.into()
            });
            cells.extend(mauve.map(figure));
            if audited {
                cells.push(audit_cell(row));
            }
            cells
        })
        .collect();
    if let Some(majority) = &study.majority {
        let mut cells = vec!["majority".into(), "holds".into(), NOTHING.into()];
        if repeated {
            cells.push(NOTHING.into());
        }
        cells.extend(figures.iter().map(|metric| match metric.id {
            "accuracy" => number(majority.accuracy, 3),
            "macro_f1" => number(majority.macro_f1, 3),
            _ => NOTHING.into(),
        }));
        cells.resize(columns.len(), NOTHING.into());
        rows.push(cells);
    }
    Table {
        caption: "One row per combination of the sweep; with replicates, means ± standard deviation over n of them".into(),
        columns,
        rows,
    }
}

/// All figures of a group, one line each, a column per row of the study, and the ceiling.
pub(crate) fn group(study: &Study, group: super::figure::Group, caption: &str) -> Table {
    let rows: Vec<&Row> = study
        .rows
        .iter()
        .filter(|row| !row.figures.is_empty())
        .collect();
    let mut columns = vec![Column::new("figure", false)];
    columns.extend(rows.iter().map(|row| Column::new(&row.name, true)));
    columns.push(Column::new("ceiling (real texts)", true));
    let lines = METRICS
        .iter()
        .filter(|metric| {
            metric.group == group && rows.iter().any(|row| row.figures.contains_key(metric.id))
        })
        .map(|metric| {
            let mut cells = vec![format!("{} {}", metric.name, metric.direction.arrow())];
            cells.extend(rows.iter().map(|row| cell(row, metric.id)));
            let ceiling = rows.iter().find_map(|row| row.ceilings.get(metric.id));
            cells.push(
                ceiling.map_or_else(|| NOTHING.into(), |value| number(*value, metric.decimals)),
            );
            cells
        })
        .collect();
    Table {
        caption: caption.into(),
        columns,
        rows: lines,
    }
}
