//! Every metric that a row may have: its name, direction, range, meaning and traps. Tables, pages, files and comparisons all
//! read this one list.

/// Which way a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub enum Direction {
    Higher,
    Lower,
    /// Nearer to the ceiling is better, from either side.
    Ceiling,
}

impl Direction {
    /// An arrow, with a letter where arrows cannot be shown.
    pub const fn arrow(self) -> &'static str {
        match self {
            Self::Higher => "↑",
            Self::Lower => "↓",
            Self::Ceiling => "→",
        }
    }

    /// In words: `higher is better`.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Higher => "higher is better",
            Self::Lower => "lower is better",
            Self::Ceiling => "closer to the ceiling is better",
        }
    }
}

/// The part of a study that a metric belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// How useful the texts are.
    Utility,
    /// How like the real texts they are.
    Fidelity,
    /// What reappears of the training texts.
    Leakage,
    /// What is promised or measured of privacy.
    Privacy,
}

/// What a metric is, and how it is shown.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Metric {
    /// Its name in `results.json`, `results.csv` and `dpx compare`.
    pub id: &'static str,
    /// Its name in tables and on the page.
    pub name: &'static str,
    pub group: Group,
    pub direction: Direction,
    /// Decimals of its mean and deviation.
    pub decimals: usize,
    /// What it is, its range, its source, its traps.
    pub meaning: &'static str,
}

const fn metric(
    id: &'static str,
    name: &'static str,
    group: Group,
    direction: Direction,
    meaning: &'static str,
) -> Metric {
    Metric {
        id,
        name,
        group,
        direction,
        decimals: 3,
        meaning,
    }
}

use Direction::{Ceiling, Higher, Lower};
use Group::{Fidelity, Leakage, Privacy, Utility};

/// Metrics that only some studies have: files name them where a row has one.
pub(crate) const OF_SOME_STUDIES: [&str; 9] = [
    "perplexity_student",
    "turns_mean",
    "turns_distance",
    "turn_words_mean",
    "turn_words_distance",
    "alternation",
    "role_confusion",
    "turn_similarity",
    "turn_mauve",
];

