//! Who loses: F1 per label against the benchmark, in a table and in the sentence above it, from one and the same list.

use super::charts::MOST_IN_MATRIX;
use crate::study::{Row, Study};
use crate::table::{Column, NOTHING, Table, brief, brief_or_interval, difference};
use dpx_stages::metric::Spread;

/// The F1 of a label in the classification of a row that is shown first.
fn f1(row: &Row, label: &str) -> Option<Spread> {
    row.figures.get(&f1_name(row, label)?).copied()
}

fn f1_name(row: &Row, label: &str) -> Option<String> {
    let role = row.main_classification()?.role;
    Some(format!("f1{}.{label}", role.suffix()))
}

fn f1_cell(row: &Row, label: &str) -> String {
    f1_name(row, label).map_or_else(|| NOTHING.into(), |name| brief_or_interval(row, &name))
}

/// What a label loses against the benchmark in each row that has both.
fn losses<'a>(study: &'a Study, label: &'a str) -> impl Iterator<Item = (&'a Row, f64)> {
    let before = study.benchmark.as_ref().and_then(|row| f1(row, label));
    study
        .rows
        .iter()
        .filter_map(move |row| Some((row, before?.mean - f1(row, label)?.mean)))
}

fn signed(number: &str) -> String {
    if number.starts_with('-') {
        number.to_owned()
    } else {
        format!("+{number}")
    }
}

/// The label that loses most, in any row, and the rarest one.
pub(crate) fn labels_sentence(study: &Study) -> String {
    let strongest = crate::claim::strongest(study);
    let Some((row, found)) = strongest
        .into_iter()
        .chain(&study.rows)
        .find_map(|row| Some((row, row.main_classification()?)))
    else {
        return "Only the benchmark is finished.".into();
    };
    let worst = study
        .labels
        .iter()
        .flat_map(|label| losses(study, label).map(move |(row, loss)| (label, row, loss)))
        .filter(|(.., loss)| *loss > 0.0)
        // The first among equals, as in the table.
        .reduce(|worst, next| if next.2 > worst.2 { next } else { worst });
    let lost = worst.and_then(|(label, row, _)| {
        let before = f1(study.benchmark.as_ref()?, label)?;
        let after = f1(row, label)?;
        Some(format!(
            "{label} loses most: F1 {} in row {}, where the benchmark has {} ({}). ",
            brief(after, 3),
            row.name,
            brief(before, 3),
            signed(&difference(after.mean, before.mean, 3))
        ))
    });
    let Some(rarest) = found.figures.rarest() else {
        return lost.unwrap_or_default();
    };
    let before = study
        .benchmark
        .as_ref()
        .filter(|row| f1(row, &rarest.label).is_some())
        .map(|row| format!(", where the benchmark has {}", f1_cell(row, &rarest.label)))
        .unwrap_or_default();
    format!(
        "{}The rarest label, {} ({} test texts), has F1 {} in row {}{before}.",
        lost.unwrap_or_default(),
        rarest.label,
        rarest.support / row.replicates_finished.max(1),
        f1_cell(row, &rarest.label),
        row.name
    )
}

