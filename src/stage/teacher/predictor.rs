//! The teacher as a released object: vocabulary, weights and labels, which predict the label of any text.

use crate::dp::softmax::{SoftmaxRegression, SparseRows};
use crate::stage::StageError;
use crate::text::words;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// File with the weights.
const WEIGHTS_FILE: &str = "teacher.safetensors";
/// File with the words, one a line, in the order of the weights' rows.
const VOCABULARY_FILE: &str = "vocabulary.txt";
/// File with labels and settings.
const SETTINGS_FILE: &str = "teacher.json";

/// A public vocabulary with the weight of each word as a feature.
#[derive(Debug, Clone, PartialEq)]
pub struct Vocabulary {
    words: Vec<String>,
    index: HashMap<String, u32>,
    weights: Vec<f64>,
    counts: Vec<u64>,
}

impl Vocabulary {
    /// From words with their public counts; the feature of a word weighs `p(word)^-exponent`. Spellings that differ in case or
    /// apostrophes alone are one word.
    pub fn new(counts: &[(String, u64)], exponent: f64) -> Self {
        let mut merged: Vec<(String, u64)> = Vec::with_capacity(counts.len());
        let mut index: HashMap<String, u32> = HashMap::with_capacity(counts.len());
        for (word, count) in counts {
            let mut parts = words(word);
            let (Some(word), true) = (parts.pop(), parts.is_empty()) else {
                continue;
            };
            if let Some(&at) = index.get(&word) {
                merged[at as usize].1 += count;
            } else {
                index.insert(word.clone(), merged.len() as u32);
                merged.push((word, *count));
            }
        }
        let total: u64 = merged.iter().map(|(_, count)| count).sum();
        let weights = merged
            .iter()
            .map(|(_, count)| (*count.max(&1) as f64 / total.max(1) as f64).powf(-exponent))
            .collect();
        let (words, counts) = merged.into_iter().unzip();
        Self {
            words,
            index,
            weights,
            counts,
        }
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Number of features: a word each, and an intercept.
    pub fn width(&self) -> usize {
        self.words.len() + 1
    }

    /// Appends the features of a text: presence of each word, and the intercept, scaled to norm 1.
    pub fn push(&self, rows: &mut SparseRows, text: &str) {
        let mut found: Vec<u32> = words(text)
            .iter()
            .filter_map(|word| self.index.get(word).copied())
            .collect();
        found.sort_unstable();
        found.dedup();
        let intercept = std::iter::once((self.words.len() as u32, 1.0));
        rows.push_normalised(
            found
                .into_iter()
                .map(|word| (word, self.weights[word as usize]))
                .chain(intercept),
        );
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Settings {
    form: String,
    labels: Vec<String>,
    counts: Vec<u64>,
    frequency_exponent: f64,
}

/// A linear classifier of texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Teacher {
    /// The labels, in the order of the classes.
    pub labels: Vec<String>,
    /// The features.
    pub vocabulary: Vocabulary,
    /// The weights.
    pub model: SoftmaxRegression,
    exponent: f64,
}

impl Teacher {
    /// Puts a trained teacher together.
    pub fn new(
        labels: Vec<String>,
        counts: &[(String, u64)],
        exponent: f64,
        model: SoftmaxRegression,
    ) -> Self {
        let vocabulary = Vocabulary::new(counts, exponent);
        Self {
            labels,
            vocabulary,
            model,
            exponent,
        }
    }

    /// Probabilities of the labels for each text, `[texts][labels]`.
    pub fn probabilities<T: AsRef<str>>(&self, texts: &[T]) -> Vec<Vec<f64>> {
        let mut rows = SparseRows::new(self.vocabulary.width());
        for text in texts {
            self.vocabulary.push(&mut rows, text.as_ref());
        }
        (0..rows.len())
            .map(|index| self.model.probabilities(rows.row(index)))
            .collect()
    }

    /// The teacher's class of each of `labels`.
    ///
    /// # Errors
    /// When the teacher does not know exactly these labels.
    pub fn classes_of(&self, labels: &[String]) -> Result<Vec<usize>, StageError> {
        let classes: Option<Vec<usize>> = labels
            .iter()
            .map(|label| self.labels.iter().position(|known| known == label))
            .collect();
        classes
            .filter(|classes| classes.len() == self.labels.len())
            .ok_or_else(|| {
                StageError::new(format!(
                    "the teacher tells `{}` apart, but the labels here are `{}`: both must come from one `preprocess` stage",
                    self.labels.join("`, `"),
                    labels.join("`, `")
                ))
            })
    }

    /// Writes the teacher into a folder.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), StageError> {
        let weights: Vec<u8> = self
            .model
            .weights
            .iter()
            .flat_map(|&weight| (weight as f32).to_le_bytes())
            .collect();
        let shape = vec![self.vocabulary.width(), self.model.classes];
        let view = TensorView::new(Dtype::F32, shape, &weights)
            .map_err(|error| StageError::new(error.to_string()))?;
        let bytes = safetensors::serialize([("weight", view)], None)
            .map_err(|error| StageError::new(error.to_string()))?;
        std::fs::write(folder.join(WEIGHTS_FILE), bytes)?;
        std::fs::write(
            folder.join(VOCABULARY_FILE),
            self.vocabulary.words.join("\n"),
        )?;
        let settings = Settings {
            form: "linear".into(),
            labels: self.labels.clone(),
            counts: self.vocabulary.counts.clone(),
            frequency_exponent: self.exponent,
        };
        let json =
            serde_json::to_vec(&settings).map_err(|error| StageError::new(error.to_string()))?;
        Ok(std::fs::write(folder.join(SETTINGS_FILE), json)?)
    }

    /// Reads a teacher from a folder.
    ///
    /// # Errors
    /// When a file is missing or does not fit the others.
    pub fn load(folder: &Path) -> Result<Self, StageError> {
        let read = |name: &str| {
            std::fs::read(folder.join(name)).map_err(|error| {
                StageError::new(format!("{}: {error}", folder.join(name).display()))
            })
        };
        let damaged = |what: &str| StageError::new(format!("{}: {what}", folder.display()));
        let settings: Settings = serde_json::from_slice(&read(SETTINGS_FILE)?)
            .map_err(|error| damaged(&format!("`{SETTINGS_FILE}`: {error}")))?;
        let words = String::from_utf8(read(VOCABULARY_FILE)?)
            .map_err(|_| damaged("the vocabulary is not UTF-8"))?;
        let words: Vec<String> = words.lines().map(str::to_owned).collect();
        if words.len() != settings.counts.len() {
            return Err(damaged(
                "the vocabulary and its counts have different lengths",
            ));
        }
        let counts: Vec<(String, u64)> = words.into_iter().zip(settings.counts).collect();
        let bytes = read(WEIGHTS_FILE)?;
        let tensors =
            SafeTensors::deserialize(&bytes).map_err(|error| damaged(&error.to_string()))?;
        let tensor = tensors
            .tensor("weight")
            .map_err(|error| damaged(&error.to_string()))?;
        let classes = settings.labels.len();
        if tensor.shape() != [counts.len() + 1, classes] || tensor.dtype() != Dtype::F32 {
            return Err(damaged(&format!(
                "`weight` has shape {:?}, expected [{}, {classes}] in f32",
                tensor.shape(),
                counts.len() + 1
            )));
        }
        let weights = tensor
            .data()
            .chunks_exact(4)
            .map(|bytes| f64::from(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])))
            .collect();
        Ok(Self::new(
            settings.labels,
            &counts,
            settings.frequency_exponent,
            SoftmaxRegression { weights, classes },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn teacher() -> Teacher {
        let counts = [
            ("happy".to_owned(), 5),
            ("sad".to_owned(), 3),
            ("it's".to_owned(), 90),
            ("its".to_owned(), 10),
        ];
        let model = SoftmaxRegression {
            weights: vec![0.0, 2.0, 2.0, 0.0, 0.5, 0.25, 0.0, 0.0],
            classes: 2,
        };
        Teacher::new(vec!["sadness".into(), "joy".into()], &counts, 0.2, model)
    }

    #[test]
    fn spellings_of_one_word_are_one_feature() {
        assert_eq!(teacher().vocabulary.len(), 3);
    }

    #[test]
    fn predicts_and_survives_a_round_trip() {
        let folder = tempfile::tempdir().unwrap();
        let teacher = teacher();
        teacher.save(folder.path()).unwrap();
        let again = Teacher::load(folder.path()).unwrap();
        let texts = ["I'm so HAPPY", "sad, it's so sad", "nothing known"];
        let probabilities = teacher.probabilities(&texts);
        assert!(probabilities[0][1] > 0.7 && probabilities[1][0] > 0.6);
        assert_eq!(probabilities[2], [0.5, 0.5]);
        for (before, after) in probabilities.iter().zip(again.probabilities(&texts)) {
            for (before, after) in before.iter().zip(after) {
                assert!((before - after).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_damaged_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        teacher().save(folder.path()).unwrap();
        std::fs::write(folder.path().join(VOCABULARY_FILE), "happy").unwrap();
        assert!(
            Teacher::load(folder.path())
                .unwrap_err()
                .to_string()
                .contains("different lengths")
        );
    }
}
