//! Makes the generator write each word as often, under each label, as a noisy histogram says.
//!
//! The generator writes texts that nobody will see; where a word stands in fewer or more of them than in the private texts,
//! its odds are raised or lowered. All of it is post-processing of the model and the histogram.

use super::generator::Generator;
use super::keywords::places;
use super::prompted::Prompted;
use crate::counts::{NoisyCounts, keywords_of, said};
use dpx_nn::model::generate::{SteeredWord, Steering};
use dpx_schema::StageError;
use std::collections::HashMap;
use std::sync::Arc;

const ROUNDS: u64 = 3;
/// Texts of each label in a round.
const TEXTS: u64 = 500;
/// Texts that are added to both sides of a comparison, so that rare words move little on little evidence.
const PSEUDO_COUNT: f64 = 2.0;
/// Most that a word's logarithmic odds may change.
const MOST: f64 = 4.0;

/// A share of a label's texts that hold a word.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Share {
    Known(f64),
    /// The noise hides it, but it is no more than this.
    AtMost(f64),
}

impl Share {
    /// What is aimed at where a word stands in the share `written` of the generator's texts.
    fn aim(self, written: f64) -> f64 {
        match self {
            Self::Known(share) => share,
            Self::AtMost(most) => written.min(most),
        }
    }
}

/// For each label, how the odds of each word change.
pub(super) struct Matching {
    index: HashMap<String, usize>,
    /// Ways to write a word: place of the word, tokens.
    forms: Vec<(usize, Vec<u32>)>,
    aims: Vec<Vec<Share>>,
    changes: Vec<Vec<f64>>,
    words_per_text: usize,
    conversations: bool,
}

impl Matching {
    /// Before the first round; nothing where nothing was counted (epsilon 0).
    pub(super) fn new(
        counts: &NoisyCounts,
        generator: &Generator,
    ) -> Result<Option<Self>, StageError> {
        if counts.keywords.is_empty() {
            return Err(StageError::new(
                "`match_words` names a `counts` stage that counted no words: give it `keywords`",
            ));
        }
        if counts.label_counts.cells.iter().all(|cell| *cell == 0.0) {
            return Ok(None);
        }
        let labels = &generator.schema.labels;
        let classes = counts.labels.len();
        let noise = counts.threshold * counts.keyword_counts.noise_std;
        let aims: Vec<Vec<Share>> = places(counts, labels)?
            .into_iter()
            .map(|place| {
                let texts = counts.label_counts.cells[place].max(1.0);
                (0..counts.keywords.len())
                    .map(|word| {
                        let cell = counts.keyword_counts.cells[word * classes + place];
                        if cell > noise {
                            Share::Known((cell / texts).min(1.0))
                        } else {
                            Share::AtMost((noise / texts).min(1.0))
                        }
                    })
                    .collect()
            })
            .collect();
        let mut forms = Vec::new();
        for (place, word) in counts.keywords.iter().enumerate() {
            let mut letters = word.chars();
            let first = letters.next().into_iter().flat_map(char::to_uppercase);
            let capital: String = first.chain(letters).collect();
            for form in [word, &capital] {
                let tokens = generator.tokenizer.encode_inside(form)?;
                if !tokens.is_empty() {
                    forms.push((place, tokens));
                }
            }
        }
        Ok(Some(Self {
            index: counts
                .keywords
                .iter()
                .enumerate()
                .map(|(place, word)| (word.clone(), place))
                .collect(),
            changes: vec![vec![0.0; counts.keywords.len()]; labels.len()],
            aims,
            forms,
            words_per_text: counts.keywords_per_text as usize,
            conversations: generator.schema.conversations,
        }))
    }

    /// Runs all rounds with a writer and leaves it steered.
    pub(super) fn run(&mut self, writer: &mut Prompted<'_>) -> Result<(), StageError> {
        for round in 0..ROUNDS {
            let written = writer.rehearse(round, TEXTS)?;
            writer.steering = written
                .iter()
                .enumerate()
                .map(|(label, texts)| Arc::new(self.round(label, texts)))
                .collect();
        }
        Ok(())
    }

    /// Takes what was written under a label into account.
    fn round(&mut self, label: usize, texts: &[String]) -> Steering {
        let mut found = vec![0.0; self.index.len()];
        for text in texts {
            let said = said(text, self.conversations);
            for word in keywords_of(&said, &self.index, self.words_per_text) {
                found[word] += 1.0;
            }
        }
        let number = texts.len().max(1) as f64;
        for ((change, aim), found) in self.changes[label]
            .iter_mut()
            .zip(&self.aims[label])
            .zip(&found)
        {
            let aim = aim.aim(found / number) * number;
            *change =
                (*change + ((aim + PSEUDO_COUNT) / (found + PSEUDO_COUNT)).ln()).clamp(-MOST, MOST);
        }
        Steering::new(self.forms.iter().map(|(word, tokens)| SteeredWord {
            tokens,
            weight: (found[*word] + 0.1) / number,
            change: self.changes[label][*word],
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three words in one label's texts: written too rarely, too often, and hidden in the noise.
    fn matching() -> Matching {
        let words = ["glad", "sad", "odd"].map(str::to_owned);
        Matching {
            index: words.into_iter().zip(0..).collect(),
            forms: vec![(0, vec![1]), (1, vec![2, 3]), (2, vec![4])],
            aims: vec![vec![
                Share::Known(0.5),
                Share::Known(0.1),
                Share::AtMost(0.2),
            ]],
            changes: vec![vec![0.0; 3]],
            words_per_text: 20,
            conversations: false,
        }
    }

    fn texts(of: &[(&str, usize)]) -> Vec<String> {
        of.iter()
            .flat_map(|(text, times)| std::iter::repeat_n((*text).to_owned(), *times))
            .collect()
    }

    #[test]
    fn odds_move_towards_the_histogram_and_stay_where_it_says_nothing() {
        let mut matching = matching();
        matching.round(
            0,
            &texts(&[("glad", 10), ("so sad, sad", 50), ("odd", 10), ("", 30)]),
        );
        let [glad, sad, odd] = matching.changes[0][..] else {
            panic!("three words")
        };
        assert!((glad - (52.0_f64 / 12.0).ln()).abs() < 1e-12);
        assert!((sad - (12.0_f64 / 52.0).ln()).abs() < 1e-12);
        assert_eq!(odd, 0.0);
        matching.round(0, &texts(&[("glad", 50), ("sad", 10), ("odd", 40)]));
        assert_eq!(matching.changes[0][..2], [glad, sad], "they are met");
        assert!(
            matching.changes[0][2] < 0.0,
            "no more than the noise allows"
        );
    }

    #[test]
    fn names_of_roles_are_no_words_of_conversations() {
        let mut matching = Matching {
            index: [("user".to_owned(), 0)].into(),
            forms: vec![(0, vec![1])],
            aims: vec![vec![Share::Known(0.5)]],
            changes: vec![vec![0.0]],
            words_per_text: 20,
            conversations: true,
        };
        matching.round(0, &texts(&[("User: hi", 50), ("User: a user", 50)]));
        assert_eq!(matching.changes[0][0], 0.0, "half of them say it");
    }

    #[test]
    fn no_word_changes_without_bound() {
        let mut matching = matching();
        for _ in 0..20 {
            matching.round(0, &texts(&[("sad", 500)]));
        }
        assert_eq!(matching.changes[0][..2], [MOST, -MOST]);
    }
}
