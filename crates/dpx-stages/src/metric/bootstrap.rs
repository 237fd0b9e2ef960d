//! Bootstrap intervals over test texts (Efron 1979): how much a figure would move with other texts of the same kind.
//!
//! Texts are resampled by giving each a Poisson number of copies (Hanley and MacGibbon 2006), which for the counts of a
//! confusion matrix is a Poisson draw per cell. Where people have several texts, people are resampled with all of theirs: what one person
//! writes is alike, and so is what a classifier makes of it. The draws are the same each time: equal predictions have equal intervals.

use super::Classification;
use super::choose::Stream;
use serde::{Deserialize, Serialize};

/// Draws of an interval.
const DRAWS: usize = 1000;
/// The square of the standard normal quantile of an interval of 95%.
const Z_SQUARED: f64 = 3.8415;

/// The middle 95% of a figure's bootstrap draws.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// Intervals of a classification over its test texts.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassificationIntervals {
    /// Share of texts with the right label.
    pub accuracy: Interval,
    /// Mean of the F1 of all labels.
    pub macro_f1: Interval,
    /// Of the F1 of each label, in the order of the labels.
    pub f1: Vec<Interval>,
}

/// The 95% bootstrap intervals of a classification; nothing where it has no text.
pub fn classification_intervals(figures: &Classification) -> Option<ClassificationIntervals> {
    if figures.n == 0 {
        return None;
    }
    let count = figures.labels.len();
    let groups = groups(figures);
    let mut stream = Stream::new(0x626f_6f74);
    let (mut accuracy, mut macro_f1) = (Vec::new(), Vec::new());
    let mut f1 = vec![Vec::with_capacity(DRAWS); count];
    let (mut hit, mut sides) = (vec![0_u64; count], vec![0_u64; count]);
    for _ in 0..DRAWS {
        hit.fill(0);
        sides.fill(0);
        let (mut right, mut all) = (0, 0);
        for (mean, cells) in &groups {
            let copies = poisson(*mean, &mut stream);
            for &(row, column, hits) in cells {
                let drawn = copies * hits;
                sides[row] += drawn;
                sides[column] += drawn;
                all += drawn;
                if row == column {
                    hit[row] += drawn;
                    right += drawn;
                }
            }
        }
        if all == 0 {
            continue;
        }
        accuracy.push(right as f64 / all as f64);
        let (mut sum, mut seen) = (0.0, 0_u64);
        for label in 0..count {
            let own = if sides[label] > 0 {
                seen += 1;
                2.0 * hit[label] as f64 / sides[label] as f64
            } else {
                0.0
            };
            sum += own;
            f1[label].push(own);
        }
        macro_f1.push(sum / seen.max(1) as f64);
    }
    // The figure itself lies inside, however few texts there are; and where no draw can differ, Wilson's interval (1927) is left.
    let independent = if figures.people.is_empty() {
        figures.n
    } else {
        figures.people.len() as u64
    } as f64;
    let around = |draws, value: f64| {
        let (low, high) = middle_95(draws);
        let none = Z_SQUARED / (independent + Z_SQUARED);
        Interval {
            low: if value >= 1.0 {
                1.0 - none
            } else {
                low.min(value)
            },
            high: if value <= 0.0 { none } else { high.max(value) },
        }
    };
    Some(ClassificationIntervals {
        accuracy: around(accuracy, figures.accuracy),
        macro_f1: around(macro_f1, figures.macro_f1),
        f1: f1
            .into_iter()
            .zip(&figures.per_label)
            .map(|(draws, label)| around(draws, label.f1))
            .collect(),
    })
}

/// What is drawn together: how many copies there are on average, and the texts of each copy as true label, predicted label and number.
type Group = (f64, Vec<(usize, usize, u64)>);

fn groups(figures: &Classification) -> Vec<Group> {
    if !figures.people.is_empty() {
        return figures
            .people
            .iter()
            .map(|own| (1.0, own.clone()))
            .collect();
    }
    let rows = figures.confusion.iter().enumerate();
    let cells = rows.flat_map(|(row, cells)| {
        let cells = cells.iter().enumerate();
        cells.map(move |(column, hits)| (*hits as f64, vec![(row, column, 1)]))
    });
    cells.filter(|(hits, _)| *hits > 0.0).collect()
}

