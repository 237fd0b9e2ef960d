//! The teacher as a released object: features, weights and labels, which predict the label of any text.

use super::embedding::EmbeddingFeatures;
use super::vocabulary::Vocabulary;
use dpx_schema::{Context, Device, StageError};
use dpx_sgd::softmax::{SoftmaxRegression, SparseRows};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use std::path::Path;

const WEIGHTS_FILE: &str = "teacher.safetensors";
/// File with the words of the linear form, one a line, in the order of the weights' rows.
const VOCABULARY_FILE: &str = "vocabulary.txt";
/// Folder with the encoder of the head form.
const ENCODER_FOLDER: &str = "encoder";
const SETTINGS_FILE: &str = "teacher.json";
/// Most tokens that a loaded encoder reads at once.
const MICRO_BATCH_TOKENS: usize = 8192;

/// What the regression sees of a text; public in either form.
#[derive(Debug)]
pub(crate) enum Features {
    /// The linear form.
    Words(Vocabulary),
    /// The head form.
    Embeddings(Box<EmbeddingFeatures>),
}

impl Features {
    /// Number of features.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::Words(vocabulary) => vocabulary.width(),
            Self::Embeddings(features) => features.width(),
        }
    }

    /// Features of private texts, which no other text changes; each row of norm 1. The device is checked first.
    ///
    /// # Errors
    /// When an encoder cannot read a text, or the device computes wrongly.
    pub(super) fn private_rows(
        &self,
        texts: &[String],
        device: Device,
    ) -> Result<SparseRows, StageError> {
        match self {
            Self::Words(_) => self.rows(texts),
            Self::Embeddings(features) => {
                features.check_device(device)?;
                features.rows_of_each(texts)
            }
        }
    }

    /// Features of texts, each row of norm 1.
    ///
    /// # Errors
    /// When an encoder cannot read a text.
    pub(crate) fn rows(&self, texts: &[String]) -> Result<SparseRows, StageError> {
        match self {
            Self::Words(vocabulary) => {
                let mut rows = SparseRows::new(vocabulary.width());
                for text in texts {
                    vocabulary.push(&mut rows, text);
                }
                Ok(rows)
            }
            Self::Embeddings(features) => features.rows(texts),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "kebab-case")]
enum Settings {
    Linear {
        labels: Vec<String>,
        counts: Vec<u64>,
        frequency_exponent: f64,
    },
    Head {
        labels: Vec<String>,
        centre: Vec<f32>,
    },
}

/// A classifier of texts: softmax regression on public features.
#[derive(Debug)]
pub(crate) struct Teacher {
    /// The labels, in the order of the classes.
    pub labels: Vec<String>,
    /// What turns a text into the numbers that the model reads.
    pub features: Features,
    /// The weights.
    pub model: SoftmaxRegression,
}

impl Teacher {
    /// A teacher of the linear form, of words with their public counts.
    #[cfg(test)]
    pub(crate) fn linear(
        labels: Vec<String>,
        counts: &[(String, u64)],
        exponent: f64,
        model: SoftmaxRegression,
    ) -> Self {
        Self {
            labels,
            features: Features::Words(Vocabulary::new(counts, exponent)),
            model,
        }
    }

    /// Probabilities of the labels for each text, `[texts][labels]`.
    ///
    /// # Errors
    /// When an encoder cannot read a text.
    pub(crate) fn probabilities(&self, texts: &[String]) -> Result<Vec<Vec<f64>>, StageError> {
        let rows = self.features.rows(texts)?;
        Ok((0..rows.len())
            .map(|index| self.model.probabilities(rows.row(index)))
            .collect())
    }

