//! Planted personal data that reappears in synthetic texts (after the "secret sharer", Carlini et al. 2019).

use super::Share;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A piece of personal data known to stand in the training texts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Planted {
    /// What it is, such as `email`.
    pub kind: String,
    /// The piece itself. Private.
    pub value: String,
}

/// What reappears of one kind of planted data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    /// What it is, such as `email`.
    pub kind: String,
    /// Different pieces known to stand in the training texts.
    pub known: u64,
    /// Different pieces that reappear, of `known`.
    pub reappeared: Share,
    /// Occurrences in all synthetic texts together.
    pub occurrences: u64,
    /// Synthetic texts with at least one.
    pub texts: Share,
}

/// Counts, per kind in alphabetical order, the known pieces that stand anywhere in the synthetic texts.
///
/// Case does not count. A piece must not be part of a longer word or number on either side: `sam` is not found in `same`.
pub fn replay<T: AsRef<str>>(known: &[Planted], synthetic: &[T]) -> Vec<Replay> {
    let mut kinds: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for piece in known {
        let value = piece.value.trim().to_lowercase();
        if !value.is_empty() {
            kinds.entry(&piece.kind).or_default().push(value);
        }
    }
    let texts: Vec<String> = synthetic
        .iter()
        .map(|text| text.as_ref().to_lowercase())
        .collect();
    kinds
        .into_iter()
        .map(|(kind, mut values)| {
            values.sort_unstable();
            values.dedup();
            let mut hit_texts = vec![false; texts.len()];
            let (mut reappeared, mut occurrences) = (0, 0);
            for value in &values {
                let mut here = 0;
                for (text, hit) in texts.iter().zip(&mut hit_texts) {
                    let found = occurrences_in(text, value);
                    here += found;
                    *hit |= found > 0;
                }
                occurrences += here;
                reappeared += u64::from(here > 0);
            }
            Replay {
                kind: kind.to_owned(),
                known: values.len() as u64,
                reappeared: Share::of(reappeared, values.len() as u64),
                occurrences,
                texts: Share::of(
                    hit_texts.iter().filter(|hit| **hit).count() as u64,
                    texts.len() as u64,
                ),
            }
        })
        .collect()
}

fn occurrences_in(text: &str, value: &str) -> u64 {
    let starts = value.chars().next().is_some_and(char::is_alphanumeric);
    let ends = value.chars().next_back().is_some_and(char::is_alphanumeric);
    let goes_on = |next: Option<char>| next.is_some_and(char::is_alphanumeric);
    let bounded = |at: usize| {
        let before = starts && goes_on(text[..at].chars().next_back());
        let after = ends && goes_on(text[at + value.len()..].chars().next());
        !before && !after
    };
    text.match_indices(value)
        .filter(|(at, _)| bounded(*at))
        .count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_found_inside_texts_but_not_inside_words() {
        let piece = |kind: &str, value: &str| Planted {
            kind: kind.into(),
            value: value.into(),
        };
        let known = [
            piece("email", "Ann@Example.org"),
            piece("email", "bob@example.org"),
            piece("handle", "@sam"),
            piece("name", "Sam"),
            piece("name", "Sam"),
        ];
        let found = replay(
            &known,
            &[
                "write to ann@example.org, ann@example.org",
                "the same @sam",
                "fine",
            ],
        );
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].known, found[0].reappeared.count), (2, 1));
        assert_eq!((found[0].occurrences, found[0].texts.count), (2, 1));
        assert_eq!(
            (found[1].kind.as_str(), found[1].occurrences),
            ("handle", 1)
        );
        assert_eq!((found[2].known, found[2].occurrences), (1, 1));
    }
}
