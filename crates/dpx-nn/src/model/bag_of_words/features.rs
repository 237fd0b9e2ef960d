//! Words of a text as a sparse row of tf-idf weights.

use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};

/// Texts made into rows at once.
const CHUNK: usize = 1 << 14;

/// Nonzero entries of a row: word number and weight, by word number.
pub(super) type Row = Vec<(u32, f64)>;

/// Many rows, without a list of their own for each: data sets of a million texts are held here.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    /// Where each row begins, and the end of the last.
    starts: Vec<usize>,
    words: Vec<u32>,
    weights: Vec<f64>,
}

impl Rows {
    pub(super) const fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The entries of a row, in order.
    pub(super) fn row(&self, index: usize) -> impl Iterator<Item = (u32, f64)> {
        let range = self.starts[index]..self.starts[index + 1];
        let words = self.words[range.clone()].iter().copied();
        words.zip(self.weights[range].iter().copied())
    }
}

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
        let mut frequencies: HashMap<String, u32> = HashMap::new();
        for chunk in texts.chunks(CHUNK) {
            let words_of = |text: &&str| {
                let mut words: Vec<String> = words(text).collect();
                words.sort_unstable();
                words.dedup();
                words
            };
            let all: Vec<Vec<String>> = chunk.par_iter().map(words_of).collect();
            for word in all.into_iter().flatten() {
                *frequencies.entry(word).or_default() += 1;
            }
        }
        frequencies.retain(|_, count| *count >= least_texts);
        let frequencies: BTreeMap<String, u32> = frequencies.into_iter().collect();
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

    /// The rows of all texts, in order.
    pub(super) fn rows(&self, texts: &[&str]) -> Rows {
        let mut rows = Rows {
            starts: vec![0],
            ..Rows::default()
        };
        for chunk in texts.chunks(CHUNK) {
            let made: Vec<Row> = chunk.par_iter().map(|text| self.row(text)).collect();
            for (word, weight) in made.iter().flatten() {
                rows.words.push(*word);
                rows.weights.push(*weight);
            }
            for row in &made {
                let end = rows.starts[rows.starts.len() - 1] + row.len();
                rows.starts.push(end);
            }
        }
        rows
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
