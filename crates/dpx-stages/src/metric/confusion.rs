//! Utility of a classifier: confusion matrix, accuracy, macro-F1, figures per label.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a classifier got right and wrong on a test set: the content of `metrics.json`.
///
/// Accuracy is the share of correct predictions. Precision, recall and F1 of a label are those of scikit-learn with
/// `zero_division = 0`; macro-F1 is their plain mean over the declared labels that occur in the truth or in the
/// predictions (scikit-learn's `f1_score(average="macro")`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Classification {
    /// Share of correct predictions, between 0 and 1.
    pub accuracy: f64,
    /// Mean of the labels' F1, between 0 and 1.
    pub macro_f1: f64,
    /// The declared labels, in order.
    pub labels: Vec<String>,
    /// Number of texts by true label and predicted label: `confusion[true][predicted]`.
    pub confusion: Vec<Vec<u64>>,
    /// Figures of each label, in the order of `labels`.
    pub per_label: Vec<LabelFigures>,
    /// How many texts were predicted: the sum of `confusion`.
    pub n: u64,
    /// Of each person, where people are protected, their texts as true label, predicted label and number. Empty where each text is by
    /// itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Vec<(usize, usize, u64)>>,
}

/// How well one label is told apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelFigures {
    /// As it was declared.
    pub label: String,
    /// Share of the texts given this label that carry it.
    pub precision: f64,
    /// Share of the texts that carry this label that were given it.
    pub recall: f64,
    /// Harmonic mean of precision and recall; 0 where both are.
    pub f1: f64,
    /// Number of texts that carry this label.
    pub support: u64,
}

/// Predictions that do not fit the labels or the truth.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum ConfusionError {
    #[error("{truth} texts but {predicted} predictions: expected one prediction per text")]
    Lengths { truth: usize, predicted: usize },
    /// A label index that no label has.
    #[error("label index {index} in row {row}, but there are {labels} labels")]
    Index {
        index: usize,
        /// Row, from 0.
        row: usize,
        labels: usize,
    },
    /// A matrix that is not labels x labels.
    #[error("the confusion matrix is not {labels} x {labels}")]
    Shape { labels: usize },
}

impl Classification {
    /// The figures of predictions, both given as indices into `labels`.
    ///
    /// # Errors
    /// When the two slices differ in length or an index is out of range.
    pub fn of(
        labels: &[String],
        truth: &[usize],
        predicted: &[usize],
    ) -> Result<Self, ConfusionError> {
        if truth.len() != predicted.len() {
            return Err(ConfusionError::Lengths {
                truth: truth.len(),
                predicted: predicted.len(),
            });
        }
        let count = labels.len();
        let mut confusion = vec![vec![0_u64; count]; count];
        for (row, (&truth, &predicted)) in truth.iter().zip(predicted).enumerate() {
            for index in [truth, predicted] {
                if index >= count {
                    return Err(ConfusionError::Index {
                        index,
                        row,
                        labels: count,
                    });
                }
            }
            confusion[truth][predicted] += 1;
        }
        Self::from_matrix(labels, confusion)
    }

    /// The figures of a confusion matrix `[true][predicted]`.
    ///
    /// # Errors
    /// When the matrix is not square with one row per label.
    pub fn from_matrix(
        labels: &[String],
        confusion: Vec<Vec<u64>>,
    ) -> Result<Self, ConfusionError> {
        let count = labels.len();
        if confusion.len() != count || confusion.iter().any(|row| row.len() != count) {
            return Err(ConfusionError::Shape { labels: count });
        }
        let n: u64 = confusion.iter().flatten().sum();
        let mut correct = 0;
        let mut f1_sum = 0.0;
        let mut seen = 0_u64;
        let mut per_label = Vec::with_capacity(count);
        for (index, label) in labels.iter().enumerate() {
            let hit = confusion[index][index];
            let support: u64 = confusion[index].iter().sum();
            let given: u64 = confusion.iter().map(|row| row[index]).sum();
            correct += hit;
            let f1 = ratio(2 * hit, support + given);
            if support + given > 0 {
                f1_sum += f1;
                seen += 1;
            }
            per_label.push(LabelFigures {
                label: label.clone(),
                precision: ratio(hit, given),
                recall: ratio(hit, support),
                f1,
                support,
            });
        }
        Ok(Self {
            accuracy: ratio(correct, n),
            macro_f1: if seen == 0 { 0.0 } else { f1_sum / seen as f64 },
            labels: labels.to_vec(),
            confusion,
            per_label,
            n,
            people: Vec::new(),
        })
    }

