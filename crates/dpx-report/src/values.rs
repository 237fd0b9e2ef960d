//! The figures of `scores.json`, by their names.

use dpx_stages::score::{ConversationScores, Scores};

/// Every figure that the scores hold: name, value, ceiling. Beside the names of [`METRICS`](super::metric::METRICS) there
/// are `share.LABEL`, the share of a label among the synthetic texts, `replayed.KIND` and `facts.TEXTS`.
pub(crate) fn score_figures(scores: &Scores) -> Vec<(String, f64, Option<f64>)> {
    let mut found: Vec<_> = named_figures(scores)
        .into_iter()
        .map(|(name, value, ceiling)| (name.to_owned(), value, ceiling))
        .collect();
    let shares = &scores.label_shares;
    let texts = shares.synthetic.iter().sum::<u64>().max(1) as f64;
    for (label, count) in shares.labels.iter().zip(&shares.synthetic) {
        found.push((format!("share.{label}"), *count as f64 / texts, None));
    }
    for kind in &scores.replay {
        let name = format!("replayed.{}", kind.kind);
        found.push((name, kind.reappeared.value, None));
    }
    for facts in &scores.facts {
        found.push((format!("facts.{}", facts.copies), facts.stated.value, None));
    }
    found
}

fn of_conversations(scores: &ConversationScores) -> Vec<(&'static str, f64, Option<f64>)> {
    let order = scores.order.ceiling;
    let mut found = vec![
        (
            "turns_mean",
            scores.turns.synthetic_mean,
            Some(scores.turns.real_mean),
        ),
        ("turns_distance", scores.turns.wasserstein, None),
        (
            "turn_words_mean",
            scores.turn_words.synthetic_mean,
            Some(scores.turn_words.real_mean),
        ),
        ("turn_words_distance", scores.turn_words.wasserstein, None),
        (
            "alternation",
            scores.order.synthetic.alternates,
            order.map(|real| real.alternates),
        ),
    ];
    for (name, both) in [
        ("role_confusion", &scores.role_confusion),
        ("turn_similarity", &scores.turn_similarity),
        ("turn_mauve", &scores.turn_mauve),
    ] {
        found.extend(both.map(|both| (name, both.synthetic, both.ceiling)));
    }
    found
}

fn named_figures(scores: &Scores) -> Vec<(&'static str, f64, Option<f64>)> {
    let mut found = Vec::new();
    if let Some(both) = &scores.similarity {
        let ceiling = both.ceiling.as_ref();
        found.push((
            "similarity",
            both.synthetic.forward,
            ceiling.map(|ceiling| ceiling.forward),
        ));
        found.push((
            "similarity_backward",
            both.synthetic.backward,
            ceiling.map(|ceiling| ceiling.backward),
        ));
    }
    if let Some(both) = &scores.mauve {
        let ceiling = both.ceiling.as_ref();
        found.push((
            "mauve",
            both.synthetic.mauve,
            ceiling.map(|ceiling| ceiling.mauve),
        ));
        found.push((
            "mauve_star",
            both.synthetic.mauve_star,
            ceiling.map(|ceiling| ceiling.mauve_star),
        ));
    }
    if let Some(both) = &scores.discriminator_auc {
        found.push(("discriminator_auc", both.synthetic, both.ceiling));
    }
    if let Some(both) = &scores.support {
        let ceiling = both.ceiling;
        found.push((
            "knn_precision",
            both.synthetic.precision,
            ceiling.map(|ceiling| ceiling.precision),
        ));
        found.push((
            "knn_recall",
            both.synthetic.recall,
            ceiling.map(|ceiling| ceiling.recall),
        ));
    }
    let (own, real) = (scores.diversity.synthetic, scores.diversity.ceiling);
    found.push((
        "distinct_1",
        own.distinct_1,
        real.map(|real| real.distinct_1),
    ));
    found.push((
        "distinct_2",
        own.distinct_2,
        real.map(|real| real.distinct_2),
    ));
    found.push((
        "distinct_3",
        own.distinct_3,
        real.map(|real| real.distinct_3),
    ));
    found.push(("self_bleu", own.self_bleu, real.map(|real| real.self_bleu)));
    found.push(("length_distance", scores.lengths.wasserstein, None));
    found.push(("label_distance", scores.label_shares.total_variation, None));
    if let Some(perplexity) = &scores.perplexity {
        if let Some(value) = perplexity.held_out_under_model {
            found.push(("perplexity_held_out", value.perplexity, None));
        }
        if let Some(value) = perplexity.synthetic_under_base {
            found.push((
                "perplexity_synthetic",
                value.perplexity,
                perplexity.held_out_under_base.map(|real| real.perplexity),
            ));
        }
    }
    if let Some(both) = &scores.student {
        found.push((
            "perplexity_student",
            both.synthetic.perplexity,
            both.ceiling.map(|real| real.perplexity),
        ));
    }
    if let Some(conversations) = &scores.conversations {
        found.extend(of_conversations(conversations));
    }
    if let Some(copies) = &scores.copies {
        found.push((
            "copies_exact",
            copies.training_equal.exact.value,
            copies.natural_equal.map(|natural| natural.exact.value),
        ));
        found.push((
            "copies_exact_all",
            copies.training.exact.value,
            Some(copies.natural.exact.value),
        ));
        found.push(("copies_exact_held_out", copies.held_out.exact.value, None));
        found.push(("copies_near", copies.training_equal.eight_words.value, None));
        found.push((
            "copies_near_held_out",
            copies.held_out.eight_words.value,
            None,
        ));
    }
    if let Some(neighbours) = &scores.neighbours {
        found.push((
            "nearer_to_training",
            neighbours.nearer_to_training.value,
            Some(0.5),
        ));
    }
    if !scores.replay.is_empty() {
        let known: u64 = scores.replay.iter().map(|kind| kind.known).sum();
        let found_again: u64 = scores.replay.iter().map(|kind| kind.reappeared.count).sum();
        found.push(("replayed", found_again as f64 / known.max(1) as f64, None));
    }
    if !scores.facts.is_empty() {
        let all: u64 = scores.facts.iter().map(|facts| facts.stated.total).sum();
        let stated: u64 = scores.facts.iter().map(|facts| facts.stated.count).sum();
        found.push(("facts", stated as f64 / all.max(1) as f64, None));
    }
    found
}
