//! Static embeddings (model2vec): a vector for each token, and the mean of a text's tokens for the text.

use super::{ModelConfig, ModelError, Weights};
use crate::Array;
use std::path::Path;

/// The table of a static encoder. It is read and looked up, never trained.
#[derive(Debug, Clone)]
pub(crate) struct StaticTable {
    /// `[rows, width]`.
    values: Vec<f32>,
    /// The row of each token, where tokens share rows.
    rows: Option<Vec<u32>>,
    /// What the row of each token is multiplied by.
    factors: Option<Vec<f32>>,
    tokens: usize,
    width: usize,
    normalize: bool,
}

impl StaticTable {
    /// Reads `embeddings` and, where they are there, the `weights` of tokens and the `mapping` of tokens to rows.
    pub(super) fn read(folder: &Path, config: &ModelConfig) -> Result<Self, ModelError> {
        let mut weights = Weights::open(folder, "")?;
        let width = config.hidden();
        let rows = match weights.shape("embeddings") {
            Some([rows, found]) if *found == width => *rows,
            found => {
                return Err(ModelError::Tensor {
                    path: folder.to_owned(),
                    problem: format!(
                        "tensor `embeddings` has shape {found:?}, but `hidden_dim` of config.json asks for [tokens, {width}]"
                    ),
                });
            }
        };
        let mapped = weights.shape("mapping").map(<[usize]>::to_vec);
        let tokens = match mapped.as_deref() {
            None => rows,
            Some([tokens]) => *tokens,
            Some(shape) => {
                return Err(ModelError::Tensor {
                    path: folder.to_owned(),
                    problem: format!("tensor `mapping` has shape {shape:?}, expected [tokens]"),
                });
            }
        };
        let rows_of_tokens = mapped
            .map(|_| weights.take_places("mapping", tokens, rows))
            .transpose()?;
        let values = weights.take_whole("embeddings", &[rows, width])?;
        let factors = weights
            .contains("weights")
            .then(|| weights.take_whole("weights", &[tokens]))
            .transpose()?;
        weights.finish(|_| false)?;
        Ok(Self {
            values,
            rows: rows_of_tokens,
            factors,
            tokens,
            width,
            normalize: config
                .raw
                .get("normalize")
                .and_then(serde_json::Value::as_bool)
                .unwrap_or(false),
        })
    }

    /// What makes an embedding, in words.
    pub(super) fn told(&self) -> Vec<String> {
        let mean = std::iter::once("Mean of the vectors of known tokens".to_owned());
        mean.chain(self.normalize.then(|| "Normalize".to_owned()))
            .collect()
    }

