//! The bag-of-words classifier: logistic regression on tf-idf weights of single words.
//!
//! Needs no pretrained model, trains in a second, is deterministic, and is hard to beat on short texts whose label sits in
//! single words.

mod features;
mod regression;
mod store;

use crate::softmax_regression::softmax;
use dpx_schema::params::DEFAULT_INVERSE_PENALTY;
use features::Features;

/// What the classifier learns with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BagOfWordsOptions {
    /// Inverse strength of the L2 penalty, as `C` of scikit-learn: the loss is the penalty plus `C` times the sum over texts.
    pub inverse_penalty: f64,
    /// Weigh each label by the inverse of its frequency.
    pub balanced: bool,
    /// Words in fewer texts than this are left out.
    pub least_texts: u32,
    /// Most rounds of the optimizer.
    pub rounds: usize,
}

impl Default for BagOfWordsOptions {
    fn default() -> Self {
        Self {
            inverse_penalty: DEFAULT_INVERSE_PENALTY,
            balanced: true,
            least_texts: 1,
            rounds: 200,
        }
    }
}

/// A trained classifier.
#[derive(Debug, Clone, PartialEq)]
pub struct BagOfWords {
    features: Features,
    /// `[words + 1, classes]`, the biases last.
    weights: Vec<f64>,
    classes: usize,
}

impl BagOfWords {
    /// Trains on texts and their classes (indices below `classes`).
    pub fn train(
        texts: &[&str],
        labels: &[usize],
        classes: usize,
        options: &BagOfWordsOptions,
    ) -> Self {
        let mut certain = vec![0.0; labels.len() * classes];
        for (row, label) in labels.iter().enumerate() {
            certain[row * classes + label] = 1.0;
        }
        Self::train_soft(texts, certain, classes, options)
    }

    /// Trains on texts and the probabilities of their classes, `[texts, classes]`: the loss of a text is the cross-entropy
    /// with them, as if it stood there once for each class, with that weight.
    pub fn train_soft(
        texts: &[&str],
        probabilities: Vec<f64>,
        classes: usize,
        options: &BagOfWordsOptions,
    ) -> Self {
        let features = Features::fit(texts, options.least_texts);
        let rows = features.rows(texts);
        let weights = regression::fit(&rows, probabilities, classes, features.len(), options);
        Self {
            features,
            weights,
            classes,
        }
    }

    /// Probabilities of the classes for a text.
    pub fn probabilities(&self, text: &str) -> Vec<f32> {
        let mut scores = vec![0.0; self.classes];
        regression::scores(
            self.features.row(text).into_iter(),
            &self.weights,
            &mut scores,
        );
        softmax(&mut scores);
        scores.iter().map(|score| *score as f32).collect()
    }

    /// Number of words it knows.
    pub fn vocabulary(&self) -> usize {
        self.features.len()
    }

    /// Labels that it tells apart.
    pub const fn classes(&self) -> usize {
        self.classes
    }
}

#[cfg(test)]
mod tests;