/// F1 per label of every row and its change against the benchmark, the greatest loss first.
pub(crate) fn label_changes(study: &Study) -> Table {
    let benchmark = study.benchmark.as_ref();
    let rows: Vec<&Row> = study
        .rows
        .iter()
        .filter(|row| row.main_classification().is_some())
        .collect();
    let mut columns = vec![
        Column::text("label"),
        Column::text("test texts").internal(),
        Column::text("benchmark F1").internal(),
    ];
    columns.extend(
        rows.iter()
            .map(|row| Column::text(&format!("{} F1 (change)", row.name)).internal()),
    );
    let support = |label: &str| {
        let (row, found) = benchmark
            .into_iter()
            .chain(rows.iter().copied())
            .find_map(|row| Some((row, row.main_classification()?)))?;
        let own = found
            .figures
            .per_label
            .iter()
            .find(|own| own.label == *label)?;
        Some(own.support / row.replicates_finished.max(1))
    };
    let mut lines: Vec<(f64, Vec<String>)> = study
        .labels
        .iter()
        .map(|label| {
            let before = benchmark.and_then(|row| f1(row, label));
            let worst = losses(study, label)
                .map(|(_, loss)| loss)
                .fold(0.0, f64::max);
            let mut cells = vec![
                label.clone(),
                support(label).map_or_else(|| NOTHING.into(), |count| count.to_string()),
                benchmark.map_or_else(|| NOTHING.into(), |row| f1_cell(row, label)),
            ];
            for row in &rows {
                cells.push(match (f1(row, label), before) {
                    (Some(after), Some(before)) => format!(
                        "{} ({})",
                        f1_cell(row, label),
                        signed(&difference(after.mean, before.mean, 3))
                    ),
                    _ => f1_cell(row, label),
                });
            }
            (-worst, cells)
        })
        .collect();
    lines.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mean = |row: &Row| {
        let role = row.main_classification()?.role;
        Some(brief_or_interval(
            row,
            &format!("macro_f1{}", role.suffix()),
        ))
    };
    let mut last = vec![
        "macro-F1: mean of all".to_owned(),
        NOTHING.into(),
        benchmark.and_then(mean).unwrap_or_else(|| NOTHING.into()),
    ];
    last.extend(
        rows.iter()
            .map(|row| mean(row).unwrap_or_else(|| NOTHING.into())),
    );
    lines.push((0.0, last));
    Table {
        caption: format!(
            "F1 per label, the greatest loss against the benchmark first; internal{}",
            over_replicates(study)
        ),
        columns,
        rows: lines.into_iter().map(|(_, cells)| cells).collect(),
    }
}

/// Confusions in the table.
const MOST_CONFUSIONS: usize = 30;

/// The most frequent confusions, where there are too many labels for a matrix: those of the row that the claim speaks of, beside
/// the benchmark's.
pub(crate) fn confusions(study: &Study) -> Table {
    let row = crate::claim::strongest(study).or_else(|| study.rows.first());
    let found = row.and_then(|row| Some((row, row.main_classification()?)));
    let (Some((row, found)), true) = (found, study.labels.len() > MOST_IN_MATRIX) else {
        return Table::default();
    };
    let share = |figures: &dpx_stages::metric::Classification, truth: usize, given: usize| {
        let hits = figures.confusion[truth][given];
        (
            hits,
            hits as f64 / figures.per_label[truth].support.max(1) as f64,
        )
    };
    let labels = &found.figures.labels;
    let mut all: Vec<(u64, f64, usize, usize)> = (0..labels.len())
        .flat_map(|truth| (0..labels.len()).map(move |given| (truth, given)))
        .filter(|(truth, given)| truth != given)
        .map(|(truth, given)| {
            let (hits, of) = share(&found.figures, truth, given);
            (hits, of, truth, given)
        })
        .filter(|(hits, ..)| *hits > 0)
        .collect();
    all.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)));
    let benchmark = study.benchmark.as_ref().and_then(Row::main_classification);
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let rows = all
        .iter()
        .take(MOST_CONFUSIONS)
        .map(|&(hits, of, truth, given)| {
            let before = benchmark
                .filter(|before| before.figures.labels == *labels)
                .map_or_else(
                    || NOTHING.into(),
                    |before| percent(share(&before.figures, truth, given).1),
                );
            vec![
                labels[truth].clone(),
                labels[given].clone(),
                hits.to_string(),
                percent(of),
                before,
            ]
        });
    Table {
        caption: format!(
            "The most frequent confusions of row {}, since {} labels are too many for a matrix; shares are of the texts of the true label; internal",
            row.name,
            labels.len()
        ),
        columns: vec![
            Column::text("true label"),
            Column::text("predicted").internal(),
            Column::numbers("test texts").internal(),
            Column::numbers("share").internal(),
            Column::numbers("benchmark").internal(),
        ],
        rows: rows.collect(),
    }
}

/// For captions: what stands in a cell where there are replicates.
fn over_replicates(study: &Study) -> String {
    let finished = study.all_rows().map(|row| row.replicates_finished);
    match finished.max() {
        Some(most) if most > 1 => format!("; mean ± standard deviation over n = {most} replicates"),
        _ => String::new(),
    }
}
