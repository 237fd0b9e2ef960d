//! Laws from which texts are drawn as bags of words: the words of a label, and the numbers of words.

use super::NoisyCounts;
use std::ops::RangeInclusive;

impl NoisyCounts {
    /// `P(word | label)`: the label's cells that stand out of the noise, in proportion; pairs of place in the vocabulary and
    /// probability, empty when none stands out.
    pub(crate) fn word_law(&self, label: usize) -> Vec<(usize, f64)> {
        let cells = self.keyword_counts.cells.iter().copied();
        let of_label = cells.skip(label).step_by(self.labels.len().max(1));
        normalized(standing_out(
            of_label,
            self.threshold * self.keyword_counts.noise_std,
        ))
    }

    /// The law of a text's number of words: ranges with their probabilities, uniform within a range; empty when no cell of the
    /// length histogram stands out, or there is none. What is longer than the last edge counts as one word longer.
    pub(crate) fn length_law(&self) -> Vec<(RangeInclusive<u64>, f64)> {
        let least = self.threshold * self.length_counts.noise_std;
        let cells = self.length_counts.cells.iter().copied();
        let range = |cell: usize| {
            let above = |edge: u64| edge.saturating_add(1);
            let first = cell
                .checked_sub(1)
                .map_or(1, |before| above(self.length_edges[before]));
            first..=self.length_edges.get(cell).copied().unwrap_or(first)
        };
        // A first edge of 0 counts empty texts: nothing to draw.
        let standing = standing_out(cells, least).filter(|(cell, _)| !range(*cell).is_empty());
        let law = normalized(standing);
        law.into_iter()
            .map(|(cell, share)| (range(cell), share))
            .collect()
    }
}

/// Cells above 0 that are at least so large, with their places.
fn standing_out(
    cells: impl Iterator<Item = f64>,
    least: f64,
) -> impl Iterator<Item = (usize, f64)> {
    cells
        .enumerate()
        .filter(move |(_, cell)| *cell > 0.0 && *cell >= least)
}

/// In proportion, adding up to 1.
pub(super) fn normalized(cells: impl Iterator<Item = (usize, f64)>) -> Vec<(usize, f64)> {
    let mut law: Vec<(usize, f64)> = cells.collect();
    let sum: f64 = law.iter().map(|(_, weight)| weight).sum();
    for (_, weight) in &mut law {
        *weight /= sum;
    }
    law
}

#[cfg(test)]
mod tests {
    use super::super::Noisy;
    use super::*;

    fn counts() -> NoisyCounts {
        NoisyCounts {
            labels: vec!["sadness".into(), "joy".into()],
            label_counts: Noisy::default(),
            combinations: None,
            keywords: vec!["happy".into(), "sad".into(), "day".into()],
            keywords_per_text: 2,
            keyword_counts: Noisy {
                cells: vec![4.0, 75.0, 30.0, 3.0, 10.0, 25.0],
                noise_std: 2.0,
            },
            length_edges: vec![4, 8],
            length_counts: Noisy {
                cells: vec![30.0, -2.0, 10.0],
                noise_std: 2.0,
            },
            threshold: 2.5,
        }
    }

    #[test]
    fn words_follow_the_cells_that_stand_out_of_the_noise() {
        assert_eq!(counts().word_law(0), [(1, 0.75), (2, 0.25)]);
        assert_eq!(counts().word_law(1), [(0, 0.75), (2, 0.25)]);
        let nothing = NoisyCounts {
            threshold: 100.0,
            ..counts()
        };
        assert!(nothing.word_law(0).is_empty());
        let exact = NoisyCounts {
            keyword_counts: Noisy {
                cells: vec![0.0, 0.0, 2.0, 0.0, 6.0, 1.0],
                noise_std: 0.0,
            },
            ..counts()
        };
        assert_eq!(exact.word_law(0), [(1, 0.25), (2, 0.75)]);
    }

    #[test]
    fn lengths_follow_their_histogram() {
        assert_eq!(counts().length_law(), [(1..=4, 0.75), (9..=9, 0.25)]);
        let empty_first = NoisyCounts {
            length_edges: vec![0, 8],
            ..counts()
        };
        assert_eq!(empty_first.length_law(), [(9..=9, 1.0)]);
        let none = NoisyCounts {
            length_edges: Vec::new(),
            length_counts: Noisy::default(),
            ..counts()
        };
        assert!(none.length_law().is_empty());
    }
}
