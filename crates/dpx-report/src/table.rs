//! Tables as data, and the tables of a study; terminal, Markdown and page show the same cells.

pub(crate) use super::format::{
    NOTHING, bound, brief, difference, number, spread, spread_or_interval,
};
pub(crate) use super::format::{brief_or_interval, interval_note};
use super::metric::{METRICS, Metric, metric_of};
use super::study::{GuaranteeKind, Row, Study};
use super::verdict::verdict;
use dpx_accounting::EpsilonBound;
use dpx_engine::clock::duration;
use dpx_schema::Kind;
use dpx_stages::metric::Spread;

/// What terminal, page, csv and LaTeX show alike: headings and cells that are formatted already.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// A sentence that says what it shows.
    pub caption: String,
    /// One for each cell of a row; the first names the row.
    pub columns: Vec<Column>,
    /// Its rows; the first cell names the row.
    pub rows: Vec<Vec<String>>,
}

/// What a column holds, whatever its heading says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say what a column holds")]
pub enum ColumnId {
    Row,
    Guarantee,
    /// The certified upper bound of its epsilon.
    Epsilon,
    Replicates,
    /// A metric, by its id.
    Metric(&'static str),
    Time,
    Prv,
    Rdp,
    Noise,
    /// Accuracy of bags of words at the row's budget.
    Floor,
    /// Whether the texts are fit for use.
    Verdict,
}

/// What stands above cells, and how they are set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// What it holds; none where nothing refers to it.
    pub id: Option<ColumnId>,
    /// Shown above the cells.
    pub heading: String,
    /// Whether its values are measured on private data, not covered by the guarantee.
    pub internal: bool,
    /// Whether it holds numbers, to be aligned at the right.
    pub numeric: bool,
}

impl Column {
    /// Of text, under a heading.
    pub(crate) fn text(heading: &str) -> Self {
        Self {
            id: None,
            heading: heading.into(),
            internal: false,
            numeric: false,
        }
    }

    /// Of numbers, under a heading.
    pub(crate) fn numbers(heading: &str) -> Self {
        Self {
            numeric: true,
            ..Self::text(heading)
        }
    }

    pub(crate) fn internal(self) -> Self {
        Self {
            internal: true,
            ..self
        }
    }

    fn holding(self, id: ColumnId) -> Self {
        Self {
            id: Some(id),
            ..self
        }
    }

    fn of(study: &Study, metric: &Metric) -> Self {
        let heading = format!("{} {}", study.said(metric.name), metric.direction.arrow());
        Self::numbers(&heading)
            .internal()
            .holding(ColumnId::Metric(metric.id))
    }

    /// The metric that it holds: the anchor of the glossary's entry.
    pub const fn metric(&self) -> Option<&'static str> {
        match self.id {
            Some(ColumnId::Metric(id)) => Some(id),
            _ => None,
        }
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
    if row.is_benchmark() {
        return "none".into();
    }
    match (&row.guarantee, row.guarantee.epsilon, row.guarantee.delta) {
        (guarantee, Some(epsilon), Some(delta)) if guarantee.kind == GuaranteeKind::Dp => {
            format!("({}, {delta})-DP", bound(epsilon))
        }
        (guarantee, ..) => guarantee.kind.words().into(),
    }
}

fn epsilon_cell(row: &Row) -> String {
    match (row.guarantee.kind, row.guarantee.epsilon) {
        (GuaranteeKind::None, _) => "inf".into(),
        (_, Some(epsilon)) if epsilon.value() == 0.0 => "0".into(),
        // With three decimals, rounded up: what is claimed is told apart from what was asked for.
        (_, Some(epsilon)) => format!("{epsilon:.3}"),
        (_, None) => NOTHING.into(),
    }
}

fn audit_cell(row: &Row) -> String {
    let Some(audit) = &row.audit else {
        return NOTHING.into();
    };
    // Rounded down: a lower bound must not grow.
    let down = |value: f64| number((value * 100.0).floor() / 100.0, 2);
    let lower = match row.figures.get("audit_lower") {
        Some(found) if found.sd.is_some() => brief(*found, 2),
        _ => down(audit.lower),
    };
    format!("{lower} (largest detectable {})", down(audit.ceiling))
}