/// The ends between which the middle 95% of some draws lie; 0 and 1 where there is none.
pub(super) fn middle_95(mut draws: Vec<f64>) -> (f64, f64) {
    if draws.is_empty() {
        return (0.0, 1.0);
    }
    draws.sort_by(f64::total_cmp);
    let at = |share: f64| draws[((draws.len() - 1) as f64 * share).round() as usize];
    (at(0.025), at(0.975))
}

/// A Poisson number; a rounded normal one where the mean is large.
pub(super) fn poisson(mean: f64, stream: &mut Stream) -> u64 {
    if mean > 30.0 {
        let radius = (-2.0 * (1.0 - stream.unit()).ln()).sqrt();
        let normal = radius * (2.0 * std::f64::consts::PI * stream.unit()).cos();
        return (mean + mean.sqrt() * normal).round().max(0.0) as u64;
    }
    let least = (-mean).exp();
    let (mut number, mut product) = (0, stream.unit());
    while product > least {
        number += 1;
        product *= stream.unit();
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(matrix: Vec<Vec<u64>>) -> Classification {
        let labels: Vec<String> = (0..matrix.len()).map(|label| label.to_string()).collect();
        Classification::from_matrix(&labels, matrix).unwrap()
    }

    /// With 400 texts and an accuracy of 0.8 the normal interval is 0.8 ± 0.0392.
    #[test]
    fn the_interval_of_the_accuracy_is_that_of_the_binomial() {
        let found = classification_intervals(&figures(vec![vec![160, 40], vec![40, 160]])).unwrap();
        assert!((found.accuracy.low - 0.761).abs() < 0.006, "{found:?}");
        assert!((found.accuracy.high - 0.839).abs() < 0.006, "{found:?}");
        assert!((found.macro_f1.low - 0.761).abs() < 0.008, "{found:?}");
        let more =
            classification_intervals(&figures(vec![vec![16000, 4000], vec![4000, 16000]])).unwrap();
        assert!(more.accuracy.high - more.accuracy.low < 0.01, "{more:?}");
    }

    /// 40 people with 10 texts each, of which all are right or none are: as if there were 40 texts.
    #[test]
    fn people_are_drawn_with_all_of_their_texts() {
        let people: Vec<String> = (0..400).map(|text| (text / 10).to_string()).collect();
        let truth: Vec<usize> = (0..400).map(|text| text % 2).collect();
        let predicted: Vec<usize> = (0..400)
            .map(|text| if text < 80 { 1 - text % 2 } else { text % 2 })
            .collect();
        let labels: Vec<String> = ["a", "b"].map(str::to_owned).to_vec();
        let texts = Classification::of(&labels, &truth, &predicted).unwrap();
        let by_people = texts.clone().by_people(&people, &truth, &predicted);
        let width = |of: &Classification| {
            let found = classification_intervals(of).unwrap().accuracy;
            found.high - found.low
        };
        assert!((width(&texts) - 0.0784).abs() < 0.01, "{}", width(&texts));
        assert!(
            (width(&by_people) - 0.248).abs() < 0.04,
            "{}",
            width(&by_people)
        );
        // 0.8 x 0.2 / 40, and over 400.
        assert!((by_people.design_effect() - 10.0).abs() < 1e-9);
        assert!((by_people.variance_of_accuracy() - 0.004).abs() < 2e-4);
        assert!((texts.variance_of_accuracy() - 0.0004).abs() < 2e-5);
        let all = Classification::of(&labels, &truth, &truth).unwrap();
        assert!(all.variance_of_accuracy() > 0.0);
    }

    #[test]
    fn a_rare_label_has_a_wide_interval_and_few_texts_are_no_trouble() {
        let found = classification_intervals(&figures(vec![vec![900, 2], vec![3, 4]])).unwrap();
        assert!(found.f1[1].high - found.f1[1].low > 0.4, "{found:?}");
        assert!(found.f1[0].high - found.f1[0].low < 0.02, "{found:?}");
        // Wilson's interval of one hit of one, and of none of two.
        let one = classification_intervals(&figures(vec![vec![1, 0], vec![0, 0]])).unwrap();
        assert!((one.accuracy.low - 0.2065).abs() < 1e-3 && one.accuracy.high == 1.0);
        let none = classification_intervals(&figures(vec![vec![0, 2], vec![0, 0]])).unwrap();
        assert!((none.accuracy.high - 0.6576).abs() < 1e-3 && none.accuracy.low == 0.0);
        assert_eq!(classification_intervals(&figures(vec![vec![0]])), None);
    }
}
