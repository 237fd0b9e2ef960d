//! Words of a text as a sparse row of tf-idf weights.

use std::collections::BTreeMap;

/// Nonzero entries of a row: word number and weight, by word number.
pub(super) type Row = Vec<(u32, f64)>;

/// The vocabulary with the weight of each word.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Features {
    /// Word to number; numbers follow the alphabet.
    numbers: BTreeMap<String, u32>,
    /// Smooth inverse document frequency by number: `ln((1 + n) / (1 + df)) + 1`, as in scikit-learn.
    inverse_frequencies: Vec<f64>,
}

impl Features {
    /// The words that stand in at least `least_texts` of the texts.
    pub(super) fn fit(texts: &[&str], least_texts: u32) -> Self {
        let mut frequencies: BTreeMap<String, u32> = BTreeMap::new();
        for text in texts {
            let mut words: Vec<String> = words(text).collect();
            words.sort_unstable();
            words.dedup();
            for word in words {
                *frequencies.entry(word).or_default() += 1;
            }
        }
        frequencies.retain(|_, count| *count >= least_texts);
        let count = texts.len() as f64;
        let (words, weights): (Vec<String>, Vec<f64>) = frequencies
            .into_iter()
            .map(|(word, frequency)| {
                let weight = ((1.0 + count) / (1.0 + f64::from(frequency))).ln() + 1.0;
                (word, weight)
            })
            .unzip();
        Self::new(words, weights)
    }

    /// From words in order and their weights.
    pub(super) fn new(words: Vec<String>, inverse_frequencies: Vec<f64>) -> Self {
        let numbers = words.into_iter().zip(0..).collect();
        Self {
            numbers,
            inverse_frequencies,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.inverse_frequencies.len()
    }

    /// The words in order of their numbers.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.numbers.keys().map(String::as_str)
    }

    pub(super) fn inverse_frequencies(&self) -> &[f64] {
        &self.inverse_frequencies
    }

    /// The row of a text: count times inverse document frequency, scaled to length 1. Unknown words do not count.
    pub(super) fn row(&self, text: &str) -> Row {
        let mut counts: BTreeMap<u32, f64> = BTreeMap::new();
        for number in words(text).filter_map(|word| self.numbers.get(&word)) {
            *counts.entry(*number).or_default() += 1.0;
        }
        let mut row: Row = counts
            .into_iter()
            .map(|(number, count)| (number, count * self.inverse_frequencies[number as usize]))
            .collect();
        let norm = row
            .iter()
            .map(|(_, weight)| weight * weight)
            .sum::<f64>()
            .sqrt();
        for (_, weight) in &mut row {
            *weight /= norm;
        }
        row
    }
}

/// Words in lower case: runs of at least two letters, digits or underscores; an apostrophe between letters is dropped, so
/// that "don't" and "dont" are one word.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> {
    let text = text.to_lowercase().replace(['\'', '’'], "");
    let mut words = Vec::new();
    for word in text.split(|c: char| !(c.is_alphanumeric() || c == '_')) {
        if word.chars().nth(1).is_some() {
            words.push(word.to_owned());
        }
    }
    words.into_iter()
}
