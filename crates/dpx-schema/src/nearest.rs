//! The nearest of the words that would have been right.

/// The candidate nearest to a word, if any is near enough to be what was meant: one edit for words up to three letters, a third of
/// the letters for longer ones; spelling of `-`, `_` and case does not count.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = plain(word);
    let length = wanted.chars().count();
    let allowed = if length <= 3 { 1 } else { length.div_ceil(3) };
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let distance = strsim::damerau_levenshtein(&wanted, &plain(candidate));
            (distance <= allowed && distance < length.max(1)).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A word in the one spelling in which words are compared.
fn plain(word: &str) -> String {
    word.to_lowercase().replace(['-', ' '], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let columns = ["message", "label", "customer id"];
        assert_eq!(nearest("mesage", columns), Some("message"));
        assert_eq!(nearest("Customer_ID", columns), Some("customer id"));
        assert_eq!(nearest("zzz", columns), None);
        assert_eq!(nearest("", columns), None);
        assert_eq!(nearest("a", ["b"]), None);
    }
}
