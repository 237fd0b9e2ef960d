//! Keywords that texts are conditioned on: drawn from a private histogram that was paid for, or from a public list.

use crate::counts::NoisyCounts;
use dpx_data::builtin;
use dpx_nn::seed::Stream;
use dpx_schema::StageError;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// For each label the keywords that stand out for it, with their probabilities.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Keywords {
    laws: Vec<Vec<(String, f64)>>,
}

impl Keywords {
    /// No keyword for any label.
    pub(super) const fn none() -> Self {
        Self { laws: Vec::new() }
    }

    /// The laws of noisy counts, in the order of `labels`.
    pub(super) fn of(counts: &NoisyCounts, labels: &[String]) -> Result<Self, StageError> {
        if counts.keywords.is_empty() {
            return Err(StageError::new(
                "`keywords = \"private\"`, but the `counts` stage counted none: give it `keywords`",
            ));
        }
        let laws = places(counts, labels)?
            .into_iter()
            .map(|place| {
                counts
                    .keyword_law(place)
                    .into_iter()
                    .map(|(keyword, probability)| (counts.keywords[keyword].clone(), probability))
                    .collect()
            })
            .collect();
        Ok(Self { laws })
    }

    /// The label's own words in `builtin:feelings`, each in proportion to the root of its frequency in `builtin:words`.
    pub(super) fn public(labels: &[String]) -> Result<Self, StageError> {
        let counts: HashMap<String, u64> = builtin::words().into_iter().collect();
        let feelings = builtin::feelings();
        let law = |label: &String| {
            let weighed: Vec<(String, f64)> = feelings
                .iter()
                .filter(|feeling| feeling.label == label)
                .map(|feeling| {
                    let count = counts.get(feeling.word).copied().unwrap_or(0);
                    (feeling.word.to_owned(), (count as f64 + 1.0).sqrt())
                })
                .collect();
            let total: f64 = weighed.iter().map(|(_, weight)| weight).sum();
            if weighed.is_empty() {
                return Err(StageError::new(format!(
                    "`keywords = \"public\"`: `builtin:feelings` has no word for the label `{label}`: use `private` with a `counts` stage, or `none`"
                )));
            }
            Ok(weighed
                .into_iter()
                .map(|(word, weight)| (word, weight / total))
                .collect())
        };
        Ok(Self {
            laws: labels.iter().map(law).collect::<Result<_, _>>()?,
        })
    }

    /// The keyword of a text; nothing where none stands out for its label.
    pub(super) fn draw(&self, seed: u64, label: usize, number: u64) -> Option<&str> {
        let law = self.laws.get(label)?;
        let indices = [label as u64, number];
        let mut left = Stream::new(seed, "sample keyword", &indices).uniform();
        for (keyword, probability) in law {
            left -= probability;
            if left < 0.0 {
                return Some(keyword);
            }
        }
        // Rounding may leave the probabilities a little below 1.
        law.last().map(|(keyword, _)| keyword.as_str())
    }

    /// How many keywords each label draws from; nothing without keywords.
    pub(super) fn report(&self, labels: &[String]) -> Option<Value> {
        if self.laws.is_empty() {
            return None;
        }
        let by_label: Map<String, Value> = labels
            .iter()
            .zip(&self.laws)
            .map(|(label, law)| (label.clone(), json!(law.len())))
            .collect();
        Some(json!({"drawn_from": by_label}))
    }
}

/// Where each of `labels` stands in the counts.
pub(super) fn places(counts: &NoisyCounts, labels: &[String]) -> Result<Vec<usize>, StageError> {
    labels
        .iter()
        .map(|label| {
            counts.labels.iter().position(|known| known == label).ok_or_else(|| {
                StageError::new(format!(
                    "the `counts` stage knows no label `{label}`: it must read the same `preprocess` stage as the model"
                ))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Noisy;

    fn counts() -> NoisyCounts {
        NoisyCounts {
            labels: vec!["joy".into(), "fear".into(), "love".into()],
            label_counts: Noisy {
                cells: vec![10.0; 3],
                noise_std: 1.0,
            },
            combinations: None,
            keywords: vec!["glad".into(), "merry".into(), "afraid".into()],
            keywords_per_text: 2,
            keyword_counts: Noisy {
                cells: vec![300.0, 0.0, 0.0, 100.0, 0.0, 0.0, 0.0, 50.0, 0.0],
                noise_std: 1.0,
            },
            length_edges: Vec::new(),
            length_counts: Noisy::default(),
            threshold: 2.5,
        }
    }

    #[test]
    fn keywords_follow_the_law_of_their_label() {
        let labels = ["fear", "joy", "love"].map(str::to_owned);
        let keywords = Keywords::of(&counts(), &labels).unwrap();
        let drawn = |label| (0..2000).map(move |number| (label, number));
        assert!(drawn(0).all(|(label, n)| keywords.draw(1, label, n) == Some("afraid")));
        let glad = drawn(1)
            .filter(|(label, n)| keywords.draw(1, *label, *n) == Some("glad"))
            .count();
        assert!((1420..1580).contains(&glad), "three in four: {glad}");
        assert!(drawn(2).all(|(label, n)| keywords.draw(1, label, n).is_none()));
        assert_eq!(
            keywords.report(&labels).unwrap()["drawn_from"],
            json!({"fear": 1, "joy": 2, "love": 0})
        );
        assert_eq!(Keywords::none().draw(1, 0, 0), None);
    }

    #[test]
    fn public_keywords_are_the_labels_own_words() {
        let labels = ["joy".to_owned(), "fear".to_owned()];
        let keywords = Keywords::public(&labels).unwrap();
        for (label, name) in labels.iter().enumerate() {
            let total: f64 = keywords.laws[label].iter().map(|(_, share)| share).sum();
            assert!((total - 1.0).abs() < 1e-9, "{total}");
            let drawn: Vec<&str> = (0..50)
                .map(|number| keywords.draw(1, label, number).unwrap())
                .collect();
            for feeling in builtin::feelings() {
                assert!(feeling.label == name || !drawn.contains(&feeling.word));
            }
        }
        let error = Keywords::public(&["spam".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("`spam`"), "{error}");
    }

    #[test]
    fn unknown_labels_and_missing_keywords_are_named() {
        let error = Keywords::of(&counts(), &["anger".into()]).unwrap_err();
        assert!(error.to_string().contains("`anger`"), "{error}");
        let empty = NoisyCounts {
            combinations: None,
            keywords: Vec::new(),
            ..counts()
        };
        let error = Keywords::of(&empty, &["joy".into()]).unwrap_err();
        assert!(error.to_string().contains("counted none"), "{error}");
    }
}
