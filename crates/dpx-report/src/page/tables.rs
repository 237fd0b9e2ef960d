//! The tables of the page that are not shown elsewhere.

use crate::study::{GuaranteeKind, Row, Study};
use crate::table::{Column, NOTHING, Table, brief, number};
use dpx_accounting::EpsilonBound;
use dpx_engine::clock::duration;
use dpx_schema::PublicInputs;
use dpx_stages::metric::Share;

fn known(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| NOTHING.into(), |value| number(value, decimals))
}

/// Every mechanism of every row that has a guarantee, or noise without one.
pub(crate) fn mechanisms(study: &Study) -> Table {
    let names = [
        "row",
        "mechanism",
        "certified epsilon",
        "PRV lower",
        "PRV upper",
        "RDP",
        "delta",
        "noise multiplier",
        "sampling rate",
        "steps",
        "max grad norm",
    ];
    let rows = study.rows.iter().flat_map(|row| {
        row.guarantee.mechanisms.iter().map(move |mechanism| {
            vec![
                row.name.clone(),
                mechanism.instance.stage().to_owned(),
                format!("{:.4}", mechanism.epsilon),
                format!("{:.4}", mechanism.epsilon_prv_lower),
                format!("{:.4}", mechanism.epsilon_prv_upper),
                format!("{:.4}", mechanism.epsilon_rdp),
                format!("{:.2e}", mechanism.delta),
                known(mechanism.noise_multiplier, 4),
                mechanism
                    .sampling_rate
                    .map_or_else(|| NOTHING.into(), |rate| format!("{rate:.5}")),
                mechanism
                    .steps
                    .map_or_else(|| NOTHING.into(), |steps| steps.to_string()),
                known(Some(mechanism.max_grad_norm), 3),
            ]
        })
    });
    Table {
        caption: "Epsilon of each mechanism alone by accountant, and what it is computed from"
            .into(),
        columns: names.map(Column::text).to_vec(),
        rows: rows.collect(),
    }
}

/// Epsilon for groups of records of one person: one line per row, everything behind it composed.
pub(crate) fn groups(study: &Study) -> Table {
    let mut sizes: Vec<u64> = study
        .rows
        .iter()
        .flat_map(|row| &row.guarantee.groups)
        .map(|(size, _)| *size)
        .collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut columns = vec![Column::text("row")];
    columns.extend(
        sizes
            .iter()
            .map(|size| Column::text(&format!("group of {size}"))),
    );
    let rows = study
        .rows
        .iter()
        .filter(|row| !row.guarantee.groups.is_empty());
    let rows = rows.map(|row| {
        let mut cells = vec![row.name.clone()];
        cells.extend(sizes.iter().map(|size| {
            let epsilon = row.guarantee.groups.iter().find(|(own, _)| own == size);
            epsilon.map_or_else(|| NOTHING.into(), |(_, epsilon)| format!("{epsilon:.3}"))
        }));
        cells
    });
    Table {
        caption: "Epsilon for several records of one person, at the same delta".into(),
        rows: rows.collect(),
        columns,
    }
}

