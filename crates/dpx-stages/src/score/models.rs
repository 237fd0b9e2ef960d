//! The models of a score: an encoder, the trained generator, and the public model that fluency is measured with.

use super::compute::{Embedder, LmScorer};
use crate::losses::{Given, text_losses};
use crate::metric::Embeddings;
use crate::metric::perplexity::TextLoss;
use crate::model_source::ModelSource;
use crate::text_encoder::TextEncoder;
use dpx_nn::model::{CausalLm, load_causal};
use dpx_nn::text::Tokenizer;
use dpx_schema::Device;
use dpx_schema::StageError;
use dpx_schema::conversation::ChatTemplate;
use dpx_schema::{Prompt, PublicSchema};
use std::path::Path;

impl Embedder for TextEncoder {
    fn embed(&self, texts: &[String]) -> Result<Embeddings, StageError> {
        let rows = self.embeddings(texts)?;
        let width = rows.first().map_or(1, Vec::len);
        Embeddings::new(rows.concat(), width)
            .ok_or_else(|| StageError::new("the encoder gave embeddings of unequal width"))
    }

    fn needs_centring(&self) -> bool {
        TextEncoder::needs_centring(self)
    }
}

/// A causal language model with its tokenizer, and the prompt that it was trained with.
pub(super) struct LanguageModel {
    pub(super) network: CausalLm,
    pub(super) tokenizer: Tokenizer,
    prompt: Option<Prompt>,
    /// How the model writes conversations, where not as their text.
    template: Option<ChatTemplate>,
    pub(super) max_seq_len: usize,
    pub(super) micro_batch_tokens: usize,
}

impl LanguageModel {
    /// A model folder, for texts of at most so many tokens; with a schema, texts are given after their prompt and only the text
    /// counts.
    pub(super) fn load(
        folder: &Path,
        schema: Option<&PublicSchema>,
        device: Device,
        micro_batch_tokens: usize,
        most: usize,
    ) -> Result<Self, StageError> {
        let network = load_causal(folder, device)?;
        Ok(Self {
            max_seq_len: network.config().max_positions().min(most),
            network,
            template: schema.and_then(|schema| schema.chat_template.clone()),
            tokenizer: Tokenizer::load(folder)?,
            prompt: schema.map(PublicSchema::parsed_prompt).transpose()?,
            micro_batch_tokens,
        })
    }

    /// The public model that fluency is measured with: the encoder, where it is a language model, else `builtin:base`.
    pub(super) fn base(
        encoder: &Path,
        device: Device,
        micro_batch_tokens: usize,
        most: usize,
    ) -> Result<Option<Self>, StageError> {
        if let Ok(model) = Self::load(encoder, None, device, micro_batch_tokens, most) {
            return Ok(Some(model));
        }
        let Ok(base) = ModelSource::find("builtin:base") else {
            return Ok(None);
        };
        Self::load(base.path(), None, device, micro_batch_tokens, most).map(Some)
    }
}

impl LmScorer for LanguageModel {
    fn losses(&self, texts: &[(&str, &str)]) -> Result<Vec<TextLoss>, StageError> {
        text_losses(
            &self.network,
            &self.tokenizer,
            Given {
                prompt: self.prompt.as_ref(),
                template: self.template.as_ref(),
            },
            self.max_seq_len,
            self.micro_batch_tokens,
            texts,
        )
    }
}
