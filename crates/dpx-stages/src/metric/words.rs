//! Words of a text: what diversity, lengths and copies are counted in.

use std::collections::HashMap;
use unicode_segmentation::UnicodeSegmentation;

/// The words of a text (Unicode Standard Annex 29), in lower case, without punctuation.
pub fn words(text: &str) -> Vec<String> {
    text.unicode_words().map(str::to_lowercase).collect()
}

/// Numbers words, so that n-grams are small arrays.
#[derive(Debug, Default)]
pub struct Interner {
    ids: HashMap<String, u32>,
}

impl Interner {
    /// The numbers of the words of a text; a new word gets the next number.
    pub(crate) fn intern(&mut self, text: &str) -> Vec<u32> {
        words(text)
            .into_iter()
            .map(|word| {
                let next = self.ids.len() as u32;
                *self.ids.entry(word).or_insert(next)
            })
            .collect()
    }

    /// The numbers of the words of a text; `None` for a word never seen.
    pub fn look_up(&self, text: &str) -> Vec<Option<u32>> {
        words(text)
            .iter()
            .map(|word| self.ids.get(word).copied())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_fold_case_and_drop_punctuation() {
        assert_eq!(
            words("I'm SO happy :) today!"),
            ["i'm", "so", "happy", "today"]
        );
        assert!(words(" ... ").is_empty());
    }
}
