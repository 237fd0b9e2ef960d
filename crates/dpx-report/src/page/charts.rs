//! The charts of the page, each with its caption.

use crate::chart::curves::{Curve, draw as curves};
use crate::chart::tradeoff::{Panel, draw as panel};
use crate::chart::{bars, dag, dots, heat, lengths};
use crate::metric::Group;
use crate::study::{GuaranteeKind, Reference, Row, Study};
use crate::table::{ceiling, spread, spread_or_interval};
use dpx_schema::Kind;

const CLASSES: [&str; 4] = ["s1", "s2", "s3", "s4"];

type Charts = Vec<(String, String)>;

/// The two panels over epsilon.
pub(crate) fn tradeoff(study: &Study) -> Charts {
    let reference = study.reference.as_ref();
    let published = reference.map_or_else(Vec::new, |reference: &Reference| {
        let accuracy = reference.accuracy.iter();
        accuracy
            .map(|(name, value)| (name.clone(), *value))
            .collect()
    });
    let mut lines = Vec::new();
    if let Some((_, benchmark)) = study.benchmark.as_ref().and_then(Row::main_accuracy) {
        lines.push(("benchmark".to_owned(), benchmark.mean));
    }
    if let Some(majority) = &study.majority {
        lines.push(("majority".to_owned(), majority.accuracy));
    }
    let series: Vec<_> = [
        ("accuracy", "prompted labels", "s1"),
        ("accuracy_with_teacher", "with teacher", "s2"),
        ("accuracy_teacher_alone", "teacher alone", "s3"),
    ]
    .into_iter()
    .filter(|(id, _, _)| study.rows.iter().any(|row| row.figures.contains_key(*id)))
    .collect();
    let mut charts = Vec::new();
    let real = study.real();
    if !series.is_empty() {
        let title = format!("Accuracy on {real} test texts over epsilon");
        let utility = Panel {
            id: "utility-chart",
            series,
            lines,
            published,
            title: &title,
        };
        charts.extend(panel(study, &utility).map(|svg| {
            let caption = format!(
                "Utility: accuracy on the {real} test texts of a classifier trained on synthetic texts."
            );
            (svg, caption)
        }));
    }
    let (id, name) = if study
        .rows
        .iter()
        .any(|row| row.figures.contains_key("mauve"))
    {
        ("mauve", "MAUVE")
    } else {
        ("similarity", "similarity")
    };
    let title = format!("{name} over epsilon");
    let fidelity = Panel {
        id: "fidelity-over-epsilon",
        series: vec![(id, name, "s1")],
        lines: ceiling(study, id)
            .map(|ceiling| (format!("{real} texts"), ceiling))
            .into_iter()
            .collect(),
        // Measured with another encoder, published similarities have no place on this axis.
        published: Vec::new(),
        title: &title,
    };
    let encoder = study.encoder().unwrap_or("an encoder");
    charts.extend(panel(study, &fidelity).map(|svg| {
        let words = format!("Fidelity: {name} of the synthetic texts and {real} held-out texts, embedded by {encoder}. The line is the mean of the rows' ceilings.");
        (svg, words)
    }));
    charts
}

/// Epsilon over steps, as the Renyi accountant of the step logs or the accountants' end points tell it.
pub(crate) fn epsilon_charts(study: &Study) -> Charts {
    use dpx_accounting::{DpEvent, RdpOverSteps};
    let mut lines = Vec::new();
    for (at, row) in study
        .rows
        .iter()
        .filter(|row| {
            matches!(
                row.guarantee.kind,
                GuaranteeKind::Dp | GuaranteeKind::Seeded
            )
        })
        .enumerate()
    {
        let Some(train) = row
            .guarantee
            .mechanisms
            .iter()
            .find(|mechanism| mechanism.kind == Kind::Train)
        else {
            continue;
        };
        let (Some(noise_multiplier), Some(sampling_rate), Some(steps)) =
            (train.noise_multiplier, train.sampling_rate, train.steps)
        else {
            continue;
        };
        let step = DpEvent::poisson_sampled_gaussian(sampling_rate, noise_multiplier, 1).ok();
        let Some(spent) = step.and_then(|step| RdpOverSteps::new(&step, train.delta.value()).ok())
        else {
            continue;
        };
        let points = (0..=24)
            .map(|part| (steps * part).div_ceil(24))
            .map(|steps| (steps as f64, spent.epsilon(steps).value()))
            .filter(|(_, epsilon)| epsilon.is_finite())
            .collect();
        lines.push(Curve {
            name: row.label.clone(),
            class: CLASSES[at % 4],
            points,
        });
    }
    let finding = "Epsilon of each row by the Renyi accountant over the steps of training; it rises fast at first and then ever more slowly.";
    curves("epsilon-chart", "Epsilon over steps", finding, "steps", "epsilon (RDP)", &lines)
        .map(|svg| vec![(svg, "Epsilon of the generator's training alone, by the RDP accountant: an upper bound that grows with every step. The certified end points, other mechanisms of a row included, stand in the table above.".into())])
        .unwrap_or_default()
}

