//! Texts of a pool, drawn by the noisy votes of a `select` stage. The votes have been paid for: this is post-processing.
//!
//! A candidate with label y in cluster c weighs q(c | y) over the number of such candidates, q being the label's row of votes
//! without what lies within the noise; with contrast q is multiplied by the label's part of all labels' q for the cluster. Where
//! nothing of a label stands out of the noise, and at epsilon 0, the pool votes for itself: it costs no privacy.

use super::systematic::{chances, counts};
use super::write::Text;
use crate::select::Votes;
use dpx_nn::seed::Stream;
use dpx_schema::params::{Contrast, DuplicatePolicy, SampleParams, VoteFor};
use dpx_schema::{Kind, StageContext, StageError};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Votes that texts are drawn by.
#[derive(Debug)]
pub(super) struct Draw {
    votes: Votes,
    /// Shares of each label's votes, `[labels][clusters]`: of the private ones where any stands out, else of the pool's own.
    shares: Vec<Shares>,
    contrast: bool,
    threshold: f64,
    duplicates: DuplicatePolicy,
    seed: u64,
}

/// How a label's votes are spread over the clusters.
#[derive(Debug, Clone, PartialEq)]
struct Shares {
    of: Vec<f64>,
    /// The pool voted for itself.
    public: bool,
}

#[derive(Debug)]
pub(super) struct Drawn {
    pub(super) texts: Vec<Text>,
    /// Candidates that were not.
    pub(super) left: u64,
    pub(super) told: Value,
}

impl Draw {
    /// The votes among the needs for the pool at `pool`; nothing where there are none.
    ///
    /// # Errors
    /// When they cannot be read, or are votes for other texts.
    pub(super) fn load(
        context: &StageContext<'_>,
        params: &SampleParams,
        pool: &Path,
    ) -> Result<Option<Self>, StageError> {
        let Some((_, input)) = context.input_of(Kind::Select) else {
            return Ok(None);
        };
        Ok(Some(Self {
            votes: Votes::load(&input.path, pool)?,
            shares: Vec::new(),
            contrast: false,
            threshold: params.vote_threshold,
            duplicates: params.duplicates,
            seed: context.seed,
        }))
    }

    pub(super) fn labels(&self) -> &[String] {
        &self.votes.labels
    }

    /// Makes ready to draw from this pool; `taught` says that a teacher tells the labels apart.
    pub(super) fn ready(mut self, params: &SampleParams, pool: &[Text], taught: bool) -> Self {
        self.contrast = match params.contrast {
            Contrast::Auto => !taught,
            Contrast::On => true,
            Contrast::Off => false,
        } && self.votes.by == VoteFor::Clusters;
        if self.votes.by == VoteFor::Clusters {
            self.shares = self.shares_of(pool);
        }
        self
    }

    fn least(&self) -> f64 {
        self.threshold * self.votes.counts.noise_std
    }

    /// A count that lies within the noise is none.
    fn beyond_noise(&self, count: f64) -> f64 {
        if count < self.least() {
            0.0
        } else {
            count.max(0.0)
        }
    }

    fn shares_of(&self, pool: &[Text]) -> Vec<Shares> {
        let (labels, clusters) = (self.votes.labels.len(), self.votes.clusters);
        let mut own = vec![vec![0.0; clusters]; labels];
        for text in pool {
            own[text.label][self.votes.of_pool[text.number as usize]] += 1.0;
        }
        (0..labels)
            .map(|label| {
                let cells = self.votes.counts.cells.chunks_exact(clusters).nth(label);
                let votes: Vec<f64> = cells
                    .into_iter()
                    .flatten()
                    .map(|count| self.beyond_noise(*count))
                    .collect();
                // Votes for clusters in which the pool has no text of the label draw nothing.
                let drawable: f64 = votes
                    .iter()
                    .zip(&own[label])
                    .filter(|(_, texts)| **texts > 0.0)
                    .map(|(votes, _)| votes)
                    .sum();
                let public = drawable <= 0.0;
                let row = if public { &own[label] } else { &votes };
                let sum: f64 = row.iter().sum::<f64>().max(f64::MIN_POSITIVE);
                Shares {
                    of: row.iter().map(|count| count / sum).collect(),
                    public,
                }
            })
            .collect()
    }

