//! What the sections of the page say and show.

#![expect(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "a page is written once, and reads better this way"
)]

use super::joint::{of_rows, releasable};
use super::real_texts::{Nearest, RealTexts};
use super::study::{GuaranteeKind, Row, Study};
use super::table::{NOTHING, bound, difference, number, spread, spread_or_interval};
use dpx_engine::clock::duration;
use dpx_stages::score::Examples;

mod charts;
mod facts;
mod labels;
mod leakage;
mod scrubbing;
mod tables;
mod tiles;
pub(super) use charts::{
    Matrices, epsilon_charts, fidelity_charts, leakage_charts, matrices, run_charts, tradeoff,
};
pub(super) use facts::facts;
pub(super) use labels::{confusions, label_changes, labels_sentence};
pub(super) use leakage::{copies, leakage_sentence, replay};
pub(super) use scrubbing::{scrubbing, scrubbing_sentence};
pub(super) use tables::{groups, instances, keys, mechanisms, statements};
pub(super) use tiles::{Tile, tiles};

/// Most texts per label and row on the page; the rest are files.
pub(super) const MOST_TEXTS: usize = 50;

/// Most texts on the page in all: with many labels and rows fewer of each.
const MOST_TEXTS_IN_ALL: usize = 3_000;

/// Most labels whose texts stand on the page.
pub(super) const MOST_LABELS: usize = 100;

/// A text on the page, with the real text that it is nearest to where that was asked for.
pub(super) struct ShownText<'a> {
    pub(super) text: &'a str,
    pub(super) nearest: Option<&'a Nearest>,
}

/// Texts of one label: its name, and per row of the study its texts.
pub(super) struct TextsOfLabel<'a> {
    pub(super) name: &'a str,
    pub(super) columns: Vec<(String, Vec<ShownText<'a>>)>,
}

/// How many texts of each label and row stand on the page.
pub(super) fn texts_each(study: &Study) -> usize {
    let labels = study.labels.len().clamp(1, MOST_LABELS);
    let rows = study.rows.iter().filter(|row| row.scores.is_some()).count();
    (MOST_TEXTS_IN_ALL / (labels * rows.max(1))).clamp(1, MOST_TEXTS)
}