pub(crate) fn fidelity_charts(study: &Study) -> Charts {
    let mut charts = Vec::new();
    charts.extend(dots::draw(study, Group::Fidelity).map(|svg| {
        (
            svg,
            study.said("Figures between 0 and 1, means with one standard deviation where there are replicates. The upright tick is the ceiling: the same figure of as many other real texts, mean of the rows.").into_owned(),
        )
    }));
    let scored: Vec<&Row> = study
        .rows
        .iter()
        .filter(|row| row.scores.is_some())
        .collect();
    charts.extend(lengths::draw(study).map(|svg| {
        let which = first_of(&scored);
        (
            svg,
            format!("Lengths in words{which}: the bar holds the middle half of the texts, the line nine in ten, the tick is the median. The table gives the distance of every row."),
        )
    }));
    charts.extend(dots::labels(study).map(|(svg, left_out)| {
        let others = match left_out {
            0 => String::new(),
            count => format!(
                " The {} that differ most; {count} others are not drawn.",
                dots::MOST_LABELS
            ),
        };
        (
            svg,
            format!(
                "Shares of labels; the upright tick is that of the {} training texts.{others}",
                study.real()
            ),
        )
    }));
    charts
}

/// Which replicate a curve is of, where there are several.
fn first_of(rows: &[&Row]) -> String {
    let most = rows.iter().map(|row| row.replicates_finished).max();
    match most {
        Some(most) if most > 1 => format!(" of the first of {most} replicates"),
        _ => String::new(),
    }
}

/// Confusion matrices of the page.
pub(crate) struct Matrices {
    /// Those of the benchmark and of each row's classification shown first.
    pub(crate) shown: Charts,
    /// Those of the other classifiers.
    pub(crate) others: Charts,
    /// How many there is no room for.
    pub(crate) left_out: usize,
}

/// Matrices on the page, of either sort.
const MOST_MATRICES: usize = 12;

/// Labels beyond which no matrix can be read.
pub(crate) const MOST_IN_MATRIX: usize = 40;

/// The confusion matrices, the benchmark's first.
pub(crate) fn matrices(study: &Study) -> Matrices {
    let mut found = Matrices {
        shown: Charts::new(),
        others: Charts::new(),
        left_out: 0,
    };
    if study.labels.len() > MOST_IN_MATRIX {
        return found;
    }
    for row in study.all_rows() {
        let main = row.main_classification();
        for one in &row.classifications {
            let is_main = main.is_some_and(|main| std::ptr::eq(main, one));
            let into = if is_main { &found.shown } else { &found.others };
            if into.len() == MOST_MATRICES {
                found.left_out += 1;
                continue;
            }
            let id = format!("matrix-{}", found.shown.len() + found.others.len());
            let name = format!("accuracy{}", one.role.suffix());
            let accuracy = if row.figures.contains_key(&name) {
                format!(": accuracy {}", spread_or_interval(row, &name))
            } else {
                String::new()
            };
            let added = if row.replicates_finished > 1 {
                format!(
                    "; the predictions of {} replicates together",
                    row.replicates_finished
                )
            } else {
                String::new()
            };
            let picture = (
                heat::draw(&id, &row.name, &one.figures),
                format!(
                    "{}, {}{accuracy}{added}.",
                    row.name,
                    study.said(one.role.words())
                ),
            );
            if is_main {
                found.shown.push(picture);
            } else {
                found.others.push(picture);
            }
        }
    }
    found
}

pub(crate) fn leakage_charts(study: &Study) -> Charts {
    let mut charts = Vec::new();
    let real = study.real();
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
        let found = match row.figures.get("nearer_to_training") {
            Some(found) if found.sd.is_some() => {
                format!("{} (share, mean ± standard deviation)", spread(*found, 3))
            }
            _ => format!(
                "{:.1}% (95% interval over the {real} texts {:.1}% to {:.1}%)",
                share.value * 100.0,
                share.low * 100.0,
                share.high * 100.0
            ),
        };
        let expected = share.null.map_or_else(
            || "one half is expected where nothing is remembered".to_owned(),
            |null| {
                format!(
                    "where nothing is remembered, {:.1}% to {:.1}% are expected: 95% of random divisions of the {real} texts (p = {:.3})",
                    null.low * 100.0,
                    null.high * 100.0,
                    null.p_value
                )
            },
        );
        let finding = format!(
            "{found} of its texts are nearer to a training than to a held-out text; {expected}."
        );
        let lines = [
            line("training", "s1", &near.training),
            line("held out", "s2", &near.held_out),
        ];
        let id = format!("near-{}", charts.len());
        charts.extend(
            curves(
                &id,
                &format!("Distance to the nearest {real} text, {}", row.name),
                &finding,
                "distance (1 - cosine)",
                "share of texts",
                &lines,
            )
            .map(|svg| {
                let which = first_of(&[row]);
                let curves = if which.is_empty() {
                    String::new()
                } else {
                    format!(" Curves{which}.")
                };
                (svg, format!("{}: {finding}{curves}", row.name))
            }),
        );
    }
    charts
}

pub(crate) fn run_charts(study: &Study) -> Charts {
    let mut charts = Vec::new();
    charts.extend(dag::draw(study).map(|svg| (svg, "Stages from top to bottom; transitive dependencies omitted. Solid outline: all instances finished, dashed: some are missing, thick: some failed.".into())));
    charts.extend(
        bars::times(&study.instances)
            .map(|svg| (svg, "Time of each stage's workers together, and of one of them as mean ± standard deviation; hollow bars were cached.".into())),
    );
    charts
}
