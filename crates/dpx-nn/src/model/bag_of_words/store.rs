//! A bag-of-words classifier as a folder: `config.json`, `vocabulary.txt`, `model.safetensors`.

use super::{BagOfWords, Features};
use crate::model::ModelError;
use crate::model::weights::{StoredAs, Weights, write};
use serde_json::json;
use std::path::Path;

impl BagOfWords {
    /// Writes the classifier; `labels` are the names of its classes.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path, labels: &[String]) -> Result<(), ModelError> {
        let put = |name: &str, content: String| {
            let path = folder.join(name);
            std::fs::write(&path, content).map_err(|error| ModelError::write(&path, error))
        };
        let config = json!({"model_type": "dpx-bag-of-words", "labels": labels});
        put("config.json", format!("{config:#}\n"))?;
        let words: Vec<&str> = self.features.words().collect();
        put("vocabulary.txt", words.join("\n") + "\n")?;
        let single = |values: &[f64]| values.iter().map(|value| *value as f32).collect();
        let biases = self.features.len() * self.classes;
        let tensors = [
            (
                "inverse_frequencies".to_owned(),
                vec![self.features.len()],
                single(self.features.inverse_frequencies()),
            ),
            (
                "weight".to_owned(),
                vec![self.features.len(), self.classes],
                single(&self.weights[..biases]),
            ),
            (
                "bias".to_owned(),
                vec![self.classes],
                single(&self.weights[biases..]),
            ),
        ];
        write(folder, tensors, StoredAs::F32)
    }

    /// Reads what [`BagOfWords::save`] wrote, with the names of the classes.
    ///
    /// # Errors
    /// When a file is missing or does not fit the others.
    pub fn load(folder: &Path) -> Result<(Self, Vec<String>), ModelError> {
        #[derive(serde::Deserialize)]
        struct Config {
            model_type: String,
            labels: Vec<String>,
        }
        let get = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path).map_err(|error| ModelError::read(&path, error))
        };
        let path = folder.join("config.json");
        let config: Config = serde_json::from_str(&get("config.json")?)
            .map_err(|error| ModelError::malformed(&path, error.to_string()))?;
        if config.model_type != "dpx-bag-of-words" {
            return Err(ModelError::unsupported(
                &path,
                format!(
                    "`model_type` is `{}`, expected `dpx-bag-of-words`",
                    config.model_type
                ),
            ));
        }
        let words: Vec<String> = get("vocabulary.txt")?.lines().map(str::to_owned).collect();
        let classes = config.labels.len();
        let mut tensors = Weights::open(folder, "")?;
        let double = |values: Vec<f32>| values.into_iter().map(f64::from);
        let inverse = double(tensors.take("inverse_frequencies", &[words.len()])?).collect();
        let weights = double(tensors.take("weight", &[words.len(), classes])?)
            .chain(double(tensors.take("bias", &[classes])?))
            .collect();
        tensors.finish(|_| false)?;
        let model = Self {
            features: Features::new(words, inverse),
            weights,
            classes,
        };
        Ok((model, config.labels))
    }
}
