//! Histograms over declared domains: exact counts, their sensitivities, and what is drawn from the noisy ones.

use super::combinations::Combinations;
use super::distributions::normalized;
use crate::fault::fault;
use crate::members::Share;
use dpx_nn::text::words;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// A text as it is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted<'a> {
    pub(super) text: &'a str,
    /// Place of its label.
    pub(crate) label: usize,
    /// What it counts: 1, or a person's vote over the number of their records.
    pub(crate) weight: f64,
}

impl<'a> Counted<'a> {
    /// Texts with their labels, each counting one, or its part of the vote of whoever wrote it.
    pub(crate) fn of(texts: &[&'a str], labels: &[usize], shares: Option<&[Share]>) -> Vec<Self> {
        let mut weights = vec![1.0; texts.len()];
        let shares = shares.filter(|_| !fault!(RecordsCountApart));
        for share in shares.into_iter().flatten() {
            for &row in &share.rows {
                weights[row] = share.weight;
            }
        }
        let rows = texts.iter().zip(labels).zip(weights);
        rows.map(|((&text, &label), weight)| Self {
            text,
            label,
            weight,
        })
        .collect()
    }
}

/// Exact counts of one histogram, with the most that one unit can move them in Euclidean norm.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Exact {
    /// One count for each cell, before noise.
    pub cells: Vec<f64>,
    /// L2 sensitivity to adding or removing one text, or everything of one person.
    pub sensitivity: f64,
}

