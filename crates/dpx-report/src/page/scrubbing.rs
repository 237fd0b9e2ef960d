//! What scrubbing replaced, and how much of what was known to be there.

use crate::study::Study;
use crate::table::{Column, NOTHING, Table, number};
use dpx_schema::grouped;
use dpx_stages::scrub::KindScore;

/// What was missed comes first: whoever reads one sentence reads that.
pub(crate) fn scrubbing_sentence(study: &Study) -> String {
    let texts: Vec<String> = study
        .scrubbing
        .iter()
        .map(|(name, tally)| {
            let mut missed: Vec<(&String, &KindScore)> = tally
                .planted
                .iter()
                .filter(|(_, score)| score.removed < score.planted)
                .collect();
            missed.sort_by(|a, b| recall(a.1).total_cmp(&recall(b.1)));
            let missed: Vec<String> = missed
                .into_iter()
                .map(|(kind, score)| {
                    format!(
                        "{} of {} planted {kind} are left (recall {})",
                        grouped(score.planted - score.removed),
                        grouped(score.planted),
                        number(recall(score), 3)
                    )
                })
                .collect();
            let missed = match (missed.is_empty(), tally.planted.is_empty()) {
                (false, _) => format!("{}. ", missed.join(", ")),
                (true, false) => "nothing of what was planted is left. ".to_owned(),
                (true, true) => "how much was missed is not known. ".to_owned(),
            };
            let spans: u64 = tally.counts.values().sum();
            format!(
                "{name}: {missed}{} pieces were replaced in {} texts",
                grouped(spans),
                grouped(tally.texts)
            )
        })
        .collect();
    format!("{}.", texts.join("; "))
}

fn recall(score: &KindScore) -> f64 {
    score.recall().unwrap_or(1.0)
}

pub(crate) fn scrubbing(study: &Study) -> Table {
    let names = [
        "instance",
        "kind",
        "replaced",
        "planted",
        "recall",
        "precision",
    ];
    let share =
        |share: Option<f64>| share.map_or_else(|| NOTHING.to_owned(), |share| number(share, 3));
    let mut rows = Vec::new();
    for (instance, tally) in &study.scrubbing {
        let mut kinds: Vec<&String> = tally.counts.keys().chain(tally.planted.keys()).collect();
        kinds.sort();
        kinds.dedup();
        // Missed kinds first; those of which nothing is known last.
        let known = |kind: &str| tally.planted.get(kind).and_then(KindScore::recall);
        kinds.sort_by(|a, b| known(a).unwrap_or(2.0).total_cmp(&known(b).unwrap_or(2.0)));
        for kind in kinds {
            let score = tally.planted.get(kind);
            rows.push(vec![
                instance.to_string(),
                kind.clone(),
                tally.counts.get(kind).copied().unwrap_or(0).to_string(),
                score.map_or_else(|| NOTHING.to_owned(), |score| score.planted.to_string()),
                share(score.and_then(KindScore::recall)),
                share(score.and_then(KindScore::precision)),
            ]);
        }
    }
    Table {
        caption: "Personal data replaced by scrubbing, all splits. Where pieces were planted (builtin:emotions): recall is the share of them of which nothing is left; precision the share of replaced pieces that touch a planted one of their kind, a lower bound, since texts also hold what nobody planted. Internal".into(),
        columns: names
            .map(|heading| Column::text(heading).internal())
            .to_vec(),
        rows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpx_schema::ReleaseLabel;

    #[test]
    fn recall_and_precision_stand_by_kind() {
        let texts: Vec<String> = (0..9).map(|row| format!("text number {row}")).collect();
        let labels = ["anger", "joy", "love"];
        let mut study = crate::tests::fake(&labels, &texts, ReleaseLabel::Dp).study();
        assert!(scrubbing(&study).rows.is_empty());
        let tally = serde_json::json!({
            "counts": {"EMAIL": 4, "URL": 1},
            "texts": 3,
            "planted": {
                "EMAIL": {"planted": 5, "removed": 3, "replaced": 4, "correct": 2},
                "PERSON": {"planted": 8, "removed": 0, "replaced": 0, "correct": 0},
            },
        });
        study
            .scrubbing
            .insert("preprocess".into(), serde_json::from_value(tally).unwrap());
        assert_eq!(
            scrubbing_sentence(&study),
            "preprocess: 8 of 8 planted PERSON are left (recall 0.000), 2 of 5 planted EMAIL are left (recall 0.600). 5 pieces were replaced in 3 texts."
        );
        assert_eq!(
            scrubbing(&study).rows,
            [
                ["preprocess", "PERSON", "0", "8", "0.000", NOTHING],
                ["preprocess", "EMAIL", "4", "5", "0.600", "0.500"],
                ["preprocess", "URL", "1", NOTHING, NOTHING, NOTHING],
            ]
        );
        let page = crate::html::render(&study, &crate::html::Extras::default()).unwrap();
        assert!(
            page.contains(">Scrubbing<") && page.contains(">0.600<"),
            "{page}"
        );
    }
}
