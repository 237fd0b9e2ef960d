//! Counts of several columns of labels: of every combination of their values, or of the pairs of values of every two columns,
//! and the shares of combinations that texts are drawn by. What follows the noise is post-processing.

use super::{Counted, Exact, Noisy};
use dpx_schema::params::{Attribute, combinations, values_at};
use serde::{Deserialize, Serialize};

/// Rounds of fitting combinations to pairs; each goes over all pairs of columns.
const ROUNDS: usize = 200;

/// What was released of several columns of labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Combinations {
    pub attributes: Vec<Attribute>,
    /// Noisy counts of the pairs of values of every two columns, `[first, second]` row-major; empty: every combination was
    /// counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pairs: Vec<Pair>,
    /// Shares of the combinations, in the order of the labels.
    pub shares: Vec<f64>,
}

/// Noisy counts of the values of two columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pair {
    /// Place of the one column.
    pub first: usize,
    /// Place of the other.
    pub second: usize,
    /// Row by row: the values of `second` within each value of `first`.
    pub counts: Noisy,
}

/// Every two of so many columns.
fn pairs(columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..columns).flat_map(move |first| (first + 1..columns).map(move |second| (first, second)))
}

/// Counts of the pairs of values of every two columns, one table after the other: every text counts once in each.
pub(super) fn pairwise_histogram(counted: &[Counted<'_>], attributes: &[Attribute]) -> Exact {
    let size = |at: usize| attributes[at].values.len();
    let tables: Vec<(usize, usize)> = pairs(attributes.len()).collect();
    let mut cells = Vec::new();
    for &(first, second) in &tables {
        let mut table = vec![0.0; size(first) * size(second)];
        for one in counted {
            let values = values_at(attributes, one.label);
            table[values[first] * size(second) + values[second]] += one.weight;
        }
        cells.extend(table);
    }
    Exact {
        cells,
        sensitivity: (tables.len() as f64).sqrt(),
    }
}

impl Combinations {
    /// Of noisy counts of every combination.
    pub(super) fn joint(attributes: &[Attribute], counts: &Noisy) -> Self {
        let total = counts.cells.iter().sum::<f64>();
        Self {
            attributes: attributes.to_vec(),
            pairs: Vec::new(),
            shares: shares(&without_noise(&counts.cells, total)),
        }
    }

    /// Of noisy counts of pairs, in the order of [`pairwise_histogram`].
    pub(super) fn pairwise(attributes: &[Attribute], counts: &Noisy) -> Self {
        let mut cells = counts.cells.as_slice();
        let tables = pairs(attributes.len()).map(|(first, second)| {
            let size = attributes[first].values.len() * attributes[second].values.len();
            let (own, rest) = cells.split_at(size);
            cells = rest;
            Pair {
                first,
                second,
                counts: Noisy {
                    cells: own.to_vec(),
                    noise_std: counts.noise_std,
                },
            }
        });
        let pairs: Vec<Pair> = tables.collect();
        Self {
            attributes: attributes.to_vec(),
            shares: fitted(attributes, &pairs),
            pairs,
        }
    }

    /// Texts in all, as far as the noise lets see.
    pub(super) fn total(&self, counts: &Noisy) -> f64 {
        let tables = self.pairs.len().max(1) as f64;
        counts.cells.iter().sum::<f64>() / tables
    }
}

/// Counts without negative cells, with the same total: all cells are lowered by the same and cut off at zero (norm-sub, Wang et
/// al. 2020), so that many empty cells with noise do not add up to texts.
fn without_noise(cells: &[f64], total: f64) -> Vec<f64> {
    let mut sorted = cells.to_vec();
    sorted.sort_unstable_by(|one, other| other.total_cmp(one));
    let (mut sum, mut lower) = (0.0, 0.0);
    for (place, cell) in sorted.iter().enumerate() {
        sum += cell;
        let candidate = (sum - total) / (place + 1) as f64;
        if cell - candidate > 0.0 {
            lower = candidate;
        }
    }
    cells.iter().map(|cell| (cell - lower).max(0.0)).collect()
}

/// In proportion; all alike where there is nothing.
fn shares(cells: &[f64]) -> Vec<f64> {
    let sum: f64 = cells.iter().sum();
    if sum > 0.0 {
        cells.iter().map(|cell| cell / sum).collect()
    } else {
        vec![1.0 / cells.len() as f64; cells.len()]
    }
}

/// The shares of combinations whose pairs are those counted, as near to independence as they allow: iterative proportional
/// fitting (Deming and Stephan 1940).
fn fitted(attributes: &[Attribute], pairs: &[Pair]) -> Vec<f64> {
    let count = combinations(attributes);
    let values: Vec<Vec<usize>> = (0..count)
        .map(|place| values_at(attributes, place))
        .collect();
    let cell = |pair: &Pair, place: usize| {
        let values = &values[place];
        values[pair.first] * attributes[pair.second].values.len() + values[pair.second]
    };
    let wanted: Vec<Vec<f64>> = pairs
        .iter()
        .map(|pair| {
            let total = pair.counts.cells.iter().sum::<f64>();
            shares(&without_noise(&pair.counts.cells, total))
        })
        .collect();
    let mut joint = vec![1.0 / count as f64; count];
    for _ in 0..ROUNDS {
        for (pair, wanted) in pairs.iter().zip(&wanted) {
            let mut found = vec![0.0; wanted.len()];
            for (place, share) in joint.iter().enumerate() {
                found[cell(pair, place)] += share;
            }
            for (place, share) in joint.iter_mut().enumerate() {
                let at = cell(pair, place);
                *share = if found[at] > 0.0 {
                    *share * wanted[at] / found[at]
                } else {
                    0.0
                };
            }
        }
    }
    shares(&joint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(sizes: &[usize]) -> Vec<Attribute> {
        let attribute = |(at, size): (usize, &usize)| Attribute {
            name: format!("a{at}"),
            values: (0..*size).map(|value| format!("v{value}")).collect(),
        };
        sizes.iter().enumerate().map(attribute).collect()
    }

    fn counted(labels: &[usize], attributes: &[Attribute]) -> Exact {
        let texts = vec![""; labels.len()];
        pairwise_histogram(&Counted::of(&texts, labels, None), attributes)
    }

    fn exact(cells: Vec<f64>) -> Noisy {
        Noisy {
            cells,
            noise_std: 0.0,
        }
    }

    #[test]
    fn one_text_moves_pairs_by_the_root_of_their_number() {
        let attributes = attributes(&[2, 3, 2, 2]);
        let labels: Vec<usize> = (0..24).chain([5, 5, 7]).collect();
        let all = counted(&labels, &attributes);
        assert_eq!(all.sensitivity, 6.0_f64.sqrt());
        for left_out in [0, 5, 24] {
            let mut fewer = labels.clone();
            fewer.remove(left_out);
            let other = counted(&fewer, &attributes);
            let squares = all.cells.iter().zip(&other.cells);
            let squares: f64 = squares.map(|(one, other)| (one - other).powi(2)).sum();
            assert!((squares.sqrt() - all.sensitivity).abs() < 1e-12);
        }
    }

    #[test]
    fn combinations_are_fitted_to_their_pairs() {
        let attributes = attributes(&[2, 3, 2]);
        // The first column follows the second; the third is independent.
        let mut labels = Vec::new();
        for label in 0..12 {
            let values = values_at(&attributes, label);
            let times = match (values[0], values[1]) {
                (0, 0) => 30,
                (1, 2) => 20,
                _ => 0,
            };
            labels.extend(std::iter::repeat_n(label, times * (1 + values[2])));
        }
        let counts = counted(&labels, &attributes);
        let found = Combinations::pairwise(&attributes, &exact(counts.cells));
        assert_eq!(found.pairs.len(), 3);
        let total = labels.len() as f64;
        for (label, share) in found.shares.iter().enumerate() {
            let own = labels.iter().filter(|other| **other == label).count() as f64 / total;
            assert!((share - own).abs() < 1e-6, "{label}: {share} for {own}");
        }
        let joint = Combinations::joint(&attributes, &exact(vec![5.0; 12]));
        assert!((joint.shares[3] - 1.0 / 12.0).abs() < 1e-12);
    }

    #[test]
    fn noise_in_empty_cells_makes_no_texts() {
        let mut cells = vec![1000.0, 500.0];
        cells.extend((0..500).map(|cell| if cell % 2 == 0 { 9.0 } else { -9.0 }));
        let kept = without_noise(&cells, cells.iter().sum());
        assert!((kept.iter().sum::<f64>() - 1500.0).abs() < 1e-6);
        let share = (kept[0] + kept[1]) / 1500.0;
        assert!(share > 0.98, "{share}");
        assert!(kept.iter().all(|cell| *cell >= 0.0));
        assert_eq!(shares(&without_noise(&[-1.0, -1.0], -2.0)), [0.5, 0.5]);
    }
}
