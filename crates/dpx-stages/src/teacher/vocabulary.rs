//! Features of the linear form: presence of the words of a public vocabulary.

use dpx_nn::text::words;
use dpx_sgd::softmax::SparseRows;
use std::collections::HashMap;

/// A public vocabulary with the weight of each word as a feature.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Vocabulary {
    pub(super) words: Vec<String>,
    index: HashMap<String, u32>,
    weights: Vec<f64>,
    pub(super) counts: Vec<u64>,
    pub(super) exponent: f64,
}

impl Vocabulary {
    /// From words with their public counts; the feature of a word weighs `p(word)^-exponent`. Spellings that differ in case or
    /// apostrophes alone are one word.
    pub(crate) fn new(counts: &[(String, u64)], exponent: f64) -> Self {
        let mut merged: Vec<(String, u64)> = Vec::with_capacity(counts.len());
        let mut index: HashMap<String, u32> = HashMap::with_capacity(counts.len());
        for (word, count) in counts {
            let mut parts = words(word);
            let (Some(word), true) = (parts.pop(), parts.is_empty()) else {
                continue;
            };
            if let Some(&at) = index.get(&word) {
                merged[at as usize].1 += count;
            } else {
                index.insert(word.clone(), merged.len() as u32);
                merged.push((word, *count));
            }
        }
        let total: u64 = merged.iter().map(|(_, count)| count).sum();
        let weights = merged
            .iter()
            .map(|(_, count)| (*count.max(&1) as f64 / total.max(1) as f64).powf(-exponent))
            .collect();
        let (words, counts) = merged.into_iter().unzip();
        Self {
            words,
            index,
            weights,
            counts,
            exponent,
        }
    }

    /// Number of features: a word each, and an intercept.
    pub(crate) fn width(&self) -> usize {
        self.words.len() + 1
    }

    /// Appends the features of a text: presence of each word, and the intercept, scaled to norm 1.
    pub(crate) fn push(&self, rows: &mut SparseRows, text: &str) {
        let mut found: Vec<u32> = words(text)
            .iter()
            .filter_map(|word| self.index.get(word).copied())
            .collect();
        found.sort_unstable();
        found.dedup();
        let intercept = std::iter::once((self.words.len() as u32, 1.0));
        rows.push_normalized(
            found
                .into_iter()
                .map(|word| (word, self.weights[word as usize]))
                .chain(intercept),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_word_are_one_feature() {
        let counts = [
            ("it's".to_owned(), 90),
            ("ITS".to_owned(), 10),
            ("sad".to_owned(), 3),
        ];
        let vocabulary = Vocabulary::new(&counts, 0.2);
        assert_eq!(vocabulary.width(), 3);
        assert_eq!(vocabulary.counts, [100, 3]);
    }
}
