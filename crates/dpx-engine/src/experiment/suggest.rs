//! Did you mean: the nearest of the words that would have been right.

use dpx_schema::nearest;

/// Names that other tools and papers use for what dpx calls otherwise.
const ALIASES: &[(&str, &str)] = &[
    ("lr", "learning_rate"),
    ("batch", "batch_size"),
    ("bs", "batch_size"),
    ("clip", "max_grad_norm"),
    ("clipping_threshold", "max_grad_norm"),
    ("l2_norm_clip", "max_grad_norm"),
    ("max_norm", "max_grad_norm"),
    ("eps", "epsilon"),
    ("target_epsilon", "epsilon"),
    ("target_delta", "delta"),
    ("num_epochs", "epochs"),
    ("num_train_epochs", "epochs"),
    ("max_steps", "steps"),
    ("max_seq_len", "max_length"),
    ("max_seq_length", "max_length"),
    ("sequence_length", "max_length"),
    ("warmup_ratio", "warmup"),
    ("lr_scheduler", "schedule"),
    ("dtype", "precision"),
    ("lora_r", "lora_rank"),
    ("load_in_8bit", "base_precision"),
    ("quantization", "base_precision"),
    ("gradient_checkpointing", "activation_checkpointing"),
    ("num_samples", "count"),
    ("samples", "count"),
    ("data", "dataset"),
    ("input", "dataset"),
    ("template", "prompt"),
    ("conversations", "messages"),
    ("messages_column", "messages"),
    ("chat_column", "messages"),
    ("attributes", "labels"),
    ("depends", "needs"),
    ("depends_on", "needs"),
    ("inputs", "needs"),
    ("type", "kind"),
    ("n_layer", "layers"),
    ("n_head", "heads"),
    ("n_embd", "width"),
];

/// The candidate nearest to a word, if any is near enough; what other tools call otherwise is nearest to what dpx calls it.
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wanted = word.to_lowercase().replace(['-', ' '], "_");
    let alias = ALIASES.iter().find(|(other, _)| *other == wanted);
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let ours = alias.and_then(|(_, ours)| candidates.iter().find(|candidate| *candidate == ours));
    ours.copied().or_else(|| nearest(word, candidates))
}

/// Mistakes that are told in full, with what would have been right; of the others only the number is.
pub(crate) const MOST_SHOWN: usize = 100;

/// Names in one list.
const MOST_NAMES: usize = 50;

/// What would have been right instead of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Suggestion<'a> {
    /// A name that is near enough to be what was meant.
    Near(&'a str),
    /// No name is: all of them, in words.
    List(String),
}

/// What would have been right instead of a word, for the first [`MOST_SHOWN`] mistakes; `told` were told before.
///
/// Later mistakes are only counted, and looking for their nearest names would cost the square of their number.
pub(super) fn suggest<'a>(
    told: usize,
    word: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Option<Suggestion<'a>> {
    (told < MOST_SHOWN).then(|| match did_you_mean(word, known.clone()) {
        Some(near) => Suggestion::Near(near),
        None => Suggestion::List(alternatives(known)),
    })
}

/// `` `a`, `b` or `c` ``; the first fifty, then how many more.
pub(super) fn alternatives<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut all = words.into_iter();
    let mut words: Vec<String> = all
        .by_ref()
        .take(MOST_NAMES)
        .map(|word| format!("`{word}`"))
        .collect();
    let more = all.count();
    if more > 0 {
        words.push(format!("{more} more"));
    }
    match words.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let keys = [
            "epsilon",
            "epochs",
            "learning_rate",
            "max_grad_norm",
            "top_k",
        ];
        assert_eq!(did_you_mean("epslion", keys), Some("epsilon"));
        assert_eq!(did_you_mean("lr", keys), Some("learning_rate"));
        assert_eq!(did_you_mean("top-k", keys), Some("top_k"));
        assert_eq!(did_you_mean("Learning_Rate", keys), Some("learning_rate"));
        assert_eq!(did_you_mean("zzz", keys), None);
        assert_eq!(did_you_mean("", keys), None);
        assert_eq!(did_you_mean("a", ["b"]), None);
    }

    #[test]
    fn alternatives_read_as_a_sentence() {
        assert_eq!(alternatives([]), "nothing");
        assert_eq!(alternatives(["a"]), "`a`");
        assert_eq!(alternatives(["a", "b", "c"]), "`a`, `b` or `c`");
        let many: Vec<String> = (0..53).map(|number| number.to_string()).collect();
        let shown = alternatives(many.iter().map(String::as_str));
        assert!(shown.ends_with("`48`, `49` or 3 more"), "{shown}");
    }

    #[test]
    fn only_the_first_mistakes_have_suggestions() {
        let known = ["epsilon"];
        let near = suggest(99, "epslion", known.into_iter());
        assert_eq!(near, Some(Suggestion::Near("epsilon")));
        let list = suggest(0, "zzz", known.into_iter());
        assert_eq!(list, Some(Suggestion::List("`epsilon`".to_owned())));
        assert_eq!(suggest(100, "epslion", known.into_iter()), None);
    }
}
