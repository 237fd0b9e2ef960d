//! The tables of the page that are not shown elsewhere.

use crate::metric::Share;
use crate::report::study::{Row, Study};
use crate::report::table::{Column, NOTHING, Table, duration, number};

fn column(name: &str, internal: bool) -> Column {
    Column {
        name: name.into(),
        internal,
        numeric: false,
        metric: None,
    }
}

fn known(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| NOTHING.into(), |value| number(value, decimals))
}

/// Every mechanism of every row.
pub(crate) fn mechanisms(study: &Study) -> Table {
    let names = [
        "row",
        "mechanism",
        "certified",
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
                mechanism.instance.clone(),
                known(mechanism.epsilon, 4),
                known(mechanism.epsilon_prv_lower, 4),
                known(mechanism.epsilon_prv_upper, 4),
                known(mechanism.epsilon_rdp, 4),
                mechanism
                    .delta
                    .map_or_else(|| NOTHING.into(), |delta| format!("{delta:.2e}")),
                known(mechanism.noise_multiplier, 4),
                mechanism
                    .sampling_rate
                    .map_or_else(|| NOTHING.into(), |rate| format!("{rate:.5}")),
                mechanism
                    .steps
                    .map_or_else(|| NOTHING.into(), |steps| steps.to_string()),
                known(mechanism.max_grad_norm, 3),
            ]
        })
    });
    Table {
        caption: "Epsilon by accountant, and what it was computed from".into(),
        columns: names.map(|name| column(name, false)).to_vec(),
        rows: rows.collect(),
    }
}

/// Epsilon for groups.
pub(crate) fn groups(study: &Study) -> Table {
    let mut sizes: Vec<u64> = study
        .rows
        .iter()
        .flat_map(|row| &row.guarantee.mechanisms)
        .flat_map(|mechanism| &mechanism.groups)
        .map(|(size, _)| *size)
        .collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut columns = vec![column("mechanism", false)];
    columns.extend(
        sizes
            .iter()
            .map(|size| column(&format!("group of {size}"), false)),
    );
    let mechanisms = study
        .rows
        .iter()
        .flat_map(|row| &row.guarantee.mechanisms)
        .filter(|mechanism| !mechanism.groups.is_empty());
    let rows = mechanisms.map(|mechanism| {
        let mut cells = vec![mechanism.instance.clone()];
        cells.extend(sizes.iter().map(|size| {
            let epsilon = mechanism.groups.iter().find(|(own, _)| own == size);
            known(epsilon.map(|(_, epsilon)| *epsilon), 3)
        }));
        cells
    });
    let rows: Vec<_> = rows.collect();
    Table {
        caption: "Epsilon for groups of examples of one person, at the same delta".into(),
        columns,
        rows,
    }
}

/// F1 per label of every row and its change against the benchmark, the greatest loss first.
pub(crate) fn label_changes(study: &Study) -> Table {
    let benchmark = study.benchmark.as_ref().and_then(Row::main_classification);
    let rows: Vec<(&Row, _)> = study
        .rows
        .iter()
        .filter_map(|row| Some((row, row.main_classification()?)))
        .collect();
    let mut columns = vec![
        column("label", false),
        column("test texts", true),
        column("benchmark F1", true),
    ];
    columns.extend(
        rows.iter()
            .map(|(row, _)| column(&format!("{} F1 (change)", row.name), true)),
    );
    let mut lines: Vec<(f64, Vec<String>)> = study
        .labels
        .iter()
        .map(|label| {
            let f1 = |found: &crate::metric::Classification| {
                found
                    .per_label
                    .iter()
                    .find(|own| own.label == *label)
                    .map(|own| (own.f1, own.support))
            };
            let before = benchmark.and_then(|found| f1(&found.figures));
            let support = before
                .or_else(|| f1(&rows.first()?.1.figures))
                .map_or_else(|| NOTHING.into(), |(_, support)| support.to_string());
            let mut worst = 0.0_f64;
            let mut cells = vec![label.clone(), support, known(before.map(|(f1, _)| f1), 3)];
            for (_, found) in &rows {
                cells.push(match (f1(&found.figures), before) {
                    (Some((after, _)), Some((before, _))) => {
                        worst = worst.min(after - before);
                        format!("{} ({:+.3})", number(after, 3), after - before)
                    }
                    (Some((after, _)), None) => number(after, 3),
                    (None, _) => NOTHING.into(),
                });
            }
            (worst, cells)
        })
        .collect();
    lines.sort_by(|a, b| a.0.total_cmp(&b.0));
    Table {
        caption: "F1 per label, the greatest loss against the benchmark first; internal".into(),
        columns,
        rows: lines.into_iter().map(|(_, cells)| cells).collect(),
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
        Some(vec![
            row.name.clone(),
            share(copies.training.exact),
            share(copies.held_out.exact),
            share(copies.training_equal.eight_words),
            share(copies.held_out.eight_words),
            share(copies.natural.eight_words),
        ])
    });
    Table {
        caption: "Copies with 95% Wilson intervals; internal diagnostics, not a guarantee".into(),
        columns: names.map(|name| column(name, true)).to_vec(),
        rows: rows.collect(),
    }
}

/// Known personal data that reappears.
pub(crate) fn replay(study: &Study) -> Table {
    let names = [
        "row",
        "kind",
        "known pieces",
        "reappear",
        "occurrences",
        "texts with one",
    ];
    let rows = study
        .rows
        .iter()
        .filter_map(|row| Some((row, row.scores.as_ref()?)))
        .flat_map(|(row, scores)| {
            scores.replay.iter().map(move |kind| {
                vec![
                    row.name.clone(),
                    kind.kind.clone(),
                    kind.known.to_string(),
                    share(kind.reappeared),
                    kind.occurrences.to_string(),
                    share(kind.texts),
                ]
            })
        });
    Table {
        caption: "Planted personal data of the training texts found anywhere inside synthetic texts; internal".into(),
        columns: names.map(|name| column(name, true)).to_vec(),
        rows: rows.collect(),
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
            instance.name.clone(),
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
        columns: names.map(|name| column(name, true)).to_vec(),
        rows: rows.collect(),
    }
}

/// Keys of the instances: internal, since they derive from private content.
pub(crate) fn keys(study: &Study) -> Table {
    let rows = study.instances.iter().filter_map(|instance| {
        Some(vec![
            instance.name.clone(),
            instance.key.clone()?,
            instance.dpx_version.clone().unwrap_or_default(),
        ])
    });
    Table {
        caption: "Keys of the instances; derived from private content, never to be released".into(),
        columns: ["instance", "key", "dpx"]
            .map(|name| column(name, true))
            .to_vec(),
        rows: rows.collect(),
    }
}

/// The statements of all mechanisms, each once.
pub(crate) fn statements(study: &Study) -> Vec<(String, String)> {
    let mut statements: Vec<(String, String)> = Vec::new();
    for mechanism in study.rows.iter().flat_map(|row| &row.guarantee.mechanisms) {
        let text = mechanism
            .statement
            .clone()
            .or_else(|| serde_json::to_string_pretty(&mechanism.raw).ok());
        if let Some(text) = text
            && statements
                .iter()
                .all(|(name, _)| *name != mechanism.instance)
        {
            statements.push((mechanism.instance.clone(), text));
        }
    }
    statements
}
