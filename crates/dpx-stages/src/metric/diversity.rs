//! Diversity within a set of texts: distinct-n (Li et al. 2016) and self-BLEU (Zhu et al. 2018, Texygen).

use super::words::Interner;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};

/// How varied a set of texts is. The figures depend on the number of texts: compare sets of one size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Diversity {
    /// Different words over words, in the whole set.
    pub distinct_1: f64,
    /// Different word pairs over word pairs.
    pub distinct_2: f64,
    /// Different word triples over word triples.
    pub distinct_3: f64,
    /// Mean over the texts of BLEU-4 with all other texts as references; lower is more varied.
    pub self_bleu: f64,
    /// Share of the texts that occur more than once, after folding case and punctuation.
    pub repeated: f64,
    /// How many texts were compared with each other.
    pub n: u64,
}

/// The diversity of a set of texts.
pub(crate) fn diversity<T: AsRef<str>>(texts: &[T]) -> Diversity {
    let mut interner = Interner::default();
    let texts: Vec<Vec<u32>> = texts
        .iter()
        .map(|text| interner.intern(text.as_ref()))
        .collect();
    let mut seen: HashMap<&[u32], u64> = HashMap::new();
    for text in &texts {
        *seen.entry(text).or_default() += 1;
    }
    let repeated: u64 = seen.values().filter(|count| **count > 1).sum();
    Diversity {
        distinct_1: distinct(&texts, 1),
        distinct_2: distinct(&texts, 2),
        distinct_3: distinct(&texts, 3),
        self_bleu: self_bleu(&texts),
        repeated: repeated as f64 / (texts.len().max(1)) as f64,
        n: texts.len() as u64,
    }
}

/// Different n-grams over n-grams in all texts together; 0 where there is none.
pub(crate) fn distinct(texts: &[Vec<u32>], n: usize) -> f64 {
    let mut different: HashSet<&[u32]> = HashSet::new();
    let mut total = 0_usize;
    for text in texts {
        for gram in text.windows(n) {
            different.insert(gram);
            total += 1;
        }
    }
    if total == 0 {
        0.0
    } else {
        different.len() as f64 / total as f64
    }
}

/// The largest count of an n-gram in one text, whose it is, and the largest among all other texts.
#[derive(Default, Clone, Copy)]
struct TopTwo {
    best: u64,
    owner: usize,
    second: u64,
}

/// Mean sentence BLEU-4 (Papineni et al. 2002) of every text against all others, with uniform weights, the closest
/// reference length, and 0.1 added to a count of zero (smoothing 1 of Chen and Cherry 2014, as in NLTK); 0 for one text.
pub(crate) fn self_bleu(texts: &[Vec<u32>]) -> f64 {
    const ORDER: usize = 4;
    if texts.len() < 2 {
        return 0.0;
    }
    let mut lengths: BTreeMap<usize, u64> = BTreeMap::new();
    let mut top: HashMap<&[u32], TopTwo> = HashMap::new();
    for (owner, text) in texts.iter().enumerate() {
        *lengths.entry(text.len()).or_default() += 1;
        for n in 1..=ORDER {
            for (gram, count) in count(text, n) {
                let entry = top.entry(gram).or_default();
                if count > entry.best {
                    entry.second = entry.best;
                    entry.best = count;
                    entry.owner = owner;
                } else {
                    entry.second = entry.second.max(count);
                }
            }
        }
    }
    let mut sum = 0.0;
    for (owner, text) in texts.iter().enumerate() {
        let mut log_sum = 0.0;
        let mut overlap = true;
        for n in 1..=ORDER {
            let mut matched = 0;
            for (gram, count) in count(text, n) {
                let entry = top[gram];
                let others = if entry.owner == owner {
                    entry.second
                } else {
                    entry.best
                };
                matched += count.min(others);
            }
            if n == 1 && matched == 0 {
                overlap = false;
                break;
            }
            let total = (text.len() + 1).saturating_sub(n).max(1) as f64;
            let hits = if matched == 0 { 0.1 } else { matched as f64 };
            log_sum += (hits / total).ln() / ORDER as f64;
        }
        if overlap {
            let closest = closest_length(&lengths, text.len());
            let penalty = if text.len() > closest {
                1.0
            } else {
                (1.0 - closest as f64 / text.len() as f64).exp()
            };
            sum += penalty * log_sum.exp();
        }
    }
    sum / texts.len() as f64
}

fn count(text: &[u32], n: usize) -> HashMap<&[u32], u64> {
    let mut counts = HashMap::new();
    for gram in text.windows(n) {
        *counts.entry(gram).or_default() += 1;
    }
    counts
}

/// The length nearest to `own` among all texts but one of that length; the shorter one where two are as near.
fn closest_length(lengths: &BTreeMap<usize, u64>, own: usize) -> usize {
    if lengths.get(&own).is_some_and(|count| *count > 1) {
        return own;
    }
    let below = lengths.range(..own).next_back().map(|(length, _)| *length);
    let above = lengths.range(own + 1..).next().map(|(length, _)| *length);
    match (below, above) {
        (Some(below), Some(above)) if above - own < own - below => above,
        (Some(below), _) => below,
        (None, Some(above)) => above,
        (None, None) => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_one_text_have_self_bleu_one() {
        let same = diversity(&["a b c d e"; 5]);
        assert!((same.self_bleu - 1.0).abs() < 1e-9);
        assert_eq!(same.repeated, 1.0);
        assert!((same.distinct_1 - 0.2).abs() < 1e-12);
    }

    #[test]
    fn nothing_and_empty_texts_are_no_trouble() {
        let none = diversity::<&str>(&[]);
        assert_eq!((none.distinct_1, none.self_bleu, none.n), (0.0, 0.0, 0));
        let empty = diversity(&["", "!!", "one"]);
        assert!(empty.self_bleu.is_finite());
    }
}