/// The mean over the rows of a figure's ceiling: each row has one of its own, of other real texts.
pub(crate) fn ceiling(study: &Study, id: &str) -> Option<f64> {
    let all = study.rows.iter().filter_map(|row| row.ceilings.get(id));
    Spread::of(all.copied()).map(|ceiling| ceiling.mean)
}

/// Whether any row has the figure.
pub(crate) fn has(study: &Study, id: &str) -> bool {
    study.all_rows().any(|row| row.figures.contains_key(id))
}

/// What stands in the column of a teacher where it learnt nothing: no figure, so that none is taken for its own.
const NO_TEACHER: &str = "no teacher";

fn figure_cell(row: &Row, metric: &Metric) -> String {
    match row.figures.get(metric.id) {
        Some(_) => brief_or_interval(row, metric.id),
        None if metric.id.contains("teacher")
            && row.guarantee.kind == GuaranteeKind::Untouched
            && row.complete =>
        {
            NO_TEACHER.into()
        }
        None => NOTHING.into(),
    }
}

/// One row per row of the study: guarantee, epsilon, utility, similarity, audit, time, accountants; then the floor.
pub(crate) fn summary(study: &Study) -> Table {
    let audited = study.rows.iter().any(|row| row.audit.is_some());
    let repeated = study.all_rows().any(|row| row.replicates > 1);
    let floors = study.rows.iter().any(|row| row.floor.is_some());
    let verdicts: Vec<Option<String>> = study
        .all_rows()
        .map(|row| Some(verdict(study, row)?.short))
        .collect();
    let judged = verdicts.iter().any(Option::is_some);
    let figures: Vec<&Metric> = [
        "accuracy",
        "accuracy_with_teacher",
        "accuracy_teacher_alone",
        "macro_f1",
        "macro_f1_with_teacher",
        "similarity",
        "mauve",
    ]
    .into_iter()
    .filter(|id| has(study, id))
    .filter_map(metric_of)
    .collect();
    let mut columns = vec![
        Column::text("row").holding(ColumnId::Row),
        Column::text("guarantee").holding(ColumnId::Guarantee),
        Column::numbers("certified epsilon").holding(ColumnId::Epsilon),
    ];
    if repeated {
        columns.push(Column::numbers("n").holding(ColumnId::Replicates));
    }
    columns.extend(figures.iter().map(|metric| Column::of(study, metric)));
    if floors {
        let floor = Column::numbers("word bags' accuracy").internal();
        columns.push(floor.holding(ColumnId::Floor));
    }
    if judged {
        columns.push(
            Column::text("verdict")
                .internal()
                .holding(ColumnId::Verdict),
        );
    }
    if audited {
        let audit = Column::text("audit lower bound").internal();
        columns.push(audit.holding(ColumnId::Metric("audit_lower")));
    }
    let time = Column::numbers(if repeated { "total time" } else { "time" });
    columns.push(time.internal().holding(ColumnId::Time));
    let accountants = study
        .rows
        .iter()
        .any(|row| !row.guarantee.mechanisms.is_empty());
    if accountants {
        columns.extend([
            Column::numbers("PRV").holding(ColumnId::Prv),
            Column::numbers("RDP").holding(ColumnId::Rdp),
            Column::numbers("noise").holding(ColumnId::Noise),
        ]);
    }
    let mut rows: Vec<Vec<String>> = study
        .all_rows()
        .zip(verdicts)
        .map(|(row, verdict)| {
            let mut cells = vec![
                if row.complete {
                    row.name.clone()
                } else {
                    format!("{} (incomplete)", row.name)
                },
                guarantee_cell(row),
                if row.is_benchmark() {
                    NOTHING.into()
                } else {
                    epsilon_cell(row)
                },
            ];
            if repeated {
                cells.push(row.replicates_finished.to_string());
            }
            cells.extend(figures.iter().map(|metric| figure_cell(row, metric)));
            if floors {
                let floor = row.floor.map(|floor| number(floor.accuracy, 3));
                cells.push(floor.unwrap_or_else(|| NOTHING.into()));
            }
            if judged {
                cells.push(verdict.unwrap_or_else(|| NOTHING.into()));
            }
            if audited {
                cells.push(audit_cell(row));
            }
            cells.push(if row.seconds > 0.0 {
                duration(row.seconds)
            } else {
                NOTHING.into()
            });
            if accountants {
                cells.extend(accountant_cells(row));
            }
            cells
        })
        .collect();
    if let Some(majority) = &study.majority {
        let mut cells = vec!["majority".into(), NOTHING.into(), NOTHING.into()];
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
    let caption = if repeated {
        "One row per combination of the sweep: mean ± standard deviation over its n finished replicates"
    } else {
        "One row per combination of the sweep"
    };
    Table {
        caption: caption.into(),
        columns,
        rows,
    }
}

/// The columns of [`summary`] that the page shows in its sections on privacy, labels and the run, which have room for them.
pub(crate) const IN_OTHER_SECTIONS: [ColumnId; 7] = [
    ColumnId::Metric("similarity"),
    ColumnId::Prv,
    ColumnId::Rdp,
    ColumnId::Noise,
    ColumnId::Metric("macro_f1"),
    ColumnId::Metric("macro_f1_with_teacher"),
    ColumnId::Time,
];

fn accountant_cells(row: &Row) -> [String; 3] {
    let certified = row.guarantee.certified.as_ref();
    let epsilon = |bound: Option<EpsilonBound>| {
        bound.map_or_else(|| NOTHING.into(), |bound| format!("{bound:.3}"))
    };
    let mechanisms = row.guarantee.mechanisms.iter();
    let train = mechanisms.clone().find(|one| one.kind == Kind::Train);
    let noise = train.or_else(|| row.guarantee.mechanisms.first());
    let noise = noise.and_then(|one| one.noise_multiplier);
    [
        epsilon(certified.map(|certified| certified.prv.upper)),
        epsilon(certified.map(|certified| certified.rdp)),
        noise.map_or_else(|| NOTHING.into(), |value| number(value, 3)),
    ]
}

impl Table {
    /// The table without the columns that hold these.
    pub(crate) fn without(mut self, ids: &[ColumnId]) -> Self {
        let kept: Vec<bool> = self
            .columns
            .iter()
            .map(|column| column.id.is_none_or(|id| !ids.contains(&id)))
            .collect();
        let keep = |cells: &mut Vec<String>| {
            let mut at = 0;
            cells.retain(|_| {
                at += 1;
                kept[at - 1]
            });
        };
        self.rows.iter_mut().for_each(keep);
        let mut at = 0;
        self.columns.retain(|_| {
            at += 1;
            kept[at - 1]
        });
        self
    }
}

/// All figures of a group, one line each, a column per row of the study, and the ceiling.
pub(crate) fn group(study: &Study, group: super::metric::Group, caption: &str) -> Table {
    let rows: Vec<&Row> = study
        .rows
        .iter()
        .filter(|row| !row.figures.is_empty())
        .collect();
    // The number is in the caption where it is the same for all, else in each cell.
    let own = METRICS.iter().filter(|metric| metric.group == group);
    let mut numbers: Vec<u64> = own
        .flat_map(|metric| rows.iter().filter_map(|row| row.figures.get(metric.id)))
        .map(|figure| figure.n)
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let common = (numbers.len() == 1).then(|| numbers[0]);
    let caption = match common {
        Some(n) if n > 1 => {
            format!("{caption}; mean ± standard deviation over n = {n} replicates")
        }
        Some(_) => caption.to_owned(),
        None => format!("{caption}; mean ± standard deviation (number of replicates)"),
    };
    let mut columns = vec![Column::text("metric")];
    columns.extend(rows.iter().map(|row| Column::numbers(&row.name).internal()));
    columns.push(Column::numbers(&study.said("ceiling: real texts, mean of the rows")).internal());
    let lines = METRICS
        .iter()
        .filter(|metric| {
            metric.group == group && rows.iter().any(|row| row.figures.contains_key(metric.id))
        })
        .map(|metric| {
            let mut cells = vec![format!(
                "{} {}",
                study.said(metric.name),
                metric.direction.arrow()
            )];
            cells.extend(rows.iter().map(|row| match row.figures.get(metric.id) {
                Some(_) if common.is_some() => brief_or_interval(row, metric.id),
                _ => cell(row, metric.id),
            }));
            let ceiling = ceiling(study, metric.id);
            cells.push(
                ceiling.map_or_else(|| NOTHING.into(), |value| number(value, metric.decimals)),
            );
            cells
        })
        .collect();
    Table {
        caption,
        columns,
        rows: lines,
    }
}