/// F1 per label of every row and its change against the benchmark, the greatest loss first.
pub(crate) fn label_changes(study: &Study) -> Table {
    let f1 = |row: &Row, label: &str| {
        let role = row.main_classification()?.role;
        let name = format!("f1{}.{label}", role.suffix());
        row.figures.get(&name).copied()
    };
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
            let mut worst = 0.0_f64;
            let mut cells = vec![
                label.clone(),
                support(label).map_or_else(|| NOTHING.into(), |count| count.to_string()),
                before.map_or_else(|| NOTHING.into(), |found| brief(found, 3)),
            ];
            for row in &rows {
                cells.push(match (f1(row, label), before) {
                    (Some(after), Some(before)) => {
                        let change = after.mean - before.mean;
                        worst = worst.min(change);
                        format!("{} ({change:+.3})", brief(after, 3))
                    }
                    (Some(after), None) => brief(after, 3),
                    (None, _) => NOTHING.into(),
                });
            }
            (worst, cells)
        })
        .collect();
    lines.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mean = |row: &Row| {
        let role = row.main_classification()?.role;
        let found = row.figures.get(&format!("macro_f1{}", role.suffix()));
        found.map(|found| brief(*found, 3))
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

/// For captions: what stands in a cell where there are replicates.
fn over_replicates(study: &Study) -> String {
    let finished = study.all_rows().map(|row| row.replicates_finished);
    match finished.max() {
        Some(most) if most > 1 => format!("; mean ± standard deviation over n = {most} replicates"),
        _ => String::new(),
    }
}

fn share(share: Share) -> String {
    format!(
        "{} of {} ({:.1}–{:.1}%)",
        share.count,
        share.total,
        share.low * 100.0,
        share.high * 100.0
    )
}

/// A share with its interval, or in percent over the replicates where there are several.
fn repeated_share(row: &Row, id: &str, first: Share) -> String {
    match row.figures.get(id) {
        Some(found) if found.n > 1 => {
            let sd = found.sd.unwrap_or(0.0);
            format!(
                "{}% ±{} ({})",
                number(found.mean * 100.0, 1),
                number(sd * 100.0, 1),
                found.n
            )
        }
        _ => share(first),
    }
}

/// Copies with their intervals.
pub(crate) fn copies(study: &Study) -> Table {
    let names = [
        "row",
        "exact, training",
        "exact, held out",
        "8 words, training (equal size)",
        "8 words, held out",
        "held-out texts in training, 8 words",
    ];
    let rows = study.rows.iter().filter_map(|row| {
        let copies = row.scores.as_ref()?.copies?;
        let cell = |id, first| repeated_share(row, id, first);
        Some(vec![
            row.name.clone(),
            cell("copies_exact", copies.training.exact),
            cell("copies_exact_held_out", copies.held_out.exact),
            cell("copies_near", copies.training_equal.eight_words),
            cell("copies_near_held_out", copies.held_out.eight_words),
            share(copies.natural.eight_words),
        ])
    });
    Table {
        caption: "Copies: number, and 95% Wilson interval of the share; with replicates the share's mean ± standard deviation (n); internal diagnostics, not a guarantee".into(),
        columns: names.map(|name| Column::text(name).internal()).to_vec(),
        rows: rows.collect(),
    }
}

/// Known personal data that reappears: a line per kind, a column per row of the study.
pub(crate) fn replay(study: &Study) -> Table {
    let rows: Vec<(&Row, &[dpx_stages::metric::planted::Replay])> = study
        .rows
        .iter()
        .filter_map(|row| Some((row, row.scores.as_ref()?.replay.as_slice())))
        .filter(|(_, replay)| !replay.is_empty())
        .collect();
    let mut kinds: Vec<&str> = rows
        .iter()
        .flat_map(|(_, replay)| replay.iter().map(|kind| kind.kind.as_str()))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut columns = vec![
        Column::text("kind").internal(),
        Column::text("known pieces").internal(),
    ];
    columns.extend(
        rows.iter()
            .map(|(row, _)| Column::text(&row.name).internal()),
    );
    let lines = kinds.iter().map(|kind| {
        let own = |replay: &[dpx_stages::metric::planted::Replay]| {
            replay.iter().find(|own| own.kind == *kind).cloned()
        };
        let known = rows.iter().find_map(|(_, replay)| own(replay));
        let known = known.map_or_else(|| NOTHING.into(), |kind| kind.known.to_string());
        let mut cells = vec![(*kind).to_owned(), known];
        cells.extend(rows.iter().map(|(row, replay)| {
            own(replay).map_or_else(
                || NOTHING.into(),
                |found| repeated_share(row, &format!("replayed.{kind}"), found.reappeared),
            )
        }));
        cells
    });
    Table {
        caption: "Planted personal data of the training texts that reappears anywhere inside synthetic texts: different pieces of those known, with 95% Wilson interval or, with replicates, mean ± standard deviation (n); internal".into(),
        columns,
        rows: lines.collect(),
    }
}

/// Every instance.
pub(crate) fn instances(study: &Study) -> Table {
    let names = [
        "instance",
        "kind",
        "state",
        "time",
        "device",
        "may reveal",
        "finished",
    ];
    let rows = study.instances.iter().map(|instance| {
        vec![
            instance.name.to_string(),
            instance.kind.to_string(),
            instance.state.words().into(),
            instance.seconds.map_or_else(|| NOTHING.into(), duration),
            instance.device.clone().unwrap_or_else(|| NOTHING.into()),
            format!("{:?}", instance.flow).to_lowercase(),
            instance
                .finished_at
                .clone()
                .unwrap_or_else(|| NOTHING.into()),
        ]
    });
    Table {
        caption: "Every stage instance; internal".into(),
        columns: names.map(|name| Column::text(name).internal()).to_vec(),
        rows: rows.collect(),
    }
}

/// Keys of the instances: internal, since they derive from private content.
pub(crate) fn keys(study: &Study) -> Table {
    let rows = study.instances.iter().filter_map(|instance| {
        Some(vec![
            instance.name.to_string(),
            instance.key.clone()?,
            instance.dpx_version.clone().unwrap_or_default(),
        ])
    });
    Table {
        caption: "Keys of the instances; derived from private content, never to be released".into(),
        columns: ["instance", "key", "dpx"]
            .map(|name| Column::text(name).internal())
            .to_vec(),
        rows: rows.collect(),
    }
}

/// The statements of every row, one of each mechanism. The strongest promise comes first.
pub(crate) fn statements(study: &Study) -> Vec<(String, String)> {
    let mut rows: Vec<&Row> = study.rows.iter().collect();
    let epsilon = |row: &Row| {
        let holds = row.guarantee.kind == GuaranteeKind::Dp;
        let epsilon = row.guarantee.epsilon.map(EpsilonBound::value);
        (!holds, epsilon.unwrap_or(f64::INFINITY))
    };
    rows.sort_by(|a, b| {
        let (a, b) = (epsilon(a), epsilon(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    let of_row = |row: &Row| -> Vec<(String, String)> {
        if row.guarantee.kind == GuaranteeKind::Untouched {
            let mut text = String::from("No private data used (epsilon 0).\n");
            for sentence in PublicInputs::of(&row.guarantee.records).sentences() {
                text.push_str(&sentence);
                text.push('\n');
            }
            return vec![(row.name.clone(), text)];
        }
        let mechanisms = row.guarantee.mechanisms.iter();
        let named = mechanisms.map(|mechanism| {
            let name = format!("{}, {}", row.name, mechanism.instance.stage());
            (name, mechanism.statement.clone())
        });
        named.collect()
    };
    rows.into_iter().flat_map(of_row).collect()
}
