//! The model that writes, with its tokenizer and its public schema.

use crate::arithmetic;
use dpx_nn::Network;
use dpx_nn::model::{CausalLm, CausalModel, ModelConfig, load_causal};
use dpx_nn::text::Tokenizer;
use dpx_schema::conversation::ChatTemplate;
use dpx_schema::params::Precision;
use dpx_schema::{Kind, StageContext, StageError};
use dpx_schema::{MODEL_SCHEMA_FILE, Prompt, PublicSchema};

/// A generator with all that it may know.
pub(super) struct Generator {
    pub(super) model: CausalLm,
    pub(super) tokenizer: Tokenizer,
    pub(super) schema: PublicSchema,
    pub(super) prompt: Prompt,
}

impl Generator {
    /// The model among the needs, if there is one.
    pub(super) fn load(
        context: &StageContext<'_>,
        precision: Precision,
    ) -> Result<Option<Self>, StageError> {
        let model = context
            .input_of(Kind::Train)
            .or_else(|| context.input_of(Kind::Pretrain));
        let Some((_, input)) = model else {
            return Ok(None);
        };
        let arithmetic = arithmetic(precision, context.device)?;
        let folder = input.path.join("model");
        let schema = PublicSchema::load(folder.join(MODEL_SCHEMA_FILE))?;
        if schema.labels.is_empty() {
            return Err(StageError::new(
                "the model's `dpx_schema.json` declares no labels, so that there is nothing to ask it for: train it on labeled texts",
            ));
        }
        let prompt = schema.parsed_prompt()?;
        let tokenizer = Tokenizer::load(&folder)?;
        let mut model = load_causal(&folder, context.device)?;
        model.parameters_mut().compute_in(arithmetic);
        if tokenizer.vocabulary_size() > model.vocabulary() {
            return Err(StageError::new(format!(
                "the tokenizer has {} tokens, the model embeds {}: they do not belong together",
                tokenizer.vocabulary_size(),
                model.vocabulary()
            )));
        }
        Ok(Some(Self {
            model,
            tokenizer,
            schema,
            prompt,
        }))
    }

    pub(super) fn end_tokens(&self) -> Vec<u32> {
        end_tokens(&self.schema, &self.tokenizer, self.model.config())
    }

    /// Tokens that no text holds: roles other than the end, labels' own tokens, and rows of the embedding without a token.
    pub(super) fn suppressed_tokens(&self) -> Vec<u32> {
        let ends = self.end_tokens();
        let special = self.tokenizer.special();
        let roles = [
            special.bos,
            special.pad,
            special.unk,
            special.cls,
            special.sep,
            special.mask,
        ];
        let labels = self.prompt.special_tokens(&self.schema.labels);
        let labels = labels.iter().filter_map(|label| self.tokenizer.id(label));
        let marks = self
            .schema
            .chat_template
            .iter()
            .flat_map(ChatTemplate::marks);
        let marks: Vec<u32> = marks
            .filter_map(|mark| self.tokenizer.encode(mark).ok())
            .flatten()
            .collect();
        let nameless = self.tokenizer.vocabulary_size() as u32..self.model.vocabulary() as u32;
        let mut tokens: Vec<u32> = roles
            .into_iter()
            .flatten()
            .chain(labels)
            .chain(nameless)
            .filter(|token| !ends.contains(token) && !marks.contains(token))
            .collect();
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    }
}

/// The tokens that end a text of a model.
pub(crate) fn end_tokens(
    schema: &PublicSchema,
    tokenizer: &Tokenizer,
    config: &ModelConfig,
) -> Vec<u32> {
    if let Some(template) = &schema.chat_template {
        // The model's own end tokens may end turns alone.
        return tokenizer.id(&template.end).into_iter().collect();
    }
    let mut tokens = config.end_tokens.clone();
    tokens.extend(tokenizer.end());
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}