pub(super) fn texts<'a>(study: &'a Study, real: &'a RealTexts) -> Vec<TextsOfLabel<'a>> {
    let most = texts_each(study);
    let of = |examples: &'a [Examples], label: &str| -> Vec<ShownText<'a>> {
        let own = examples.iter().filter(|own| own.label == label);
        let texts = own.flat_map(|own| own.texts.iter().take(most));
        texts
            .map(|text| ShownText {
                text,
                nearest: real.nearest.get(text.as_str()),
            })
            .collect()
    };
    let labels = study.labels.iter().take(MOST_LABELS).map(|label| {
        let mut columns: Vec<(String, Vec<ShownText<'_>>)> = study
            .rows
            .iter()
            .filter_map(|row| Some((row.name.clone(), of(&row.scores.as_ref()?.examples, label))))
            .collect();
        if !real.examples.is_empty() {
            let name = if study.rehearsal {
                "stand-in texts"
            } else {
                "real texts (private!)"
            };
            columns.push((name.into(), of(&real.examples, label)));
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

/// Names of the releasable rows, and what releasing each set of them costs; only for few rows, since the sets double with each.
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
            format!("total: ({}, {:.1e})-DP", bound(joint.epsilon), joint.delta),
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
        .filter(|row| row.guarantee.kind == GuaranteeKind::Dp)
        .count();
    let replicates = study
        .rows
        .iter()
        .map(|row| row.replicates)
        .max()
        .unwrap_or(1);
    let repeated = if replicates > 1 {
        format!(" Every metric is mean ± standard deviation of up to {replicates} replicates.")
    } else {
        " One run of each: brackets are 95% bootstrap intervals over the test texts, which do not hold what another run would change.".into()
    };
    let rows = match study.rows.len() {
        1 => "One row".to_owned(),
        rows => format!("{rows} rows"),
    };
    format!("{rows}, {with} of them with a privacy guarantee.{repeated}")
}

/// What stronger privacy costs: the strongest row with a guarantee against the weakest row, beside the base model.
pub(super) fn tradeoff_sentence(study: &Study) -> String {
    let rows = super::chart::tradeoff::ordered(study);
    let figures: Vec<(&Row, &'static str, dpx_stages::metric::Spread)> = rows
        .iter()
        .filter_map(|row| {
            let (id, found) = row.main_accuracy()?;
            Some((*row, id, found))
        })
        .collect();
    let learnt = |row: &Row| row.guarantee.kind != GuaranteeKind::Untouched;
    let taught: Vec<_> = figures.iter().filter(|(row, _, _)| learnt(row)).collect();
    let (Some((low, id, a)), Some((high, other, b))) = (taught.first(), taught.last()) else {
        return "Too few finished rows.".into();
    };
    if low.name == high.name || id != other {
        return "Too few finished rows.".into();
    }
    let untouched = figures.iter().find(|(row, _, _)| !learnt(row));
    let untouched = untouched.map_or_else(String::new, |(_, _, found)| {
        format!(
            " The base model, not fine-tuned, gives {}.",
            spread(*found, 3)
        )
    });
    let change = b.mean - a.mean;
    let shown = difference(b.mean, a.mean, 3);
    // Two standard errors of the difference, where there are replicates.
    let error = |found: &dpx_stages::metric::Spread| found.sd.map(|sd| sd * sd / found.n as f64);
    let noise = error(a)
        .zip(error(b))
        .map(|(one, other)| 2.0 * (one + other).sqrt());
    let cost = match noise {
        _ if change < 0.0005 => "stronger privacy costs nothing that shows here".to_owned(),
        Some(noise) if change <= noise => {
            format!("the difference of {shown} is within the spread of the replicates")
        }
        Some(_) => format!("stronger privacy costs {shown} here"),
        None => format!("stronger privacy costs {shown} here, as one run of each has it"),
    };
    format!(
        "From {} to {} accuracy goes from {} to {}: {cost}.{untouched}",
        high.name,
        low.name,
        spread_or_interval(high, id),
        spread_or_interval(low, id),
    )
}

pub(super) fn privacy_sentence(study: &Study) -> String {
    let certified: Vec<String> = study
        .rows
        .iter()
        .filter(|row| row.guarantee.kind == GuaranteeKind::Dp)
        .filter_map(|row| {
            Some(format!(
                "{} in row {}",
                bound(row.guarantee.epsilon?),
                row.name
            ))
        })
        .collect();
    if certified.is_empty() {
        return "No finished row has a certified epsilon.".into();
    }
    format!(
        "Certified upper bounds of epsilon: {}.",
        certified.join(", ")
    )
}

/// What the audits found: internal, unlike the bounds that they are set against.
pub(super) fn audit_sentence(study: &Study) -> Option<String> {
    let audited: Vec<String> = study
        .rows
        .iter()
        .filter_map(|row| {
            let lower = row.figures.get("audit_lower")?;
            Some(format!("{} in row {}", spread(*lower, 2), row.name))
        })
        .collect();
    (!audited.is_empty()).then(|| {
        format!(
            "Audits found epsilon to be at least {}.",
            audited.join(", ")
        )
    })
}

pub(super) fn epsilon_sentence(study: &Study) -> String {
    let joint = study.joint.as_ref().map(|joint| {
        format!(
            "Releasing all rows with a guarantee costs epsilon {} in total; ",
            bound(joint.epsilon)
        )
    });
    format!(
        "{}a row without noise has no epsilon.",
        joint.unwrap_or_default()
    )
}

pub(super) fn fidelity_sentence(study: &Study) -> String {
    let best = |id: &str| {
        let rows = study.rows.iter();
        rows.filter_map(|row| Some((row, row.figures.get(id)?.mean)))
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(row, _)| row)
    };
    let Some(row) = best("mauve").or_else(|| best("similarity")) else {
        return "No similarity was measured.".into();
    };
    let id = if row.figures.contains_key("mauve") {
        "mauve"
    } else {
        "similarity"
    };
    let real = study.real();
    let name = crate::metric::metric_of(id).map_or(id, |metric| metric.name);
    let ceiling = row.ceilings.get(id).map_or_else(String::new, |ceiling| {
        format!("; other {real} texts reach {}", number(*ceiling, 3))
    });
    let texts = row.scores.as_ref().map_or(0, |scores| scores.n.embedded);
    format!(
        "The row nearest to {real} texts by {name} is {}: {}{ceiling} (encoder {}, up to {texts} texts a side).",
        row.name,
        spread_or_interval(row, id),
        study.encoder().unwrap_or(NOTHING)
    )
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