    /// Draws so many candidates of each label; a candidate's number is its place in the pool.
    pub(super) fn draw(&self, candidates: Vec<Text>, asked: &[u64]) -> Drawn {
        let all = candidates.len();
        let mut by_label: Vec<Vec<Text>> = vec![Vec::new(); asked.len()];
        for text in candidates {
            by_label[text.label].push(text);
        }
        let mut drawn = Drawn {
            texts: Vec::new(),
            left: 0,
            told: Value::Null,
        };
        let (mut told, mut missing, mut different) = (Map::new(), 0, 0);
        for (label, mut texts) in by_label.into_iter().enumerate() {
            // Neighbours in one cluster stand together, so that systematic draws spread over the clusters.
            texts.sort_by_key(|text| (self.cluster(text), text.number));
            let (weights, public) = self.weights(label, &texts);
            let wanted = asked[label];
            let times = self.times(label, &weights, wanted);
            let written: u64 = times.iter().sum();
            let once = times.iter().filter(|times| **times > 0).count() as u64;
            missing += wanted - written;
            different += once;
            told.insert(
                self.votes.labels[label].clone(),
                json!({
                    "votes": if public { "public" } else { "private" },
                    "candidates": texts.len(),
                    "with_votes": weights.iter().filter(|weight| **weight > 0.0).count(),
                    "drawn": written,
                    "repeated": written - once,
                }),
            );
            let mut kept: Vec<(Text, u64)> = texts.into_iter().zip(times).collect();
            kept.sort_by_key(|(text, _)| text.number);
            for (text, times) in kept {
                drawn.texts.extend((0..times).map(|_| text.clone()));
            }
        }
        drawn.left = all as u64 - different;
        drawn.told = json!({
            "by": self.votes.by,
            "clusters": self.votes.clusters,
            "noise_std": self.votes.counts.noise_std,
            "threshold": self.threshold,
            "contrast": self.contrast,
            "by_label": told,
            "missing": missing,
        });
        drawn
    }

    fn cluster(&self, text: &Text) -> usize {
        let place = text.number as usize;
        self.votes.of_pool.get(place).copied().unwrap_or(0)
    }

    /// The weight of each candidate of a label, and whether they are those of the pool's own votes.
    fn weights(&self, label: usize, texts: &[Text]) -> (Vec<f64>, bool) {
        if self.votes.by == VoteFor::Nearest {
            let votes = &self.votes.counts.cells;
            let votes = |text: &Text| {
                let found = votes.get(text.number as usize);
                found.map_or(0.0, |count| self.beyond_noise(*count))
            };
            let weights: Vec<f64> = texts.iter().map(votes).collect();
            if weights.iter().any(|weight| *weight > 0.0) {
                return (weights, false);
            }
            return (vec![1.0; texts.len()], true);
        }
        let mut numbers = vec![0.0; self.votes.clusters];
        for text in texts {
            numbers[self.cluster(text)] += 1.0;
        }
        let weight = |text: &Text| {
            let cluster = self.cluster(text);
            let share = self.shares[label].of[cluster];
            let all: f64 = self.shares.iter().map(|shares| shares.of[cluster]).sum();
            let part = if self.contrast && all > 0.0 {
                share / all
            } else {
                1.0
            };
            share * part / numbers[cluster]
        };
        let weights: Vec<f64> = texts.iter().map(weight).collect();
        if weights.iter().any(|weight| *weight > 0.0) {
            return (weights, self.shares[label].public);
        }
        // A teacher left none of the texts that were voted for.
        (vec![1.0; texts.len()], true)
    }

