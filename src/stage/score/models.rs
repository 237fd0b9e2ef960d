//! The models of a score: an encoder, the trained generator, and the public model that fluency is measured with.

use super::compute::{Embedder, Surprise};
use crate::metric::Embeddings;
use crate::metric::perplexity::TextLoss;
use crate::model::{CausalLm, Encoder, groups, load_causal, load_encoder};
use crate::nn::{Batch, Network, Sequence};
use crate::stage::StageError;
use crate::stage::model_source::{ModelSource, encode_all};
use crate::text::{Prompt, PublicSchema, Tokenizer};
use std::fmt::Display;
use std::path::Path;

fn failed(error: impl Display) -> StageError {
    StageError::new(error.to_string())
}

/// An encoder with its tokenizer.
pub(super) struct TextEncoder {
    encoder: Encoder,
    tokenizer: Tokenizer,
    micro_batch_tokens: usize,
}

impl TextEncoder {
    pub(super) fn load(folder: &Path, micro_batch_tokens: usize) -> Result<Self, StageError> {
        Ok(Self {
            encoder: load_encoder(folder).map_err(failed)?,
            tokenizer: Tokenizer::load(folder).map_err(failed)?,
            micro_batch_tokens,
        })
    }
}

impl Embedder for TextEncoder {
    fn embed(&self, texts: &[String]) -> Result<Embeddings, StageError> {
        let longest = self.encoder.config().max_positions();
        let ids = encode_all(&self.tokenizer, texts, longest)?;
        let rows = self
            .encoder
            .embed(&ids, self.micro_batch_tokens)
            .map_err(failed)?;
        let width = rows.first().map_or(1, Vec::len);
        Embeddings::new(rows.concat(), width)
            .ok_or_else(|| StageError::new("the encoder gave embeddings of unequal width"))
    }

    fn needs_centring(&self) -> bool {
        self.encoder.needs_centring()
    }
}

/// A causal language model with its tokenizer, and the prompt that it was trained with.
pub(super) struct LanguageModel {
    model: CausalLm,
    tokenizer: Tokenizer,
    prompt: Option<Prompt>,
    longest: usize,
    micro_batch_tokens: usize,
}

/// Longest text whose loss is measured, in tokens.
const LONGEST: usize = 128;

impl LanguageModel {
    /// A model folder; with a schema, texts are given after their prompt and only the text counts.
    pub(super) fn load(
        folder: &Path,
        schema: Option<&PublicSchema>,
        micro_batch_tokens: usize,
    ) -> Result<Self, StageError> {
        let model = load_causal(folder).map_err(failed)?;
        Ok(Self {
            longest: model.config().max_positions().min(LONGEST),
            model,
            tokenizer: Tokenizer::load(folder).map_err(failed)?,
            prompt: schema
                .map(|schema| schema.parsed_prompt().map_err(failed))
                .transpose()?,
            micro_batch_tokens,
        })
    }

    /// The public model that fluency is measured with: the encoder, where it is a language model, else `builtin:base`.
    pub(super) fn base(
        encoder: &Path,
        micro_batch_tokens: usize,
    ) -> Result<Option<Self>, StageError> {
        if let Ok(model) = Self::load(encoder, None, micro_batch_tokens) {
            return Ok(Some(model));
        }
        let Ok(base) = ModelSource::find("builtin:base") else {
            return Ok(None);
        };
        Self::load(base.path(), None, micro_batch_tokens).map(Some)
    }

    fn encode(&self, label: &str, text: &str) -> Result<(Vec<u32>, usize), StageError> {
        if let Some(prompt) = &self.prompt {
            let found = prompt
                .encode(&self.tokenizer, label, text, self.longest)
                .map_err(failed)?;
            return Ok((found.ids, found.prompt_length));
        }
        let mut ids: Vec<u32> = self.tokenizer.special().bos.into_iter().collect();
        ids.extend(self.tokenizer.encode(text).map_err(failed)?);
        ids.extend(self.tokenizer.end());
        ids.truncate(self.longest);
        Ok((ids, 1))
    }
}

impl Surprise for LanguageModel {
    fn losses(&self, texts: &[(&str, &str)]) -> Result<Vec<TextLoss>, StageError> {
        let encoded = texts
            .iter()
            .map(|(label, text)| self.encode(label, text))
            .collect::<Result<Vec<_>, _>>()?;
        let lengths: Vec<usize> = encoded.iter().map(|(ids, _)| ids.len()).collect();
        let mut losses = vec![
            TextLoss {
                nats: 0.0,
                tokens: 0,
                bytes: 0
            };
            texts.len()
        ];
        for group in groups(&lengths, self.micro_batch_tokens) {
            let sequences: Vec<Sequence<'_>> = group
                .iter()
                .map(|&index| Sequence {
                    ids: &encoded[index].0,
                    counted_from: encoded[index].1,
                })
                .collect();
            let found = self
                .model
                .forward_loss(&Batch::causal(&sequences))
                .map_err(failed)?;
            for (&index, mean) in group.iter().zip(found) {
                let (ids, from) = &encoded[index];
                let tokens = ids.len().saturating_sub((*from).max(1)) as u64;
                losses[index] = TextLoss {
                    nats: mean * tokens as f64,
                    tokens,
                    bytes: texts[index].1.len() as u64,
                };
            }
        }
        Ok(losses)
    }
}