/// All metrics, in the order in which they are shown.
pub(crate) const METRICS: &[Metric] = &[
    metric(
        "accuracy",
        "accuracy",
        Utility,
        Higher,
        "Share of the real test texts that a classifier trained on the synthetic texts labels correctly, with the labels that the generator itself was asked for. 0 to 1; the floor is the majority label's share.",
    ),
    metric(
        "macro_f1",
        "macro-F1",
        Utility,
        Higher,
        "Mean over the labels of F1, the harmonic mean of precision and recall, for the same classifier. 0 to 1. Every label counts the same, however rare.",
    ),
    metric(
        "accuracy_with_teacher",
        "accuracy with teacher",
        Utility,
        Higher,
        "The same accuracy where a differentially private teacher relabeled the synthetic texts (by a label, or by the probability of each) or filtered them before the classifier learned from them. It says how much of the teacher comes across, more than how good the texts are.",
    ),
    metric(
        "macro_f1_with_teacher",
        "macro-F1 with teacher",
        Utility,
        Higher,
        "Macro-F1 of the classifier that learned from the texts that the teacher relabeled or filtered.",
    ),
    metric(
        "accuracy_teacher_alone",
        "accuracy of the teacher alone",
        Utility,
        Higher,
        "Accuracy of the differentially private teacher itself, without any synthetic text: the most that its labels can give. It says nothing of the texts.",
    ),
    metric(
        "macro_f1_teacher_alone",
        "macro-F1 of the teacher alone",
        Utility,
        Higher,
        "Macro-F1 of the differentially private teacher itself.",
    ),
    metric(
        "similarity",
        "similarity",
        Fidelity,
        Ceiling,
        "Mean over the synthetic texts of their mean cosine to the real held-out texts of the same label, on centered embeddings. -1 to 1. It is defined on sets, never on pairs, and means something only beside its ceiling and for one encoder; a generator that writes one typical sentence over and over exceeds the ceiling.",
    ),
    metric(
        "similarity_backward",
        "similarity, real to synthetic",
        Fidelity,
        Ceiling,
        "The reverse direction: mean over the real texts of their mean cosine to the synthetic texts of the same label.",
    ),
    metric(
        "mauve",
        "MAUVE",
        Fidelity,
        Higher,
        "Area under the divergence frontier of the two sets of embeddings after quantization (Pillutla et al. 2021). 0 to 1. Compares only between equal encoder, number of texts and number of clusters.",
    ),
    metric(
        "mauve_star",
        "MAUVE*",
        Fidelity,
        Higher,
        "MAUVE with half a count added to every cluster (Pillutla et al. 2023), which lowers the bias of small samples. 0 to 1; the same conditions.",
    ),
    metric(
        "discriminator_auc",
        "discriminator AUC",
        Fidelity,
        Lower,
        "How well a linear classifier on embeddings tells synthetic from real texts (Lopez-Paz and Oquab 2017): area under the ROC curve. 0.5 it cannot, 1 it always can.",
    ),
    metric(
        "knn_precision",
        "kNN precision",
        Fidelity,
        Ceiling,
        "Share of the synthetic texts within reach of the real ones: each real text reaches to its third nearest real text (Kynkäänniemi et al. 2019). 0 to 1. It tells odd texts from plausible ones, no more: a model that writes a few typical sentences over and over exceeds the ceiling, so it ranks no rows without recall beside it.",
    ),
    metric(
        "knn_recall",
        "kNN recall",
        Fidelity,
        Higher,
        "Share of the real texts within reach of the synthetic ones, the same way round. 0 to 1: is everything covered.",
    ),
    metric(
        "distinct_1",
        "distinct-1",
        Fidelity,
        Ceiling,
        "Different words over all words (Li et al. 2016). 0 to 1; falls as texts are added, so both sides have the same number.",
    ),
    metric(
        "distinct_2",
        "distinct-2",
        Fidelity,
        Ceiling,
        "Different word pairs over all word pairs (Li et al. 2016).",
    ),
    metric(
        "distinct_3",
        "distinct-3",
        Fidelity,
        Ceiling,
        "Different word triples over all word triples (Li et al. 2016).",
    ),
    metric(
        "self_bleu",
        "self-BLEU",
        Fidelity,
        Ceiling,
        "Mean BLEU-4 of each text with all others as references (Zhu et al. 2018). 0 to 1; high means that texts repeat each other.",
    ),
    metric(
        "length_distance",
        "length distance",
        Fidelity,
        Lower,
        "Wasserstein-1 distance between the lengths of synthetic and real texts, in words.",
    ),
    metric(
        "label_distance",
        "label distance",
        Fidelity,
        Lower,
        "Total variation distance between the labels of the synthetic and the training texts. 0 to 1. Not a fault where a uniform mix was asked for.",
    ),
    metric(
        "perplexity_held_out",
        "perplexity of real texts",
        Fidelity,
        Lower,
        "Perplexity per token of the real held-out texts under the trained generator. Compares only between models of one tokenizer.",
    ),
    metric(
        "perplexity_synthetic",
        "perplexity of synthetic texts",
        Fidelity,
        Ceiling,
        "Perplexity per token of the synthetic texts under the base model that training started from; the ceiling is that of the real held-out texts. Far above: not fluent; far below: dull.",
    ),
    metric(
        "perplexity_student",
        "perplexity of real texts after learning from synthetic ones",
        Fidelity,
        Lower,
        "The public model that `train` started from is trained, without privacy, on the synthetic texts (`student_epochs`); this is its perplexity of held-out real texts. 1 and up. The ceiling is that of the same model after as many real training texts. It says how useful texts are where there are no labels; compare rows of one study alone, since another tokenizer gives other numbers.",
    ),
    metric(
        "turns_mean",
        "turns of a conversation",
        Fidelity,
        Ceiling,
        "Mean number of turns of a synthetic conversation; the ceiling is that of held-out real ones. Conversations that were cut at `max_length` for training or at `max_new_tokens` are shorter.",
    ),
    metric(
        "turns_distance",
        "distance of numbers of turns",
        Fidelity,
        Lower,
        "Wasserstein-1 distance between the numbers of turns of synthetic and of held-out real conversations, in turns.",
    ),
    metric(
        "turn_words_mean",
        "words of a turn",
        Fidelity,
        Ceiling,
        "Mean number of words of a synthetic turn; the ceiling is that of held-out real ones.",
    ),
    metric(
        "turn_words_distance",
        "distance of turn lengths",
        Fidelity,
        Lower,
        "Wasserstein-1 distance between the words of a turn in synthetic and in held-out real conversations, in words.",
    ),
    metric(
        "alternation",
        "alternating conversations",
        Fidelity,
        Ceiling,
        "Share of the synthetic conversations in which nobody speaks twice in a row; the ceiling is that of real training conversations.",
    ),
    metric(
        "role_confusion",
        "role confusion",
        Fidelity,
        Ceiling,
        "Share of the turns of `user` and `assistant` that a classifier of real turns takes for the other's, each role weighing the same. 0 to 1; one half means that roles cannot be told apart, more that they are swapped. The ceiling is that of held-out real turns: between people who talk as equals it is near one half.",
    ),
    metric(
        "turn_similarity",
        "similarity of turns",
        Fidelity,
        Higher,
        "As similarity, between single turns of the same role.",
    ),
    metric(
        "turn_mauve",
        "MAUVE of turns",
        Fidelity,
        Higher,
        "MAUVE between synthetic and held-out real turns instead of whole conversations. 0 to 1; the ceiling is that of real training turns.",
    ),
    metric(
        "facts",
        "made-up facts stated",
        Fidelity,
        Higher,
        "Share of the made-up facts planted in training texts whose name and thing stand together in a synthetic text, whatever the number of training texts that state them.",
    ),
    metric(
        "copies_exact",
        "exact copies",
        Leakage,
        Lower,
        "Share of the synthetic texts whose words are those of one of as many training texts as there are held-out texts. A diagnostic, not a guarantee.",
    ),
    metric(
        "copies_exact_all",
        "exact copies of any training text",
        Leakage,
        Lower,
        "The same against all training texts; there are more of them, so it does not compare with the share of held-out texts. A diagnostic, not a guarantee.",
    ),
    metric(
        "copies_exact_held_out",
        "exact matches with held-out texts",
        Leakage,
        Lower,
        "The same as for exact copies against held-out texts, which cannot have been copied: what short common phrases give by chance.",
    ),
    metric(
        "copies_near",
        "8-word copies",
        Leakage,
        Lower,
        "Share of the synthetic texts of at least eight words that share eight words in a row with one of as many training texts as there are held-out texts. A diagnostic, not a guarantee.",
    ),
    metric(
        "copies_near_held_out",
        "8-word matches with held-out texts",
        Leakage,
        Lower,
        "The same against the held-out texts.",
    ),
    metric(
        "nearer_to_training",
        "nearer to training",
        Leakage,
        Ceiling,
        "Share of the synthetic texts whose nearest training text is nearer than their nearest held-out text, with equal numbers of both. What is expected where nothing is remembered is the range that random divisions of the real texts give: around 0.5, and wide where many synthetic texts are near few real ones. A diagnostic, not a guarantee.",
    ),
    metric(
        "replayed",
        "planted data replayed",
        Leakage,
        Lower,
        "Share of the known pieces of personal data in the training texts that reappear anywhere in the synthetic texts.",
    ),
    metric(
        "audit_lower",
        "audit lower bound",
        Privacy,
        Lower,
        "Empirical lower bound of epsilon from planted canaries (Steinke, Nasr, Jagielski 2023). Supplements the certified bound, never replaces it.",
    ),
];

/// The metric of an id; `f1.LABEL` and the like have none.
pub(crate) fn metric_of(id: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_leakage_metric_is_called_what_it_is() {
        for (index, metric) in METRICS.iter().enumerate() {
            assert!(METRICS[..index].iter().all(|other| other.id != metric.id));
            assert!(metric.meaning.ends_with('.'));
        }
        for id in ["copies_exact", "copies_near", "nearer_to_training"] {
            let meaning = metric_of(id).unwrap().meaning;
            assert!(meaning.contains("A diagnostic, not a guarantee."), "{id}");
        }
    }
}
