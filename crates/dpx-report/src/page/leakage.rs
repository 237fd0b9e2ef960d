//! What reappears of the training texts, in tables and in a sentence.

use crate::study::{Row, Study};
use crate::table::{Column, NOTHING, Table, number};
use dpx_stages::metric::Share;

pub(crate) fn leakage_sentence(study: &Study) -> String {
    let scored: Vec<&Row> = study
        .rows
        .iter()
        .filter(|row| row.figures.contains_key("copies_exact_all"))
        .collect();
    let copies = |row: &Row| row.figures["copies_exact_all"].mean;
    let Some(worst) = scored.iter().max_by(|a, b| copies(a).total_cmp(&copies(b))) else {
        return "Copies were not counted.".into();
    };
    let percent = |row: &Row, id: &str| {
        row.figures.get(id).map_or_else(
            || NOTHING.into(),
            |found| format!("{}%", number(found.mean * 100.0, 1)),
        )
    };
    if copies(worst) == 0.0 {
        let near = scored.iter().map(|row| row.figures.get("copies_near"));
        let near = near.flatten().map(|found| found.mean).fold(0.0, f64::max);
        return format!(
            "No row holds a text that is a training text word for word; at most {}% of a row's texts share eight words in a row with one.",
            number(near * 100.0, 1)
        );
    }
    format!(
        "The row with the most copies is {}: {} of its texts are training texts word for word. Against a training sample as large as the held-out set, {} of its texts match a training text and {} a held-out text, which it cannot have copied.",
        worst.name,
        percent(worst, "copies_exact_all"),
        percent(worst, "copies_exact"),
        percent(worst, "copies_exact_held_out"),
    )
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
pub(super) fn repeated_share(row: &Row, id: &str, first: Share) -> String {
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

pub(crate) fn copies(study: &Study) -> Table {
    let names = [
        "row",
        "exact, training (equal size)",
        "exact, held out",
        "exact, any training text",
        "8 words, training (equal size)",
        "8 words, held out",
        "held-out texts in training, 8 words",
    ];
    let rows = study.rows.iter().filter_map(|row| {
        let copies = row.scores.as_ref()?.copies?;
        let cell = |id, first| repeated_share(row, id, first);
        Some(vec![
            row.name.clone(),
            cell("copies_exact", copies.training_equal.exact),
            cell("copies_exact_held_out", copies.held_out.exact),
            cell("copies_exact_all", copies.training.exact),
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
