//! Texts as vectors: an encoder with its tokenizer.

use super::model_source::encode_all;
use super::truncation::Truncation;
use dpx_nn::model::{Encoder, load_encoder};
use dpx_nn::text::Tokenizer;
use dpx_schema::Device;
use dpx_schema::StageError;
use std::path::Path;

#[derive(Debug)]
pub(super) struct TextEncoder {
    encoder: Encoder,
    tokenizer: Tokenizer,
    micro_batch_tokens: usize,
}

impl TextEncoder {
    /// Reads a model folder onto a device; at most `micro_batch_tokens` tokens are computed at once.
    pub(super) fn load(
        folder: &Path,
        device: Device,
        micro_batch_tokens: usize,
    ) -> Result<Self, StageError> {
        Ok(Self {
            encoder: load_encoder(folder, device)?,
            tokenizer: Tokenizer::load(folder)?,
            micro_batch_tokens,
        })
    }

    /// Numbers of an embedding.
    pub(super) fn width(&self) -> usize {
        self.encoder.width()
    }

    /// Whether the mean of all embeddings is to be taken away before they are compared.
    pub(super) const fn needs_centring(&self) -> bool {
        self.encoder.needs_centring()
    }

    /// The embedding of each text; what the model cannot read of a long one is cut off.
    pub(super) fn embeddings(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, StageError> {
        Ok(self
            .encoder
            .embed(&self.ids(texts)?, self.micro_batch_tokens)?)
    }

    /// The same, to the same bits whatever the other texts are.
    pub(super) fn embeddings_of_each(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, StageError> {
        Ok(self
            .encoder
            .embed_each(&self.ids(texts)?, self.micro_batch_tokens)?)
    }

    fn ids(&self, texts: &[String]) -> Result<Vec<Vec<u32>>, StageError> {
        let prompt = self.encoder.prompt();
        let prompted: Vec<String>;
        let texts = if prompt.is_empty() {
            texts
        } else {
            prompted = texts.iter().map(|text| format!("{prompt}{text}")).collect();
            &prompted
        };
        if self.encoder.reads_plain_tokens() {
            self.plain(texts)
        } else {
            let mut truncation = Truncation::default();
            encode_all(
                &self.tokenizer,
                texts,
                self.encoder.max_seq_len(),
                &mut truncation,
            )
        }
    }

    /// The tokens of each text as static embeddings read them: cut, then without unknown ones.
    fn plain(&self, texts: &[String]) -> Result<Vec<Vec<u32>>, StageError> {
        let unknown = self.tokenizer.special().unk;
        let mut ids = self.tokenizer.encode_all(texts)?;
        for ids in &mut ids {
            ids.truncate(self.encoder.max_seq_len());
            ids.retain(|id| Some(*id) != unknown);
        }
        Ok(ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_source::ModelSource;
    use serde_json::Value;

    /// `tests/fixtures/encoder/golden.json` was computed by tokenizers and numpy (crates/dpx-assets-encoder/tools/make-encoder.py).
    #[test]
    fn the_built_in_encoder_agrees_with_tokenizers_and_numpy() {
        let golden: Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/encoder/golden.json"))
                .unwrap();
        let source = ModelSource::find("builtin:encoder").unwrap();
        let encoder = TextEncoder::load(source.path(), Device::Cpu, 8192).unwrap();
        assert!(encoder.width() == 256 && !encoder.needs_centring());
        let cases = golden["texts"].as_array().unwrap();
        let texts: Vec<String> = cases
            .iter()
            .map(|case| case["text"].as_str().unwrap().to_owned())
            .collect();
        let unknown = encoder.tokenizer.special().unk.unwrap();
        let rows = encoder.embeddings(&texts).unwrap();
        let ids = encoder.ids(&texts).unwrap();
        let near = |found: f32, expected: &Value| {
            (f64::from(found) - expected.as_f64().unwrap()).abs() < 2e-5
        };
        for ((case, row), ids) in cases.iter().zip(&rows).zip(&ids) {
            let expected: Vec<u32> = case["ids"]
                .as_array()
                .unwrap()
                .iter()
                .map(|id| id.as_u64().unwrap() as u32)
                .filter(|id| *id != unknown)
                .collect();
            assert_eq!(*ids, expected, "{}", case["text"]);
            for (found, expected) in row.iter().zip(case["first"].as_array().unwrap()) {
                assert!(near(*found, expected), "{}", case["text"]);
            }
            assert!(near(row.iter().sum(), &case["sum"]), "{}", case["text"]);
        }
        for (one, cosines) in rows.iter().zip(golden["cosines"].as_array().unwrap()) {
            for (other, cosine) in rows.iter().zip(cosines.as_array().unwrap()) {
                let dot = one.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
                assert!(near(dot, cosine), "{dot} {cosine}");
            }
        }
        assert_eq!(encoder.embeddings_of_each(&texts).unwrap(), rows);
    }
}
