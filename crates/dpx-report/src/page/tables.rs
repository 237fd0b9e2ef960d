//! The tables of the page that are not shown elsewhere.

use crate::study::{GuaranteeKind, Row, Study};
use crate::table::{Column, NOTHING, Table, number};
use dpx_accounting::EpsilonBound;
use dpx_engine::clock::duration;
use dpx_schema::{PublicInputs, Unit};

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

/// Epsilon for groups of records of one person, or of people: one line per row, everything behind it composed.
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
    let caption = match study.unit() {
        Unit::Example => "Epsilon for several records of one person, at the same delta",
        Unit::User => "Epsilon for several people together, at the same delta",
    };
    Table {
        caption: caption.into(),
        rows: rows.collect(),
        columns,
    }
}

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
            let inputs = PublicInputs::of(&row.guarantee.records);
            let mut text = format!("{}\n", inputs.of_untouched());
            for sentence in inputs.sentences() {
                text.push_str(&sentence);
                text.push('\n');
            }
            return vec![(row.name.clone(), text)];
        }
        let mechanisms = row.guarantee.mechanisms.iter();
        let named = mechanisms.map(|mechanism| {
            let name = format!("{}, {}", row.name, mechanism.instance.stage());
            (name, study.said(&mechanism.statement).into_owned())
        });
        named.collect()
    };
    rows.into_iter().flat_map(of_row).collect()
}
