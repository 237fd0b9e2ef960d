//! What the sections of the page say and show.

#![expect(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "a page is written once, and reads better this way"
)]

use super::chart::curves::{Curve, draw as curves, steps};
use super::chart::tradeoff::{Panel, draw as panel};
use super::chart::{bars, dag, dots, heat};
use super::figure::Group;
use super::joint::{of_rows, releasable};
use super::study::{GuaranteeKind, Reference, Row, Study};
use super::table::{NOTHING, duration, number, spread};
use crate::stage::score::Examples;

mod tables;
pub(super) use tables::{
    copies, groups, instances, keys, label_changes, mechanisms, replay, statements,
};

/// Most texts per label and row on the page; the rest are files.
pub(super) const MOST_TEXTS: usize = 50;

const CLASSES: [&str; 4] = ["s1", "s2", "s3", "s4"];

type Pictures = Vec<(String, String)>;

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

/// The two panels over epsilon.
pub(super) fn tradeoff(study: &Study) -> Pictures {
    let reference = study.reference.as_ref();
    let published = |of: fn(&Reference) -> &std::collections::BTreeMap<String, f64>| {
        reference
            .map(|reference| {
                of(reference)
                    .iter()
                    .map(|(name, value)| (name.clone(), *value))
                    .collect()
            })
            .unwrap_or_default()
    };
    let mut lines = Vec::new();
    if let Some((_, benchmark)) = study.benchmark.as_ref().and_then(Row::main_accuracy) {
        lines.push(("benchmark".to_owned(), benchmark.mean));
    }
    if let Some(majority) = &study.majority {
        lines.push(("majority".to_owned(), majority.accuracy));
    }
    let series: Vec<_> = [
        ("accuracy", "own labels", "s1"),
        ("accuracy_with_teacher", "with teacher", "s2"),
        ("accuracy_teacher_alone", "teacher alone", "s3"),
    ]
    .into_iter()
    .filter(|(id, _, _)| study.rows.iter().any(|row| row.figures.contains_key(*id)))
    .collect();
    let mut pictures = Vec::new();
    if !series.is_empty() {
        let utility = Panel {
            id: "utility-chart",
            series,
            lines,
            published: published(|reference| &reference.accuracy),
            title: "Accuracy on real test texts over epsilon",
        };
        pictures.extend(panel(study, &utility).map(|svg| (svg, "Utility: accuracy on the real test texts of a classifier trained on synthetic texts.".into())));
    }
    let ceiling = study
        .rows
        .iter()
        .find_map(|row| row.ceilings.get("similarity"));
    let similarity = Panel {
        id: "similarity-chart",
        series: vec![("similarity", "similarity", "s1")],
        lines: ceiling
            .map(|ceiling| ("ceiling".to_owned(), *ceiling))
            .into_iter()
            .collect(),
        published: published(|reference| &reference.similarity),
        title: "Similarity to real texts over epsilon",
    };
    let encoder = study.encoder().unwrap_or("an encoder");
    pictures.extend(panel(study, &similarity).map(|svg| (svg, format!("Fidelity: mean cosine to real texts of the same label, embedded by {encoder}; published figures used another encoder."))));
    pictures
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

/// Epsilon over steps, as the Renyi accountant of the step logs or the accountants' end points tell it.
pub(super) fn epsilon_charts(study: &Study) -> Pictures {
    use crate::dp::accountant::{Phase, epsilon_rdp};
    let mut lines = Vec::new();
    for (at, row) in study
        .rows
        .iter()
        .filter(|row| {
            matches!(
                row.guarantee.kind,
                GuaranteeKind::Holds | GuaranteeKind::Seeded
            )
        })
        .enumerate()
    {
        let Some(train) = row
            .guarantee
            .mechanisms
            .iter()
            .find(|mechanism| mechanism.kind == "train")
        else {
            continue;
        };
        let (Some(noise_multiplier), Some(sampling_rate), Some(steps), Some(delta)) = (
            train.noise_multiplier,
            train.sampling_rate,
            train.steps,
            train.delta,
        ) else {
            continue;
        };
        let points = (0..=24)
            .map(|part| (steps * part).div_ceil(24))
            .filter_map(|steps| {
                let spent = if steps == 0 {
                    0.0
                } else {
                    epsilon_rdp(
                        &[Phase {
                            noise_multiplier,
                            sampling_rate,
                            steps,
                        }],
                        delta,
                    )
                    .ok()?
                };
                spent.is_finite().then_some((steps as f64, spent))
            })
            .collect();
        lines.push(Curve {
            name: row.label.clone(),
            class: CLASSES[at % 4],
            points,
        });
    }
    let finding = "Epsilon of each row by the Renyi accountant over the steps of training; it rises fast at first and then ever more slowly.";
    curves("epsilon-chart", "Epsilon over steps", finding, "steps", "epsilon (RDP)", &lines)
        .map(|svg| vec![(svg, "Epsilon of training over steps by the RDP accountant, an upper bound; the certified end points stand in the table above.".into())])
        .unwrap_or_default()
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

pub(super) fn fidelity_charts(study: &Study) -> Pictures {
    let mut pictures = Vec::new();
    pictures.extend(dots::draw(study, Group::Fidelity).map(|svg| {
        (
            svg,
            "Figures between 0 and 1; the upright tick is the ceiling.".to_owned(),
        )
    }));
    let scored: Vec<&Row> = study
        .rows
        .iter()
        .filter(|row| row.scores.is_some())
        .collect();
    let mut lines = Vec::new();
    for (at, row) in scored.iter().take(3).enumerate() {
        let Some(scores) = &row.scores else { continue };
        if at == 0 {
            lines.push(Curve {
                name: "real".into(),
                class: "s4",
                points: steps(&scores.lengths.edges, &scores.lengths.real),
            });
        }
        lines.push(Curve {
            name: row.label.clone(),
            class: CLASSES[at],
            points: steps(&scores.lengths.edges, &scores.lengths.synthetic),
        });
    }
    let finding =
        "Shares of texts by their number of words, synthetic against real held-out texts.";
    pictures.extend(
        curves(
            "length-chart",
            "Lengths of texts",
            finding,
            "words",
            "share",
            &lines,
        )
        .map(|svg| {
            (
                svg,
                "Lengths in words; the table gives their distance for every row.".to_owned(),
            )
        }),
    );
    if let Some((row, scores)) = scored
        .last()
        .and_then(|row| Some((row, row.scores.as_ref()?)))
    {
        pictures.push((
            bars::labels("label-chart", &row.name, &scores.label_shares),
            format!(
                "Shares of labels, {} against the real training texts.",
                row.name
            ),
        ));
    }
    pictures
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

pub(super) fn matrices(study: &Study) -> Pictures {
    let mut pictures = Vec::new();
    for row in study.all_rows() {
        for found in &row.classifications {
            let id = format!("matrix-{}", pictures.len());
            let accuracy = number(found.figures.accuracy, 3);
            pictures.push((
                heat::draw(&id, &row.name, &found.figures),
                format!("{}, {}: accuracy {accuracy}.", row.name, found.role.words()),
            ));
        }
    }
    pictures
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

pub(super) fn leakage_charts(study: &Study) -> Pictures {
    let mut pictures = Vec::new();
    for row in &study.rows {
        let Some(near) = row
            .scores
            .as_ref()
            .and_then(|scores| scores.neighbours.as_ref())
        else {
            continue;
        };
        let line = |name: &str, class, shares: &[f64]| Curve {
            name: name.into(),
            class,
            points: near
                .grid
                .iter()
                .copied()
                .zip(shares.iter().copied())
                .collect(),
        };
        let share = near.nearer_to_training;
        let finding = format!(
            "{:.1}% of the texts of {} are nearer to a training than to a held-out text (95% interval {:.1}% to {:.1}%); 50% where nothing is remembered.",
            share.value * 100.0,
            row.name,
            share.low * 100.0,
            share.high * 100.0
        );
        let lines = [
            line("training", "s1", &near.training),
            line("held out", "s2", &near.held_out),
        ];
        let id = format!("near-{}", pictures.len());
        pictures.extend(
            curves(
                &id,
                &format!("Distance to the nearest real text, {}", row.name),
                &finding,
                "distance (1 - cosine)",
                "share of texts",
                &lines,
            )
            .map(|svg| (svg, format!("{}: {finding}", row.name))),
        );
    }
    pictures
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

pub(super) fn run_charts(study: &Study) -> Pictures {
    let mut pictures = Vec::new();
    pictures.extend(dag::draw(study).map(|svg| (svg, "Stages from top to bottom; solid outline: all instances finished, dashed: some are missing, thick: some failed.".into())));
    pictures.extend(
        bars::times(&study.instances)
            .map(|svg| (svg, "Time of each worker; hollow bars were cached.".into())),
    );
    pictures
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
