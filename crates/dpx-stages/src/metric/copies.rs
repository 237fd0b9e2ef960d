//! Texts copied word for word: whole, or in eight words in a row.
//!
//! Diagnostics, not a guarantee: a model may leak without copying, and short common phrases recur without leaking. So the
//! share of synthetic texts that match training texts stands beside the share that match as many held-out texts.

use super::Share;
use super::words::Interner;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Words in a row that count as a near copy (as in Carlini et al. 2023 and the corpora's own overlap checks).
const NEAR_COPY_WORDS: usize = 8;

/// How many texts match a corpus.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Copies {
    /// Texts whose words, in order and without case and punctuation, are those of a corpus text; among all texts that have
    /// a word.
    pub exact: Share,
    /// Texts that share eight words in a row with a corpus text; among the texts of at least eight words.
    pub eight_words: Share,
    /// Texts of the corpus that was compared with.
    pub corpus: u64,
}

/// A corpus whose words can be looked up.
#[derive(Debug)]
pub(crate) struct Corpus {
    interner: Interner,
    whole: HashSet<Vec<u32>>,
    grams: HashSet<[u32; NEAR_COPY_WORDS]>,
    size: u64,
}

impl Corpus {
    /// Indexes the texts of a corpus.
    pub(crate) fn new<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Self {
        let mut corpus = Self {
            interner: Interner::default(),
            whole: HashSet::new(),
            grams: HashSet::new(),
            size: 0,
        };
        for text in texts {
            let words = corpus.interner.intern(text.as_ref());
            for gram in words.windows(NEAR_COPY_WORDS) {
                corpus
                    .grams
                    .insert(gram.try_into().expect("a window has that many words"));
            }
            corpus.whole.insert(words);
            corpus.size += 1;
        }
        corpus
    }

    /// How many of the texts match the corpus.
    pub(crate) fn copies<T: AsRef<str>>(&self, texts: impl IntoIterator<Item = T>) -> Copies {
        let (mut exact, mut total, mut near, mut long) = (0, 0, 0, 0);
        for text in texts {
            let words = self.interner.look_up(text.as_ref());
            if words.is_empty() {
                continue;
            }
            total += 1;
            let known: Option<Vec<u32>> = words.iter().copied().collect();
            exact += u64::from(known.is_some_and(|known| self.whole.contains(&known)));
            if words.len() >= NEAR_COPY_WORDS {
                long += 1;
                near += u64::from(words.windows(NEAR_COPY_WORDS).any(|window| {
                    let known: Option<Vec<u32>> = window.iter().copied().collect();
                    known
                        .and_then(|known| <[u32; NEAR_COPY_WORDS]>::try_from(known).ok())
                        .is_some_and(|gram| self.grams.contains(&gram))
                }));
            }
        }
        Copies {
            exact: Share::of(exact, total),
            eight_words: Share::of(near, long),
            corpus: self.size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_texts_and_eight_words_are_found() {
        let corpus = Corpus::new(["I am so happy today, it is a lovely day!", "short one"]);
        let found = corpus.copies([
            "Short, one.",
            "well I am so happy today it is what it is",
            "i am so happy today it was",
            "nothing of the kind was ever said by anyone here",
            "...",
        ]);
        assert_eq!((found.exact.count, found.exact.total), (1, 4));
        // "i am so happy today it is" are seven words: not enough alone; the second text goes on differently.
        assert_eq!((found.eight_words.count, found.eight_words.total), (0, 2));
        let found = corpus.copies(["and i am so happy today it is a fact"]);
        assert_eq!((found.eight_words.count, found.eight_words.total), (1, 1));
    }
}
