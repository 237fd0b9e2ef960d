//! What the sections of the page say and show.

#![expect(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "a page is written once, and reads better this way"
)]

use super::joint::{of_rows, releasable};
use super::study::{GuaranteeKind, Row, Study};
use super::table::{NOTHING, duration, number, spread};
use crate::stage::score::Examples;

mod charts;
mod tables;
pub(super) use charts::{
    epsilon_charts, fidelity_charts, leakage_charts, matrices, run_charts, tradeoff,
};
pub(super) use tables::{
    copies, groups, instances, keys, label_changes, mechanisms, replay, statements,
};

/// Most texts per label and row on the page; the rest are files.
pub(super) const MOST_TEXTS: usize = 50;

/// Texts of one label: its name, and per row of the study its texts.
pub(super) struct TextsOfLabel<'a> {
    pub(super) name: &'a str,
    pub(super) columns: Vec<(String, Vec<&'a str>)>,
}

pub(super) fn texts<'a>(study: &'a Study, real: &'a [Examples]) -> Vec<TextsOfLabel<'a>> {
    let of = |examples: &'a [Examples], label: &str| -> Vec<&'a str> {
        let own = examples.iter().filter(|own| own.label == label);
        own.flat_map(|own| own.texts.iter().take(MOST_TEXTS).map(String::as_str))
            .collect()
    };
    let labels = study.labels.iter().map(|label| {
        let mut columns: Vec<(String, Vec<&str>)> = study
            .rows
            .iter()
            .filter_map(|row| Some((row.name.clone(), of(&row.scores.as_ref()?.examples, label))))
            .collect();
        if !real.is_empty() {
            columns.push(("real texts (private!)".into(), of(real, label)));
        }
        TextsOfLabel {
            name: label,
            columns,
        }
    });
    labels
        .filter(|label| label.columns.iter().any(|(_, texts)| !texts.is_empty()))
        .collect()
}

/// Shows the texts of the picked label.
pub(super) fn picker_css(labels: usize) -> String {
    (0..labels)
        .map(|index| format!("#texts:has(#label-{index}:checked) .label-{index}{{display:block}}"))
        .collect()
}

/// Names of the releasable rows, and what each set of them spends; only for few rows, since the sets double with each.
pub(super) fn joint_subsets(study: &Study) -> (Vec<String>, Vec<(usize, String)>) {
    let rows = releasable(&study.rows);
    if rows.len() < 2 || rows.len() > 4 {
        return (Vec::new(), Vec::new());
    }
    let subsets = (1..1_usize << rows.len()).filter_map(|mask| {
        let chosen: Vec<&Row> = rows
            .iter()
            .enumerate()
            .filter(|(at, _)| mask >> at & 1 == 1)
            .map(|(_, row)| *row)
            .collect();
        let joint = of_rows(&chosen)?;
        Some((
            mask,
            format!(
                "together: epsilon {}, delta {:.1e}",
                number(joint.epsilon, 3),
                joint.delta
            ),
        ))
    });
    (
        rows.iter().map(|row| row.name.clone()).collect(),
        subsets.collect(),
    )
}

pub(super) fn joint_css(rows: usize) -> String {
    let mut css = String::from(".joint{display:none}");
    for mask in 1..1_usize << rows {
        css.push_str("#joint");
        for at in 0..rows {
            let state = if mask >> at & 1 == 1 {
                format!(":has(#joint-{at}:checked)")
            } else {
                format!(":not(:has(#joint-{at}:checked))")
            };
            css.push_str(&state);
        }
        css.push_str(&format!(" .joint-{mask}{{display:inline}}"));
    }
    css
}

pub(super) fn summary_sentence(study: &Study) -> String {
    let with = study
        .rows
        .iter()
        .filter(|row| row.guarantee.kind == GuaranteeKind::Holds)
        .count();
    let replicates = study
        .rows
        .iter()
        .map(|row| row.replicates)
        .max()
        .unwrap_or(1);
    let repeated = if replicates > 1 {
        format!(" Every figure is the mean of up to {replicates} replicates.")
    } else {
        " One run of each: no error bars; differences of a few hundredths may be chance.".into()
    };
    format!(
        "{} rows, {with} of them with a privacy guarantee.{repeated}",
        study.rows.len()
    )
}