    /// The same with whose each text is; nothing changes where that is not known of all.
    #[must_use]
    pub fn by_people(mut self, people: &[String], truth: &[usize], predicted: &[usize]) -> Self {
        if people.len() != truth.len() || truth.len() != predicted.len() {
            return self;
        }
        let mut cells: BTreeMap<&str, BTreeMap<(usize, usize), u64>> = BTreeMap::new();
        for (person, (truth, predicted)) in people.iter().zip(truth.iter().zip(predicted)) {
            let own = cells.entry(person).or_default();
            *own.entry((*truth, *predicted)).or_default() += 1;
        }
        let cells = cells.into_values().map(|own| {
            let own = own.into_iter();
            own.map(|((truth, predicted), count)| (truth, predicted, count))
                .collect()
        });
        self.people = cells.collect();
        self
    }

    /// The variance of the accuracy as an estimate of what other test texts of the same kind, or people, would give. Two texts more of either
    /// outcome (Agresti and Coull 1998) keep it from vanishing where all texts are right, or none.
    pub fn variance_of_accuracy(&self) -> f64 {
        let n = self.n as f64;
        let share = (self.accuracy * n + 2.0) / (n + 4.0);
        share * (1.0 - share) / (n + 4.0) * self.design_effect()
    }

    /// How many times larger the variance of the accuracy is for people having several texts, which are alike: that of a ratio over
    /// clusters, linearized (Cochran 1977, chapter 9), over that of texts by themselves. At least 1.
    pub fn design_effect(&self) -> f64 {
        let of_texts = self.accuracy * (1.0 - self.accuracy) * self.n as f64;
        if self.people.is_empty() || of_texts <= 0.0 {
            return 1.0;
        }
        let between: f64 = self
            .people
            .iter()
            .map(|own| {
                let all: u64 = own.iter().map(|(.., count)| count).sum();
                let right = own
                    .iter()
                    .filter(|(truth, predicted, _)| truth == predicted);
                let right: u64 = right.map(|(.., count)| count).sum();
                (right as f64 - self.accuracy * all as f64).powi(2)
            })
            .sum();
        (between / of_texts).max(1.0)
    }

    /// The label with the fewest texts in the test set.
    pub fn rarest(&self) -> Option<&LabelFigures> {
        self.per_label.iter().min_by_key(|figures| figures.support)
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// Figures of scikit-learn 1.9.1.
    #[test]
    fn agrees_with_scikit_learn() {
        let labels = labels(&["anger", "joy", "love", "fear"]);
        let truth = [0, 0, 1, 1, 1, 2, 2, 0, 1, 2, 1, 0];
        let predicted = [0, 1, 1, 1, 0, 2, 1, 0, 1, 1, 2, 0];
        let figures = Classification::of(&labels, &truth, &predicted).unwrap();
        assert!((figures.accuracy - 0.583_333_333_333).abs() < 1e-9);
        // Neither in the truth nor predicted: `fear` does not count in the mean, as in scikit-learn.
        assert!((figures.macro_f1 - 0.565_151_515_151).abs() < 1e-9);
        assert_eq!(figures.confusion[0], [3, 1, 0, 0]);
        assert_eq!(figures.confusion[2], [0, 2, 1, 0]);
        assert!((figures.per_label[1].precision - 0.5).abs() < 1e-12);
        assert!((figures.per_label[1].recall - 0.6).abs() < 1e-12);
        assert_eq!(figures.per_label[3].f1, 0.0);
        assert_eq!(figures.n, 12);
    }

    #[test]
    fn nothing_at_all_is_zero_and_never_nan() {
        let figures = Classification::of(&labels(&["a"]), &[], &[]).unwrap();
        assert_eq!(
            (figures.accuracy, figures.macro_f1, figures.n),
            (0.0, 0.0, 0)
        );
    }

    #[test]
    fn misfits_are_errors() {
        let labels = labels(&["a", "b"]);
        assert!(matches!(
            Classification::of(&labels, &[0], &[]),
            Err(ConfusionError::Lengths {
                truth: 1,
                predicted: 0
            })
        ));
        assert!(matches!(
            Classification::of(&labels, &[0, 0], &[1, 2]),
            Err(ConfusionError::Index {
                index: 2,
                row: 1,
                labels: 2
            })
        ));
        assert!(Classification::from_matrix(&labels, vec![vec![1, 2]]).is_err());
    }
}