    /// How often each candidate is drawn.
    fn times(&self, label: usize, weights: &[f64], wanted: u64) -> Vec<u64> {
        let mut stream = Stream::new(self.seed, "draw by votes", &[label as u64]);
        let start = stream.uniform();
        let voted = weights.iter().filter(|weight| **weight > 0.0).count() as u64;
        let sum: f64 = weights.iter().sum();
        let expected = |wanted: u64| -> Vec<f64> {
            let each = weights.iter().map(|weight| weight / sum);
            each.map(|share| share * wanted as f64).collect()
        };
        match self.duplicates {
            _ if voted == 0 => vec![0; weights.len()],
            DuplicatePolicy::Keep => counts(&expected(wanted), start),
            DuplicatePolicy::Retry if voted < wanted => {
                let more = counts(&expected(wanted - voted), start);
                let once = weights.iter().map(|weight| u64::from(*weight > 0.0));
                once.zip(more).map(|(once, more)| once + more).collect()
            }
            DuplicatePolicy::Retry | DuplicatePolicy::Drop => {
                counts(&chances(weights, wanted), start)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Noisy;

    fn text(label: usize, number: u64) -> Text {
        Text {
            label,
            number,
            content: format!("text {number}"),
            length: None,
            probabilities: None,
        }
    }

    /// Two labels, three clusters, twelve texts: of each label two in each cluster.
    fn pool() -> Vec<Text> {
        (0..12).map(|place| text(place / 6, place as u64)).collect()
    }

    fn draw(by: VoteFor, cells: Vec<f64>, noise_std: f64) -> Draw {
        let clusters = if by == VoteFor::Clusters { 3 } else { 0 };
        let votes = Votes {
            labels: vec!["joy".into(), "fear".into()],
            by,
            pool: String::new(),
            clusters,
            of_pool: if clusters > 0 {
                (0..12).map(|place| place / 2 % 3).collect()
            } else {
                Vec::new()
            },
            counts: Noisy { cells, noise_std },
        };
        Draw {
            votes,
            shares: Vec::new(),
            contrast: false,
            threshold: 2.0,
            duplicates: DuplicatePolicy::Keep,
            seed: 7,
        }
    }

    fn params(contrast: &str) -> SampleParams {
        serde_json::from_value(json!({ "contrast": contrast })).unwrap()
    }

    fn numbers(drawn: &Drawn) -> Vec<u64> {
        drawn.texts.iter().map(|text| text.number).collect()
    }

    #[test]
    fn texts_are_drawn_as_often_as_the_votes_beyond_the_noise_say() {
        // The second cell of joy lies within the noise, and fear has a negative one.
        let cells = vec![30.0, 1.9, 10.0, -5.0, 20.0, 0.0];
        let draw = draw(VoteFor::Clusters, cells, 1.0).ready(&params("off"), &pool(), false);
        let drawn = draw.draw(pool(), &[8, 4]);
        let found = numbers(&drawn);
        let times = |place: u64| found.iter().filter(|other| **other == place).count();
        let joy = [3, 3, 0, 0, 1, 1];
        for (place, expected) in (0..).zip(joy) {
            assert_eq!(times(place), expected, "{place}: {found:?}");
        }
        assert_eq!(&found[8..], [8, 8, 9, 9]);
        assert_eq!(drawn.left, 6);
        let told = &drawn.told["by_label"]["joy"];
        assert_eq!((&told["drawn"], &told["repeated"]), (&json!(8), &json!(4)));
        assert_eq!(told["votes"], "private");
    }

    #[test]
    fn contrast_favours_clusters_that_speak_for_one_label() {
        let cells = vec![10.0, 10.0, 0.0, 10.0, 0.0, 10.0];
        let shares = |contrast: &str, taught: bool| {
            let draw = draw(VoteFor::Clusters, cells.clone(), 1.0).ready(
                &params(contrast),
                &pool(),
                taught,
            );
            let texts: Vec<Text> = pool().into_iter().filter(|text| text.label == 0).collect();
            draw.weights(0, &texts).0
        };
        assert_eq!(shares("off", false), [0.25, 0.25, 0.25, 0.25, 0.0, 0.0]);
        let on = shares("on", false);
        assert_eq!(on, [0.125, 0.125, 0.25, 0.25, 0.0, 0.0]);
        assert_eq!(shares("auto", false), on);
        assert_eq!(shares("auto", true), shares("off", false));
    }

    #[test]
    fn a_label_within_the_noise_draws_by_the_votes_of_the_pool_itself() {
        let cells = vec![1.0, -1.0, 0.5, 10.0, 0.0, 0.0];
        for by_votes in [cells, Vec::new()] {
            let public = by_votes.is_empty();
            let draw = draw(VoteFor::Clusters, by_votes, 1.0).ready(&params("off"), &pool(), false);
            let drawn = draw.draw(pool(), &[6, 2]);
            assert_eq!(numbers(&drawn)[..6], [0, 1, 2, 3, 4, 5]);
            let told = &drawn.told["by_label"];
            assert_eq!(told["joy"]["votes"], "public");
            let fear = if public { "public" } else { "private" };
            assert_eq!(told["fear"]["votes"], fear);
        }
    }

    #[test]
    fn single_texts_are_drawn_by_their_own_votes() {
        let mut cells = vec![0.0; 12];
        (cells[2], cells[3], cells[7]) = (4.0, 12.0, 3.0);
        let draw = draw(VoteFor::Nearest, cells, 1.0).ready(&params("auto"), &pool(), false);
        assert_eq!(numbers(&draw.draw(pool(), &[4, 1])), [2, 3, 3, 3, 7]);
    }

    #[test]
    fn texts_are_repeated_only_where_that_is_asked_for_or_there_are_no_others() {
        let cells = vec![30.0, 0.0, 10.0, 30.0, 1.0, 10.0];
        let drawn = |duplicates: DuplicatePolicy, wanted: u64| {
            let draw = Draw {
                duplicates,
                ..draw(VoteFor::Clusters, cells.clone(), 1.0)
            };
            let draw = draw.ready(&params("off"), &pool(), false);
            let texts = pool().into_iter().filter(|text| text.label == 0).collect();
            numbers(&draw.draw(texts, &[wanted, 0]))
        };
        assert_eq!(drawn(DuplicatePolicy::Drop, 9), [0, 1, 4, 5]);
        let retried = drawn(DuplicatePolicy::Retry, 6);
        assert_eq!(retried.len(), 6);
        for place in [0, 1, 4, 5] {
            assert!(retried.contains(&place));
        }
        let once = drawn(DuplicatePolicy::Retry, 3);
        assert!(once.len() == 3 && once.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn votes_for_texts_that_a_teacher_left_out_fall_to_nobody() {
        let cells = vec![30.0, 0.0, 0.0, 30.0, 0.0, 0.0];
        let draw = draw(VoteFor::Clusters, cells, 1.0).ready(&params("off"), &pool(), true);
        let left = vec![text(0, 2), text(0, 5)];
        let drawn = draw.draw(left, &[2, 3]);
        assert_eq!(numbers(&drawn), [2, 5]);
        assert_eq!(drawn.told["missing"], 3);
        assert_eq!(drawn.told["by_label"]["joy"]["votes"], "public");
    }
}