/// A label histogram: every text counts once.
pub(super) fn label_histogram(counted: &[Counted<'_>], classes: usize) -> Exact {
    let mut cells = vec![0.0; classes];
    for one in counted {
        cells[one.label] += one.weight;
    }
    Exact {
        cells,
        sensitivity: 1.0,
    }
}

/// A length histogram: every text counts once, in the first cell whose upper edge (in words) it does not exceed; the last cell
/// takes what is longer.
pub(super) fn length_histogram(counted: &[Counted<'_>], edges: &[u64]) -> Exact {
    let mut cells = vec![0.0; edges.len() + 1];
    for one in counted {
        let length = words(one.text).len() as u64;
        let cell = edges
            .iter()
            .position(|&edge| length <= edge)
            .unwrap_or(edges.len());
        cells[cell] += one.weight;
    }
    Exact {
        cells,
        sensitivity: 1.0,
    }
}

/// The keywords of a text: the first `most` different words of it that stand in the vocabulary.
pub(crate) fn keywords_of<S: std::hash::BuildHasher>(
    text: &str,
    index: &HashMap<String, usize, S>,
    most: usize,
) -> Vec<usize> {
    let mut found = Vec::new();
    for word in words(text) {
        if let Some(&keyword) = index.get(&word)
            && !found.contains(&keyword)
        {
            found.push(keyword);
            if found.len() == most {
                break;
            }
        }
    }
    found
}

/// A label x keyword histogram, `[keywords, classes]` row-major: every text counts in at most `most` cells.
pub(super) fn keyword_histogram(
    counted: &[Counted<'_>],
    classes: usize,
    index: &HashMap<String, usize>,
    most: usize,
) -> Exact {
    let mut cells = vec![0.0; index.len() * classes];
    for one in counted {
        for keyword in keywords_of(one.text, index, most) {
            cells[keyword * classes + one.label] += one.weight;
        }
    }
    Exact {
        cells,
        sensitivity: (most as f64).sqrt(),
    }
}

/// A released histogram.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Noisy {
    pub cells: Vec<f64>,
    /// Standard deviation of the noise in each cell.
    pub noise_std: f64,
}

/// Everything that a `counts` stage releases: differentially private, public from then on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NoisyCounts {
    pub labels: Vec<String>,
    /// Noisy number of texts of each label.
    pub label_counts: Noisy,
    /// Where there are several columns of labels, what was released of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combinations: Option<Combinations>,
    /// The public keywords; empty: no keyword histogram.
    pub keywords: Vec<String>,
    /// Most keywords of a text that were counted.
    #[serde(default = "two")]
    pub keywords_per_text: u64,
    /// Noisy label x keyword counts, `[keywords, labels]` row-major.
    pub keyword_counts: Noisy,
    /// Upper edges of the length histogram in words; empty: none.
    pub length_edges: Vec<u64>,
    /// Noisy number of texts between two `length_edges`.
    pub length_counts: Noisy,
    /// Cells below so many standard deviations of the noise are taken for zero when keywords are drawn.
    pub threshold: f64,
}

/// What artifacts that do not say it were counted with.
const fn two() -> u64 {
    2
}

impl NoisyCounts {
    /// Shares of the labels: negative counts are taken for zero; uniform when nothing is left.
    pub(crate) fn label_shares(&self) -> Vec<f64> {
        if let Some(combinations) = &self.combinations {
            return combinations.shares.clone();
        }
        let positive: Vec<f64> = self
            .label_counts
            .cells
            .iter()
            .map(|cell| cell.max(0.0))
            .collect();
        let sum: f64 = positive.iter().sum();
        if sum > 0.0 {
            positive.iter().map(|cell| cell / sum).collect()
        } else {
            vec![1.0 / positive.len() as f64; positive.len()]
        }
    }

    /// The law from which keywords of a label are drawn: the positive part of `P(word | label) - 1.5 P(word)`, after cells
    /// within the noise were set to zero; pairs of keyword index and probability, empty when no keyword stands out.
    pub(crate) fn keyword_law(&self, label: usize) -> Vec<(usize, f64)> {
        let classes = self.labels.len();
        let least = self.threshold * self.keyword_counts.noise_std;
        let cell = |keyword: usize, class: usize| {
            let value = self.keyword_counts.cells[keyword * classes + class];
            if value < least { 0.0 } else { value.max(0.0) }
        };
        let total = |class: usize| {
            (0..self.keywords.len())
                .map(|keyword| cell(keyword, class))
                .sum::<f64>()
        };
        let totals: Vec<f64> = (0..classes).map(total).collect();
        let share = |keyword: usize, class: usize| {
            if totals[class] > 0.0 {
                cell(keyword, class) / totals[class]
            } else {
                0.0
            }
        };
        normalized((0..self.keywords.len()).filter_map(|keyword| {
            let mean =
                (0..classes).map(|class| share(keyword, class)).sum::<f64>() / classes as f64;
            let weight = share(keyword, label) - 1.5 * mean;
            (weight > 0.0).then_some((keyword, weight))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> HashMap<String, usize> {
        ["happy", "sad", "day"]
            .iter()
            .enumerate()
            .map(|(i, word)| ((*word).to_owned(), i))
            .collect()
    }

    #[test]
    fn one_text_moves_each_histogram_by_at_most_its_sensitivity() {
        let texts = ["happy happy day sad", "sad day", "nothing", "happy"];
        let labels = [1, 0, 1, 1];
        let distance = |a: &Exact, b: &Exact| {
            a.cells
                .iter()
                .zip(&b.cells)
                .map(|(a, b)| (a - b) * (a - b))
                .sum::<f64>()
                .sqrt()
        };
        for left_out in 0..texts.len() {
            let fewer: Vec<&str> = (0..4)
                .filter(|&i| i != left_out)
                .map(|i| texts[i])
                .collect();
            let fewer_labels: Vec<usize> = (0..4)
                .filter(|&i| i != left_out)
                .map(|i| labels[i])
                .collect();
            let all = Counted::of(&texts, &labels, None);
            let fewer = Counted::of(&fewer, &fewer_labels, None);
            let pairs = all_three(&all).into_iter().zip(all_three(&fewer));
            for (all, rest) in pairs {
                assert!(distance(&all, &rest) <= all.sensitivity + 1e-12);
            }
        }
    }

    fn all_three(counted: &[Counted<'_>]) -> [Exact; 3] {
        [
            label_histogram(counted, 3),
            length_histogram(counted, &[1, 2]),
            keyword_histogram(counted, 3, &index(), 2),
        ]
    }

    #[test]
    fn labels_absent_from_the_data_have_a_cell() {
        let counted = Counted::of(&["a b", "a b c d", "a b"], &[0, 0, 2], None);
        assert_eq!(label_histogram(&counted, 4).cells, [2.0, 0.0, 1.0, 0.0]);
        assert_eq!(
            length_histogram(&counted[..2], &[1, 2]).cells,
            [0.0, 1.0, 1.0]
        );
    }

    #[test]
    fn keywords_that_tell_labels_apart_are_drawn_and_noise_is_not() {
        let counts = NoisyCounts {
            labels: vec!["sadness".into(), "joy".into()],
            label_counts: Noisy {
                cells: vec![-3.0, 30.0],
                noise_std: 1.0,
            },
            combinations: None,
            keywords: vec!["happy".into(), "sad".into(), "day".into(), "odd".into()],
            keywords_per_text: 2,
            keyword_counts: Noisy {
                cells: vec![5.0, 90.0, 80.0, 4.0, 50.0, 50.0, 9.0, -9.0],
                noise_std: 10.0,
            },
            length_edges: vec![],
            length_counts: Noisy::default(),
            threshold: 2.5,
        };
        assert_eq!(counts.label_shares(), [0.0, 1.0]);
        assert_eq!(counts.keyword_law(0), [(1, 1.0)]);
        assert_eq!(counts.keyword_law(1), [(0, 1.0)]);
    }
}