pub(super) fn tradeoff_sentence(study: &Study) -> String {
    let rows = super::chart::tradeoff::ordered(study);
    let figures: Vec<(&Row, f64)> = rows
        .iter()
        .filter_map(|row| Some((*row, row.main_accuracy()?.1.mean)))
        .collect();
    match (figures.first(), figures.last()) {
        (Some((low, a)), Some((high, b))) if figures.len() > 1 => {
            format!(
                "From {} to {} accuracy goes from {} to {}: {} is what the difference in privacy costs.",
                high.name,
                low.name,
                number(*b, 3),
                number(*a, 3),
                number(b - a, 3)
            )
        }
        _ => "There are too few finished rows to say.".into(),
    }
}

pub(super) fn privacy_sentence(study: &Study) -> String {
    let certified: Vec<String> = study
        .rows
        .iter()
        .filter(|row| row.guarantee.kind == GuaranteeKind::Holds)
        .filter_map(|row| {
            Some(format!(
                "{} at {}",
                row.name,
                number(row.guarantee.epsilon?, 3)
            ))
        })
        .collect();
    let audited = study.rows.iter().filter(|row| row.audit.is_some()).count();
    let audited = if audited == 0 {
        "No row was audited.".into()
    } else {
        format!("Rows audited: {audited}.")
    };
    if certified.is_empty() {
        return format!("No finished row has a certified epsilon. {audited}");
    }
    format!(
        "Certified upper bounds of epsilon: {}. {audited}",
        certified.join(", ")
    )
}

pub(super) fn epsilon_sentence(study: &Study) -> String {
    let joint = study.joint.as_ref().map(|joint| {
        format!(
            "All rows with a guarantee together spend {}; ",
            number(joint.epsilon, 3)
        )
    });
    format!(
        "{}a row without noise has no epsilon.",
        joint.unwrap_or_default()
    )
}

pub(super) fn fidelity_sentence(study: &Study) -> String {
    let Some((row, figure)) = study
        .rows
        .iter()
        .filter_map(|row| Some((row, row.figures.get("similarity")?)))
        .max_by(|a, b| a.1.mean.total_cmp(&b.1.mean))
    else {
        return "No similarity was measured.".into();
    };
    let ceiling = row
        .ceilings
        .get("similarity")
        .map(|ceiling| format!("; other real texts reach {}", number(*ceiling, 3)))
        .unwrap_or_default();
    let texts = row.scores.as_ref().map_or(0, |scores| scores.n.embedded);
    format!(
        "The most similar row, {}, has a mean cosine of {} to real texts of the same label{ceiling} (encoder {}, up to {texts} texts a side).",
        row.name,
        spread(*figure, 3),
        study.encoder().unwrap_or(NOTHING)
    )
}

pub(super) fn labels_sentence(study: &Study) -> String {
    let Some((row, found)) = study
        .rows
        .iter()
        .filter_map(|row| Some((row, row.main_classification()?)))
        .next_back()
    else {
        return "Only the benchmark is finished.".into();
    };
    let Some(rarest) = found.figures.rarest() else {
        return String::new();
    };
    let before = study
        .benchmark
        .as_ref()
        .and_then(Row::main_classification)
        .and_then(|benchmark| {
            benchmark
                .figures
                .per_label
                .iter()
                .find(|label| label.label == rarest.label)
        });
    let before = before
        .map(|before| format!(", where the benchmark has {}", number(before.f1, 3)))
        .unwrap_or_default();
    format!(
        "The rarest label, {} ({} test texts), has F1 {} in row {}{before}.",
        rarest.label,
        rarest.support,
        number(rarest.f1, 3),
        row.name
    )
}

pub(super) fn leakage_sentence(study: &Study) -> String {
    let found: Vec<String> = study
        .rows
        .iter()
        .filter_map(|row| {
            let copies = row.scores.as_ref()?.copies?;
            Some(format!(
                "{}: {} of {} texts are exact training texts ({} held-out)",
                row.name,
                copies.training.exact.count,
                copies.training.exact.total,
                copies.held_out.exact.count
            ))
        })
        .collect();
    if found.is_empty() {
        "Copies were not counted.".into()
    } else {
        format!("{}.", found.join("; "))
    }
}

pub(super) fn run_sentence(study: &Study) -> String {
    let seconds: f64 = study
        .instances
        .iter()
        .filter_map(|instance| instance.seconds)
        .sum();
    format!(
        "{} of {} stage instances are finished; their workers took {} in all.",
        study.finished,
        study.planned,
        duration(seconds)
    )
}

pub(super) fn devices(study: &Study) -> String {
    let mut devices: Vec<&str> = study
        .instances
        .iter()
        .filter_map(|instance| instance.device.as_deref())
        .collect();
    devices.sort_unstable();
    devices.dedup();
    devices.join(", ")
}
