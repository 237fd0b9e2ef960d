//! The sentences: key result, joint cost, warnings.

use super::study::{GuaranteeKind, Row, Study};
use super::table::{bound, number, spread, spread_or_interval};
use super::verdict::verdict;
use dpx_accounting::EpsilonBound;
use dpx_schema::Unit;

/// The row that the claim speaks of: the smallest epsilon with a guarantee and a figure.
pub(super) fn strongest(study: &Study) -> Option<&Row> {
    study
        .rows
        .iter()
        .filter(|row| row.guarantee.kind == GuaranteeKind::Dp && row.main_accuracy().is_some())
        .min_by(|a, b| {
            let epsilon = |row: &Row| {
                let epsilon = row.guarantee.epsilon.map(EpsilonBound::value);
                epsilon.unwrap_or(f64::INFINITY)
            };
            epsilon(a).total_cmp(&epsilon(b))
        })
}

/// The study in one sentence or two.
pub(crate) fn claim(study: &Study) -> String {
    let real = study.real();
    let floor = study.majority.as_ref().map(|majority| majority.accuracy);
    let benchmark = study.benchmark.as_ref().and_then(Row::main_accuracy);
    let compared = match (benchmark, floor) {
        (Some((_, benchmark)), Some(floor)) => format!(
            ", where training on the {real} texts gives {} and guessing the majority label {}",
            spread(benchmark, 3),
            number(floor, 3)
        ),
        (Some((_, benchmark)), None) => {
            format!(
                ", where training on the {real} texts gives {}",
                spread(benchmark, 3)
            )
        }
        (None, Some(floor)) => {
            format!(
                ", where guessing the majority label gives {}",
                number(floor, 3)
            )
        }
        (None, None) => String::new(),
    };
    if let Some(row) = strongest(study) {
        let (id, _) = row
            .main_accuracy()
            .expect("the row was chosen for having one");
        let guarantee = &row.guarantee;
        let mechanism = guarantee.mechanisms.first();
        let unit = mechanism.map_or_else(
            || Unit::Example.meaning().to_owned(),
            |mechanism| mechanism.record.unit_meaning(),
        );
        let adjacency = mechanism
            .map(|mechanism| format!(" (adjacency: {})", mechanism.adjacency))
            .unwrap_or_default();
        let delta = guarantee
            .delta
            .map(|delta| format!(", delta {delta}"))
            .unwrap_or_default();
        let teacher = match id {
            "accuracy_with_teacher" => " (labels by a private teacher)",
            "accuracy_teacher_alone" => " (the private teacher alone)",
            _ => "",
        };
        let audit = row.audit.as_ref().map(|audit| {
            format!(
                " An audit of that row found epsilon to be at least {}.",
                number(audit.lower, 2)
            )
        });
        return format!(
            "At epsilon {}{delta}{adjacency}, a classifier trained on the synthetic texts of row {} reaches accuracy {}{teacher} on {real} test texts{}{compared}.{} The unit of privacy is {unit}.",
            guarantee.epsilon.map_or_else(|| "unknown".into(), bound),
            row.name,
            spread_or_interval(row, id),
            also(row, id),
            audit.unwrap_or_default()
        );
    }
    match study
        .rows
        .iter()
        .find_map(|row| Some((row, row.main_accuracy()?)))
    {
        Some((row, (id, _))) if nothing_private(study) => format!(
            "No finished row was trained on private data. A classifier trained on the synthetic texts of row {}, the base model's, reaches accuracy {} on {real} test texts{compared}.",
            row.name,
            spread_or_interval(row, id)
        ),
        Some((row, (id, _))) => format!(
            "No finished row has a privacy guarantee. A classifier trained on the synthetic texts of row {} reaches accuracy {} on {real} test texts{compared}.",
            row.name,
            spread_or_interval(row, id)
        ),
        None if study.finished == study.planned && !study.rows.is_empty() => {
            without_classifier(study)
        }
        None => match benchmark {
            Some((_, benchmark)) => format!(
                "No synthetic texts have been tested yet: {} of {} stages finished. Training on the {real} texts gives accuracy {}.",
                study.finished,
                study.planned,
                spread(benchmark, 3)
            ),
            None => format!(
                "No results yet: {} of {} stages finished.",
                study.finished, study.planned
            ),
        },
    }
}

/// Whether no row that ran was made from private data.
fn nothing_private(study: &Study) -> bool {
    let kinds = || study.rows.iter().map(|row| row.guarantee.kind);
    kinds().any(|kind| kind == GuaranteeKind::Untouched)
        && kinds().all(|kind| matches!(kind, GuaranteeKind::Untouched | GuaranteeKind::Unknown))
}

/// What a study tells that trains no classifier, as texts without labels have none.
fn without_classifier(study: &Study) -> String {
    let figures = [
        (
            "perplexity_student",
            study.said("perplexity of a model trained on its texts, on real ones"),
        ),
        ("mauve", "MAUVE".into()),
    ];
    let of_row = |row: &Row| {
        let told = figures.iter().filter_map(|(id, words)| {
            let found = row.figures.get(*id)?;
            let ceiling = row.ceilings.get(*id);
            let ceiling = ceiling
                .map(|ceiling| format!(" ({} texts: {})", study.real(), number(*ceiling, 3)));
            Some(format!(
                "{words} {}{}",
                number(found.mean, 3),
                ceiling.unwrap_or_default()
            ))
        });
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| format!("row {}: {}", row.name, told.join(", ")))
    };
    let rows: Vec<String> = study.rows.iter().filter_map(of_row).collect();
    if study.rows.iter().all(|row| row.samples.is_empty()) {
        return "All stages finished. No texts were written, so that there is nothing to judge."
            .to_owned();
    }
    if rows.is_empty() {
        return "All stages finished. No classifier and no score was asked for, so that nothing is said of what the texts are worth.".to_owned();
    }
    format!(
        "All stages finished. Without a classifier, fidelity tells what the texts are worth. {}.",
        rows.join("; ")
    )
}