    /// The mean of the vectors of each sequence's tokens, `[sequences, width]`; zeros for a sequence without any.
    pub(super) fn means(&self, sequences: &[&[u32]]) -> Result<Array, ModelError> {
        let mut means = Vec::with_capacity(sequences.len() * self.width);
        for ids in sequences {
            let mut sums = vec![0.0f64; self.width];
            for id in *ids {
                let place = *id as usize;
                if place >= self.tokens {
                    return Err(ModelError::Network(crate::Error::TokenOutOfRange {
                        id: *id,
                        vocabulary: self.tokens,
                    }));
                }
                let row = self
                    .rows
                    .as_ref()
                    .map_or(place, |rows| rows[place] as usize);
                let factor = self.factors.as_ref().map_or(1.0, |factors| factors[place]);
                let row = &self.values[row * self.width..(row + 1) * self.width];
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += f64::from(*value * factor);
                }
            }
            let count = ids.len().max(1) as f64;
            for sum in &mut sums {
                *sum /= count;
            }
            if self.normalize {
                let norm = sums.iter().map(|sum| sum * sum).sum::<f64>().sqrt() + 1e-32;
                for sum in &mut sums {
                    *sum /= norm;
                }
            }
            means.extend(sums.iter().map(|mean| *mean as f32));
        }
        Ok(Array::from_vec(means, &[sequences.len(), self.width]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::load_encoder;
    use super::super::weights::{StoredAs, write};
    use dpx_schema::Device;
    use serde_json::json;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "made where it is handed over"
    )]
    fn folder(config: serde_json::Value, weighted: bool) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        let mut tensors = vec![(
            "embeddings".to_owned(),
            vec![3, 2],
            vec![1.0, 0.0, 0.0, 2.0, 3.0, 4.0],
        )];
        if weighted {
            tensors.push(("weights".to_owned(), vec![3], vec![1.0, 0.5, 2.0]));
        }
        write(dir.path(), tensors, StoredAs::F32).unwrap();
        dir
    }

    /// By hand, after `StaticModel._encode_batch` of model2vec 0.10.
    #[test]
    fn texts_are_means_of_their_tokens() {
        let config = json!({"model_type": "model2vec", "hidden_dim": 2, "normalize": false});
        let dir = folder(config.clone(), false);
        let encoder = load_encoder(dir.path(), Device::Cpu).unwrap();
        let means = encoder.embed(&[vec![0, 1], vec![], vec![2]], 100).unwrap();
        assert_eq!(means, [vec![0.5, 1.0], vec![0.0, 0.0], vec![3.0, 4.0]]);
        let dir = folder(config, true);
        let encoder = load_encoder(dir.path(), Device::Cpu).unwrap();
        assert_eq!(encoder.embed(&[vec![0, 1]], 100).unwrap(), [[0.5, 0.5]]);
        let config = json!({"model_type": "model2vec", "hidden_dim": 2, "normalize": true});
        let dir = folder(config, false);
        let encoder = load_encoder(dir.path(), Device::Cpu).unwrap();
        assert_eq!(encoder.embed(&[vec![2]], 100).unwrap(), [[0.6, 0.8]]);
        let error = encoder.embed(&[vec![3]], 100).unwrap_err().to_string();
        assert!(error.contains("token id 3"), "{error}");
    }

    /// A table of whole numbers with a factor for each row, as model2vec reads one with `weights`.
    #[test]
    fn whole_numbers_stand_for_themselves_times_their_factor() {
        let dir = folder(
            json!({"model_type": "model2vec", "hidden_dim": 2, "normalize": false}),
            false,
        );
        let header = r#"{"embeddings":{"dtype":"I8","shape":[2,2],"data_offsets":[0,4]},"weights":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend([127_i8, -127, 3, 0].map(|number| number.to_le_bytes()[0]));
        bytes.extend(
            [0.5_f32, 2.0]
                .iter()
                .flat_map(|factor| factor.to_le_bytes()),
        );
        std::fs::write(dir.path().join("model.safetensors"), bytes).unwrap();
        let encoder = load_encoder(dir.path(), Device::Cpu).unwrap();
        let means = encoder.embed(&[vec![0], vec![1]], 100).unwrap();
        assert_eq!(means, [[63.5, -63.5], [6.0, 0.0]]);
        let mut weights = super::Weights::open(dir.path(), "").unwrap();
        let error = weights.take("embeddings", &[2, 2]).unwrap_err().to_string();
        assert!(error.contains("stored as I8; F32, F16 and BF16"), "{error}");
    }

    /// As model2vec wrote it (tests/python/model2vec_fixtures.py): tokens that share rows, of whole numbers, with factors.
    #[test]
    fn tokens_may_share_rows() {
        let fixtures =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
        for name in ["model2vec-mapped", "model2vec-int8"] {
            let folder = fixtures.join(name);
            let expected = std::fs::read(folder.join("expected.json")).unwrap();
            let expected: serde_json::Value = serde_json::from_slice(&expected).unwrap();
            let encoder = load_encoder(&folder, Device::Cpu).unwrap();
            let tokenizer = crate::text::Tokenizer::load(&folder).unwrap();
            for case in expected.as_array().unwrap() {
                let ids = tokenizer.encode(case["text"].as_str().unwrap()).unwrap();
                let found = encoder.embed(&[ids], 100).unwrap().remove(0);
                let wanted = case["embedding"].as_array().unwrap();
                assert_eq!(found.len(), wanted.len());
                for (found, wanted) in found.iter().zip(wanted) {
                    assert!(
                        (f64::from(*found) - wanted.as_f64().unwrap()).abs() < 1e-6,
                        "{name}"
                    );
                }
            }
        }
        let dir = folder(json!({"model_type": "model2vec", "hidden_dim": 2}), false);
        let header = r#"{"embeddings":{"dtype":"I8","shape":[1,2],"data_offsets":[0,2]},"mapping":{"dtype":"I32","shape":[1],"data_offsets":[2,6]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend([1, 1, 1, 0, 0, 0]);
        std::fs::write(dir.path().join("model.safetensors"), bytes).unwrap();
        let error = load_encoder(dir.path(), Device::Cpu)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`mapping` holds a number that is none of 0 to 0"),
            "{error}"
        );
    }

    #[test]
    fn a_table_of_another_width_is_named() {
        let config = json!({"model_type": "model2vec", "hidden_dim": 4});
        let dir = folder(config, false);
        let error = load_encoder(dir.path(), Device::Cpu).unwrap_err();
        assert!(error.to_string().contains("`hidden_dim`"), "{error}");
    }
}
