//! Counts of what was scrubbed, and how much of what was planted was found.

use super::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How well one kind of planted personal data was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KindScore {
    /// Pieces that are known to stand in the texts.
    pub planted: u64,
    /// Planted pieces of which nothing is left.
    pub removed: u64,
    /// Spans that were replaced as this kind.
    pub replaced: u64,
    /// Those that touch a planted piece of this kind.
    pub correct: u64,
}

impl KindScore {
    /// Share of the planted pieces that were removed.
    pub fn recall(&self) -> Option<f64> {
        (self.planted > 0).then(|| self.removed as f64 / self.planted as f64)
    }

    /// Share of the replaced spans that touch a planted piece; a lower bound, since texts also hold personal data that
    /// nobody planted.
    pub fn precision(&self) -> Option<f64> {
        (self.replaced > 0).then(|| self.correct as f64 / self.replaced as f64)
    }
}

/// Counts over all texts; what `scrub.json` holds. Depends on what was found alone, not on how it was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Number of replaced spans by kind, in capitals.
    pub counts: BTreeMap<String, u64>,
    /// Texts with at least one replaced span.
    pub texts: u64,
    /// By kind of planted data, in capitals; empty where nothing is known to be planted.
    pub planted: BTreeMap<String, KindScore>,
}

impl Tally {
    /// Enters one text: what was replaced, and what was planted (kind in capitals, first byte, byte after the last).
    pub fn add(&mut self, spans: &[Span], planted: &[(String, usize, usize)]) {
        self.texts += u64::from(!spans.is_empty());
        for span in spans {
            *self.counts.entry(span.kind.clone()).or_default() += 1;
            if ["PERSON", "EMAIL", "PHONE", "HANDLE"].contains(&span.kind.as_str()) {
                let correct = planted.iter().any(|(kind, start, end)| {
                    *kind == span.kind && *start < span.end && span.start < *end
                });
                let score = self.planted.entry(span.kind.clone()).or_default();
                score.replaced += 1;
                score.correct += u64::from(correct);
            }
        }
        for (kind, start, end) in planted {
            let covered: usize = spans
                .iter()
                .map(|span| span.end.min(*end).saturating_sub(span.start.max(*start)))
                .sum();
            let score = self.planted.entry(kind.clone()).or_default();
            score.planted += 1;
            score.removed += u64::from(covered >= end - start);
        }
    }

    /// Forgets the scores where nothing at all was planted.
    pub fn finish(&mut self) {
        if self.planted.values().all(|score| score.planted == 0) {
            self.planted.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_what_was_planted() {
        let span = |start, end, kind: &str| Span {
            start,
            end,
            kind: kind.into(),
        };
        let mut tally = Tally::default();
        tally.add(
            &[
                span(0, 5, "PERSON"),
                span(10, 14, "PERSON"),
                span(20, 25, "PHONE"),
            ],
            &[("PERSON".into(), 0, 5), ("PHONE".into(), 20, 30)],
        );
        tally.add(&[], &[("EMAIL".into(), 0, 3)]);
        tally.finish();
        let person = tally.planted["PERSON"];
        assert_eq!(
            (person.recall(), person.precision()),
            (Some(1.0), Some(0.5))
        );
        let phone = tally.planted["PHONE"];
        assert_eq!((phone.recall(), phone.precision()), (Some(0.0), Some(1.0)));
        let email = tally.planted["EMAIL"];
        assert_eq!((email.recall(), email.precision()), (Some(0.0), None));
        assert_eq!(tally.counts["PERSON"], 2);
        assert_eq!(tally.texts, 1);
    }
}