/// Whether the texts of the row that the claim speaks of are fit for use.
pub(crate) fn fitness(study: &Study) -> Option<String> {
    let row =
        strongest(study).or_else(|| study.rows.iter().find(|row| row.main_accuracy().is_some()))?;
    Some(verdict(study, row)?.sentence)
}

/// What the private teacher adds to the prompted labels, where the row has both.
fn also(row: &Row, shown: &str) -> String {
    let id = "accuracy_with_teacher";
    match row.figures.get(id) {
        Some(taught) if shown != id => {
            format!(
                " ({} with labels by the private teacher)",
                spread(*taught, 3)
            )
        }
        _ => String::new(),
    }
}

/// What stands above everything that a rehearsal shows.
const REHEARSAL_NOTE: &str = "Rehearsal: public stand-in texts took the place of the private data. What is called private data or a guarantee below is that of the stand-in; nothing here was measured on your data, and nothing of it is to be released.";

/// Below this number of texts a side MAUVE is told of as uncertain.
const FEW_TEXTS: u64 = 500;

/// Whether MAUVE compared few texts, and what follows.
pub(crate) fn few_texts(study: &Study) -> Option<String> {
    let scores = study.rows.iter().filter_map(|row| row.scores.as_ref());
    let fewest = scores
        .filter(|scores| scores.mauve.is_some())
        .map(|scores| {
            let n = &scores.n;
            n.embedded.min(n.synthetic).min(n.held_out)
        })
        .min()?;
    (fewest < FEW_TEXTS).then(|| {
        format!(
            "MAUVE compared {fewest} texts a side: with fewer than {FEW_TEXTS} it is biased upwards and varies by chance (its authors take thousands); compare it only with its ceiling and with rows of as many texts"
        )
    })
}

/// What to beware of, most serious first; only what is true.
pub(crate) fn warnings(study: &Study) -> Vec<String> {
    let mut warnings = Vec::new();
    if study.rehearsal {
        warnings.push(REHEARSAL_NOTE.to_owned());
    }
    for row in &study.rows {
        if let (Some(audit), Some(epsilon)) = (&row.audit, row.guarantee.epsilon)
            && row.guarantee.kind == GuaranteeKind::Dp
            && audit.lower > epsilon.value()
        {
            warnings.push(format!(
                "Stop: the audit of {} found epsilon to be at least {}, above the certified {}. One of the two is wrong; release nothing and report it.",
                row.name,
                number(audit.lower, 3),
                bound(epsilon)
            ));
        }
    }
    if !study.is_finished() {
        warnings.push(format!(
            "Incomplete run; partial report: {} of {} stages finished.",
            study.finished, study.planned
        ));
    }
    for name in &study.declared_overlap {
        warnings.push(format!(
            "Declared overlap: the public input {name} holds texts of the private data; no epsilon covers them."
        ));
    }
    let seeded: Vec<&str> = study
        .rows
        .iter()
        .filter(|row| row.guarantee.kind == GuaranteeKind::Seeded)
        .map(|row| row.name.as_str())
        .collect();
    if !seeded.is_empty() {
        warnings.push(format!(
            "Seeded noise in {}: anyone with the seed can subtract it, so there is no guarantee and these texts can never be released.",
            seeded.join(", ")
        ));
    }
    for row in study.all_rows() {
        if row.replicates > 1
            && row.replicates_finished > 0
            && row.replicates_finished < row.replicates
        {
            warnings.push(format!(
                "{} has {} of {} replicates: its standard deviation is less certain than that of the other rows.",
                row.name, row.replicates_finished, row.replicates
            ));
        }
    }
    warnings
}

/// Which models the fidelity metrics were measured with: they do not compare across encoders.
pub(crate) fn measured_with(study: &Study) -> Option<String> {
    let scores = study.rows.iter().find_map(|row| row.scores.as_ref())?;
    let mut sentences = Vec::new();
    if scores.similarity.is_some() {
        let kind = match scores.encoder.as_str() {
            "builtin:base" => ", a small causal language model",
            "builtin:encoder" => " (potion-base-8M, a static sentence encoder)",
            _ => "",
        };
        sentences.push(format!(
            "Similarity, MAUVE and nearest neighbors are measured with the encoder {}{kind}; do not compare them with metrics of another encoder, such as BERT.",
            scores.encoder
        ));
    }
    if scores.mauve.is_some() {
        sentences.push(format!(
            "MAUVE compares up to {} texts a side.",
            scores.n.embedded
        ));
    }
    if let Some(base) = &scores.base {
        sentences.push(format!(
            "The perplexity of synthetic texts is taken under {base}, the model that training started from."
        ));
    }
    (!sentences.is_empty()).then(|| sentences.join(" "))
}

/// What releasing rows together costs, in a sentence.
pub(crate) fn joint(study: &Study) -> Option<String> {
    let joint = study.joint.as_ref()?;
    Some(format!(
        "Releasing the texts of every row with a guarantee ({}), replicates included, costs ({}, {})-DP in total ({}). Rows that read private data without a guarantee can never be released.",
        joint.rows.join("; "),
        bound(joint.epsilon),
        joint.delta,
        joint.method
    ))
}