    /// The teacher's class of each of `labels`.
    ///
    /// # Errors
    /// When the teacher does not know exactly these labels.
    pub(crate) fn classes_of(&self, labels: &[String]) -> Result<Vec<usize>, StageError> {
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
    pub(crate) fn save(&self, folder: &Path) -> Result<(), StageError> {
        let weights: Vec<u8> = self
            .model
            .weights
            .iter()
            .flat_map(|&weight| (weight as f32).to_le_bytes())
            .collect();
        let shape = vec![self.features.width(), self.model.classes];
        let view = TensorView::new(Dtype::F32, shape, &weights)?;
        let bytes = safetensors::serialize([("weight", view)], None)?;
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join(WEIGHTS_FILE), bytes)?;
        let labels = self.labels.clone();
        let settings = match &self.features {
            Features::Words(vocabulary) => {
                std::fs::write(folder.join(VOCABULARY_FILE), vocabulary.words.join("\n"))?;
                Settings::Linear {
                    labels,
                    counts: vocabulary.counts.clone(),
                    frequency_exponent: vocabulary.exponent,
                }
            }
            Features::Embeddings(features) => {
                features.save(&folder.join(ENCODER_FOLDER))?;
                Settings::Head {
                    labels,
                    centre: features.centre.clone(),
                }
            }
        };
        let json = serde_json::to_vec(&settings)?;
        Ok(std::fs::write(folder.join(SETTINGS_FILE), json)?)
    }

    /// Reads a teacher from a folder; its encoder, if it has one, goes onto the device.
    ///
    /// # Errors
    /// When a file is missing or does not fit the others.
    pub(crate) fn load(folder: &Path, device: Device) -> Result<Self, StageError> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).context(path.display())
        };
        let damaged = |what: &str| StageError::new(format!("{}: {what}", folder.display()));
        let settings: Settings = serde_json::from_slice(&read(SETTINGS_FILE)?)
            .context(format_args!("{}: `{SETTINGS_FILE}`", folder.display()))?;
        let (labels, features) = match settings {
            Settings::Linear {
                labels,
                counts,
                frequency_exponent,
            } => {
                let words = String::from_utf8(read(VOCABULARY_FILE)?)
                    .map_err(|_| damaged("the vocabulary is not UTF-8"))?;
                let words: Vec<String> = words.lines().map(str::to_owned).collect();
                if words.len() != counts.len() {
                    return Err(damaged(
                        "the vocabulary and its counts have different lengths",
                    ));
                }
                let counts: Vec<(String, u64)> = words.into_iter().zip(counts).collect();
                let vocabulary = Vocabulary::new(&counts, frequency_exponent);
                (labels, Features::Words(vocabulary))
            }
            Settings::Head { labels, centre } => {
                let features = EmbeddingFeatures::with_centre(
                    &folder.join(ENCODER_FOLDER),
                    centre,
                    device,
                    MICRO_BATCH_TOKENS,
                )?;
                (labels, Features::Embeddings(Box::new(features)))
            }
        };
        let bytes = read(WEIGHTS_FILE)?;
        let tensors = SafeTensors::deserialize(&bytes).context(folder.display())?;
        let tensor = tensors.tensor("weight").context(folder.display())?;
        let (width, classes) = (features.width(), labels.len());
        if tensor.shape() != [width, classes] || tensor.dtype() != Dtype::F32 {
            return Err(damaged(&format!(
                "`weight` has shape {:?}, expected [{width}, {classes}] in f32",
                tensor.shape(),
            )));
        }
        let weights = tensor
            .data()
            .chunks_exact(4)
            .map(|bytes| f64::from(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])))
            .collect();
        Ok(Self {
            labels,
            features,
            model: SoftmaxRegression { weights, classes },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(folder: &Path) -> Result<Teacher, StageError> {
        Teacher::load(folder, Device::Cpu)
    }

    fn teacher() -> Teacher {
        let counts = [("happy".to_owned(), 5), ("sad".to_owned(), 3)];
        let model = SoftmaxRegression {
            weights: vec![0.0, 2.0, 2.0, 0.0, 0.0, 0.0],
            classes: 2,
        };
        Teacher::linear(vec!["sadness".into(), "joy".into()], &counts, 0.2, model)
    }

    #[test]
    fn predicts_and_survives_a_round_trip() {
        let folder = tempfile::tempdir().unwrap();
        let teacher = teacher();
        teacher.save(folder.path()).unwrap();
        let again = load(folder.path()).unwrap();
        let texts = ["I'm so HAPPY", "sad, it's so sad", "nothing known"].map(str::to_owned);
        let probabilities = teacher.probabilities(&texts).unwrap();
        assert!(probabilities[0][1] > 0.7 && probabilities[1][0] > 0.6);
        assert_eq!(probabilities[2], [0.5, 0.5]);
        let later = again.probabilities(&texts).unwrap();
        for (before, after) in probabilities.iter().zip(later) {
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
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("different lengths"), "{error}");
    }
}
